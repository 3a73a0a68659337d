// A published UDP port: a socket of the host, and a flow for each of its clients.
//
// How this works
//   A client is its address and port, and the address of ours that it has spoken to. Its first datagram makes a
//   flow: a UDP socket in the container, connected to the payload, from which the payload's answers come back. They
//   leave by the published socket, from the very address that the client has spoken to (IP_PKTINFO).
//   UDP has no end: a flow is given up when nothing has passed for a while, sooner where the payload has never
//   answered. Source addresses can be invented: so there is a limit (that of the container's connections), and where it
//   is reached the flow that was silent for longest goes, those without an answer first.
//   Nothing is queued: what a socket does not take is lost, as anywhere with UDP.
#pragma once

#include "forward/port.h"
#include "forward/timer.h"

#include <chrono>
#include <list>
#include <map>
#include <memory>
#include <string>

namespace squish::forward {

class Container;
class UdpFlow;

class UdpPort final : public Port {
public:
    // As conntrack has them (nf_conntrack_udp_timeout, nf_conntrack_udp_timeout_stream).
    static constexpr std::chrono::seconds kUnanswered{30};
    static constexpr std::chrono::seconds kAnswered{120};

    // Takes a bound UDP socket; an error where it is none.
    [[nodiscard]] static Result<std::unique_ptr<UdpPort>> open(Services services, Container& container, UniqueFd socket,
                                                               Route route, std::shared_ptr<PortStats> stats);
    ~UdpPort() override;

    void close(Backlog backlog) override;
    void resume() override {}
    [[nodiscard]] std::size_t flows() const override { return by_client_.size(); }
    void on_ready(unsigned tag, std::uint32_t events) override;

private:
    friend class UdpFlow;
    using Clock = std::chrono::steady_clock;
    using Flows = std::list<std::unique_ptr<UdpFlow>>;

    UdpPort(Services services, Container& container, UniqueFd socket, Route route, std::shared_ptr<PortStats> stats);
    [[nodiscard]] bool receive_one();
    [[nodiscard]] bool evict_one();
    void refresh(UdpFlow& flow, bool answered);
    void end(UdpFlow& flow);
    void answer(UdpFlow& flow, const char* data, std::size_t size);
    void sweep();

    Container& container_;
    UniqueFd socket_;
    bool has_rules_ = false;
    std::unique_ptr<Timer> sweep_timer_;
    std::map<std::string, UdpFlow*> by_client_;
    Flows unanswered_, answered_; // the one that was silent for longest first
};

} // namespace squish::forward

#include "forward/udp_port.h"

#include "forward/container.h"
#include "forward/socket_options.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace squish::forward {

namespace {

constexpr int kDatagramsPerTurn = 64;
constexpr std::size_t kMaxDatagram = 64 * 1024;
constexpr std::chrono::milliseconds kSweepInterval(5000);
constexpr int kBuffer = 1 << 20; // of the published socket, which all clients share; the kernel gives what it allows

// One for all; its memory is touched only as far as datagrams are long.
std::array<char, kMaxDatagram> buffer;

// The address of ours that a datagram came to, in the form in which sendmsg(2) takes it as the sender.
struct OurAddress {
    union {
        in_pktinfo v4;
        in6_pktinfo v6;
    };
    int family = AF_UNSPEC;
    OurAddress() : v6{} {}
};

OurAddress our_address_of(msghdr& message) {
    OurAddress out;
    for (auto* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_PKTINFO) {
            std::memcpy(&out.v4, CMSG_DATA(header), sizeof out.v4);
            out.v4.ipi_addr = {}; // of the datagram, perhaps a broadcast; ipi_spec_dst is ours (ip(7))
            out.v4.ipi_ifindex = 0;
            out.family = AF_INET;
        } else if (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_PKTINFO) {
            std::memcpy(&out.v6, CMSG_DATA(header), sizeof out.v6);
            if (!IN6_IS_ADDR_LINKLOCAL(&out.v6.ipi6_addr))
                out.v6.ipi6_ifindex = 0;
            out.family = IN6_IS_ADDR_MULTICAST(&out.v6.ipi6_addr) ? AF_UNSPEC : AF_INET6;
        }
    }
    return out;
}

Result<void> check_socket(int socket) {
    int domain = 0, protocol = 0;
    socklen_t size = sizeof domain;
    if (::getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 ||
        ::getsockopt(socket, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) < 0)
        return fail(ErrorKind::invalid, "the listener is no socket");
    if ((domain != AF_INET && domain != AF_INET6) || protocol != IPPROTO_UDP)
        return fail(ErrorKind::invalid, "the listener is no UDP socket");
    const bool ipv6 = domain == AF_INET6;
    TRY(set_options(socket, {{ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, ipv6 ? IPV6_RECVPKTINFO : IP_PKTINFO, 1},
                             {SOL_SOCKET, SO_RCVBUF, kBuffer},
                             {SOL_SOCKET, SO_SNDBUF, kBuffer}}));
    const int flags = ::fcntl(socket, F_GETFL);
    if (flags < 0 || ::fcntl(socket, F_SETFL, flags | O_NONBLOCK) < 0)
        return fail_errno("fcntl");
    return {};
}

bool is_loopback_only(int socket) {
    sockaddr_storage own{};
    socklen_t size = sizeof own;
    if (::getsockname(socket, reinterpret_cast<sockaddr*>(&own), &size) < 0)
        return false;
    if (own.ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(&own)->sin6_addr);
    return ntohl(reinterpret_cast<const sockaddr_in*>(&own)->sin_addr.s_addr) >> 24 == 127;
}

} // namespace

// One client's way into the container and back.
class UdpFlow final : public Watcher {
public:
    UdpFlow(UdpPort& port, Way way, OurAddress ours, std::string key, UniqueFd socket)
        : port_(port), way_(std::move(way)), ours_(ours), key_(std::move(key)), socket_(std::move(socket)) {}

    void pass_on(std::size_t size) {
        // An error that an earlier datagram has caused (ICMP port unreachable) is reported here, once, instead. Over lo
        // it has come back before send(2) returns: so the very first datagram finds the family that the payload speaks.
        for (int tries = 0; tries < 3; ++tries) {
            const bool sent = ::send(socket_.get(), buffer.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
            if (!sent && errno != ECONNREFUSED)
                return;
            if (sent && !(may_switch() && was_refused())) {
                port_.stats_->bytes_in += size;
                return;
            }
            note_refusal();
        }
    }

    void on_ready(unsigned /*tag*/, std::uint32_t /*events*/) override {
        for (int left = kDatagramsPerTurn; socket_ && left > 0; --left) {
            const auto got = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
            if (got >= 0)
                port_.answer(*this, buffer.data(), static_cast<std::size_t>(got));
            else if (errno == ECONNREFUSED)
                note_refusal();
            else
                return;
        }
    }

private:
    friend class UdpPort;

    [[nodiscard]] bool may_switch() const { return way_.second && !answered; }

    [[nodiscard]] bool was_refused() const {
        int error = 0;
        socklen_t length = sizeof error;
        return ::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == ECONNREFUSED;
    }

    // Nobody there: the payload may listen on the other family only.
    void note_refusal() {
        if (!may_switch())
            return;
        way_.first = *std::exchange(way_.second, std::nullopt);
        auto other = port_.services_.upstreams.connect_udp(way_);
        port_.services_.upstreams.go_home();
        if (!other || !port_.services_.loop.watch(other->get(), EPOLLIN, *this))
            return;
        port_.services_.loop.forget(socket_.get());
        socket_ = std::move(*other);
    }

    UdpPort& port_;
    Way way_;
    OurAddress ours_;
    std::string key_;
    UniqueFd socket_;
    bool answered = false;
    UdpPort::Clock::time_point last_;
    UdpPort::Flows::iterator place_;
};

UdpPort::UdpPort(Services services, Container& container, UniqueFd socket, Route route,
                 std::shared_ptr<PortStats> stats)
    : Port(services, std::move(route), std::move(stats)), container_(container), socket_(std::move(socket)) {}

Result<std::unique_ptr<UdpPort>> UdpPort::open(Services services, Container& container, UniqueFd socket, Route route,
                                               std::shared_ptr<PortStats> stats) {
    TRY(check_socket(socket.get()));
    route.show_client = route.show_client && !is_loopback_only(socket.get());
    std::unique_ptr<UdpPort> port(
        new UdpPort(services, container, std::move(socket), std::move(route), std::move(stats)));
    port->sweep_timer_ = TRY(Timer::create(services.loop, [self = port.get()] { self->sweep(); }));
    TRY(services.loop.watch(port->socket_.get(), EPOLLIN, *port));
    if (port->route_.show_client) {
        port->has_rules_ = true; // from the first on there may be something to take back
        const auto& to = port->route_;
        auto added =
            services.upstreams.change_udp_rule(Upstreams::Rule::add, *to.where, to.target.family(), to.target.port());
        if (added && to.other_family)
            added = services.upstreams.change_udp_rule(Upstreams::Rule::add, *to.where, to.other_family->family(),
                                                       to.target.port());
        services.upstreams.go_home();
        TRY(added);
    }
    return port;
}

UdpPort::~UdpPort() {
    close(Backlog::drop);
}

void UdpPort::close(Backlog backlog) {
    if (!socket_)
        return;
    if (backlog == Backlog::let_in)
        while (receive_one()) {
        }
    services_.loop.forget(socket_.get()); // others may hold copies
    socket_.reset();
    while (!by_client_.empty())
        end(*by_client_.begin()->second);
    if (has_rules_) {
        for (const auto* to : {&route_.target, route_.other_family ? &*route_.other_family : nullptr})
            if (to)
                (void) services_.upstreams.change_udp_rule(Upstreams::Rule::remove, *route_.where, to->family(),
                                                           to->port());
    }
    services_.upstreams.go_home();
}

void UdpPort::on_ready(unsigned /*tag*/, std::uint32_t /*events*/) {
    if (!socket_)
        return; // closed in this very round
    for (int left = kDatagramsPerTurn; left > 0 && receive_one(); --left) {
    }
    services_.upstreams.go_home();
}

// False where nothing was there.
bool UdpPort::receive_one() {
    sockaddr_storage peer{};
    iovec data{buffer.data(), buffer.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(in_pktinfo))> control{};
    msghdr message{};
    message.msg_name = &peer;
    message.msg_namelen = sizeof peer;
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const auto got = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT);
    if (got < 0)
        return errno == EINTR || errno == ECONNREFUSED; // an error that an answer of ours has caused
    const auto client = Address::from(peer);
    if (client.port() == 0)
        return true; // nobody could be answered
    const auto ours = our_address_of(message);
    std::string key(client.bytes());
    key.append(reinterpret_cast<const char*>(&ours.v6), ours.family == AF_INET6 ? sizeof ours.v6 : sizeof ours.v4);

    const auto found = by_client_.find(key);
    UdpFlow* flow = found != by_client_.end() ? found->second : nullptr;
    if (!flow) {
        Way way{route_.where, route_.target, route_.other_family, client, route_.show_client};
        if (way.second && way.second->family() == client.family())
            std::swap(way.first, *way.second);
        if ((!container_.has_room() || services_.shortage.is_tight()) && !evict_one())
            return true;
        ++stats_->accepted;
        auto socket = services_.upstreams.connect_udp(way);
        if (!socket) {
            ++stats_->failed;
            return true;
        }
        services_.shortage.note(socket->get());
        auto fresh = std::make_unique<UdpFlow>(*this, std::move(way), ours, key, std::move(*socket));
        if (!services_.loop.watch(fresh->socket_.get(), EPOLLIN, *fresh)) {
            ++stats_->failed;
            return true;
        }
        flow = fresh.get();
        flow->last_ = Clock::now();
        flow->place_ = unanswered_.insert(unanswered_.end(), std::move(fresh));
        by_client_.emplace(std::move(key), flow);
        ++stats_->open;
        sweep_timer_->arm(kSweepInterval);
    }
    refresh(*flow, flow->answered);
    flow->pass_on(static_cast<std::size_t>(got));
    return true;
}

void UdpPort::refresh(UdpFlow& flow, bool answered) {
    auto& from = flow.answered ? answered_ : unanswered_;
    auto& to = answered ? answered_ : unanswered_;
    flow.answered = answered;
    flow.last_ = Clock::now();
    to.splice(to.end(), from, flow.place_);
}

void UdpPort::answer(UdpFlow& flow, const char* data, std::size_t size) {
    if (!socket_)
        return;
    iovec part{const_cast<char*>(data), size};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(in6_pktinfo))> control{};
    msghdr message{};
    message.msg_name = const_cast<sockaddr*>(flow.way_.client.data());
    message.msg_namelen = flow.way_.client.size();
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (flow.ours_.family != AF_UNSPEC) {
        const bool ipv6 = flow.ours_.family == AF_INET6;
        const auto length = ipv6 ? sizeof flow.ours_.v6 : sizeof flow.ours_.v4;
        message.msg_control = control.data();
        message.msg_controllen = CMSG_SPACE(length);
        auto* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = ipv6 ? IPPROTO_IPV6 : IPPROTO_IP;
        header->cmsg_type = ipv6 ? IPV6_PKTINFO : IP_PKTINFO;
        header->cmsg_len = CMSG_LEN(length);
        std::memcpy(CMSG_DATA(header), &flow.ours_.v6, length);
    }
    refresh(flow, true);
    if (::sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        stats_->bytes_out += size;
}

bool UdpPort::evict_one() {
    auto& from = unanswered_.empty() ? answered_ : unanswered_;
    if (from.empty())
        return false;
    end(*from.front());
    return true;
}

void UdpPort::end(UdpFlow& flow) {
    by_client_.erase(flow.key_);
    services_.loop.forget(flow.socket_.get());
    flow.socket_.reset();
    auto& list = flow.answered ? answered_ : unanswered_;
    auto gone = std::move(*flow.place_);
    list.erase(flow.place_);
    services_.loop.retire(std::move(gone));
    --stats_->open;
    services_.shortage.freed();
}

void UdpPort::sweep() {
    const auto now = Clock::now();
    while (!unanswered_.empty() && unanswered_.front()->last_ + kUnanswered <= now)
        end(*unanswered_.front());
    while (!answered_.empty() && answered_.front()->last_ + kAnswered <= now)
        end(*answered_.front());
    if (!by_client_.empty())
        sweep_timer_->arm(kSweepInterval);
}

} // namespace squish::forward

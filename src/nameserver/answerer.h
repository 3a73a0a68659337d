// Answers the queries of one network: its own names at once, all else by asking the upstream server.
//
// Over UDP and TCP at one address, that of the network's bridge, which is the only interface it listens on. What an
// upstream answers is passed on byte for byte. Every question asked upstream has a socket, and so a port, of its own
// and a random number, and only the upstream's address can answer it (RFC 5452).
//
// Limits, against a container that only asks: kMaxAsking questions upstream and kMaxConnections TCP connections at a
// time for each network; what is beyond is answered SERVFAIL, or not accepted until there is room.
#pragma once

#include "base/result.h"
#include "nameserver/book.h"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <functional>
#include <memory>
#include <string>

namespace squish::nameserver {

inline constexpr std::size_t kMaxAsking = 512;
inline constexpr std::size_t kMaxConnections = 64;

struct Place {
    std::string address;   // of the bridge, to listen at
    std::string interface; // the bridge
    std::uint16_t port = 53;
    std::string upstream; // address of the server for everything else
    std::uint16_t upstream_port = 53;
};

class Answerer : public std::enable_shared_from_this<Answerer> {
public:
    // Answers for a client of other networks, too, where ours has nothing: by the container that asks.
    using Elsewhere =
        std::function<std::optional<dns::Zone::Answer>(const std::string& container, const dns::Query& query)>;

    // Listens from here on. Errors name the address.
    [[nodiscard]] static Result<std::shared_ptr<Answerer>> open(boost::asio::io_context& loop, Place place,
                                                                dns::Zone::Reach reach, Elsewhere elsewhere);
    // Ends what it does; nobody is answered any more.
    void close();

    [[nodiscard]] Book& book() { return book_; }
    [[nodiscard]] const Place& place() const { return place_; }
    // Whether its interface is still the one that it listens on: a bridge may have been deleted and made again.
    [[nodiscard]] bool is_on_its_interface() const;
    [[nodiscard]] std::uint16_t port() const; // the one it got where it asked for any (tests)

private:
    using Tcp = boost::asio::ip::tcp;
    using Udp = boost::asio::ip::udp;

    Answerer(boost::asio::io_context& loop, Place place, dns::Zone::Reach reach, Elsewhere elsewhere)
        : loop_(loop), place_(std::move(place)), book_(std::move(reach)), elsewhere_(std::move(elsewhere)),
          datagrams_(loop), acceptor_(loop) {}
    [[nodiscard]] Result<void> listen();

    // The answer where we know it ourselves; nothing where the upstream is to be asked; "" where none is due.
    [[nodiscard]] std::optional<std::string> own_answer(std::string_view message,
                                                        const boost::asio::ip::address& client, bool over_tcp);

    boost::asio::awaitable<void> serve_datagrams();
    boost::asio::awaitable<void> relay_datagram(std::string query, Udp::endpoint client);
    boost::asio::awaitable<void> serve_connections();
    boost::asio::awaitable<void> serve_connection(Tcp::socket client);
    // The upstream's answer; "" where none came in time.
    boost::asio::awaitable<std::string> ask_datagram(std::string query);
    boost::asio::awaitable<std::string> ask_connection(std::string query);

    boost::asio::io_context& loop_;
    Place place_;
    Book book_;
    Elsewhere elsewhere_;
    Udp::socket datagrams_;
    Tcp::acceptor acceptor_;
    boost::asio::ip::address upstream_;
    unsigned interface_index_ = 0;
    std::size_t asking_ = 0;
    std::size_t connections_ = 0;
};

} // namespace squish::nameserver

#include "engine/ground.h"

#include "base/text.h"
#include "os/file.h"
#include "os/process.h"
#include "plan/launch_plan.h"
#include "uplink/uplink.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <csignal>
#include <fcntl.h>
#include <iterator>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

namespace squish {

namespace {

// GCC 12 cannot compile a braced list among the arguments of a co_await: lists and requests are made by functions.
template <class... Fds> std::vector<int> list(Fds... fds) {
    return {fds...};
}

void nothing() {}

// In the order in which they were asked for.
Result<std::vector<NetworkAttachment>> read_attachments(const wire::Json& answer,
                                                        const std::vector<std::uint32_t>& networks) {
    std::vector<NetworkAttachment> out;
    const auto list = answer.find("attachments");
    if (list == answer.end() || !list->is_array() || list->size() != networks.size())
        return fail(ErrorKind::unavailable, "malformed answer of squish-stager");
    for (const auto& one : *list)
        out.push_back({static_cast<std::uint32_t>(TRY(wire::get_integer(one, "network"))),
                       TRY(wire::get_string(one, "address")), TRY(wire::get_string(one, "address6"))});
    return out;
}

constexpr std::uint32_t kDefaultNetwork = 0;

// How squish-dns knows a network.
std::string key_of(std::uint32_t network) {
    return std::to_string(network);
}
wire::Json host_request(const char* op, std::uint32_t network, wire::Json host) {
    host["op"] = op;
    host["network"] = key_of(network);
    return host;
}

// What this user may have of it (/proc/sys/user, Linux 4.9); 0 where there is no such limit.
std::uint64_t user_limit(const std::string& name) {
    const auto text = os::read_file("/proc/sys/user/" + name);
    return text ? parse_number(trim(*text)).value_or(0) : 0;
}

} // namespace

using wire::to_request;

Ground::Ground(asio::any_io_executor executor, const Paths& paths, const EngineConfig& config, Events events)
    : executor_(std::move(executor)), paths_(paths), config_(config), events_(std::move(events)),
      refill_timer_(executor_) {}

template <class Start> Task<void> Ground::once(Gate& gate, Start start) {
    if (gate.running) {
        const auto running = gate.running;
        co_await running->wait();
        co_return Result<void>{};
    }
    gate.running = std::make_shared<Latch>(executor_);
    auto result = co_await start();
    std::exchange(gate.running, nullptr)->open();
    co_return result;
}

// --- the keeper
// -------------------------------------------------------------------------------------------------------

Task<void> Ground::connect_keeper(UniqueFd socket) {
    keeper_ = std::make_unique<KeeperClient>(
        executor_, std::move(socket),
        KeeperClient::Events{
            .exited =
                [this](std::string id, int status) {
                    ids_used_up_ = false;
                    events_.exited(std::move(id), status);
                },
            .helper_exited = [this](std::string name, int) { on_helper_exited(name); },
            .cell_lost =
                [this](std::string name) {
                    ids_used_up_ = false;
                    for (auto& cells : spares_) {
                        const auto lost = std::ranges::find(cells, name, &PreparedCell::name);
                        if (lost == cells.end())
                            continue;
                        take_back(std::move(*lost));
                        cells.erase(lost);
                    }
                },
            .guarded =
                [](std::string name, pid_t pid) {
                    spdlog::warn("{} has ended; the keeper has started it again, pid {}", name, pid);
                },
            .closed = [this] { asio::co_spawn(executor_, on_keeper_closed(keeper_number_), asio::detached); },
        });
    std::vector<KeptContainer> kept;
    auto facts = co_await keeper_->hello(kept);
    if (!facts) {
        keeper_.reset();
        co_return std::unexpected(std::move(facts).error());
    }
    facts_ = std::move(*facts);
    ++keeper_number_;
    keeper_pidfd_ = {};
    if (auto pidfd = os::open_pidfd(facts_.pid))
        keeper_pidfd_ = std::move(*pidfd);
    machine_.single_id = facts_.single_id;
    ids_used_up_ = facts_.slices == 0;
    if (ids_used_up_)
        lately_.fill(false);
    machine_.inotify_instances = user_limit("max_inotify_instances");
    machine_.inotify_watches = user_limit("max_inotify_watches");
    events_.connected(std::move(kept));
    co_return Result<void>{};
}

Task<bool> Ground::find_keeper() {
    auto socket = os::connect_unix(paths_.keeper_socket(), SOCK_SEQPACKET);
    if (!socket)
        co_return false;
    const auto connected = co_await connect_keeper(std::move(*socket));
    co_return connected.has_value(); // one that hangs up at once is on its way out, and as good as none
}

Task<void> Ground::need_keeper() {
    for (int attempt = 0; attempt < 3; ++attempt) {
        if (keeper_ && keeper_->is_open())
            co_return Result<void>{};
        auto started = co_await once(keeper_gate_, [this]() -> Task<void> {
            auto found = co_await find_keeper();
            if (found && *found)
                co_return Result<void>{};
            lose_keeper();
            CO_TRY(start_keeper(paths_));
            CO_TRY_TO(auto socket, os::connect_unix(paths_.keeper_socket(), SOCK_SEQPACKET));
            co_return co_await connect_keeper(std::move(socket));
        });
        CO_TRY(std::move(started));
    }
    co_return fail(ErrorKind::unavailable, "the keeper does not stay alive", "see '" + paths_.state + "/keeper.log'");
}

// The end of the connection is not the end of the keeper: it hangs up on who does not read. Its pidfd says which it
// was; a process closes its descriptors a moment before it counts as ended.
asio::awaitable<void> Ground::on_keeper_closed(unsigned number) {
    forget_spares(); // the keeper ends the cells of a client that is gone
    if (stopping_ || number != keeper_number_)
        co_return;
    if (keeper_pidfd_) {
        const auto watch = std::make_shared<asio::posix::stream_descriptor>(
            executor_, ::fcntl(keeper_pidfd_.get(), F_DUPFD_CLOEXEC, 0));
        asio::steady_timer patience(executor_, std::chrono::seconds(1));
        patience.async_wait([watch](const boost::system::error_code& error) {
            if (!error)
                watch->cancel();
        });
        (void) co_await watch->async_wait(asio::posix::stream_descriptor::wait_read, kAwait);
        patience.cancel();
        if (number != keeper_number_)
            co_return; // somebody needed another one meanwhile
        if (!os::has_ended(keeper_pidfd_.get())) {
            (void) co_await need_keeper(); // `connected` tells what is there
            co_return;
        }
    }
    lose_keeper();
}

// Its helpers end with it, but a moment later: nobody may find them any more, since what they make is of its
// namespaces.
void Ground::lose_keeper() {
    for (const auto& socket :
         {paths_.stager_socket(), paths_.layers_socket(), paths_.forward_socket(), paths_.nameserver_socket()})
        ::unlink(socket.c_str());
    network_up_ = false;
    networks_.clear();
    stager_.reset();
    forwarder_.reset();
    nameserver_.reset();
    end_uplink(way_out_);
    end_uplink(to_loopback_);
    host_loopback_.clear();
    host_loopback_told_.clear();
    views_.reset();
    if (std::exchange(lost_number_, keeper_number_) != keeper_number_)
        events_.keeper_lost();
}

// --- its helpers
// ------------------------------------------------------------------------------------------------------

Task<UniqueFd> Ground::connect_helper(std::string program, std::string socket_path) {
    auto socket = os::connect_unix(socket_path, SOCK_SEQPACKET);
    if (!socket) { // nobody listens
        CO_TRY_TO(const auto listener, os::listen_unix(socket_path, SOCK_SEQPACKET));
        CO_TRY_TO(const auto binary, os::open_file(paths_.libexec + "/" + program, O_RDONLY));
        CO_TRY_TO(const auto log,
                  os::open_file(paths_.state + "/" + program + ".log", O_WRONLY | O_CREAT | O_APPEND, 0600));
        std::vector<int> fds = list(binary.get(), listener.get(), log.get());
        CO_TRY(co_await keeper_->spawn(program, std::move(fds)));
        socket = os::connect_unix(socket_path, SOCK_SEQPACKET);
        if (!socket)
            co_return std::unexpected(std::move(socket).error());
    }
    co_return std::move(*socket);
}

Task<std::unique_ptr<HelperClient>> Ground::start_helper(std::string program, std::string socket_path,
                                                         Link::OnClosed on_closed, HelperClient::OnEvent on_event) {
    CO_TRY_TO(auto socket, co_await connect_helper(program, std::move(socket_path)));
    co_return std::make_unique<HelperClient>(executor_, program, std::move(socket), std::move(on_closed),
                                             std::move(on_event));
}

Task<void> Ground::need_stager() {
    for (int attempt = 0; attempt < 3; ++attempt) {
        CO_TRY(co_await need_keeper());
        if (stager_ && stager_->is_open())
            co_return Result<void>{};
        auto started = co_await once(stager_gate_, [this]() -> Task<void> {
            CO_TRY(os::make_dirs(paths_.state + "/stage"));
            Link::OnClosed on_closed = [this] { network_up_ = false; };
            HelperClient::OnEvent on_event = [this](const wire::Json& event) { on_stager_event(event); };
            CO_TRY_TO(stager_, co_await start_helper("squish-stager", paths_.stager_socket(), std::move(on_closed),
                                                     std::move(on_event)));
            co_return Result<void>{};
        });
        CO_TRY(std::move(started));
    }
    co_return fail(ErrorKind::unavailable, "squish-stager does not stay alive",
                   "see '" + paths_.state + "/squish-stager.log'");
}

Task<void> Ground::need_forwarder() {
    for (int attempt = 0; attempt < 3; ++attempt) {
        CO_TRY(co_await need_keeper());
        if (forwarder_ && forwarder_->is_open())
            co_return Result<void>{};
        auto started = co_await once(forwarder_gate_, [this]() -> Task<void> {
            CO_TRY_TO(forwarder_, co_await start_helper("squish-forward", paths_.forward_socket(),
                                                        Link::OnClosed(nothing), HelperClient::OnEvent()));
            co_return Result<void>{};
        });
        CO_TRY(std::move(started));
    }
    co_return fail(ErrorKind::unavailable, "squish-forward does not stay alive",
                   "see '" + paths_.state + "/squish-forward.log'");
}

Task<UniqueFd> Ground::connect_layers() {
    CO_TRY(co_await need_keeper());
    UniqueFd socket;
    auto connected = co_await once(layers_gate_, [this, &socket]() -> Task<void> {
        CO_TRY_TO(socket, co_await connect_helper("squish-layers", paths_.layers_socket()));
        co_return Result<void>{};
    });
    CO_TRY(std::move(connected));
    if (!socket) { // somebody else's start was waited for
        CO_TRY_TO(socket, co_await connect_helper("squish-layers", paths_.layers_socket()));
    }
    co_return socket;
}

void Ground::on_helper_exited(const std::string& name) {
    if (stopping_)
        return;
    if (name == "squish-stager") {
        stager_.reset();
        network_up_ = false;
    }
    if (name == "squish-dns") { // likewise
        nameserver_.reset();
        asio::co_spawn(
            executor_,
            [this]() -> asio::awaitable<void> {
                if (network_up_)
                    (void) co_await need_network();
            },
            asio::detached);
    }
    if (name == "squish-forward") { // containers that run need it: at once
        forwarder_.reset();
        asio::co_spawn(
            executor_,
            [this]() -> asio::awaitable<void> {
                if (auto started = co_await need_forwarder())
                    events_.forwarder_started();
            },
            asio::detached);
    }
}

// --- the network
// --------------------------------------------------------------------------------------------------------

Task<void> Ground::need_network() {
    return need_network(std::vector<std::uint32_t>(1, kDefaultNetwork));
}

bool Ground::has_networks(const std::vector<std::uint32_t>& networks) const {
    return network_up_ && std::ranges::all_of(networks, [&](auto number) {
               const auto found = networks_.find(number);
               return found != networks_.end() && found->second.served;
           });
}

Task<void> Ground::need_network(std::vector<std::uint32_t> networks) {
    for (int attempt = 0; attempt < 3;) {
        CO_TRY(co_await need_stager());
        if (has_networks(networks) && way_out_.pid && way_out_.set_up && nameserver_ && nameserver_->is_open())
            co_return Result<void>{};
        attempt += network_gate_.running ? 0 : 1; // those of others may be for other networks
        auto started =
            co_await once(network_gate_, [this, &networks]() -> Task<void> { return start_network(networks); });
        CO_TRY(std::move(started));
    }
    co_return fail(ErrorKind::unavailable, "the network does not stay up",
                   "see '" + paths_.state + "/uplink.log' and 'squish-dns.log' there");
}

Task<void> Ground::start_network(std::vector<std::uint32_t> networks) {
    if (!network_up_) {
        auto request = to_request("network.up");
        request["mtu"] = config_.uplink_mtu;
        request["spares"] = config_.spare_cells;
        CO_TRY_TO(request["ipv6"], wants_ipv6());
        CO_TRY_TO(auto answer, co_await stager_->ask(std::move(request)));
        for (const auto& [number, network] : std::exchange(networks_, {})) // a new stager is told of all again
            networks.push_back(number);
        way_out_.ipv6 = answer.body.value("ipv6_out", false); // as long as there is this keeper, whatever was asked for
        networks_[kDefaultNetwork].facts = std::move(answer.body);
        network_up_ = true;
        host_loopback_told_.clear(); // a new filter
        restore_host_loopback();
    }
    for (const auto number : networks) {
        if (networks_.contains(number))
            continue;
        auto request = to_request("network.add");
        request["network"] = number;
        CO_TRY_TO(auto answer, co_await stager_->ask(std::move(request)));
        networks_[number].facts = std::move(answer.body);
    }
    if (!nameserver_ || !nameserver_->is_open()) { // it gets ready while the uplink does
        for (auto& [number, network] : networks_)
            network.served = false;
        CO_TRY_TO(nameserver_, co_await start_helper("squish-dns", paths_.nameserver_socket(), Link::OnClosed(nothing),
                                                     HelperClient::OnEvent()));
    }
    if (!way_out_.pid)
        CO_TRY(co_await start_uplink(way_out_));
    if (!way_out_.set_up)
        CO_TRY(co_await set_up_way_out());
    co_return co_await serve_names();
}

// slirp4netns has configured the interface for IPv4; the rest is the stager's.
Task<void> Ground::set_up_way_out() {
    if (way_out_.ipv6) {
        if (!stager_)
            co_return fail(ErrorKind::unavailable, "squish-stager is gone", "try again");
        CO_TRY(co_await stager_->ask(to_request("network.uplink")));
    }
    way_out_.set_up = way_out_.pid != 0;
    co_return Result<void>{};
}

// For a keeper's first network. Without a driver the uplink says so, later.
Result<bool> Ground::wants_ipv6() const {
    if (config_.uplink_ipv6 == uplink::Ipv6::off)
        return false;
    const auto driver = uplink::choose(config_.uplink_driver);
    return driver ? uplink::wants_ipv6(config_.uplink_ipv6, *driver) : false;
}

// Tells squish-dns of every network that it does not know yet, with all hosts.
Task<void> Ground::serve_names() {
    std::vector<std::uint32_t> unserved;
    for (const auto& [number, network] : networks_)
        if (!network.served)
            unserved.push_back(number);
    for (const auto number : unserved) {
        const auto known = networks_.find(number);
        if (known == networks_.end()) // removed meanwhile
            continue;
        auto request = to_request("network.up");
        const auto& facts = known->second.facts;
        for (const auto* fact : {"interface", "reach4", "reach6"})
            request[fact] = facts.value(fact, wire::Json());
        request["address"] = facts.value("gateway", wire::Json());
        request["network"] = key_of(number);
        request["hosts"] = events_.hosts(number);
        if (!nameserver_)
            co_return fail(ErrorKind::unavailable, "squish-dns is gone", "try again");
        CO_TRY(co_await nameserver_->ask(std::move(request)));
        if (const auto found = networks_.find(number); found != networks_.end())
            found->second.served = true;
    }
    co_return Result<void>{};
}

// A bridge was deleted by somebody, and the stager has made it again: squish-dns listened on the one that is gone.
void Ground::on_stager_event(const wire::Json& event) {
    if (event.value("event", wire::Json()) != "network.repaired")
        return;
    for (auto& [number, network] : networks_)
        network.served = false;
    asio::co_spawn(executor_, [this]() -> asio::awaitable<void> { (void) co_await need_network(); }, asio::detached);
}

std::string Ground::resolv_conf(std::uint32_t network) const {
    const auto found = networks_.find(network);
    return found == networks_.end() ? std::string() : found->second.facts.value("resolv_conf", std::string());
}

Task<void> Ground::remove_network(std::uint32_t network) {
    if (nameserver_ && networks_.contains(network)) {
        auto request = to_request("network.down");
        request["network"] = key_of(network);
        (void) co_await nameserver_->ask(std::move(request));
    }
    networks_.erase(network);
    if (!stager_ || !network_up_) // what it stood on has gone
        co_return Result<void>{};
    auto request = to_request("network.remove");
    request["network"] = network;
    CO_TRY(co_await stager_->ask(std::move(request)));
    co_return Result<void>{};
}

Task<wire::Json> Ground::describe_networks(std::vector<std::uint32_t> networks) {
    CO_TRY(co_await need_stager());
    auto request = to_request("network.describe");
    request["networks"] = networks;
    CO_TRY_TO(auto answer, co_await stager_->ask(std::move(request)));
    auto described = answer.body.value("networks", wire::Json());
    if (!described.is_array() || described.size() != networks.size())
        co_return fail(ErrorKind::unavailable, "malformed answer of squish-stager");
    co_return described;
}

Task<void> Ground::add_host(std::uint32_t network, wire::Json host) {
    if (!nameserver_)
        co_return fail(ErrorKind::unavailable, "squish-dns is gone", "try again");
    auto told = co_await nameserver_->ask(host_request("host.add", network, std::move(host)));
    if (told)
        co_return Result<void>{};
    auto error = std::move(told).error();
    if (error.kind ==
        ErrorKind::not_found) // a new one, which is being told of the networks: it hears of this host, too
        error.kind = ErrorKind::unavailable;
    co_return std::unexpected(std::move(error));
}

asio::awaitable<void> Ground::remove_host(std::uint32_t network, std::string container) {
    if (!nameserver_) // a new one will not be told of it
        co_return;
    wire::Json host = wire::Json::object();
    host["container"] = std::move(container);
    (void) co_await nameserver_->ask(host_request("host.remove", network, std::move(host)));
}

// The second uplink, and the stager knows who may use it.
Task<void> Ground::tell_host_loopback() {
    const auto slots = host_loopback_; // those of now
    if (!slots.empty()) {
        if (!to_loopback_.pid)
            CO_TRY(co_await start_uplink(to_loopback_));
        if (!stager_)
            co_return fail(ErrorKind::unavailable, "squish-stager is gone", "try again");
        auto request = to_request("network.host_loopback");
        request["slots"] = slots;
        CO_TRY_TO(const auto answer, co_await stager_->ask(std::move(request)));
        if (const auto unknown = answer.body.find("unknown"); unknown != answer.body.end() && unknown->is_array())
            for (const auto& slot : *unknown)
                if (slot.is_number_unsigned())
                    host_loopback_.erase(slot.get<std::uint32_t>());
    }
    host_loopback_told_.clear();
    std::ranges::set_intersection(slots, host_loopback_, std::inserter(host_loopback_told_, host_loopback_told_.end()));
    co_return Result<void>{};
}

Task<void> Ground::need_host_loopback() {
    for (int attempt = 0; attempt < 3; ++attempt) {
        CO_TRY(co_await need_network());
        if (host_loopback_told_ == host_loopback_ && (host_loopback_.empty() || to_loopback_.pid))
            co_return Result<void>{};
        auto told = co_await once(host_loopback_gate_, [this]() -> Task<void> { return tell_host_loopback(); });
        CO_TRY(std::move(told));
    }
    co_return fail(ErrorKind::unavailable, "the way to the host's loopback does not stay up",
                   "see '" + paths_.state + "/uplink.log'");
}

Task<void> Ground::allow_host_loopback(std::uint32_t slot) {
    host_loopback_.insert(slot);
    auto told = co_await need_host_loopback();
    if (told && !host_loopback_told_.contains(slot))
        told = fail(ErrorKind::unavailable, "the network slot has gone", "try again");
    if (!told)
        host_loopback_.erase(slot);
    co_return told;
}

void Ground::retain_host_loopback(const std::vector<std::uint32_t>& slots) {
    host_loopback_.insert(slots.begin(), slots.end());
    restore_host_loopback();
}

// In the background: those who need it run already, and nobody else is to wait or to fail for it.
void Ground::restore_host_loopback() {
    if (host_loopback_.empty())
        return;
    asio::co_spawn(
        executor_,
        [this]() -> asio::awaitable<void> {
            if (auto up = co_await need_host_loopback(); !up && !stopping_)
                spdlog::warn("the host's loopback cannot be reached by containers: {}", up.error().text());
        },
        asio::detached);
}

Task<void> Ground::start_uplink(UplinkState& uplink) {
    if (auto kept = co_await keeper_->take(uplink.kept_as);
        kept && !kept->empty() && !os::has_ended(kept->back().get())) {
        if (const auto pid = os::pid_of(kept->back().get())) {
            uplink.pid = *pid;
            watch_uplink(uplink, Pidfd(std::move(kept->back())));
            co_return Result<void>{};
        }
    }
    CO_TRY_TO(const auto driver, uplink::choose(config_.uplink_driver));
    CO_TRY_TO(const auto log, os::open_file(paths_.state + "/uplink.log", O_RDWR | O_CREAT | O_APPEND, 0600));
    uplink::Options options;
    options.purpose = uplink.purpose;
    options.mtu = config_.uplink_mtu;
    options.ipv6 = uplink.ipv6;
    options.log_fd = log.get();
    options.folder = paths_.state;
    CO_TRY_TO(auto started, uplink::start(driver, facts_.pid, options));
    const auto ready =
        std::make_shared<asio::posix::stream_descriptor>(executor_, ::fcntl(started.ready.get(), F_DUPFD_CLOEXEC, 0));
    asio::steady_timer deadline(executor_, std::chrono::seconds(10));
    deadline.async_wait([ready](const boost::system::error_code& error) {
        if (!error)
            ready->cancel();
    });
    Result<bool> state = uplink::check_ready(started);
    while (state && !*state) {
        const auto [error] = co_await ready->async_wait(asio::posix::stream_descriptor::wait_read, kAwait);
        if (error)
            state = fail(ErrorKind::unavailable,
                         std::string(uplink::to_string(driver)) + " did not become ready within 10 s",
                         "see '" + paths_.state + "/uplink.log'");
        else
            state = uplink::check_ready(started);
    }
    deadline.cancel();
    if (state && !keeper_)
        state = fail(ErrorKind::unavailable, "the keeper is gone");
    Result<void> kept = state ? Result<void>{} : std::unexpected(std::move(state).error());
    if (kept) {
        std::vector<int> fds;
        if (started.exit)
            fds.push_back(started.exit.get());
        fds.push_back(started.pidfd.get());
        kept = co_await keeper_->put(uplink.kept_as, std::move(fds));
    }
    if (!kept) { // one without an exit pipe would stay
        (void) os::send_signal(started.pidfd.get(), SIGKILL);
        co_return kept;
    }
    uplink.pid = started.pid;
    watch_uplink(uplink, std::move(started.pidfd));
    co_return Result<void>{};
}

// The uplink is nobody's child; its pidfd says when it ends. It is started again at once, while there is a keeper.
void Ground::watch_uplink(UplinkState& uplink, Pidfd pidfd) {
    uplink.watch = std::make_shared<asio::posix::stream_descriptor>(executor_, pidfd.release());
    asio::co_spawn(
        executor_,
        [this, &uplink, watch = uplink.watch]() -> asio::awaitable<void> {
            const auto [error] = co_await watch->async_wait(asio::posix::stream_descriptor::wait_read, kAwait);
            if (error || watch != uplink.watch || stopping_)
                co_return;
            uplink.pid = 0;
            uplink.set_up = false;
            if (uplink.purpose == uplink::Purpose::host_loopback)
                host_loopback_told_.clear(); // its interface is to be set up again
            asio::steady_timer pause(executor_,
                                     std::chrono::milliseconds(200)); // one that dies at once must not make us spin
            co_await pause.async_wait(kAwait);
            if (stopping_ || !keeper_ || !keeper_->is_open())
                co_return;
            if (uplink.purpose == uplink::Purpose::host_loopback)
                restore_host_loopback();
            else
                (void) co_await need_network();
        },
        asio::detached);
}

// Those with an exit pipe end by themselves when the keeper does.
void Ground::end_uplink(UplinkState& uplink) {
    if (const auto watch = std::exchange(uplink.watch, nullptr)) {
        (void) os::send_signal(watch->native_handle(), SIGTERM);
        watch->cancel();
    }
    uplink.pid = 0;
    uplink.set_up = false;
}

std::vector<pid_t> Ground::cloners() const {
    std::vector<pid_t> pids(1, facts_.pid);
    const auto proc = "/proc/" + std::to_string(facts_.pid);
    const auto children = os::read_file(proc + "/task/" + std::to_string(facts_.pid) + "/children");
    for (const auto word : split(children ? trim(*children) : std::string_view(), ' ')) {
        const auto pid = parse_number(word);
        const auto name = pid ? os::read_file("/proc/" + std::to_string(*pid) + "/comm") : Result<std::string>();
        if (name && trim(*name) == "squish-hostnet")
            pids.push_back(static_cast<pid_t>(*pid));
    }
    return pids;
}

// --- what containers are shown
// ------------------------------------------------------------------------------------------

// One caller at a time; what fails is tried again by the next, since it may be a file's mode.
Task<void> Ground::need_views() {
    for (int attempt = 0; attempt < 3; ++attempt) {
        CO_TRY(co_await need_stager());
        if (views_)
            co_return Result<void>{};
        auto started = co_await once(views_gate_, [this]() -> Task<void> { return start_views(); });
        CO_TRY(std::move(started));
    }
    co_return fail(ErrorKind::unavailable, "what containers are shown of the machine cannot be had",
                   "see '" + paths_.state + "/squish-procfs.log'");
}

// The servers are started anew even where they run: they may be another version's.
Task<void> Ground::start_views() {
    CO_TRY_TO(const auto memory, co_await view_memory());
    CO_TRY_TO(auto views, Views::open(memory.table.get(), events_.views()));
    // They read the table, and cannot write to it.
    CO_TRY_TO(const auto table, os::open_file(os::fd_path(memory.table.get()), O_RDONLY));
    std::vector<int> passed = list(memory.connection.get(), table.get(), memory.procfs_workbook.get());
    CO_TRY(co_await guard("squish-procfs", std::move(passed)));
    passed = list(table.get(), memory.sysinfo_workbook.get());
    CO_TRY(co_await guard("squish-sysinfo", std::move(passed)));
    views_ = std::move(views);
    co_return Result<void>{};
}

// The keeper's, from an earlier squishd; else new.
Task<ViewMemory> Ground::view_memory() {
    constexpr const char* kKeptAs = "procfs";
    if (!keeper_ || !stager_)
        co_return fail(ErrorKind::unavailable, "the keeper is gone", "try again");
    auto kept = co_await keeper_->take(kKeptAs);
    if (kept && kept->size() == 4)
        co_return ViewMemory{std::move((*kept)[0]), std::move((*kept)[1]), std::move((*kept)[2]),
                             std::move((*kept)[3])};
    if (!stager_)
        co_return fail(ErrorKind::unavailable, "squish-stager is gone", "try again");
    CO_TRY_TO(auto answer, co_await stager_->ask(to_request("procfs.up")));
    if (answer.fds.size() != 1)
        co_return fail(ErrorKind::unavailable, "malformed answer of squish-stager");
    CO_TRY_TO(auto memory, make_view_memory(std::move(answer.fds.front())));
    std::vector<int> fds =
        list(memory.connection.get(), memory.table.get(), memory.procfs_workbook.get(), memory.sysinfo_workbook.get());
    if (!keeper_)
        co_return fail(ErrorKind::unavailable, "the keeper is gone", "try again");
    CO_TRY(co_await keeper_->put(kKeptAs, std::move(fds)));
    co_return memory;
}

Task<void> Ground::guard(std::string program, std::vector<int> passed) {
    CO_TRY_TO(const auto binary, os::open_file(paths_.libexec + "/" + program, O_RDONLY));
    CO_TRY_TO(const auto log,
              os::open_file(paths_.state + "/" + program + ".log", O_WRONLY | O_CREAT | O_APPEND, 0600));
    std::vector<int> fds = list(binary.get(), log.get());
    fds.insert(fds.end(), passed.begin(), passed.end());
    if (!keeper_)
        co_return fail(ErrorKind::unavailable, "the keeper is gone", "try again");
    CO_TRY(co_await keeper_->guard(std::move(program), std::move(fds)));
    co_return Result<void>{};
}

void Ground::remove_view(procshare::Key key) {
    if (key != 0 && views_)
        views_->remove(key);
}

// --- cells
// --------------------------------------------------------------------------------------------------------------

Result<Ground::Prelude> Ground::prelude(const plan::Surroundings& surroundings) const {
    const auto plan = plan::make_prelude(machine_, surroundings);
    return Prelude{TRY(os::sealed_memfd("squish-prelude", TRY(plan.bytes()), false)), plan.descriptions()};
}

Task<PreparedCell> Ground::make_cell(CellKind kind) {
    PreparedCell cell;
    auto filled = co_await fill_cell(std::move(kind), &cell);
    if (!filled) {
        ids_used_up_ |= filled.error().sys_errno == EUSERS;
        take_back(std::move(cell));
        co_return std::unexpected(std::move(filled).error());
    }
    co_return cell;
}

// What it has taken so far is in `cell`, whatever comes of it.
Task<void> Ground::fill_cell(CellKind kind, PreparedCell* cell) {
    cell->name = "cell-" + random_hex(6);
    cell->own_ids = kind.own_ids;
    std::uint32_t features = kind.own_ids ? wire::cell_kind::kOwnIds : 0;
    plan::Surroundings surroundings;
    surroundings.sysfs = kind.mode != NetworkMode::host;
    surroundings.cgroup = kind.cgroup >= 0;
    std::vector<UniqueFd> mounts; // in the order of the prelude's slots
    if (surroundings.sysfs) {
        auto request = to_request(kind.mode == NetworkMode::bridge ? "network.slot" : "network.isolated");
        if (kind.mode == NetworkMode::bridge)
            request["networks"] = kind.networks;
        CO_TRY_TO(auto answer, co_await stager_->ask(std::move(request)));
        if (answer.fds.size() != 2)
            co_return fail(ErrorKind::unavailable, "malformed answer of squish-stager");
        if (kind.mode == NetworkMode::bridge) {
            CO_TRY_TO(const auto number, wire::get_integer(answer.body, "slot"));
            cell->network.number = static_cast<std::uint32_t>(number);
            CO_TRY_TO(cell->network.attachments, read_attachments(answer.body, kind.networks));
        }
        cell->network.netns = NsFd(std::move(answer.fds[0]));
        mounts.push_back(std::move(answer.fds[1]));
    }
    if (kind.view) {
        cell->view = views_ ? views_->add() : 0;
        if (cell->view == 0)
            co_return fail(ErrorKind::unavailable, "no view of /proc and /sys is to be had", "try again");
        cell->sysinfo = kind.sysinfo;
        auto request = to_request("procfs.view");
        request["key"] = cell->view;
        if (!stager_)
            co_return fail(ErrorKind::unavailable, "squish-stager is gone", "try again");
        CO_TRY_TO(auto answer, co_await stager_->ask(std::move(request)));
        if (answer.fds.size() != 1)
            co_return fail(ErrorKind::unavailable, "malformed answer of squish-stager");
        mounts.push_back(std::move(answer.fds.front()));
        surroundings.view = true;
        surroundings.sysinfo = kind.sysinfo ? cell->view : 0;
    }
    CO_TRY_TO(auto steps, prelude(surroundings));
    cell->prelude = std::move(steps.descriptions);
    std::vector<int> fds = list(steps.plan.get());
    for (const auto& mount : mounts)
        fds.push_back(mount.get());
    if (kind.cgroup >= 0) {
        features |= wire::cell_kind::kOwnCgroup;
        fds.push_back(kind.cgroup);
    }
    if (kind.mode == NetworkMode::host)
        features |= wire::cell_kind::kHostNetwork;
    else
        fds.push_back(cell->network.netns.get());
    if (!keeper_)
        co_return fail(ErrorKind::unavailable, "the keeper is gone", "try again");
    CO_TRY_TO(cell->pidfd, co_await keeper_->prepare(cell->name, features, std::move(fds)));
    co_return Result<void>{};
}

Task<PreparedCell> Ground::take_cell(CellKind kind) {
    if (kind.mode == NetworkMode::bridge) { // no `co_await (a ? b : c)`: GCC 12 destroys both
        CO_TRY(co_await need_network(kind.networks));
    } else {
        CO_TRY(co_await need_stager());
    }
    if (kind.view)
        CO_TRY(co_await need_views());
    const bool plain = kind.cgroup < 0 && kind.mode == NetworkMode::bridge &&
                       kind.networks == std::vector<std::uint32_t>(1, kDefaultNetwork);
    auto& spares = spares_[kind.own_ids ? 1 : 0];
    if (kind.own_ids && ids_used_up_ && spares.empty())
        co_return fail_errno("ids of its own", EUSERS);
    if (plain)
        lately_ = {lately_[1], kind.own_ids};
    while (plain && !spares.empty()) {
        auto cell = std::move(spares.front());
        spares.pop_front();
        const bool fits = (cell.view != 0) == kind.view && cell.sysinfo == kind.sysinfo;
        if (fits && !os::has_ended(cell.pidfd.get())) // somebody may have killed it: the next one, then
            co_return cell;
        discard(std::move(cell));
    }
    co_return co_await make_cell(std::move(kind));
}

void Ground::refill(std::chrono::milliseconds pause) {
    if (refilling_ || stopping_)
        return;
    refill_timer_.expires_after(pause); // cancels the wait for a later moment
    refill_timer_.async_wait([this](const boost::system::error_code& error) {
        if (error || refilling_ || stopping_)
            return;
        refilling_ = true;
        asio::co_spawn(executor_, refill_loop(), asio::detached);
    });
}

asio::awaitable<void> Ground::refill_loop() {
    const auto lacks = [this](bool own_ids) { return spares_[own_ids ? 1 : 0].size() < wanted_spares(own_ids); };
    bool ids_left = true; // for a cell with ids of its own
    while (!stopping_) {
        for (const bool own_ids : {true, false})
            for (auto& spares = spares_[own_ids ? 1 : 0]; spares.size() > wanted_spares(own_ids); spares.pop_front())
                discard(std::move(spares.front()));
        CellKind kind;
        kind.networks.push_back(kDefaultNetwork);
        kind.own_ids = ids_left && lacks(true);
        if (!kind.own_ids && !lacks(false))
            break;
        if (auto up = co_await need_network(); !up)
            break;                                            // the next start says why
        kind.view = static_cast<bool>(co_await need_views()); // else containers are started without
        kind.sysinfo = kind.view && check_listeners();
        const bool own_ids = kind.own_ids;
        auto cell = co_await make_cell(std::move(kind));
        if (cell)
            spares_[own_ids ? 1 : 0].push_back(std::move(*cell));
        else if (own_ids)
            ids_left = false;
        else
            break;
    }
    refilling_ = false;
}

std::size_t Ground::wanted_spares(bool own_ids) const {
    if (lately_[0] == lately_[1])
        return lately_[0] == own_ids ? config_.spare_cells : 0;
    const auto users = config_.spare_cells / 2;
    return own_ids ? config_.spare_cells - users : users;
}

void Ground::forget_spares() {
    for (auto& spares : spares_) {
        for (const auto& cell : spares)
            remove_view(cell.view);
        spares.clear();
    }
}

void Ground::discard(PreparedCell cell) {
    if (keeper_)
        keeper_->discard(cell.name);
    take_back(std::move(cell));
}

void Ground::take_back(PreparedCell cell) {
    remove_view(cell.view);
    const auto slot = cell.network.number;
    cell.network = {}; // before the slot: what is held of the namespace keeps it busy
    release(slot);
}

void Ground::release(std::uint32_t slot) {
    host_loopback_.erase(slot); // the stager forgets it, too
    host_loopback_told_.erase(slot);
    if (slot == 0 || !stager_)
        return;
    asio::co_spawn(
        executor_,
        [this, slot]() -> asio::awaitable<void> {
            if (!stager_)
                co_return;
            auto request = to_request("network.release");
            request["slot"] = slot;
            (void) co_await stager_->ask(std::move(request));
        },
        asio::detached);
}

void Ground::retain(const std::vector<std::uint32_t>& slots) {
    asio::co_spawn(
        executor_,
        [this, slots]() -> asio::awaitable<void> {
            auto request = to_request("network.retain");
            request["slots"] = slots;
            if (co_await need_stager())
                (void) co_await stager_->ask(std::move(request));
        },
        asio::detached);
}

Task<void> Ground::shut_down() {
    stopping_ = true;
    forget_spares();
    if (const auto starting = keeper_gate_.running) // one that is being started would be left behind
        co_await starting->wait();
    if (!keeper_)
        co_return Result<void>{};
    (void) co_await keeper_->shut_down();
    end_uplink(way_out_);
    end_uplink(to_loopback_);
    if (keeper_pidfd_)
        (void) os::wait_ended(keeper_pidfd_.get(), 6000);
    co_return Result<void>{};
}

} // namespace squish

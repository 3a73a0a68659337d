// What containers stand on: keeper, stager, forwarder, networks and their names, uplink, and cells built ahead.
//
// How this works
//   Everything is started on first use and found again after a restart of squishd, by the sockets in the state folder.
//   Two coroutines that need the same thing wait for one start. A helper that dies is started again at the next use
//   (the forwarder and the uplink at once, since containers that run need them). A cell is a process that waits for its
//   plan in namespaces of its own; in bridge mode it has a network slot. Cells built ahead take most of a start off the
//   path that a user waits for.
#pragma once

#include "async/helper_client.h"
#include "engine/engine.h"
#include "engine/keeper_client.h"
#include "engine/views.h"
#include "plan/launch_plan.h"

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace squish {

// A container's place on one network. Networks go by number: 0 is the default one (engine/named_networks.h).
struct NetworkAttachment {
    std::uint32_t network = 0;
    std::string address, address6;
};

struct NetworkSlot {
    std::uint32_t number = 0;                   // 0: none to give back
    std::vector<NetworkAttachment> attachments; // eth0, eth1, …
    NsFd netns;
};

// What a container needs of its cell.
struct CellKind {
    NetworkMode mode = NetworkMode::bridge;
    std::vector<std::uint32_t> networks; // of a bridge cell, {0} as a rule
    bool own_ids = false;                // a slice of the user's subordinate ids of its own
    int cgroup = -1;                     // where it is born; borrowed
    bool view = false;                   // of /proc and /sys (engine/views.h)
    bool sysinfo = false;                // with it: sysinfo(2) is answered by squish-sysinfo
};

struct PreparedCell {
    std::string name;
    bool own_ids = false;
    Pidfd pidfd;
    NetworkSlot network;
    procshare::Key view = 0; // 0: none
    bool sysinfo = false;
    std::vector<std::string> prelude; // what its first steps were about
};

class Ground {
public:
    struct Events {
        std::function<void(std::vector<KeptContainer>)> connected; // to a keeper, old or new, with what it keeps
        std::function<void(std::string id, int wait_status)> exited;
        std::function<void()> keeper_lost;
        std::function<void()> forwarder_started;                // empty: publish again
        std::function<wire::Json(std::uint32_t network)> hosts; // all that its name server is to know (squish-dns)
        std::function<std::vector<procshare::Key>()> views;     // of containers that run
    };
    Ground(asio::any_io_executor executor, const Paths& paths, const EngineConfig& config, Events events);

    // Connects to a keeper that is there already; false where there is none.
    [[nodiscard]] Task<bool> find_keeper();
    [[nodiscard]] Task<void> need_keeper();
    [[nodiscard]] Task<void> need_stager();
    // Bridges, filter and uplink, and who answers for names, for these networks and the default one.
    [[nodiscard]] Task<void> need_network(std::vector<std::uint32_t> networks);
    [[nodiscard]] Task<void> need_network();
    [[nodiscard]] Task<void> need_forwarder();
    // What containers are shown of the machine, and who shows it. Errors: unsupported, with the remedy.
    [[nodiscard]] Task<void> need_views();
    [[nodiscard]] Views* views() { return views_.get(); } // null: not needed yet, or the keeper is gone
    void remove_view(procshare::Key key);                 // whose processes have ended; 0 is fine
    // A connection to the layer worker of its own: what is done through it ends with it.
    [[nodiscard]] Task<UniqueFd> connect_layers();

    // A cell of that kind: one built ahead, or a new one. An error with EUSERS where no ids of its own are left.
    [[nodiscard]] Task<PreparedCell> take_cell(CellKind kind);
    // Builds bridge cells ahead up to the configured number, with or without ids of their own as the last two that were
    // asked for, in the background, after `pause`: not while somebody waits
    // for a start or an end on a machine of few cores. An earlier moment asked for wins.
    void refill(std::chrono::milliseconds pause);
    void discard(PreparedCell cell);
    void release(std::uint32_t slot);
    // Lets the container on this slot reach the host's loopback, until the slot is released. Starts the second uplink
    // where none has needed it yet; it then stays until the keeper ends.
    [[nodiscard]] Task<void> allow_host_loopback(std::uint32_t slot);
    // After a restart: these may.
    void retain_host_loopback(const std::vector<std::uint32_t>& slots);
    // After a restart: these slots are in use, all others that were given out are not.
    void retain(const std::vector<std::uint32_t>& slots);

    // Takes a network's bridge and name server away. conflict where a container is on it.
    [[nodiscard]] Task<void> remove_network(std::uint32_t network);
    // The same facts of networks that need not be up: {"subnet", "subnet6", "gateway", "interface"} each.
    [[nodiscard]] Task<wire::Json> describe_networks(std::vector<std::uint32_t> networks);
    // One more host of a network, or one less; the answer comes after the change. `host`: as squish-dns takes it.
    [[nodiscard]] Task<void> add_host(std::uint32_t network, wire::Json host);
    asio::awaitable<void> remove_host(std::uint32_t network, std::string container);
    // What /etc/resolv.conf says in a container whose first network that is; the network is up.
    [[nodiscard]] std::string resolv_conf(std::uint32_t network) const;

    [[nodiscard]] KeeperClient* keeper() { return keeper_.get(); }
    [[nodiscard]] HelperClient* stager() { return stager_.get(); }
    [[nodiscard]] HelperClient* forwarder() { return forwarder_.get(); }
    [[nodiscard]] const KeeperFacts& facts() const { return facts_; }
    // The processes that clone containers: the keeper and its twin in the host's network.
    [[nodiscard]] std::vector<pid_t> cloners() const;
    [[nodiscard]] pid_t uplink_pid() const { return way_out_.pid; }
    // Ends keeper, helpers and uplink.
    [[nodiscard]] Task<void> shut_down();
    void stop_background() { stopping_ = true; }

private:
    // One start at a time: the second caller waits for the first and looks again.
    struct Gate {
        std::shared_ptr<Latch> running;
    };
    template <class Start> Task<void> once(Gate& gate, Start start);

    [[nodiscard]] Task<void> connect_keeper(UniqueFd socket);
    [[nodiscard]] Task<std::unique_ptr<HelperClient>> start_helper(std::string program, std::string socket_path,
                                                                   Link::OnClosed on_closed,
                                                                   HelperClient::OnEvent on_event);
    [[nodiscard]] Task<UniqueFd> connect_helper(std::string program, std::string socket_path);
    // One of the two uplinks (uplink/uplink.h), as long as one runs.
    struct UplinkState {
        uplink::Purpose purpose;
        const char* kept_as; // its name with the keeper, which holds its descriptors
        pid_t pid = 0;       // 0: none runs
        bool ipv6 = false;   // with IPv6
        bool set_up = false; // the stager has done its part
        std::shared_ptr<asio::posix::stream_descriptor> watch = nullptr; // its pidfd
    };
    [[nodiscard]] Task<void> start_uplink(UplinkState& uplink);
    [[nodiscard]] Task<void> set_up_way_out();
    [[nodiscard]] Result<bool> wants_ipv6() const;
    void watch_uplink(UplinkState& uplink, Pidfd pidfd);
    void end_uplink(UplinkState& uplink);
    [[nodiscard]] Task<void> need_host_loopback(); // the second uplink, for those in host_loopback_
    [[nodiscard]] Task<void> tell_host_loopback();
    void restore_host_loopback();
    [[nodiscard]] bool has_networks(const std::vector<std::uint32_t>& networks) const;
    [[nodiscard]] Task<void> start_network(std::vector<std::uint32_t> networks);
    [[nodiscard]] Task<void> serve_names();
    void on_stager_event(const wire::Json& event);
    [[nodiscard]] Task<void> start_views();
    [[nodiscard]] Task<ViewMemory> view_memory();
    [[nodiscard]] Task<void> guard(std::string program, std::vector<int> passed);
    [[nodiscard]] Task<PreparedCell> make_cell(CellKind kind);
    [[nodiscard]] Task<void> fill_cell(CellKind kind, PreparedCell* cell);
    struct Prelude {
        UniqueFd plan;
        std::vector<std::string> descriptions;
    };
    [[nodiscard]] Result<Prelude> prelude(const plan::Surroundings& surroundings) const;
    void take_back(PreparedCell cell); // one that is of no use to anybody, or has ended
    asio::awaitable<void> refill_loop();
    [[nodiscard]] std::size_t wanted_spares(bool own_ids) const;
    void forget_spares(); // those of a keeper that is gone
    void on_helper_exited(const std::string& name);
    asio::awaitable<void> on_keeper_closed(unsigned number);
    void lose_keeper(); // forgets the keeper that was, and all that hung on it

    asio::any_io_executor executor_;
    const Paths& paths_;
    const EngineConfig& config_;
    Events events_;
    KeeperFacts facts_;
    Pidfd keeper_pidfd_;
    unsigned keeper_number_ = 0; // of the keeper that we know: the first, the second, …
    unsigned lost_number_ = 0;   // of the last whose end was told
    plan::Machine machine_;
    std::unique_ptr<KeeperClient> keeper_;
    std::unique_ptr<HelperClient> stager_, forwarder_, nameserver_;
    Gate keeper_gate_, stager_gate_, network_gate_, forwarder_gate_, layers_gate_, host_loopback_gate_, views_gate_;
    bool network_up_ = false;
    struct NetworkFacts {
        wire::Json facts;    // as the stager tells them
        bool served = false; // by the present squish-dns
    };
    std::map<std::uint32_t, NetworkFacts> networks_; // those that are up
    UplinkState way_out_{.purpose = uplink::Purpose::way_out, .kept_as = "uplink"};
    UplinkState to_loopback_{.purpose = uplink::Purpose::host_loopback, .kept_as = "host-loopback"};
    std::set<std::uint32_t> host_loopback_;          // slots that may reach the host's loopback
    std::set<std::uint32_t> host_loopback_told_;     // those of which the stager knows
    std::array<std::deque<PreparedCell>, 2> spares_; // with the user's ids; with their own
    std::array<bool, 2> lately_{true, true};         // whether the last two that were asked for had their own
    bool ids_used_up_ = false;                       // no slice of ids was left, and nothing has ended since
    bool refilling_ = false;
    asio::steady_timer refill_timer_;
    bool stopping_ = false;
    std::unique_ptr<Views> views_;
};

} // namespace squish

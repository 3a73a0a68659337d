// The engine: everything squish does with containers, as a library on an asio event loop. squishd is one
// front end of it; others (an OCI command line) can drive it without the daemon.
//
// Ownership: an Engine owns its connections to keeper, stager and forwarder and the in-memory state of all
// containers of this user; the containers themselves belong to the keeper and live on when the Engine goes.
// Threads: one; every call is made from the event loop's thread. Calls of different coroutines may interleave.
#pragma once

#include "async/task.h"
#include "base/paths.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "engine/events.h"
#include "engine/isolation.h"
#include "limits/driver.h"
#include "limits/figures.h"
#include "pull/provider.h"
#include "squishfile/squishfile.h"
#include "uplink/uplink.h"

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace squish {

// Squishd's configuration (squishd.toml); defaults hold where the file is absent.
struct EngineConfig {
    std::uint64_t log_limit = 16 << 20; // bytes kept per stream and container
    std::uint32_t spare_cells = 2;      // containers built ahead
    std::uint32_t uplink_mtu = 9000;    // docs/networking.md, "MTU"
    uplink::Choice uplink_driver = uplink::Choice::automatic;
    uplink::Ipv6 uplink_ipv6 = uplink::Ipv6::automatic;
    LayerSettings layers;
    limits::Config limits;
};

// The descriptors of an attached caller; those that are absent are /dev/null (stdin) or log files (stdout, stderr).
// With `console`, the payload gets a terminal of its own, whose master side is sent over that unix socket
// (one message of one byte with one fd); the other three are then unused.
struct AttachedIo {
    UniqueFd in, out, err;
    UniqueFd console;
    std::uint16_t rows = 24, columns = 80; // of the terminal
};

struct CreateRequest {
    Squishfile file; // paths resolved (resolve_paths)
    bool remove_on_exit = false;
    AttachedIo io;
    std::optional<std::vector<std::string>> args; // in place of run.args, or for the command that squish puts together
    catalog::Lock lock;                           // squishfile.lock, and how much it counts
    catalog::LockMode lock_mode = catalog::LockMode::none;
    std::function<bool()> given_up; // asked once the layers are there: whether anybody still wants the container
    OnLayerProgress on_progress;    // of layers that are downloaded or unpacked before it can start
};

// restarting: it has ended, and will be started again after a pause.
enum class ContainerState { created, running, paused, restarting, exited };
[[nodiscard]] constexpr bool is_alive(ContainerState state) { // it has processes
    return state == ContainerState::running || state == ContainerState::paused;
}

// How a container (or an exec) ended.
struct ExitInfo {
    int code = 0;       // the payload's own, 128 + signal, or 125
    int signal = 0;     // the signal that ended it, 0 where none did
    std::string reason; // "exited", "signaled", "killed", "oom", "keeper-lost"
};

// What `[health]` has found out so far.
struct HealthInfo {
    enum class Status { starting, healthy, unhealthy };
    Status status = Status::starting;
    std::uint32_t failing_streak = 0;
    std::int64_t checked_at = 0; // microseconds since the epoch; 0: not yet
    int last_code = 0;           // of the last check's exit; 124: it took too long
    std::string last_output;     // the beginning of what it wrote, at most kMaxHealthOutput bytes
};
inline constexpr std::size_t kMaxHealthOutput = 4096;
[[nodiscard]] const char* to_string(HealthInfo::Status status);

using ResourceChange = ResourceEdit;

struct ContainerFigures {
    std::string id, name;
    std::int64_t time_us = 0; // CLOCK_MONOTONIC of the reading, for rates
    limits::Figures figures;
    std::optional<limits::NetworkFigures> network; // none in the host's network
    std::uint32_t cpus = 0;                        // that the machine has online
};

struct MountInfo {
    std::string source, target, layer;
    bool read_only = true;
};

// A layer of a container, as it was resolved.
struct LayerInfo {
    std::string name, origin, asked, version, digest, source, target;
    std::string path; // what is mounted, on the host
    std::vector<std::string> why;
    std::map<std::string, std::uint64_t> notes; // what unpacking left out or changed
};
[[nodiscard]] LayerInfo to_info(const ProvidedLayer& layer);

// A container's place on a network.
struct NetworkPlace {
    std::string network;   // its name, "default" or one of `squish network create`
    std::string interface; // in the container: "eth0"
    std::string address, address6;
    std::vector<std::string> names; // that it has there
};

struct NetworkInfo {
    std::string name;
    std::int64_t created_at = 0; // microseconds since the epoch; 0 for the default one
    std::string subnet, subnet6, gateway, interface;
    struct Member {
        std::string id, name, address, address6;
        std::vector<std::string> names;
    };
    std::vector<Member> containers; // that run
};

// What confines the payload's system calls.
struct SeccompInfo {
    std::string profile;          // "default", "default, io_uring", "unconfined", or the path of the profile
    std::string digest;           // of the filter; empty: unconfined
    std::size_t instructions = 0; // of it
};

// Whose ids the container has.
struct IdsInfo {
    bool own = false; // a slice of its own; else the user's
    std::string why;  // it has the user's: "[run] user is given"
};

// What it is shown of the machine in /proc, /sys and by sysinfo(2).
struct ProcfsInfo {
    bool shown = false;   // its own figures and times; else the host's
    bool sysinfo = false; // by sysinfo(2), too
    std::string why;      // one of the two is not so: "[procfs] mode = \"host\""
    std::string cpus;     // that it runs on, "0-2,5"; empty: all
};

struct ContainerInfo {
    std::string id, name;
    ContainerState state = ContainerState::created;
    pid_t pid = 0; // host pid of the container's PID 1; 0 where it does not run
    std::int64_t created_at = 0, started_at = 0, exited_at = 0; // microseconds since the epoch; 0: not yet
    std::optional<ExitInfo> exit;
    std::string command; // for lists: the command and its arguments
    std::vector<PortSpec> ports;
    std::string address;  // "10.89.0.2", empty without a network; of the first where there are several
    std::string address6; // "fd73:7175:6973::2", empty without IPv6
    std::vector<NetworkPlace> networks;
    std::string network_mode; // "bridge", "none", "host"
    std::vector<MountInfo> mounts;
    std::vector<LayerInfo> layers;
    SeccompInfo seccomp;
    IdsInfo ids;
    ProcfsInfo procfs;
    ResourceSpec resources;                 // in effect: those of the squishfile, and what `update` made of them
    std::string limits_driver, cgroup;      // "systemd", "direct"; the absolute path; empty without limits
    std::uint32_t restarts = 0;             // how often it was started again
    std::optional<HealthInfo> health;       // where the squishfile has [health]
    std::optional<std::uint64_t> oom_kills; // by the kernel, in its cgroup
    bool attached = false;                  // stdout and stderr went to the caller; there are no logs
    std::string stdout_log, stderr_log;     // paths; empty where attached
    bool terminal = false;
    bool remove_on_exit = false;
    Squishfile file;
    std::vector<std::string> warnings;                        // what the user should know about this container
    std::vector<std::pair<std::string, std::string>> timings; // step → microseconds, of the start
};

struct ExecRequest {
    std::vector<std::string> command;                     // not empty
    std::vector<std::pair<std::string, std::string>> env; // on top of the container's own
    std::optional<std::string> workdir;
    std::optional<UserSpec> user;
    AttachedIo io;
};

class Engine {
public:
    // Connects to what is there (or starts it on first use), reads the state folder, cleans up what is stale.
    [[nodiscard]] static Task<std::unique_ptr<Engine>> open(boost::asio::io_context& loop, Paths paths,
                                                            EngineConfig config);
    ~Engine();

    // Starts a container and returns its id once the payload has been executed. On error nothing is left.
    [[nodiscard]] Task<std::string> create(CreateRequest request);

    // An id, a name, or an unambiguous prefix of either → id. Errors: not_found; conflict, listing the matches.
    [[nodiscard]] Result<std::string> find(std::string_view reference) const;
    [[nodiscard]] std::vector<ContainerInfo> list(bool with_exited) const; // oldest first
    [[nodiscard]] Result<ContainerInfo> inspect(const std::string& id) const;
    // What the kernel says of it (some twenty files of /proc); nothing where it does not run.
    [[nodiscard]] Result<std::optional<IsolationInfo>> isolation(const std::string& id) const;

    // The end of a container; returns at once where it has ended. Works for one that is removed on exit.
    [[nodiscard]] Task<ExitInfo> wait(const std::string& id);
    // SIGTERM, then SIGKILL after `timeout`; returns when it has ended. A container that has ended is no error.
    [[nodiscard]] Task<void> stop(const std::string& id, std::chrono::milliseconds timeout);
    [[nodiscard]] Task<void> kill(const std::string& id, int signal_number);
    // Removes the record and the logs of one that has ended; `force` kills first.
    [[nodiscard]] Task<void> remove(const std::string& id, bool force);

    // Other limits, at once. Returns those in effect. Errors: conflict where it has no cgroup or does not run;
    // unsupported where one cannot be enforced here. On error nothing has changed.
    [[nodiscard]] Task<ResourceSpec> update(const std::string& id, ResourceChange change);
    // Stops all its processes where they are (cgroup.freeze), and lets them go on.
    [[nodiscard]] Task<void> pause(const std::string& id);
    [[nodiscard]] Task<void> unpause(const std::string& id);
    // What these use; all that run where none is named. One that ends meanwhile is left out.
    [[nodiscard]] Task<std::vector<ContainerFigures>> stats(std::vector<std::string> ids);
    [[nodiscard]] EventLog& events();

    // Runs a further process inside; returns a handle for wait_exec once it has been executed.
    [[nodiscard]] Task<std::string> exec(const std::string& id, ExecRequest request);
    [[nodiscard]] Task<ExitInfo> wait_exec(const std::string& exec_id);
    [[nodiscard]] Task<void> kill_exec(const std::string& exec_id, int signal_number);

    // The layers that a squishfile would get; with `options.download`, they are stored afterwards.
    [[nodiscard]] Task<std::vector<ProvidedLayer>> resolve(Squishfile file, ProvideOptions options,
                                                           OnLayerProgress on_progress);
    [[nodiscard]] Task<ProvidedLayer> pull_layer(std::string name, std::string requirement,
                                                 OnLayerProgress on_progress);
    [[nodiscard]] Task<Provider::Imported> import_layer(Provider::ImportRequest request, OnLayerProgress on_progress);
    struct LayerUse {
        StoredLayer layer;
        std::vector<LayerRef> refs;
        std::vector<std::string> containers; // names of those that use it
    };
    [[nodiscard]] std::vector<LayerUse> list_layers();
    // "NAME@VERSION", a NAME with one version, or a digest (or its beginning).
    [[nodiscard]] Task<Provider::Verified> verify_layer(std::string reference, OnLayerProgress on_progress);
    // conflict where a container uses it; returns the digest.
    [[nodiscard]] Task<std::string> remove_layer(std::string reference);
    // Mounts a layer, and what it requires, in a container that runs, at /sdk/NAME, all at once or not at all.
    // Errors: conflict (it is there already, or the container does not run), and those of pulling it.
    [[nodiscard]] Task<LayerInfo> attach_layer(std::string id, std::string name, std::string requirement,
                                               OnLayerProgress on_progress);
    // Takes one away that was attached. What is open in it stays usable.
    [[nodiscard]] Task<LayerInfo> detach_layer(std::string id, std::string name);
    // Removes every layer that no container uses; returns what was removed.
    [[nodiscard]] Task<std::vector<StoredLayer>> prune_layers();

    // Publishes further ports of a container that runs, "8080:80" or a range (parse_ports()); all of them or none.
    // Returns them with the host ports that they have got.
    [[nodiscard]] Task<std::vector<PortSpec>> add_ports(const std::string& id, const std::string& spec);
    // Takes a published port back (parse_port_selector(), or a range); established connections go on. Returns what
    // it was.
    [[nodiscard]] Task<std::vector<PortSpec>> remove_ports(const std::string& id, const std::string& spec);
    // Replaces one published port by another; what `new_spec` leaves out is as it was ("9090" changes the host port).
    // The new one is open before the old one is closed; an error leaves everything as it was.
    [[nodiscard]] Task<PortSpec> rebind_port(const std::string& id, const std::string& old_spec,
                                             const std::string& new_spec);

    // Named networks. The default one is always there and cannot be removed; one that a container uses cannot be
    // either.
    [[nodiscard]] Task<NetworkInfo> create_network(std::string name);
    [[nodiscard]] Task<void> remove_network(std::string name);
    [[nodiscard]] Task<std::vector<NetworkInfo>> list_networks(); // the default one first, then by name
    [[nodiscard]] Task<NetworkInfo> inspect_network(std::string name);

    // Before the engine is destroyed for good. Containers that run go on, and keeper and helpers with them, unless
    // `stop_containers`; where none runs (any more), keeper, helpers and uplink end.
    [[nodiscard]] Task<void> shut_down(bool stop_containers);
    [[nodiscard]] std::size_t running_count() const;

    // Facts for `squish version` and doctor: keeper pid, helpers, uplink, id ranges, as JSON text.
    [[nodiscard]] std::string describe() const;

private:
    class Impl;
    explicit Engine(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

[[nodiscard]] const char* to_string(ContainerState state);

} // namespace squish

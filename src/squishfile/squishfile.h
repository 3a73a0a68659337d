// The squishfile as plain data: what the user asked for, checked but not yet decided upon.
//
// Two spellings lead here: TOML (read by the command line, with positions) and JSON (the body of an API
// request). Both are checked by the same rules, so a Squishfile that exists is valid in itself; whether its
// paths exist and its ports are free is asked later, by plan/.
#pragma once

#include "base/result.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace squish {

// Where a key stands in its file; line 0 where there is no file (JSON, defaults).
struct Position {
    std::uint32_t line = 0;
    std::uint32_t column = 0;
    bool operator==(const Position&) const = default;
};

struct LayerSpec {
    enum class Source { version, path, url };
    std::string name;
    Source source = Source::path;
    std::string version;               // Source::version: the requirement as written, e.g. "~3.11"
    std::string path;                  // Source::path: as written until resolve_paths(), then absolute
    std::string url;                   // Source::url
    std::string sha256;                // expected digest, lower-case hex; empty where none was given
    std::optional<std::string> target; // absolute, normalised; where it is mounted
    bool read_write = false;
    bool rootfs = false;
    bool unpack = true; // a file that is an archive is unpacked
    Position at;
    bool operator==(const LayerSpec&) const = default;
};

// user = "UID[:GID]", numeric, inside the container. GID is UID's value where it is not given.
struct UserSpec {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    bool operator==(const UserSpec&) const = default;
};

struct RunSpec {
    std::string command; // absolute, or a name looked up in PATH inside the container
    std::vector<std::string> args;
    std::optional<std::string> workdir;
    std::optional<UserSpec> user;
    Position at;
    bool operator==(const RunSpec&) const = default;
};

enum class Protocol { tcp, udp };

// One published port. A range of the squishfile or of a command line has become one of these for each port.
struct PortSpec {
    std::uint16_t container = 0;
    std::uint16_t host = 0; // 0: the kernel chooses
    Protocol protocol = Protocol::tcp;
    std::string address = "127.0.0.1"; // a literal IPv4 or IPv6 address
    bool activation = false;           // the payload gets the listening socket itself (sd_listen_fds(3))
    std::string name;                  // of that socket, in LISTEN_FDNAMES; empty: the container's port
    Position at;
    bool operator==(const PortSpec&) const = default;
};

enum class NetworkMode { bridge, none, host };

struct NetworkSpec {
    NetworkMode mode = NetworkMode::bridge;
    std::vector<std::string> networks;
    std::vector<std::string> aliases;
    bool host_loopback = false; // the host's loopback is reached, at host.squish.internal
    Position at;
    bool operator==(const NetworkSpec&) const = default;
};

// Of one block device.
struct IoLimits {
    std::string device; // "/dev/nvme0n1"; empty: each disk of the machine
    std::optional<std::uint64_t> read_bps, write_bps, read_iops, write_iops; // bytes or operations per second
    bool operator==(const IoLimits&) const = default;
};

struct HugetlbLimit {
    std::uint64_t page_size = 0, bytes = 0;
    bool operator==(const HugetlbLimit&) const = default;
};

// Limits of a container (cgroups(7)). What is not given is not limited.
struct ResourceSpec {
    std::optional<std::uint64_t> memory;                  // bytes; beyond it the kernel kills (memory.max)
    std::optional<std::uint64_t> memory_high, memory_low; // bytes; slowed down beyond, protected below
    std::optional<std::uint64_t> swap;                    // bytes; as much as `memory` where only that is given
    std::optional<double> cpus;                           // CPU time per time: 0.5
    std::optional<std::chrono::microseconds> cpu_period;  // over which `cpus` is counted; 100 ms
    std::optional<std::chrono::microseconds> cpu_burst;   // that may be saved up and used at once
    std::optional<std::uint64_t> cpu_weight;              // 1 to 10000; 100 is everybody's
    std::optional<std::string> cpuset;                    // "0-1,3"
    std::optional<std::uint64_t> pids;                    // processes and threads
    std::vector<IoLimits> io;                             // devices unique
    std::vector<HugetlbLimit> hugetlb;                    // page sizes unique
    Position at;
    bool operator==(const ResourceSpec&) const = default;
    [[nodiscard]] bool any() const;
};

// Whose ids a container has: a slice of the user's subordinate ids where that can be, always, or the user's own.
enum class IdsChoice { automatic, own, user };

struct SecuritySpec {
    std::string seccomp = "default"; // "default", "unconfined", or a path (absolute after resolve_paths())
    bool io_uring = false;           // with "default": the profile lets io_uring pass
    bool tmp_noexec = false;         // nothing in the container's own /tmp can be executed
    std::vector<std::string> capabilities;
    IdsChoice ids = IdsChoice::automatic;
    Position at;
    bool operator==(const SecuritySpec&) const = default;
};

struct ProcfsSpec {
    enum class Mode { virtual_, host };
    Mode mode = Mode::virtual_;
    bool mode_given = false;             // where it cannot be had, the container does not start
    std::optional<std::uint64_t> memory; // bytes
    std::optional<double> cpus;
    Position at;
    bool operator==(const ProcfsSpec&) const = default;
};

enum class RestartPolicy { no, on_failure, always };

// Whether a container that has ended is started again. The pause before it doubles from `delay` to `max_delay`, and
// begins anew once the container has run for longer than `max_delay`.
struct RestartSpec {
    RestartPolicy policy = RestartPolicy::no;
    std::optional<std::uint32_t> max_retries; // in a row; not given: for ever
    std::chrono::milliseconds delay{100}, max_delay{60'000};
    Position at;
    bool operator==(const RestartSpec&) const = default;
};

// A command inside the container that says, by exiting with 0, that the payload does its work.
struct HealthSpec {
    std::vector<std::string> command;
    std::chrono::milliseconds interval{30'000};
    std::chrono::milliseconds timeout{30'000}; // of one check, which is then killed and has failed
    std::uint32_t retries = 3;                 // failures in a row that make it unhealthy
    std::chrono::milliseconds start_period{0}; // in which failures do not count
    Position at;
    bool operator==(const HealthSpec&) const = default;
};

struct Squishfile {
    std::optional<std::string> name;
    std::vector<LayerSpec> layers; // in the order of the file
    std::optional<RunSpec> run;
    std::vector<std::pair<std::string, std::string>> env; // in the order of the file, keys unique
    std::vector<PortSpec> ports;
    NetworkSpec network;
    ResourceSpec resources;
    SecuritySpec security;
    ProcfsSpec procfs;
    RestartSpec restart;
    std::optional<HealthSpec> health;
    std::vector<std::string> tables; // the top-level tables that were given, in order, for "not supported yet"
    Position name_at;
    bool operator==(const Squishfile&) const = default;
};

// One thing that is wrong with a squishfile, and where.
struct Diagnostic {
    Position at;
    std::string message; // "unknown key 'comand' in [run]; did you mean 'command'?"
};

// Either a squishfile or every reason why it is none (never empty).
using ParseOutcome = std::expected<Squishfile, std::vector<Diagnostic>>;

// Limits on what a file may make us hold; documented in squishfile.toml(5).
inline constexpr std::size_t kMaxSquishfileBytes = 1 << 20;
inline constexpr std::size_t kMaxLayers = 128;
inline constexpr std::size_t kMaxPorts = 1024;
inline constexpr std::size_t kMaxEnv = 4096;
inline constexpr std::size_t kMaxArgs = 4096;
inline constexpr std::size_t kMaxNames = 64;               // networks or aliases of one container
inline constexpr std::size_t kMaxPathBytes = 4095;         // a path or target (PATH_MAX without its NUL, limits.h)
inline constexpr std::size_t kMaxStringBytes = 128 * 1024; // one argument or variable (MAX_ARG_STRLEN, execve(2))

// Reads TOML 1.0. Collects as many errors as it can name; unknown keys are errors.
[[nodiscard]] ParseOutcome parse_toml(std::string_view text);

// Reads the JSON spelling of the same tables: {"name": …, "layers": {…}, "run": {…}, "env": {…}, "ports": […], …}.
// Positions are empty; messages name the key path ("ports[2].host") instead. A null counts as not given.
[[nodiscard]] ParseOutcome parse_json(std::string_view text);

// The JSON spelling; parse_json(to_json(f)) equals f but for positions. JSON is UTF-8: bytes that are not (they can
// only come from outside of a squishfile, such as a folder's name) are replaced by U+FFFD.
[[nodiscard]] std::string to_json(const Squishfile& file);

// Changes of limits: those that are given replace what was (`io` and `hugetlb` as a whole), the others stay.
struct ResourceEdit {
    ResourceSpec set;
    std::vector<std::string> lifted; // keys of [resources] that are not to be limited any more
    bool operator==(const ResourceEdit&) const = default;
};
// The table [resources] in JSON, {"memory": "512M", "cpus": null}: null, "max", and for `io` and `hugetlb` an empty
// table, lift a limit. The rules are those of the squishfile but for the ones that concern several keys, which merge()
// checks. Errors: invalid, with everything that is wrong.
[[nodiscard]] Result<ResourceEdit> parse_resources_json(std::string_view json);
// What is then in effect. Errors: invalid, naming the key, where limits do not go together.
[[nodiscard]] Result<ResourceSpec> merge(const ResourceSpec& before, const ResourceEdit& edit);
// The JSON spelling of the table, which parse_resources_json() reads.
[[nodiscard]] std::string resources_to_json(const ResourceSpec& resources);

// "web.toml:12:3: unknown key …", one line each.
[[nodiscard]] std::string render(std::string_view file_name, const std::vector<Diagnostic>& diagnostics);

// Makes every path of the file absolute: relative to `folder`, or, where that does not exist there but does in
// `working_folder`, to that (older squishfiles rely on it). Does not require that the path exists. Where a path
// layer has no target, sets it: /app/<path without leading ./ and ../> for every layer but those with rootfs = true
// (for the layer `app`: /app/<file name>).
// A leading "~/" is the caller's home ($HOME).
void resolve_paths(Squishfile& file, const std::string& folder, const std::string& working_folder);

// Where the layer is mounted: its target; else "/" for the rootfs, /sdk/<name> for a version, and for a path
// the default of resolve_paths(). None for a url layer without target, which does not parse.
[[nodiscard]] std::optional<std::string> mount_target(const LayerSpec& layer);

// Layers that would be mounted on or inside one another; one diagnostic for each, at the later layer. The rootfs
// lies beneath all and is left out. The parser has done this; do it again after layers were added to a file.
[[nodiscard]] std::vector<Diagnostic> check_targets(const Squishfile& file);

// The same file with every position empty, for comparisons.
[[nodiscard]] Squishfile without_positions(Squishfile file);

// "8080:80", "127.0.0.1:8080:80/udp", "[::1]:8080:80", "0:80": the --publish and `port add` form
// ([ADDR:]HOST:CONTAINER[/PROTO]). Host port 0 lets the kernel choose.
[[nodiscard]] Result<PortSpec> parse_port(std::string_view text);
// The same with ranges: "8000-8010:80-90" is eleven ports, "0:80-90" too. At most kMaxPorts.
[[nodiscard]] Result<std::vector<PortSpec>> parse_ports(std::string_view text);

// Which of a container's published ports is meant: "8080", "[::1]:8080", "8080:80", "8080/udp",
// "127.0.0.1:8080:80/tcp". What is not given matches everything.
struct PortSelector {
    std::uint16_t host = 0;
    std::optional<std::uint16_t> container;
    std::optional<Protocol> protocol;
    std::optional<std::string> address;
    bool operator==(const PortSelector&) const = default;
};
[[nodiscard]] Result<PortSelector> parse_port_selector(std::string_view text);
[[nodiscard]] bool matches(const PortSelector& selector, const PortSpec& port);

// The same, written canonically: "127.0.0.1:8080:80/tcp".
[[nodiscard]] std::string to_string(const PortSpec& port);

// "256M", "1.5G", "0", "4096": bytes, at most 2^63-1; K, M, G, T (or k, m, g, t) are powers of 1024, with an optional
// trailing "B" or "iB". A fraction is rounded down to whole bytes.
[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);
// "500ms", "5s", "2m", "1h"; at least 1 ms, at most 24 h.
[[nodiscard]] Result<std::chrono::milliseconds> parse_duration(std::string_view text);
// "3.20", "~3.14", "^1.2", ">=1.2 <2", "latest", "*": up to eight terms, separated by single blanks. Several terms
// need an operator each.
[[nodiscard]] bool is_version_requirement(std::string_view text);
// A literal IPv4 or IPv6 address in its canonical spelling: "::1" for "0:0::1".
[[nodiscard]] Result<std::string> parse_address(std::string_view text);
// Whether both would bind the same socket: same port and protocol, and one address, or a wildcard of its family.
[[nodiscard]] bool ports_collide(const PortSpec& a, const PortSpec& b);
// A container, layer, alias or network name: [a-z0-9][a-z0-9_.-]{0,62}, in lower or upper case.
[[nodiscard]] bool is_valid_name(std::string_view name);
// NAME of an environment variable: not empty, no '=' and no NUL.
[[nodiscard]] bool is_valid_env_name(std::string_view name);

// A generated name such as "quiet-otter-4821".
[[nodiscard]] std::string generate_name();

} // namespace squish

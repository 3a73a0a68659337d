#include "uplink/pasta.h"

#include "base/text.h"
#include "os/file.h"
#include "os/process.h"
#include "uplink/log.h"
#include "uplink/probe.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

namespace squish::uplink {

namespace {

constexpr const char* kRemedy = "install passt 2024-08-21 or newer, or choose [uplink] driver = \"slirp4netns\" in "
                                "squishd.toml";

bool is_digits(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<std::uint32_t> to_date(std::string_view digits) {
    std::uint32_t date = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), date);
    const auto month = date / 100 % 100, day = date % 100;
    if (date < 20200101 || date > 29991231 || month < 1 || month > 12 || day < 1 || day > 31)
        return std::nullopt;
    return date;
}

// One that an earlier start has left, by its pid file. A pid may belong to somebody else by now: only what is called
// pasta is ended.
Result<void> end_left_over(const std::string& pid_file) {
    const auto text = os::read_file(pid_file, 64);
    if (!text && text.error().sys_errno == ENOENT)
        return {};
    if (const auto number = text ? std::string(trim(*text)) : std::string(); is_digits(number) && number.size() < 10) {
        const auto process = os::open_pidfd(static_cast<pid_t>(std::stol(number)));
        const auto name = os::read_file("/proc/" + number + "/comm", 64);
        if (process && name && name->starts_with("pasta")) {
            (void) os::send_signal(process->get(), SIGKILL);
            (void) os::wait_ended(process->get(), 2000);
        }
    }
    if (::unlink(pid_file.c_str()) < 0 && errno != ENOENT)
        return fail_errno("remove '" + printable(pid_file) + "'");
    return {};
}

// Readable when something is written in `folder`, and when the process has ended.
Result<UniqueFd> watch(const std::string& folder, int pidfd, UniqueFd& changes) {
    changes = UniqueFd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!changes || ::inotify_add_watch(changes.get(), folder.c_str(), IN_CLOSE_WRITE | IN_MOVED_TO | IN_MODIFY) < 0)
        return fail_errno("watch '" + printable(folder) + "'");
    UniqueFd both(::epoll_create1(EPOLL_CLOEXEC));
    for (const int one : {changes.get(), pidfd}) {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = one;
        if (!both || ::epoll_ctl(both.get(), EPOLL_CTL_ADD, one, &event) < 0)
            return fail_errno("watch for the uplink");
    }
    return both;
}

} // namespace

std::optional<std::uint32_t> parse_pasta_date(std::string_view text) {
    const auto line = text.substr(0, text.find('\n'));
    if (!line.starts_with("pasta "))
        return std::nullopt;
    for (std::size_t at = 0; at < line.size(); ++at) {
        const bool begins = at == 0 || line[at - 1] < '0' || line[at - 1] > '9';
        if (!begins)
            continue;
        const auto rest = line.substr(at);
        const auto ends = [&](std::size_t size) {
            return rest.size() == size || (rest.size() > size && (rest[size] < '0' || rest[size] > '9'));
        };
        if (rest.size() >= 8 && is_digits(rest.substr(0, 8)) && ends(8))
            if (const auto date = to_date(rest.substr(0, 8)))
                return date;
        if (rest.size() >= 10 && is_digits(rest.substr(0, 4)) && rest[4] == '_' && is_digits(rest.substr(5, 2)) &&
            rest[7] == '_' && is_digits(rest.substr(8, 2)) && ends(10)) {
            const auto digits = std::string(rest.substr(0, 4)).append(rest.substr(5, 2)).append(rest.substr(8, 2));
            if (const auto date = to_date(digits))
                return date;
        }
    }
    return std::nullopt;
}

Result<PastaProbe> judge_pasta(const std::string& path, std::string_view version_text, std::string_view help_text) {
    PastaProbe probe{path, std::string(trim(version_text.substr(0, version_text.find('\n')))), 0};
    const auto named = "'" + printable(path) + "'";
    const auto date = parse_pasta_date(version_text);
    if (!date)
        return fail(ErrorKind::unsupported,
                    named + " does not say of which date it is ('" + printable(probe.version) +
                        "', as that of Debian 12 does, which is not reliable)",
                    kRemedy);
    probe.date = *date;
    if (probe.date < kLeastPasta)
        return fail(ErrorKind::unsupported,
                    named + " is of " + std::to_string(probe.date) + ": those before " + std::to_string(kLeastPasta) +
                        " are not reliable",
                    kRemedy);
    for (const auto purpose : {Purpose::way_out, Purpose::host_loopback}) {
        Options options;
        options.purpose = purpose;
        for (const auto& argument : pasta_arguments(1, options, "/pid"))
            if (argument.starts_with("--") && !help_text.contains(argument))
                return fail(ErrorKind::unsupported, named + " does not know the option " + argument, kRemedy);
    }
    return probe;
}

Result<PastaProbe> probe_pasta_at(const std::string& program) {
    const auto version_text = TRY(output_of(program, "--version"));
    const auto help_text = TRY(output_of(program, "--help"));
    return judge_pasta(program, version_text, help_text);
}

Result<PastaProbe> probe_pasta() {
    const auto program = find_program("pasta");
    if (!program)
        return fail(ErrorKind::unsupported, "pasta is not installed", kRemedy);
    return probe_pasta_at(*program);
}

std::vector<std::string> pasta_arguments(pid_t keeper, const Options& options, const std::string& pid_file) {
    const auto facts = facts_of(options.purpose);
    std::vector<std::string> arguments = {"pasta",
                                          "--foreground",
                                          "--quiet",
                                          "--ns-ifname",
                                          facts.interface,
                                          "--mtu",
                                          std::to_string(options.mtu),
                                          "--ipv4-only",
                                          "--address",
                                          facts.address,
                                          "--netmask",
                                          "24",
                                          "--gateway",
                                          facts.router,
                                          "--tcp-ports",
                                          "none",
                                          "--udp-ports",
                                          "none", // nothing comes in …
                                          "--tcp-ns",
                                          "none",
                                          "--udp-ns",
                                          "none", // … and nothing is forwarded from within
                                          "--no-dhcp",
                                          "--pid",
                                          pid_file};
    if (options.purpose == Purpose::way_out)
        for (const char* argument : {"--config-net", "--no-map-gw", "--dns-forward", facts.dns})
            arguments.emplace_back(argument);
    else
        for (const char* argument : {"--map-host-loopback", facts.router})
            arguments.emplace_back(argument);
    arguments.push_back(std::to_string(keeper));
    return arguments;
}

bool has_default_route(std::string_view text, std::string_view interface) {
    for (const auto line : split(text, '\n')) {
        const auto words = split(line, '\t');
        if (words.size() > 7 && trim(words[0]) == interface && words[1] == "00000000" && words[7] == "00000000")
            return true;
    }
    return false;
}

Result<Uplink> start_pasta(pid_t keeper, const Options& options) {
    if (options.ipv6)
        return fail(ErrorKind::unsupported, "squish has no IPv6 to the outside with pasta");
    os::Spawn spawn;
    spawn.program = options.program;
    if (spawn.program.empty())
        spawn.program = TRY(probe_pasta()).path;
    TRY(check_tun_device());
    Uplink uplink;
    uplink.driver = Driver::pasta;
    uplink.purpose = options.purpose;
    uplink.keeper = keeper;
    uplink.pid_file = options.folder + "/" + facts_of(options.purpose).interface + ".pid";
    TRY(end_left_over(uplink.pid_file));
    UniqueFd own_log;
    spawn.stderr_fd = TRY(open_log(uplink, options, own_log));
    spawn.args = pasta_arguments(keeper, options, uplink.pid_file);
    spawn.environment = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"};
    auto child = TRY(os::spawn_detached(spawn));
    uplink.pid = child.pid;
    uplink.pidfd = std::move(child.pidfd);
    uplink.ready = TRY(watch(options.folder, uplink.pidfd.get(), uplink.changes));
    return uplink;
}

Result<bool> check_pasta(Uplink& uplink) {
    char events[4096];
    while (::read(uplink.changes.get(), events, sizeof events) > 0) {
    }
    if (os::has_ended(uplink.pidfd.get())) {
        std::string_view last;
        const auto words = last_words(uplink);
        for (const auto line : split(words, '\n'))
            if (!trim(line).empty())
                last = trim(line);
        return fail(ErrorKind::unavailable,
                    "pasta ended at start: " + (last.empty() ? "it did not say why" : printable(last)), kRemedy);
    }
    const auto written = os::read_file(uplink.pid_file, 64);
    if (!written || trim(*written).empty())
        return false;
    if (uplink.purpose == Purpose::host_loopback)
        return true;
    const auto routes = TRY(os::read_file("/proc/" + std::to_string(uplink.keeper) + "/net/route", 1 << 20));
    if (!has_default_route(routes, facts_of(uplink.purpose).interface))
        return fail(ErrorKind::unsupported,
                    std::string("pasta says that it is ready, but has made no default route through '") +
                        facts_of(uplink.purpose).interface + "'",
                    kRemedy);
    return true;
}

} // namespace squish::uplink

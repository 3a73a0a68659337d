#include "uplink/probe.h"

#include "base/text.h"
#include "os/process.h"
#include "uplink/slirp4netns.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace squish::uplink {

namespace {

constexpr std::string_view kUsualFolders = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";
constexpr std::size_t kMaxOutput = 64 << 10;

bool is_program(const std::string& path) {
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

} // namespace

Result<std::string> output_of(const std::string& program, const std::string& argument) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0)
        return fail_errno("pipe");
    const UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    os::Spawn spawn;
    spawn.program = program;
    spawn.args = {program, argument};
    spawn.environment = {"LC_ALL=C"};
    spawn.stdout_fd = writer.get();
    spawn.stderr_fd = writer.get();
    const auto child = TRY(os::spawn_child(spawn));
    writer.reset();

    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    std::string text;
    bool complete = false;
    while (!complete && text.size() < kMaxOutput) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
        pollfd waiting{reader.get(), POLLIN, 0};
        const int polled = left > 0 ? ::poll(&waiting, 1, static_cast<int>(left)) : 0;
        if (polled == 0)
            break;
        char buffer[4096];
        const ssize_t got = polled < 0 ? -1 : ::read(reader.get(), buffer, sizeof buffer);
        if (got > 0)
            text.append(buffer, static_cast<std::size_t>(got));
        else if (got == 0)
            complete = true;
        else if (errno != EINTR)
            break;
    }
    // It has no right to live on, whatever it is doing.
    (void) os::send_signal(child.pidfd.get(), SIGKILL);
    (void) os::wait_ended(child.pidfd.get(), -1);
    (void) os::reap(child.pidfd.get());
    if (!complete)
        return fail(ErrorKind::unavailable, "'" + program + " " + argument + "' does not answer");
    return text;
}

std::optional<std::string> find_program(const std::string& name) {
    const char* path = std::getenv("PATH"); // NOLINT(concurrency-mt-unsafe): nobody sets it
    const std::string folders = (path ? std::string(path) + ":" : std::string()).append(kUsualFolders);
    for (const auto folder : split(folders, ':'))
        if (folder.starts_with('/'))
            if (auto candidate = std::string(folder) + "/" + name; is_program(candidate))
                return candidate;
    return std::nullopt;
}

Result<std::string> find_slirp4netns() {
    if (auto found = find_program("slirp4netns"))
        return *std::move(found);
    return fail(ErrorKind::unsupported, "slirp4netns is not installed: network mode \"bridge\" needs it",
                "apt install slirp4netns");
}

Result<Versions> parse_version(std::string_view text) {
    Versions found;
    for (const auto line : split(text, '\n')) {
        if (line.starts_with("slirp4netns version "))
            found.program = trim(line.substr(20));
        else if (line.starts_with("libslirp: "))
            found.libslirp = trim(line.substr(10));
    }
    if (found.program.empty())
        return fail(ErrorKind::unsupported,
                    "'slirp4netns --version' says no version: '" + printable(text.substr(0, text.find('\n'))) + "'");
    return found;
}

std::vector<std::string> parse_help(std::string_view text) {
    std::vector<std::string> options;
    for (const auto line : split(text, '\n')) {
        if (!line.starts_with('-'))
            continue;
        const auto at = line.find("--");
        if (at == std::string_view::npos)
            continue;
        const auto name = line.substr(at);
        options.emplace_back(name.substr(0, name.find_first_of("= \t")));
    }
    return options;
}

std::vector<std::string> missing_among(const std::vector<std::string>& known) {
    std::vector<std::string> missing;
    for (const auto purpose : {Purpose::way_out, Purpose::host_loopback}) {
        Options options;
        options.purpose = purpose;
        options.ipv6 = true;
        for (const auto& argument : slirp4netns_arguments(1, options, 3, 4)) {
            const auto name = argument.substr(0, argument.find('='));
            if (name.starts_with("--") && std::ranges::find(known, name) == known.end() &&
                std::ranges::find(missing, name) == missing.end())
                missing.push_back(name);
        }
    }
    return missing;
}

Result<UplinkProbe> probe_slirp4netns() {
    UplinkProbe probe;
    probe.path = TRY(find_slirp4netns());
    const auto version_text = TRY(output_of(probe.path, "--version"));
    const auto versions = TRY(parse_version(version_text));
    probe.version = versions.program;
    probe.libslirp = versions.libslirp;
    const auto help_text = TRY(output_of(probe.path, "--help"));
    probe.options = parse_help(help_text);
    probe.missing_options = missing_among(probe.options);
    return probe;
}

} // namespace squish::uplink

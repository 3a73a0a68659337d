// Devices, the uplink's program.
#include "base/text.h"
#include "doctor/doctor.h"
#include "os/file.h"
#include "os/process.h"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace squish::doctor {

namespace {

std::string mode_of(const std::string& path) {
    struct stat info{};
    if (::stat(path.c_str(), &info) < 0)
        return "";
    char text[16];
    std::snprintf(text, sizeof text, "%04o", info.st_mode & 07777);
    return std::string(", its mode is ") + text;
}

std::string device_remedy(const std::string& path, const char* module, int error) {
    if (error == ENOENT || error == ENODEV || error == ENXIO)
        return std::string("load it: modprobe ") + module;
    const auto name = path.substr(path.rfind('/') + 1);
    return "allow it, as root: chmod 0666 " + path + "; for good: echo 'KERNEL==\"" + name +
           "\", MODE=\"0666\"' > /etc/udev/rules.d/60-squish-" + name + ".rules";
}

Check check_device(const char* name, const std::string& path, const char* module, State otherwise,
                   const char* without) {
    const auto opened = os::open_file(path, O_RDWR);
    if (opened)
        return {name, State::ok, "'" + path + "' can be opened", ""};
    const auto& error = opened.error();
    return {name, otherwise, error.message + mode_of(path) + without, device_remedy(path, module, error.sys_errno)};
}

std::string find_in_path(std::string_view program) {
    const char* path = std::getenv("PATH");
    for (const auto folder : split(path ? path : "/usr/local/bin:/usr/bin:/bin", ':')) {
        const auto candidate = std::string(folder) + "/" + std::string(program);
        if (folder.starts_with('/') && ::access(candidate.c_str(), X_OK) == 0)
            return candidate;
    }
    return "";
}

// The first line that `program --version` prints.
std::string version_of(const std::string& program) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0)
        return "";
    const UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    os::Spawn spawn{
        .program = program, .args = {program, "--version"}, .environment = {}, .keep = {}, .stdout_fd = writer.get()};
    const auto child = os::spawn_child(spawn);
    writer.reset();
    if (!child)
        return "";
    const auto text = os::read_all(reader.get(), 4096);
    while (::waitpid(child->pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    return text ? printable(trim(std::string_view(*text).substr(0, text->find('\n')))) : "";
}

} // namespace

Check check_tun() {
    return check_device("/dev/net/tun", "/dev/net/tun", "tun", State::fail, ": containers have no network");
}

Check check_fuse() {
    return check_device("/dev/fuse", "/dev/fuse", "fuse", State::warn,
                        ": containers will see the machine's memory and processors");
}

Check check_slirp4netns() {
    const auto program = find_in_path("slirp4netns");
    if (program.empty())
        return {"slirp4netns", State::fail, "is not installed: containers have no network",
                "install it: apt-get install slirp4netns"};
    const auto version = version_of(program);
    if (version.empty())
        return {"slirp4netns", State::fail, "'" + program + "' does not run",
                "install it again: apt-get install --reinstall slirp4netns"};
    return {"slirp4netns", State::ok, version, ""};
}

} // namespace squish::doctor

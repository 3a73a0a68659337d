// squish's own files: programs, rootfs, the state folder and its sockets.
#include "base/text.h"
#include "doctor/doctor.h"

#include <cerrno>
#include <cstdlib>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace squish::doctor {

namespace {

constexpr std::size_t kMaxSocketPath = 107; // sun_path, unix(7)
constexpr auto kReinstall = "install squish again: ./setup.sh install";

} // namespace

Check check_runtime_folder(const Paths& paths) {
    Check check{"state folder", State::ok, "'" + printable(paths.state) + "'", ""};
    for (const auto& socket : {paths.socket, paths.keeper_socket(), paths.stager_socket(), paths.forward_socket()})
        if (socket.size() > kMaxSocketPath)
            return {check.name, State::fail,
                    "the socket '" + printable(socket) + "' would have a path longer than 107 bytes",
                    "set XDG_RUNTIME_DIR to a shorter path"};
    const auto parent = paths.state.substr(0, paths.state.rfind('/'));
    struct stat info{};
    if (::stat(parent.c_str(), &info) < 0)
        return {check.name, State::fail, "'" + printable(parent) + "': " + errno_text(errno),
                "make it, or unset XDG_RUNTIME_DIR (squish then uses /tmp/squish-UID)"};
    if (!S_ISDIR(info.st_mode) || ::access(parent.c_str(), W_OK | X_OK) < 0)
        return {check.name, State::fail, "'" + printable(parent) + "' is no folder that we may write to",
                "set XDG_RUNTIME_DIR to a folder of yours, or unset it"};
    if (::lstat(paths.state.c_str(), &info) == 0 &&
        (!S_ISDIR(info.st_mode) || info.st_uid != ::getuid() || (info.st_mode & 077) != 0))
        return {check.name, State::fail, check.found + " is not a folder that only you may enter",
                "remove it; squish makes it anew"};
    if (!std::getenv("XDG_RUNTIME_DIR"))
        check.found += ", as XDG_RUNTIME_DIR is not set";
    return check;
}

Check check_installation(const Paths& paths) {
    Check check{"installation", State::ok, "'" + printable(paths.bin) + "' and its helpers", ""};
    std::vector<std::string> programs{paths.bin + "/squishd"};
    for (const char* helper : {"keeper", "stager", "layers", "fetch", "forward", "dns", "init"})
        programs.push_back(paths.libexec + "/squish-" + helper);
    for (const auto& program : programs)
        if (::access(program.c_str(), X_OK) < 0)
            return {check.name, State::fail, "'" + printable(program) + "': " + errno_text(errno), kReinstall};
    if (::access((paths.share + "/base/bin").c_str(), X_OK) < 0)
        return {check.name, State::warn,
                "the built-in rootfs '" + printable(paths.share) + "/base': " + errno_text(errno) +
                    ": containers need one of their own",
                kReinstall};
    return check;
}

} // namespace squish::doctor

#include "base/paths.h"

#include "base/text.h"

#include <array>
#include <cstdlib>
#include <sys/stat.h>
#include <unistd.h>

namespace squish {

namespace {

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

// XDG: a relative path in these variables is to be ignored.
std::string absolute_or(const std::string& value, const std::string& fallback) {
    return value.starts_with('/') ? value : fallback;
}

Result<std::string> own_folder() {
    std::array<char, 4096> buffer{};
    const auto length = ::readlink("/proc/self/exe", buffer.data(), buffer.size());
    if (length <= 0 || static_cast<std::size_t>(length) == buffer.size())
        return fail_errno("read /proc/self/exe", length < 0 ? errno : ENAMETOOLONG);
    std::string path(buffer.data(), static_cast<std::size_t>(length));
    return path.substr(0, path.rfind('/'));
}

} // namespace

Result<Paths> find_paths() {
    Paths paths;
    const auto uid = std::to_string(::getuid());
    const auto runtime = environment("XDG_RUNTIME_DIR");
    paths.state = runtime.starts_with('/') ? runtime + "/squish" : "/tmp/squish-" + uid;
    const auto home = environment("HOME");
    if (!home.starts_with('/') &&
        (!environment("XDG_DATA_HOME").starts_with('/') || !environment("XDG_CONFIG_HOME").starts_with('/')))
        return fail(ErrorKind::invalid, "HOME is not set to an absolute path",
                    "set HOME, or XDG_DATA_HOME and XDG_CONFIG_HOME");
    paths.data = absolute_or(environment("XDG_DATA_HOME"), home + "/.local/share") + "/squish";
    paths.config = absolute_or(environment("XDG_CONFIG_HOME"), home + "/.config") + "/squish";
    const auto socket = environment("SQUISH_SOCKET");
    paths.socket = socket.empty() ? paths.state + "/squishd.sock" : socket;

    const auto folder = TRY(own_folder());
    const bool in_libexec = folder.ends_with("/libexec/squish");
    const auto prefix = in_libexec ? folder.substr(0, folder.size() - std::string_view("/libexec/squish").size())
                                   : folder.substr(0, folder.rfind('/'));
    paths.bin = prefix + "/bin";
    paths.libexec = prefix + "/libexec/squish";
    paths.share = prefix + "/share/squish";
    return paths;
}

Result<void> secure_state_folder(const Paths& paths) {
    // The parent is XDG_RUNTIME_DIR or /tmp: neither is ours to make.
    if (::mkdir(paths.state.c_str(), 0700) < 0 && errno != EEXIST)
        return fail_errno("make the state folder '" + printable(paths.state) + "'", errno,
                          "make its parent, or set XDG_RUNTIME_DIR to a folder of yours");
    struct stat info{};
    if (::lstat(paths.state.c_str(), &info) < 0)
        return fail_errno("look at the state folder '" + printable(paths.state) + "'");
    if (!S_ISDIR(info.st_mode) || info.st_uid != ::getuid() || (info.st_mode & 077) != 0)
        return fail(ErrorKind::denied,
                    "the state folder '" + printable(paths.state) + "' is not a folder that only you may enter",
                    "remove it, or set XDG_RUNTIME_DIR to a folder of yours with mode 0700");
    return {};
}

} // namespace squish

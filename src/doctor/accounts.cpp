// The user's ids: /etc/subuid, /etc/subgid (subuid(5)) and the helpers that map them.
#include "account/account.h"
#include "base/text.h"
#include "doctor/doctor.h"
#include "doctor/id_ranges.h"
#include "os/file.h"

#include <algorithm>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace squish::doctor {

namespace {

constexpr std::uint64_t kWanted = 65536; // what a container's own users need

// Whether the program may map ids: setuid root, or file capabilities (Fedora's way).
bool may_map(const std::string& path) {
    struct stat info{};
    if (::stat(path.c_str(), &info) < 0)
        return false;
    return (info.st_uid == 0 && (info.st_mode & S_ISUID)) ||
           ::getxattr(path.c_str(), "security.capability", nullptr, 0) > 0;
}

std::string find_helper(const char* name) {
    for (const char* folder : {"/usr/bin/", "/bin/", "/usr/local/bin/"})
        if (::access((folder + std::string(name)).c_str(), X_OK) == 0)
            return folder + std::string(name);
    return "";
}

} // namespace

std::uint64_t count_ids(std::string_view text, std::string_view user, std::uint64_t uid) {
    std::uint64_t count = 0;
    const auto number = std::to_string(uid);
    for (const auto line : split(text, '\n')) {
        const auto fields = split(line, ':'); // user:first:count
        if (fields.size() != 3 || ((user.empty() || fields[0] != user) && fields[0] != number))
            continue;
        const auto here = parse_number(trim(fields[2]));
        if (parse_number(fields[1]) && here && *here < (1ULL << 32))
            count += *here;
    }
    return count;
}

Check check_id_ranges() {
    constexpr auto kLoss =
        "containers have one user only: files of other owners and programs that change users will not work";
    Check check{"subordinate ids", State::ok, "", ""};
    const auto account = account::current();
    const auto name = account ? account->name : std::string();
    const auto count = [&](const char* file) {
        const auto text = os::read_file(file);
        return text ? count_ids(*text, name, ::getuid()) : 0;
    };
    const auto uids = count("/etc/subuid"), gids = count("/etc/subgid");
    if (std::min(uids, gids) == 0) {
        const auto who = name.empty() ? "uid " + std::to_string(::getuid()) : "'" + printable(name) + "'";
        return {check.name, State::warn, who + " has none in /etc/subuid and /etc/subgid: " + kLoss,
                name.empty() ? "give this uid an account (useradd), which gets a range"
                             : "as root: usermod --add-subuids FIRST-LAST --add-subgids FIRST-LAST " + printable(name) +
                                   ", with 65536 ids that nobody has yet"};
    }
    for (const char* program : {"newuidmap", "newgidmap"}) {
        const auto path = find_helper(program);
        if (path.empty())
            return {check.name, State::warn, std::string(program) + " is not installed: " + kLoss,
                    "install it: apt-get install uidmap"};
        if (!may_map(path))
            return {check.name, State::warn, "'" + path + "' is neither setuid root nor has capabilities: " + kLoss,
                    "as root: chmod u+s " + path};
    }
    check.found = std::to_string(uids) + " uids and " + std::to_string(gids) + " gids";
    if (std::min(uids, gids) < kWanted) {
        check.state = State::warn;
        check.found += ": fewer than the 65536 that containers expect";
        check.remedy = "as root: usermod --add-subuids FIRST-LAST --add-subgids FIRST-LAST " + printable(name);
    }
    return check;
}

} // namespace squish::doctor

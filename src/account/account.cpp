#include "account/account.h"

#include "base/text.h"
#include "os/file.h"

#include <cstdlib>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace squish::account {

namespace {

constexpr std::string_view kDefaultName = "squish";
constexpr std::uint64_t kNoId = 0xFFFF'FFFF; // (uid_t) -1 means "leave it" to setresuid(2)

std::optional<Account> parse_line(std::string_view line) {
    const auto fields = split(line, ':'); // name:password:uid:gid:comment:home:shell
    if (fields.size() != 7 || fields[0].empty())
        return std::nullopt;
    const auto uid = parse_number(fields[2]);
    const auto gid = parse_number(fields[3]);
    if (!uid || !gid || *uid >= kNoId || *gid >= kNoId)
        return std::nullopt;
    return Account{std::string(fields[0]), static_cast<uid_t>(*uid), static_cast<gid_t>(*gid), std::string(fields[5])};
}

template <class Matches> std::optional<Account> find(std::string_view passwd, Matches matches) {
    for (const auto line : split(passwd, '\n'))
        if (auto account = parse_line(line); account && matches(*account))
            return account;
    return std::nullopt;
}

std::optional<Account>& chosen() {
    static std::optional<Account> account;
    return account;
}

Result<Account> choose_account() {
    const char* wanted = std::getenv("SQUISH_USER");
    const std::string name(wanted && *wanted ? std::string_view(wanted) : kDefaultName);
    const auto passwd = TRY(os::read_file("/etc/passwd"));
    auto account = find_by_name(passwd, name);
    if (!account)
        return fail(ErrorKind::unsupported,
                    "squish is rootless-only, and there is no account '" + printable(name) + "' to go on as",
                    "run './setup.sh install', which makes the account 'squish', or name one with SQUISH_USER=NAME");
    if (account->uid == 0)
        return fail(ErrorKind::unsupported,
                    "squish is rootless-only, and the account '" + printable(name) + "' is root",
                    "name an ordinary one with SQUISH_USER=NAME");
    return std::move(*account);
}

// Should: leave no way back. Must not: go on when any of these failed.
Result<void> become(const Account& account) {
    const auto group = os::read_file("/etc/group");
    const auto groups = groups_of(group ? *group : std::string(), account);
    if (::setgroups(groups.size(), groups.data()) < 0)
        return fail_errno("setgroups");
    if (::setresgid(account.gid, account.gid, account.gid) < 0)
        return fail_errno("setresgid " + std::to_string(account.gid));
    if (::setresuid(account.uid, account.uid, account.uid) < 0)
        return fail_errno("setresuid " + std::to_string(account.uid));
    if (::setresuid(0, 0, 0) == 0) // setuid with PR_SET_NO_SETUID_FIXUP, a broken sandbox: never seen, never trusted
        return fail(ErrorKind::unsupported, "cannot give up root: the kernel gave it back");
    // The change of ids made /proc/self root's (proc(5), "dumpable"); it is the account's process now.
    ::prctl(PR_SET_DUMPABLE, 1);
    return {};
}

bool owns_folder(const std::string& path, uid_t uid) {
    struct stat info{};
    return ::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == uid;
}

void set_environment(const Account& account) {
    for (const char* name : {"XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR",
                             "SQUISH_SOCKET", "SQUISH_USER"})
        ::unsetenv(name);
    ::setenv("HOME", account.home.c_str(), 1);
    ::setenv("USER", account.name.c_str(), 1);
    ::setenv("LOGNAME", account.name.c_str(), 1);
    const auto runtime = "/run/user/" + std::to_string(account.uid);
    if (owns_folder(runtime, account.uid))
        ::setenv("XDG_RUNTIME_DIR", runtime.c_str(), 1);
}

} // namespace

std::optional<Account> find_by_name(std::string_view passwd, std::string_view name) {
    return find(passwd, [&](const Account& account) { return account.name == name; });
}

std::optional<Account> find_by_uid(std::string_view passwd, uid_t uid) {
    return find(passwd, [&](const Account& account) { return account.uid == uid; });
}

std::vector<gid_t> groups_of(std::string_view group, const Account& account) {
    std::vector<gid_t> groups{account.gid};
    for (const auto line : split(group, '\n')) {
        const auto fields = split(line, ':'); // name:password:gid:members
        if (fields.size() != 4)
            continue;
        const auto gid = parse_number(fields[2]);
        if (!gid || *gid == 0 || *gid >= kNoId || *gid == account.gid)
            continue; // group 0 is root's: no part of squish keeps it
        for (const auto member : split(fields[3], ','))
            if (member == account.name) {
                groups.push_back(static_cast<gid_t>(*gid));
                break;
            }
    }
    return groups;
}

bool is_identity_map(std::string_view uid_map) {
    std::vector<std::string_view> words;
    for (const auto line : split(uid_map, '\n'))
        for (const auto word : split(line, ' '))
            if (!word.empty())
                words.push_back(word);
    return words.size() == 3 && words[0] == "0" && words[1] == "0" && words[2] == "4294967295";
}

std::optional<Account> current() {
    const auto passwd = os::read_file("/etc/passwd");
    return passwd ? find_by_uid(*passwd, ::getuid()) : std::nullopt;
}

bool is_machine_root() {
    if (::getuid() != 0 && ::geteuid() != 0)
        return false;
    const auto map = os::read_file("/proc/self/uid_map");
    return !map || is_identity_map(*map); // without /proc: assume the worst
}

Result<void> leave_root(std::string_view program) {
    if (!is_machine_root())
        return {};
    const auto account = TRY(choose_account());
    TRY(become(account));
    set_environment(account);
    const auto line = std::string(program) + ": started as root: going on as '" + printable(account.name) + "' (uid " +
                      std::to_string(account.uid) + "), squish is rootless-only\n";
    [[maybe_unused]] const auto told = os::write_all(STDERR_FILENO, line);
    chosen() = account;
    return {};
}

const std::optional<Account>& went_on_as() {
    return chosen();
}

} // namespace squish::account

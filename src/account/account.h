// Who squish runs as. No part of squish does its work as root: started as root, a program of ours goes on as the
// unprivileged account that setup made.
//
// The account files are read directly (passwd(5), group(5)): getpwnam(3) would load NSS libraries, which a static
// program must not do.
#pragma once

#include "base/result.h"

#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace squish::account {

struct Account {
    std::string name;
    uid_t uid = 0;
    gid_t gid = 0;
    std::string home;
};

// Pure: on the text of a passwd(5) file. Lines that are malformed are passed over.
[[nodiscard]] std::optional<Account> find_by_name(std::string_view passwd, std::string_view name);
[[nodiscard]] std::optional<Account> find_by_uid(std::string_view passwd, uid_t uid);
// Pure: the supplementary groups of `name` in the text of a group(5) file, with its own group first.
[[nodiscard]] std::vector<gid_t> groups_of(std::string_view group, const Account& account);
// Pure: whether the text of /proc/self/uid_map is the full identity map, as in the initial user namespace.
[[nodiscard]] bool is_identity_map(std::string_view uid_map);

// The account of the caller; nothing where /etc/passwd does not name it.
[[nodiscard]] std::optional<Account> current();

// Root in the initial user namespace, that is: root of the machine.
[[nodiscard]] bool is_machine_root();

// For every program of ours, first thing in main: where the caller is root of the machine, becomes the account
// $SQUISH_USER, else `squish`, and says so in one line on stderr ("PROGRAM: started as root: going on as …").
// Drops every group and capability; HOME, USER and LOGNAME become the account's, root's XDG_* and SQUISH_SOCKET are
// dropped (they name folders that are not the account's), XDG_RUNTIME_DIR becomes /run/user/UID where that is the
// account's own. The working folder stays, so that relative paths mean what the caller meant.
// Errors: `unsupported`, with the remedy, where there is no such account. Does nothing for anybody else.
[[nodiscard]] Result<void> leave_root(std::string_view program);

// The account that leave_root() went on as; for messages about files that it may not read.
[[nodiscard]] const std::optional<Account>& went_on_as();

} // namespace squish::account

// Whether a container can have ids of its own: what it is given must be of use to somebody who is not the user.
#pragma once

#include "base/result.h"
#include "engine/engine.h"
#include "plan/container_plan.h"

#include <string>
#include <utility>
#include <vector>

namespace squish {

// Why this container must have the user's ids; empty: it can have its own. Looks at the files and streams (stat(2)),
// and lets anonymous pipes be opened again by anybody who is given them: /dev/stdout must work. What changes afterwards
// is the payload's loss, not anybody's danger.
[[nodiscard]] std::string why_users_ids(const plan::ContainerPlan& plan, const AttachedIo& io);

// Makes anonymous pipes among the streams openable by anybody who holds them (through /proc/self/fd).
void open_pipes_to_all(const AttachedIo& io);

// The variable HOME of a container with ids of its own, unless its squishfile has it: /root is often its owner's alone,
// and programs that may not look into it give up (git(1)).
void adapt_environment(const Squishfile& file, std::vector<std::pair<std::string, std::string>>& environment);

// Of which ids can be asked in a container with ids of its own: an error says so for others.
[[nodiscard]] Result<void> check_own_ids(const UserSpec& user);

} // namespace squish

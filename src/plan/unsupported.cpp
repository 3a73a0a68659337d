#include "plan/container_plan.h"

#include "base/text.h"

namespace squish::plan {

Result<void> refuse_unsupported(const Squishfile& file, const Machine& machine) {
    if (machine.single_id && file.run && file.run->user && (file.run->user->uid != 0 || file.run->user->gid != 0))
        return fail(ErrorKind::unsupported,
                    "[run] user = \"" + std::to_string(file.run->user->uid) + ":" +
                        std::to_string(file.run->user->gid) + "\": only one id is mapped for this account",
                    "give it a range of subordinate ids in /etc/subuid and /etc/subgid, then 'squish daemon stop'");
    return {};
}

} // namespace squish::plan

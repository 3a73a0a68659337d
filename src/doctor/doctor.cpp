#include "doctor/doctor.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace squish::doctor {

const char* to_string(State state) {
    switch (state) {
    case State::ok:
        return "ok";
    case State::warn:
        return "warn";
    case State::fail:
        return "fail";
    }
    std::unreachable();
}

std::vector<Check> examine(const Paths& paths) {
    std::vector<Check> checks{
        check_kernel(),  check_user_namespaces(), check_id_ranges(), check_namespaces(),  check_proc_mount(),
        check_overlay(), check_seccomp(),         check_tun(),       check_slirp4netns(), check_fuse()};
    std::ranges::move(check_cgroups(), std::back_inserter(checks));
    checks.push_back(check_runtime_folder(paths));
    checks.push_back(check_installation(paths));
    return checks;
}

} // namespace squish::doctor

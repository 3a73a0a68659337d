#include "doctor/doctor.h"

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
    return {check_kernel(),           check_user_namespaces(),
            check_id_ranges(),        check_namespaces(),
            check_proc_mount(),       check_overlay(),
            check_seccomp(),          check_tun(),
            check_slirp4netns(),      check_fuse(),
            check_cgroups(),          check_runtime_folder(paths),
            check_installation(paths)};
}

Result<void> check_prerequisites(Needs needs) {
    const auto missing = [](Check check) {
        return fail(ErrorKind::unsupported, "squish cannot start containers here: " + check.name + ": " + check.found,
                    std::move(check.remedy));
    };
    for (const auto examine_one : {check_user_namespaces, check_namespaces, check_proc_mount, check_overlay})
        if (auto check = examine_one(); check.state == State::fail)
            return missing(std::move(check));
    if (needs == Needs::network)
        for (const auto examine_one : {check_slirp4netns, check_tun})
            if (auto check = examine_one(); check.state == State::fail)
                return missing(std::move(check));
    return {};
}

} // namespace squish::doctor

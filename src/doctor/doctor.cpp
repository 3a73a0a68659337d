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

} // namespace squish::doctor

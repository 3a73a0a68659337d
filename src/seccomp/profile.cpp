#include "seccomp/profile.h"

#include "seccomp/names.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace squish::seccomp {

std::uint32_t encoded(Action action) {
    switch (action.kind) {
    case Action::Kind::allow:
        return SECCOMP_RET_ALLOW;
    case Action::Kind::log:
        return SECCOMP_RET_LOG;
    case Action::Kind::refuse:
        return SECCOMP_RET_ERRNO | action.data;
    case Action::Kind::trap:
        return SECCOMP_RET_TRAP;
    case Action::Kind::trace:
        return SECCOMP_RET_TRACE | action.data;
    case Action::Kind::kill_thread:
        return SECCOMP_RET_KILL_THREAD;
    case Action::Kind::kill_process:
        return SECCOMP_RET_KILL_PROCESS;
    }
    std::unreachable();
}

std::string to_string(Action action) {
    switch (action.kind) {
    case Action::Kind::allow:
        return "allow";
    case Action::Kind::log:
        return "log";
    case Action::Kind::refuse: {
        const char* const name = ::strerrorname_np(action.data);
        return name != nullptr ? name : "errno " + std::to_string(action.data);
    }
    case Action::Kind::trap:
        return "trap";
    case Action::Kind::trace:
        return "trace " + std::to_string(action.data);
    case Action::Kind::kill_thread:
        return "kill thread";
    case Action::Kind::kill_process:
        return "kill process";
    }
    std::unreachable();
}

bool holds(const Condition& condition, std::uint64_t argument) {
    constexpr std::uint64_t kLow = 0xffffffff;
    const bool whole = condition.width == Width::whole64;
    const auto left = whole ? argument : argument & kLow;
    const auto right = whole ? condition.value : condition.value & kLow;
    switch (condition.compare) {
    case Compare::not_equal:
        return left != right;
    case Compare::less:
        return left < right;
    case Compare::less_or_equal:
        return left <= right;
    case Compare::equal:
        return left == right;
    case Compare::greater_or_equal:
        return left >= right;
    case Compare::greater:
        return left > right;
    case Compare::masked_equal:
        return (left & condition.mask) == right;
    }
    std::unreachable();
}

Action decide(const Profile& profile, const seccomp_data& call) {
    if (call.arch != kArchitecture)
        return profile.foreign;
    const auto number = static_cast<std::uint32_t>(call.nr);
#if defined(__x86_64__)
    if (number >= kX32Bit && number != ~std::uint32_t{0})
        return profile.foreign;
#endif
    const auto found = profile.calls.find(number);
    if (found == profile.calls.end())
        return profile.standard;
    for (const auto& rule : found->second.rules)
        if (std::ranges::all_of(rule.conditions, [&](const Condition& condition) {
                return holds(condition, call.args[condition.argument]);
            }))
            return rule.action;
    return found->second.otherwise;
}

} // namespace squish::seccomp

// Which system calls a payload may make: plain data, for one architecture.
//
// How this works
//   A profile says what happens to a call that it does not name, and for each one that it names a list of rules: the
//   first whose conditions on the arguments all hold decides, and where none does, `otherwise`. Calls of other
//   architectures (i386 and x32 on x86_64) are never looked up: `foreign` answers them, which also closes the way
//   around the rules on socket(2) that socketcall(2) is. compile.h turns it into the kernel's program; decide() below
//   says the same without one and is what the tests compare with.
#pragma once

#include <cstdint>
#include <linux/seccomp.h>
#include <map>
#include <string>
#include <vector>

namespace squish::seccomp {

// What the kernel does (seccomp(2), "Filter return values").
struct Action {
    enum class Kind { allow, log, refuse, trap, trace, kill_thread, kill_process };
    Kind kind = Kind::allow;
    std::uint16_t data = 0; // refuse: the errno; trace: what the tracer is told
    bool operator==(const Action&) const = default;
};
inline constexpr Action kAllow{};
inline constexpr Action kKillProcess{Action::Kind::kill_process, 0};
[[nodiscard]] constexpr Action refuse_with(int error) {
    return {Action::Kind::refuse, static_cast<std::uint16_t>(error)};
}
[[nodiscard]] std::uint32_t encoded(Action action); // SECCOMP_RET_* with its data
// "allow", "EPERM", "kill process".
[[nodiscard]] std::string to_string(Action action);

enum class Compare { not_equal, less, less_or_equal, equal, greater_or_equal, greater, masked_equal };

// How much of an argument counts. The kernel's own type decides: of an int it looks at the low half only, and a filter
// that compares all of the register can be passed by with a bit set in the high half (GHSA-4q85-33p6-j5g6).
enum class Width { low32, whole64 };

struct Condition {
    std::uint32_t argument = 0; // 0 to 5
    Compare compare = Compare::equal;
    std::uint64_t value = 0;
    std::uint64_t mask = ~std::uint64_t{0}; // masked_equal: (argument & mask) == value
    Width width = Width::low32;
    bool operator==(const Condition&) const = default;
};

struct Rule {
    std::vector<Condition> conditions; // all of them
    Action action;
    bool operator==(const Rule&) const = default;
};

struct Call {
    std::vector<Rule> rules; // the first that holds
    Action otherwise;
    bool operator==(const Call&) const = default;
};

struct Profile {
    Action standard;               // of calls that are not named
    Action foreign = kKillProcess; // of other architectures
    std::map<std::uint32_t, Call> calls;
    std::uint32_t flags = 0; // SECCOMP_FILTER_FLAG_LOG, SECCOMP_FILTER_FLAG_SPEC_ALLOW
    bool operator==(const Profile&) const = default;
};

// x32 calls have this bit (asm/unistd.h); 0xffffffff, "no call", is not among them.
inline constexpr std::uint32_t kX32Bit = 0x40000000;

[[nodiscard]] bool holds(const Condition& condition, std::uint64_t argument);
[[nodiscard]] Action decide(const Profile& profile, const seccomp_data& call);

} // namespace squish::seccomp

// Calls as the kernel shows them to a filter, and what a profile's compiled program says to them, as text.
#pragma once

#include "seccomp/compile.h"
#include "seccomp/names.h"
#include "seccomp/profile.h"
#include "support/seccomp_evaluator.h"

#include <array>
#include <gtest/gtest.h>
#include <initializer_list>
#include <string>
#include <string_view>

namespace squish::test {

inline constexpr std::uint32_t kI386 = 0x40000003; // AUDIT_ARCH_I386
inline constexpr std::uint32_t kLastAsked = 1023;  // the newest call of Linux 6.18 is 469

inline seccomp_data call_of(std::uint32_t number, std::initializer_list<std::uint64_t> arguments = {}) {
    seccomp_data call{};
    call.nr = static_cast<int>(number);
    call.arch = seccomp::kArchitecture;
    std::size_t i = 0;
    for (const auto argument : arguments)
        call.args[i++] = argument;
    return call;
}

inline std::uint32_t number_of(std::string_view name) {
    const auto found = seccomp::find_call(name);
    EXPECT_EQ(found.where, seccomp::NamedCall::Where::here) << name;
    return found.number;
}

inline std::string text_of(std::uint32_t answer) {
    using Kind = seccomp::Action::Kind;
    for (const auto kind :
         {Kind::allow, Kind::log, Kind::refuse, Kind::trap, Kind::trace, Kind::kill_thread, Kind::kill_process}) {
        const seccomp::Action action{kind, static_cast<std::uint16_t>(answer & SECCOMP_RET_DATA)};
        if (seccomp::encoded(action) == answer)
            return seccomp::to_string(action);
    }
    return "unknown";
}

// What the bytes say, which must be what the profile says.
inline std::string ask(const seccomp::Profile& profile, const seccomp::Program& program, const seccomp_data& call) {
    const auto answer = evaluate(program, call);
    if (!answer)
        return "malformed program";
    EXPECT_EQ(*answer, seccomp::encoded(seccomp::decide(profile, call)))
        << "call " << call.nr << " of architecture " << std::hex << call.arch << ": program and profile differ";
    return text_of(*answer);
}

} // namespace squish::test

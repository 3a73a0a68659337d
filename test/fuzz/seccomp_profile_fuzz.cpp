// Feeds arbitrary bytes to the reader of seccomp profiles, and what it accepts to the compiler.
//
// What must hold: nothing crashes; a refusal gives a printable reason; a program is one that the kernel would take
// (every path ends with an answer), and it says what the profile says, near every value that the profile names.
#include "../support/seccomp_evaluator.h"
#include "base/text.h"
#include "require.h"
#include "seccomp/compile.h"
#include "seccomp/names.h"
#include "seccomp/oci_profile.h"

#include <cstdint>

namespace {

using squish::test::require;

void check(const squish::seccomp::Profile& profile, const squish::seccomp::Program& program, const seccomp_data& call) {
    const auto answer = squish::test::evaluate(program, call);
    require(answer.has_value(), "every call gets an answer");
    require(*answer == squish::seccomp::encoded(squish::seccomp::decide(profile, call)), "program and profile agree");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace squish::seccomp;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto parsed = parse_oci_profile(text, {{"CAP_NET_RAW"}, {6, 1}});
    if (!parsed) {
        require(!parsed.error().message.empty(), "a refusal has a reason");
        require(squish::printable(parsed.error().message) == parsed.error().message, "reasons are printable");
        return 0;
    }
    const auto program = compile(parsed->profile);
    if (!program)
        return 0;
    require(!program->empty() && program->size() <= BPF_MAXINSNS, "the size is one that the kernel takes");
    seccomp_data call{};
    call.arch = kArchitecture;
    for (int number = 0; number < 480; ++number) {
        call.nr = number;
        check(parsed->profile, *program, call);
    }
    for (const auto& [number, rules] : parsed->profile.calls)
        for (const auto& rule : rules.rules)
            for (const auto& condition : rule.conditions)
                for (const std::uint64_t by : {0ULL, 1ULL, ~0ULL, 1ULL << 32}) {
                    call.nr = static_cast<int>(number);
                    call.args[condition.argument] = condition.value + by;
                    check(parsed->profile, *program, call);
                }
    call.arch = 0;
    check(parsed->profile, *program, call);
    return 0;
}

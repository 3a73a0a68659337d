// Programs against profiles: whatever is asked, both must say the same; and libseccomp, on what it can express.
#include "seccomp/compile.h"

#include "calls.h"
#include "seccomp/default_profile.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <random>
#include <seccomp.h>
#include <unistd.h>
#include <vector>

using namespace squish::seccomp;
using squish::test::ask;
using squish::test::call_of;
using squish::test::kI386;
using squish::test::kLastAsked;
using squish::test::number_of;

namespace {

// The least that compile() takes.
Profile startable(Action standard) {
    Profile profile;
    profile.standard = standard;
    for (const auto* name : {"execve", "write", "exit_group"})
        profile.calls[number_of(name)] = {{}, kAllow};
    return profile;
}

using Random = std::mt19937_64;

std::uint64_t interesting(Random& random) {
    constexpr std::array<std::uint64_t, 12> kEdges{0,           1,          2,           0x7fffffff,
                                                   0x80000000,  0xffffffff, 0x100000000, 0x100000001,
                                                   0x1ffffffff, ~0ULL,      ~0ULL - 1,   1ULL << 63};
    const auto pick = random() % (kEdges.size() + 2);
    return pick < kEdges.size() ? kEdges[pick] : pick == kEdges.size() ? random() : random() % 64;
}

Action any_action(Random& random) {
    const std::array<Action, 5> actions{kAllow, refuse_with(EPERM), refuse_with(ENOSYS), kKillProcess,
                                        Action{Action::Kind::log, 0}};
    return actions[random() % actions.size()];
}

Condition any_condition(Random& random) {
    Condition condition;
    condition.argument = static_cast<std::uint32_t>(random() % 6);
    condition.compare = static_cast<Compare>(random() % 7);
    condition.value = interesting(random);
    condition.width = random() % 2 ? Width::low32 : Width::whole64;
    if (condition.compare == Compare::masked_equal) {
        condition.mask = interesting(random);
        condition.value &= condition.mask;
    }
    return condition;
}

Profile any_profile(Random& random) {
    auto profile = startable(any_action(random));
    const auto calls = random() % 200;
    for (std::size_t i = 0; i < calls; ++i) {
        Call call{{}, any_action(random)};
        for (auto rules = random() % 4; rules > 0; --rules) {
            Rule rule{{}, any_action(random)};
            for (auto conditions = random() % 4; conditions > 0; --conditions)
                rule.conditions.push_back(any_condition(random));
            call.rules.push_back(rule);
        }
        profile.calls.emplace(static_cast<std::uint32_t>(random() % 470), call);
    }
    return profile;
}

// Every condition of the call nearly met.
seccomp_data near(const Call& call, Random& random) {
    auto data = call_of(0);
    for (auto& argument : data.args)
        argument = interesting(random);
    for (const auto& rule : call.rules)
        for (const auto& condition : rule.conditions)
            if (random() % 2)
                data.args[condition.argument] = condition.value + random() % 3 - 1;
    return data;
}

TEST(Compile, SaysWhatTheProfileSaysWhateverTheProfile) {
    Random random(1); // NOLINT(cert-msc32-c,cert-msc51-cpp): the same profiles every time
    for (int i = 0; i < 200; ++i) {
        const auto profile = any_profile(random);
        const auto program = compile(profile);
        ASSERT_TRUE(program) << program.error().text();
        for (std::uint32_t number = 0; number < 480; ++number) {
            const auto found = profile.calls.find(number);
            for (int tries = found != profile.calls.end() && !found->second.rules.empty() ? 40 : 1; tries > 0;
                 --tries) {
                auto call = found != profile.calls.end() ? near(found->second, random) : call_of(0);
                call.nr = static_cast<int>(number);
                (void) ask(profile, *program, call);
            }
        }
        if (HasFailure())
            FAIL() << "profile " << i;
    }
}

TEST(Compile, ReachesFartherThanOneJump) { // jumps of more than 255 instructions need stepping stones
    auto profile = startable(refuse_with(ENOSYS));
    for (std::uint32_t number = 100; number < 130; number += 2)
        for (std::uint64_t value = 0; value < 30; ++value)
            profile.calls[number].rules.push_back(
                {{{0, Compare::equal, value, ~0ULL, Width::whole64}}, refuse_with(static_cast<int>(value + 1))});
    const auto program = compile(profile);
    ASSERT_TRUE(program);
    EXPECT_GT(program->size(), 1500U);
    for (std::uint32_t number = 0; number < 480; ++number)
        for (const std::uint64_t value : {0ULL, 13ULL, 29ULL, 30ULL, 1ULL << 32})
            (void) ask(profile, *program, call_of(number, {value}));
}

TEST(Compile, ComparesHalvesOnlyWhereItIsTold) {
    for (const auto width : {Width::low32, Width::whole64})
        for (int compare = 0; compare < 7; ++compare) {
            auto profile = startable(refuse_with(ENOSYS));
            Condition condition{2, static_cast<Compare>(compare), 0x5412, 0xffff, width};
            profile.calls[16] = {{{{condition}, kAllow}}, refuse_with(EPERM)};
            const auto program = compile(profile);
            ASSERT_TRUE(program);
            for (const std::uint64_t value : {0x5412ULL, 0x5411ULL, 0x5413ULL, 0x100005412ULL, 0x15412ULL, 0ULL, ~0ULL})
                (void) ask(profile, *program, call_of(16, {0, 0, value}));
        }
}

TEST(Compile, RefusesWhatTheKernelWouldNotTake) {
    auto profile = startable(refuse_with(ENOSYS));
    for (std::uint32_t number = 100; number < 300; number += 2)
        for (std::uint64_t value = 0; value < 30; ++value)
            profile.calls[number].rules.push_back(
                {{{0, Compare::equal, value, ~0ULL, Width::whole64}}, refuse_with(static_cast<int>(value + 1))});
    const auto program = compile(profile);
    ASSERT_FALSE(program);
    EXPECT_NE(program.error().message.find("too large"), std::string::npos);
}

TEST(Compile, RefusesAProfileUnderWhichNothingStarts) {
    for (const auto* name : {"execve", "write", "exit_group"}) {
        for (const auto action : {refuse_with(EPERM), kKillProcess, Action{Action::Kind::trace, 1}}) {
            auto profile = startable(kAllow);
            profile.calls[number_of(name)] = {{}, action};
            const auto program = compile(profile);
            ASSERT_FALSE(program) << name;
            EXPECT_NE(program.error().message.find(name), std::string::npos);
            EXPECT_FALSE(program.error().remedy.empty());
        }
        auto conditional = startable(kAllow);
        conditional.calls[number_of(name)] = {{{{{0, Compare::equal, 1}}, refuse_with(EPERM)}}, kAllow};
        EXPECT_FALSE(compile(conditional)) << name;
    }
    EXPECT_FALSE(compile(Profile{refuse_with(EPERM), kKillProcess, {}, 0}));
    EXPECT_TRUE(compile(Profile{kAllow, kKillProcess, {}, 0}));
}

// --- the second opinion -----------------------------------------------------------------------------------------

// What libseccomp makes of the same profile. `rules` of a call must be disjoint, and `otherwise` the standard action.
Program by_libseccomp(const Profile& profile) {
    const std::unique_ptr<void, decltype(&seccomp_release)> context(seccomp_init(encoded(profile.standard)),
                                                                    &seccomp_release);
    EXPECT_EQ(seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH, encoded(profile.foreign)), 0);
    EXPECT_EQ(seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2), 0);
    for (const auto& [number, call] : profile.calls) {
        if (call.rules.empty() && call.otherwise != profile.standard) {
            EXPECT_EQ(
                seccomp_rule_add_array(context.get(), encoded(call.otherwise), static_cast<int>(number), 0, nullptr),
                0);
        }
        for (const auto& rule : call.rules) {
            std::vector<scmp_arg_cmp> arguments;
            for (const auto& condition : rule.conditions) {
                constexpr std::array<scmp_compare, 7> kOperations{
                    SCMP_CMP_NE, SCMP_CMP_LT, SCMP_CMP_LE, SCMP_CMP_EQ, SCMP_CMP_GE, SCMP_CMP_GT, SCMP_CMP_MASKED_EQ};
                const bool masked = condition.compare == Compare::masked_equal;
                arguments.push_back({condition.argument, kOperations[static_cast<std::size_t>(condition.compare)],
                                     masked ? condition.mask : condition.value, masked ? condition.value : 0});
            }
            EXPECT_EQ(seccomp_rule_add_array(context.get(), encoded(rule.action), static_cast<int>(number),
                                             static_cast<unsigned>(arguments.size()), arguments.data()),
                      0);
        }
    }
    std::FILE* const file = std::tmpfile();
    EXPECT_EQ(seccomp_export_bpf(context.get(), ::fileno(file)), 0);
    std::rewind(file);
    Program out(BPF_MAXINSNS);
    out.resize(std::fread(out.data(), sizeof(sock_filter), out.size(), file));
    std::fclose(file);
    return out;
}

TEST(Compile, AgreesWithLibseccompOnEveryNumber) {
    auto profile = default_profile(IoUring::refused);
    std::erase_if(profile.calls, [](const auto& entry) { return !entry.second.rules.empty(); });
    const auto ours = compile(profile);
    ASSERT_TRUE(ours);
    const auto theirs = by_libseccomp(profile);
    EXPECT_LT(ours->size() * 2, theirs.size()) << "why there is a compiler of our own";
    for (const std::uint32_t architecture : {kArchitecture, kI386, 0U})
        for (const std::uint32_t base : {0U, kX32Bit, 0x80000000U, 0xffffffffU - kLastAsked})
            for (std::uint32_t number = 0; number <= kLastAsked; ++number) {
                auto call = call_of(base + number);
                call.arch = architecture;
                EXPECT_EQ(squish::test::evaluate(*ours, call), squish::test::evaluate(theirs, call))
                    << std::hex << architecture << " " << base + number;
            }
}

TEST(Compile, AgreesWithLibseccompOnArguments) {
    Random random(2); // NOLINT(cert-msc32-c,cert-msc51-cpp)
    for (int compare = 0; compare < 7; ++compare)
        for (int i = 0; i < 40; ++i) {
            auto profile = startable(refuse_with(EPERM));
            Condition condition = any_condition(random);
            condition.compare = static_cast<Compare>(compare);
            condition.width = Width::whole64;
            if (condition.compare == Compare::masked_equal)
                condition.value &= condition.mask;
            else
                condition.mask = ~0ULL;
            profile.calls[41] = {{{{condition}, kAllow}}, profile.standard};
            const auto ours = compile(profile);
            ASSERT_TRUE(ours);
            const auto theirs = by_libseccomp(profile);
            for (int tries = 0; tries < 50; ++tries) {
                auto call = near(profile.calls[41], random);
                call.nr = 41;
                EXPECT_EQ(squish::test::evaluate(*ours, call), squish::test::evaluate(theirs, call))
                    << "compare " << compare << " value " << std::hex << condition.value << " mask " << condition.mask
                    << " argument " << call.args[condition.argument];
            }
        }
}

} // namespace

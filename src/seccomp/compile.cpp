#include "seccomp/compile.h"

#include "seccomp/names.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <string>
#include <utility>

namespace squish::seccomp {

namespace {

static_assert(std::endian::native == std::endian::little, "where the halves of an argument are");

constexpr std::size_t kFarthest = 255; // jt and jf are one byte

// What happens to the calls from `first` up to the next range.
struct Range {
    std::uint32_t first = 0;
    Call call;
};

// The rules that can come to anything.
Call simplified(Call call) {
    const auto certain = std::ranges::find_if(call.rules, [](const Rule& rule) { return rule.conditions.empty(); });
    if (certain != call.rules.end()) {
        call.otherwise = certain->action;
        call.rules.erase(certain, call.rules.end());
    }
    while (!call.rules.empty() && call.rules.back().action == call.otherwise)
        call.rules.pop_back();
    return call;
}

std::vector<Range> ranges_of(const Profile& profile) {
    const Call standard{{}, profile.standard};
    std::vector<Range> out{{0, standard}};
    const auto begin = [&](std::uint32_t first, const Call& call) {
        if (out.back().first == first)
            out.back().call = call;
        else
            out.push_back({first, call});
        // Neighbours with rules stay apart: a range with rules is one number.
        if (out.size() > 1 && call.rules.empty() && out[out.size() - 2].call == call)
            out.pop_back();
    };
    for (const auto& [number, call] : profile.calls) {
        begin(number, simplified(call));
        begin(number + 1, standard);
    }
#if defined(__x86_64__)
    begin(kX32Bit, Call{{}, profile.foreign});
    begin(~std::uint32_t{0}, standard);
#endif
    return out;
}

// Instructions in reverse; a place is the index of one, the later the earlier in the program.
class Backwards {
public:
    using Place = std::size_t;

    Place answer(Action action) {
        const auto code = encoded(action);
        for (std::size_t back = 0; back < kFarthest / 2 && back < code_.size(); ++back) {
            const auto place = code_.size() - 1 - back;
            if (code_[place].code == (BPF_RET | BPF_K) && code_[place].k == code)
                return place;
        }
        return put(BPF_STMT(BPF_RET | BPF_K, code));
    }
    Place jump(std::uint16_t operation, std::uint32_t value, Place if_true, Place if_false) {
        while (distance(if_true) > kFarthest || distance(if_false) > kFarthest) {
            auto& far = distance(if_true) > kFarthest ? if_true : if_false;
            far = stepping_stone(far);
        }
        return put(BPF_JUMP(static_cast<std::uint16_t>(BPF_JMP | operation | BPF_K), value,
                            static_cast<std::uint8_t>(distance(if_true)),
                            static_cast<std::uint8_t>(distance(if_false))));
    }
    // These fall through to what was written before them.
    Place load(std::size_t offset) {
        return put(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset)));
    }
    Place mask(std::uint32_t bits) { return put(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, bits)); }

    // What is written next falls through to `target`.
    void lead_to(Place target) {
        if (target + 1 != code_.size())
            stepping_stone(target);
    }

    [[nodiscard]] std::size_t size() const { return code_.size(); }
    [[nodiscard]] Program program() const { return {code_.rbegin(), code_.rend()}; }

private:
    [[nodiscard]] std::size_t distance(Place target) const { return code_.size() - 1 - target; }
    Place put(sock_filter instruction) {
        code_.push_back(instruction);
        return code_.size() - 1;
    }
    Place stepping_stone(Place target) {
        if (code_[target].code == (BPF_RET | BPF_K))
            return put(code_[target]);
        return put(BPF_STMT(BPF_JMP | BPF_JA, static_cast<std::uint32_t>(distance(target))));
    }

    Program code_;
};

using Place = Backwards::Place;

std::size_t low_half(std::uint32_t argument) {
    return offsetof(seccomp_data, args) + argument * sizeof(std::uint64_t);
}

// One half of an argument against one half of a value.
struct Half {
    std::size_t offset;
    std::uint32_t value, mask;
};

Place test_half(Backwards& code, std::uint16_t operation, const Half& half, Place if_true, Place if_false) {
    code.jump(operation, half.value, if_true, if_false);
    if (half.mask != ~std::uint32_t{0})
        code.mask(half.mask);
    return code.load(half.offset);
}

// `operation` (BPF_JGT or BPF_JGE) on all 64 bits: the high half decides unless it is equal.
Place test_order(Backwards& code, std::uint16_t operation, const Half& high, const Half& low, Place if_true,
                 Place if_false) {
    const auto lower = test_half(code, operation, low, if_true, if_false);
    const auto equal = code.jump(BPF_JEQ, high.value, lower, if_false);
    code.jump(BPF_JGT, high.value, if_true, equal);
    return code.load(high.offset);
}

Place test_equal(Backwards& code, const Condition& condition, const Half& high, const Half& low, Place if_true,
                 Place if_false) {
    const auto lower = test_half(code, BPF_JEQ, low, if_true, if_false);
    const bool high_counts = condition.width == Width::whole64 && (high.mask != 0 || high.value != 0);
    return high_counts ? test_half(code, BPF_JEQ, high, lower, if_false) : lower;
}

Place test(Backwards& code, const Condition& condition, Place if_true, Place if_false) {
    const bool masked = condition.compare == Compare::masked_equal;
    const auto half = [&](unsigned shift) {
        return Half{low_half(condition.argument) + shift / 8, static_cast<std::uint32_t>(condition.value >> shift),
                    masked ? static_cast<std::uint32_t>(condition.mask >> shift) : ~std::uint32_t{0}};
    };
    const auto low = half(0), high = half(32);
    const auto order = [&](std::uint16_t operation, Place yes, Place no) {
        return condition.width == Width::whole64 ? test_order(code, operation, high, low, yes, no)
                                                 : test_half(code, operation, low, yes, no);
    };
    switch (condition.compare) {
    case Compare::equal:
    case Compare::masked_equal:
        return test_equal(code, condition, high, low, if_true, if_false);
    case Compare::not_equal:
        return test_equal(code, condition, high, low, if_false, if_true);
    case Compare::greater:
        return order(BPF_JGT, if_true, if_false);
    case Compare::greater_or_equal:
        return order(BPF_JGE, if_true, if_false);
    case Compare::less:
        return order(BPF_JGE, if_false, if_true);
    case Compare::less_or_equal:
        return order(BPF_JGT, if_false, if_true);
    }
    std::unreachable();
}

Place write_call(Backwards& code, const Call& call) {
    Place next = code.answer(call.otherwise);
    for (auto rule = call.rules.rbegin(); rule != call.rules.rend(); ++rule) {
        Place holds = code.answer(rule->action);
        for (auto condition = rule->conditions.rbegin(); condition != rule->conditions.rend(); ++condition)
            holds = test(code, *condition, holds, next);
        next = holds;
    }
    return next;
}

// The depth is the logarithm of the number of ranges.
Place write_tree(Backwards& code, const std::vector<Range>& ranges, std::size_t first, std::size_t last) {
    if (first == last)
        return write_call(code, ranges[first].call);
    const auto middle = first + (last - first + 1) / 2;
    const auto lower = write_tree(code, ranges, first, middle - 1);
    const auto upper = write_tree(code, ranges, middle, last);
    return code.jump(BPF_JGE, ranges[middle].first, upper, lower);
}

Result<void> check_startable(const Profile& profile) {
    for (const auto* name : {"execve", "write", "exit_group"}) {
        const auto found = profile.calls.find(find_call(name).number);
        const auto call = found == profile.calls.end() ? Call{{}, profile.standard} : simplified(found->second);
        const auto kind = call.otherwise.kind;
        if (!call.rules.empty() || (kind != Action::Kind::allow && kind != Action::Kind::log))
            return fail(ErrorKind::invalid,
                        "under this seccomp profile no payload can be started: '" + std::string(name) +
                            "' is not allowed",
                        "allow execve, write and exit_group without conditions: squish-init needs them to start the "
                        "payload, or to say why it cannot");
    }
    return {};
}

} // namespace

Result<Program> compile(const Profile& profile) {
    TRY(check_startable(profile));
    const auto ranges = ranges_of(profile);
    Backwards code;
    const auto tree = write_tree(code, ranges, 0, ranges.size() - 1);
    code.lead_to(tree);
    const auto ours = code.load(offsetof(seccomp_data, nr));
    const auto foreign = code.answer(profile.foreign);
    code.jump(BPF_JEQ, kArchitecture, ours, foreign);
    code.load(offsetof(seccomp_data, arch));
    if (code.size() > BPF_MAXINSNS)
        return fail(ErrorKind::invalid,
                    "the seccomp profile is too large: " + std::to_string(code.size()) +
                        " instructions, the kernel takes " + std::to_string(BPF_MAXINSNS),
                    "use fewer rules on arguments");
    return code.program();
}

} // namespace squish::seccomp

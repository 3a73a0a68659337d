// Sets of CPUs as the kernel writes them: bitmap_print_to_pagebuf(), lib/bitmap.c.
#include "procfs/cpu_lists.h"

#include "procfs/reading.h"
#include "procfs/tree.h"

#include "base/text.h"

#include <algorithm>

namespace squish::procfs {

namespace {

constexpr std::size_t kDigitBits = 4;
constexpr std::size_t kGroupDigits = 8;
constexpr std::size_t kMostBits = 8192; // the largest CONFIG_NR_CPUS there is

std::size_t bits_needed(const CpuSet& cpus) {
    auto bits = cpus.size();
    while (bits > 1 && !cpus.test(bits - 1))
        --bits;
    return bits;
}

std::optional<unsigned> hex_value(char digit) {
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return std::nullopt;
}

} // namespace

std::string cpu_list(const CpuSet& cpus) {
    std::string out;
    for (std::size_t cpu = 0; cpu < cpus.size(); ++cpu) {
        if (!cpus.test(cpu))
            continue;
        const auto first = cpu;
        while (cpu + 1 < cpus.size() && cpus.test(cpu + 1))
            ++cpu;
        if (!out.empty())
            out += ',';
        append_number(out, first);
        if (cpu != first) {
            out += '-';
            append_number(out, cpu);
        }
    }
    return out;
}

std::string cpu_mask(const CpuSet& cpus, std::size_t bits) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    bits = std::clamp(bits, bits_needed(cpus), kMostBits);
    std::string out;
    for (auto digit = (bits + kDigitBits - 1) / kDigitBits; digit-- > 0;) {
        unsigned value = 0;
        for (std::size_t bit = 0; bit < kDigitBits; ++bit)
            if (const auto cpu = digit * kDigitBits + bit; cpu < cpus.size() && cpus.test(cpu))
                value |= 1U << bit;
        out += kDigits[value];
        if (digit != 0 && digit % kGroupDigits == 0)
            out += ',';
    }
    return out;
}

CpuSet parse_cpu_list(std::string_view text) {
    CpuSet cpus;
    text = trim(text);
    if (text.empty())
        return cpus;
    while (true) {
        const auto part = text.substr(0, text.find(','));
        const auto dash = part.find('-');
        const auto first = read_number(part.substr(0, dash));
        const auto last = dash == std::string_view::npos ? first : read_number(part.substr(dash + 1));
        if (!first || !last || *first > *last)
            return {};
        for (auto cpu = *first; cpu <= *last && cpu < cpus.size(); ++cpu)
            cpus.set(cpu);
        if (part.size() == text.size())
            return cpus;
        text.remove_prefix(part.size() + 1);
    }
}

Mask parse_cpu_mask(std::string_view text) {
    Mask mask;
    text = trim(text);
    for (auto digit = text.rbegin(); digit != text.rend(); ++digit) {
        if (*digit == ',')
            continue;
        const auto value = hex_value(*digit);
        if (!value || mask.bits >= kMostBits)
            return {};
        for (std::size_t bit = 0; bit < kDigitBits; ++bit)
            if ((*value >> bit & 1U) != 0 && mask.bits + bit < mask.cpus.size())
                mask.cpus.set(mask.bits + bit);
        mask.bits += kDigitBits;
    }
    return mask;
}

} // namespace squish::procfs

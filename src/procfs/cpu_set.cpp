#include "procfs/cpu_set.h"

#include "base/text.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace squish::procfs {

namespace {

constexpr std::size_t kWordBits = 32;

void sort_once(CpuSet& cpus) {
    std::ranges::sort(cpus);
    const auto rest = std::ranges::unique(cpus);
    cpus.erase(rest.begin(), rest.end());
}

} // namespace

std::optional<CpuSet> parse_cpu_list(std::string_view text) {
    text = trim(text);
    CpuSet out;
    if (text.empty())
        return out;
    const auto ranges = split(text, ',');
    if (ranges.size() > kMaxCpus)
        return std::nullopt;
    for (const auto range : ranges) {
        const auto dash = range.find('-');
        const auto first = parse_number(range.substr(0, dash));
        const auto last = dash == std::string_view::npos ? first : parse_number(range.substr(dash + 1));
        if (!first || !last || *first > *last || *last >= kMaxCpus)
            return std::nullopt;
        for (auto cpu = *first; cpu <= *last; ++cpu)
            out.push_back(static_cast<std::uint32_t>(cpu));
        if (out.size() > std::size_t{2} * kMaxCpus) // overlapping ranges
            sort_once(out);
    }
    sort_once(out);
    return out;
}

std::string format_cpu_list(const CpuSet& cpus) {
    std::string out;
    for (std::size_t i = 0; i < cpus.size();) {
        std::size_t last = i;
        while (last + 1 < cpus.size() && cpus[last + 1] == cpus[last] + 1)
            ++last;
        if (!out.empty())
            out += ',';
        out += std::to_string(cpus[i]);
        if (last > i)
            out += "-" + std::to_string(cpus[last]);
        i = last + 1;
    }
    return out;
}

std::optional<CpuSet> parse_cpu_mask(std::string_view text) {
    text = trim(text);
    CpuSet out;
    const auto parts = split(text, ',');
    if (parts.size() > kMaxCpus / kWordBits)
        return std::nullopt;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const auto part = parts[parts.size() - 1 - i];
        std::uint32_t word = 0;
        const auto* const stop = part.data() + part.size();
        const auto [end, error] = std::from_chars(part.data(), stop, word, 16);
        if (part.empty() || part.size() > kWordBits / 4 || error != std::errc{} || end != stop)
            return std::nullopt;
        for (std::uint32_t bit = 0; bit < kWordBits; ++bit)
            if (word >> bit & 1U)
                out.push_back(static_cast<std::uint32_t>(i * kWordBits) + bit);
    }
    return out;
}

std::string format_cpu_mask(const CpuSet& cpus, std::string_view like) {
    constexpr std::string_view kHex = "0123456789abcdef";
    std::string out(trim(like));
    std::uint32_t nibble = 0;
    for (auto at = out.rbegin(); at != out.rend(); ++at) {
        if (*at == ',')
            continue;
        std::uint32_t digit = 0;
        for (std::uint32_t bit = 0; bit < 4; ++bit)
            digit |= (has_cpu(cpus, nibble * 4 + bit) ? 1U : 0U) << bit;
        *at = kHex[digit];
        ++nibble;
    }
    return out;
}

bool has_cpu(const CpuSet& cpus, std::uint64_t cpu) {
    return cpu < kMaxCpus && std::ranges::binary_search(cpus, cpu);
}

CpuSet common_cpus(const CpuSet& a, const CpuSet& b) {
    CpuSet out;
    std::ranges::set_intersection(a, b, std::back_inserter(out));
    return out;
}

} // namespace squish::procfs

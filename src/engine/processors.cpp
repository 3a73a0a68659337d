#include "engine/processors.h"

#include "base/text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <sched.h>

namespace squish {

Processors choose_processors(const Processors& allowed, double cpus, const std::vector<unsigned>& load) {
    const auto wanted = static_cast<std::size_t>(std::max(1.0, std::ceil(cpus)));
    if (wanted >= allowed.count())
        return allowed;
    std::vector<std::size_t> order;
    for (std::size_t cpu = 0; cpu < allowed.size(); ++cpu)
        if (allowed[cpu])
            order.push_back(cpu);
    std::ranges::stable_sort(order, {}, [&](std::size_t cpu) { return cpu < load.size() ? load[cpu] : 0U; });
    Processors out;
    for (std::size_t i = 0; i < wanted; ++i)
        out.set(order[i]);
    return out;
}

Processors parse_processors(std::string_view list) {
    Processors out;
    for (const auto part : split(trim(list), ',')) {
        const auto dash = part.find('-');
        const auto first = parse_number(part.substr(0, dash));
        const auto last = dash == std::string_view::npos ? first : parse_number(part.substr(dash + 1));
        if (!first || !last || *last < *first)
            return {};
        for (auto cpu = *first; cpu <= *last && cpu < kMaxProcessors; ++cpu)
            out.set(cpu);
    }
    return out;
}

std::string affinity_text(const Processors& processors) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string out;
    for (std::size_t byte = 0; byte < kMaxProcessors / 8; ++byte) {
        unsigned value = 0;
        for (std::size_t bit = 0; bit < 8; ++bit)
            value |= processors[8 * byte + bit] ? 1U << bit : 0U;
        out += kDigits[value >> 4];
        out += kDigits[value & 15];
    }
    const auto last = out.find_last_not_of('0');
    return last == std::string::npos ? std::string() : out.substr(0, (last / 2 + 1) * 2);
}

Processors own_processors() {
    std::array<unsigned long, kMaxProcessors / (8 * sizeof(unsigned long))> words{};
    Processors out;
    if (::sched_getaffinity(0, sizeof words, reinterpret_cast<cpu_set_t*>(words.data())) < 0) {
        out.set(0); // a machine with more CPUs than this knows of
        return out;
    }
    constexpr std::size_t kBits = 8 * sizeof(unsigned long);
    for (std::size_t cpu = 0; cpu < kMaxProcessors; ++cpu)
        out[cpu] = (words[cpu / kBits] >> (cpu % kBits) & 1) != 0;
    return out;
}

} // namespace squish

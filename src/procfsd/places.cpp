#include "procfsd/places.h"

#include <algorithm>
#include <array>

namespace squish::procfsd {

namespace {

// Only ever added to, at the end.
constexpr std::string_view kPatterns[] = {
    "",
    "proc",
    "cpu",
    "node",
    "proc/meminfo",
    "proc/cpuinfo",
    "proc/stat",
    "proc/uptime",
    "proc/loadavg",
    "proc/swaps",
    "proc/diskstats",
    "proc/vmstat",
    "proc/slabinfo",
    "proc/version",
    "proc/pressure",
    "proc/pressure/cpu",
    "proc/pressure/memory",
    "proc/pressure/io",
    "cpu/online",
    "cpu/possible",
    "cpu/present",
    "cpu/offline",
    "cpu/isolated",
    "cpu/kernel_max",
    "cpu/cpu#",
    "cpu/cpu#/online",
    "cpu/cpu#/topology",
    "cpu/cpu#/topology/core_id",
    "cpu/cpu#/topology/physical_package_id",
    "cpu/cpu#/topology/die_id",
    "cpu/cpu#/topology/cluster_id",
    "cpu/cpu#/topology/core_cpus",
    "cpu/cpu#/topology/core_cpus_list",
    "cpu/cpu#/topology/core_siblings",
    "cpu/cpu#/topology/core_siblings_list",
    "cpu/cpu#/topology/thread_siblings",
    "cpu/cpu#/topology/thread_siblings_list",
    "cpu/cpu#/topology/package_cpus",
    "cpu/cpu#/topology/package_cpus_list",
    "cpu/cpu#/topology/die_cpus",
    "cpu/cpu#/topology/die_cpus_list",
    "cpu/cpu#/topology/cluster_cpus",
    "cpu/cpu#/topology/cluster_cpus_list",
    "cpu/cpu#/cache",
    "cpu/cpu#/cache/index#",
    "cpu/cpu#/cache/index#/coherency_line_size",
    "cpu/cpu#/cache/index#/id",
    "cpu/cpu#/cache/index#/level",
    "cpu/cpu#/cache/index#/number_of_sets",
    "cpu/cpu#/cache/index#/physical_line_partition",
    "cpu/cpu#/cache/index#/shared_cpu_list",
    "cpu/cpu#/cache/index#/shared_cpu_map",
    "cpu/cpu#/cache/index#/size",
    "cpu/cpu#/cache/index#/type",
    "cpu/cpu#/cache/index#/ways_of_associativity",
    "node/online",
    "node/possible",
    "node/has_cpu",
    "node/has_memory",
    "node/has_normal_memory",
    "node/node#",
    "node/node#/meminfo",
    "node/node#/cpulist",
    "node/node#/cpumap",
    "node/node#/distance",
    "cpu/cpu#/topology/book_id",
    "cpu/cpu#/topology/drawer_id",
    "cpu/cpu#/topology/book_siblings",
    "cpu/cpu#/topology/book_siblings_list",
    "cpu/cpu#/topology/drawer_siblings",
    "cpu/cpu#/topology/drawer_siblings_list",
    "cpu/cpu#/cache/index#/allocation_policy",
    "cpu/cpu#/cache/index#/write_policy",
};
static_assert(std::size(kPatterns) <= 1024);

constexpr std::array<std::uint64_t, 2> kMost = {1023, 15};

std::optional<Place> match(std::string_view pattern, std::string_view path) {
    std::array<std::uint64_t, 2> numbers{};
    std::size_t count = 0;
    for (const char c : pattern) {
        if (c == '#') {
            const auto number = take_number(path, kMost[count]);
            if (!number)
                return std::nullopt;
            numbers[count++] = *number;
        } else {
            if (!path.starts_with(c))
                return std::nullopt;
            path.remove_prefix(1);
        }
    }
    if (!path.empty())
        return std::nullopt;
    return static_cast<Place>(numbers[0] << 4 | numbers[1]);
}

} // namespace

std::span<const std::string_view> patterns() {
    return kPatterns;
}

std::optional<std::uint64_t> take_number(std::string_view& text, std::uint64_t most) {
    std::uint64_t number = 0;
    std::size_t digits = 0;
    for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits) {
        number = number * 10 + static_cast<std::uint64_t>(text[digits] - '0');
        if (number > most || (digits == 1 && text[0] == '0'))
            return std::nullopt;
    }
    if (digits == 0)
        return std::nullopt;
    text.remove_prefix(digits);
    return number;
}

std::optional<Place> place_of(std::string_view path) {
    for (std::uint32_t i = 0; i < std::size(kPatterns); ++i)
        if (const auto numbers = match(kPatterns[i], path))
            return i << 14 | *numbers;
    return std::nullopt;
}

std::optional<std::string> path_of(Place place) {
    if (pattern_of(place) >= std::size(kPatterns))
        return std::nullopt;
    const auto pattern = kPatterns[pattern_of(place)];
    const std::array<Place, 2> numbers = {place >> 4 & 1023, place & 15};
    std::string path;
    std::size_t count = 0;
    for (const char c : pattern) {
        if (c == '#')
            path += std::to_string(numbers[count++]);
        else
            path += c;
    }
    if (std::any_of(numbers.begin() + count, numbers.end(), [](Place number) { return number != 0; }))
        return std::nullopt; // one path, one place
    return path;
}

} // namespace squish::procfsd

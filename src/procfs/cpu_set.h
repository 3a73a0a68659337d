// Sets of CPU numbers as the kernel writes them: lists ("0-2,5") and masks ("ff,00000001").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace squish::procfs {

// CPU numbers in rising order, each once.
using CpuSet = std::vector<std::uint32_t>;

// CPU numbers are below this (CONFIG_NR_CPUS is at most 8192): it limits what "0-4294967295" makes us hold.
inline constexpr std::uint32_t kMaxCpus = 8192;

// The "list format" of cpuset(7). Empty text is the empty set; nothing where the text is no list.
[[nodiscard]] std::optional<CpuSet> parse_cpu_list(std::string_view text);
[[nodiscard]] std::string format_cpu_list(const CpuSet& cpus);

// The "mask format" of cpuset(7): words of 32 bits in hexadecimal, the highest first.
[[nodiscard]] std::optional<CpuSet> parse_cpu_mask(std::string_view text);
// As wide as `like`, which is a mask.
[[nodiscard]] std::string format_cpu_mask(const CpuSet& cpus, std::string_view like);

[[nodiscard]] bool has_cpu(const CpuSet& cpus, std::uint64_t cpu);
[[nodiscard]] CpuSet common_cpus(const CpuSet& a, const CpuSet& b);

} // namespace squish::procfs

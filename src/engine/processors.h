// Which CPUs a container runs on, where it may use fewer than there are. Pure.
//
// A program finds out how many threads are of use by sched_getaffinity(2), whatever a quota says; so a container with
// `cpus = 1.5` gets two CPUs to run on, and its view shows these two. They are spread: each container gets those that
// the fewest others are bound to.
#pragma once

#include "base/result.h"

#include <bitset>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace squish {

inline constexpr std::size_t kMaxProcessors = 1024;
using Processors = std::bitset<kMaxProcessors>;

// Of `allowed`, as many as `cpus` needs (rounded up), those with the least `load` (how many containers are bound to
// each) first, lower numbers first. All of them where that is as many as there are.
[[nodiscard]] Processors choose_processors(const Processors& allowed, double cpus, const std::vector<unsigned>& load);

// "0-2,5"; bits beyond kMaxProcessors are left out. What is no list is empty.
[[nodiscard]] Processors parse_processors(std::string_view list);

// As launch::StepKind::affinity and sched_setaffinity(2) take them: bytes from the lowest CPUs on, two hexadecimal
// digits each. Empty for none.
[[nodiscard]] std::string affinity_text(const Processors& processors);

// Those that we may run on ourselves (sched_getaffinity(2)).
[[nodiscard]] Processors own_processors();

} // namespace squish

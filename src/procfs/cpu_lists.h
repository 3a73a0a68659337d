// What procfs/tree.h says of lists and masks, and what only the tree needs.
#pragma once

#include "procfs/view.h"

#include <string_view>

namespace squish::procfs {

struct Mask {
    CpuSet cpus;
    std::size_t bits = 0; // how wide it is written
};
[[nodiscard]] Mask parse_cpu_mask(std::string_view text); // what is not a mask is empty

} // namespace squish::procfs

// The floor: what starting a container costs when nothing but the kernel's own work is left.
#pragma once

#include <cstdint>

namespace squish::bench {

enum class FloorNetwork { shared, own };

// One start: a process in new namespaces, on `rootfs` read-only, with a /proc and a /dev of its own, executes `program`
// (a path within `rootfs`) and is reaped. `rootfs` is absolute and holds the folders /proc and /dev.
// Returns nanoseconds from before clone3(2) to after waitid(2). Whatever fails ends the process with a message: a
// benchmark has nobody to hand an error to.
[[nodiscard]] std::uint64_t start_on_the_floor(const char* rootfs, const char* program, FloorNetwork network);

} // namespace squish::bench

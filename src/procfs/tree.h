// The folders /sys/devices/system/cpu and /sys/devices/system/node of a view: which entries there are, which file of
// the host each is, and what is shown of it. Pure: the host's folder is listed by the caller.
//
//   cpu/{online,possible,present,offline,isolated,kernel_max}, cpu/cpuN/ for every CPU that is shown, with online,
//   topology/ and cache/indexM/; node/{online,possible,has_cpu,has_memory,has_normal_memory}, and one node/node0/ with
//   meminfo, cpulist, cpumap, distance, whatever nodes the host has. Nothing else of the host's folders.
#pragma once

#include "procfs/files.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace squish::procfs {

// A place in a view, below its folder: "cpu/cpu3/topology/core_id".
struct Node {
    enum class Kind { folder, file };
    Kind kind = Kind::file;
    // What of the host it is: where the host has nothing there, neither has the view. Of a file, what its text comes
    // from; "" where it is made from the view alone.
    std::string host_path;
    std::uint32_t needs = 0;
};

// What is at `path`; none where nothing is. `path` is anything a container can ask for.
[[nodiscard]] std::optional<Node> find(std::string_view path, const View& view);
// The names in a folder, in order; without those whose file the host does not have, which only the caller knows.
[[nodiscard]] std::vector<std::string> list(std::string_view path, const View& view);
// The text of a file of cpu/ or node/.
[[nodiscard]] std::string render(std::string_view path, std::string_view host, const View& view);

// "0-2,5" and the kernel's masks "00000000,0000002f" (cpumask(9)): as the kernel writes them.
[[nodiscard]] std::string cpu_list(const CpuSet& cpus);
[[nodiscard]] std::string cpu_mask(const CpuSet& cpus, std::size_t bits);
[[nodiscard]] CpuSet parse_cpu_list(std::string_view text); // what is not a list is empty

} // namespace squish::procfs

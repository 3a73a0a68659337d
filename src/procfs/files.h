// The files that a container is shown instead of the host's, and how each is made: one pure function from the host's
// text and what is known of the container to the text that is read. A host's text may be anything (another kernel's,
// empty, cut off): the result is always what a program can read, and names nothing of the host but what
// docs/procfs.md lists.
//
// How a file comes to be
//   Every file is a row of kFiles: its path in a view, the host's file that it starts from (empty: none), what of the
//   container it needs to be known (so that nothing is collected that is not shown), and its function. Folders for CPUs
//   and nodes are a tree that depends on the CPUs shown (procfs/tree.h).
#pragma once

#include "procfs/view.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace squish::procfs {

// What is collected of the container before the function is called, a sum.
enum Needs : std::uint32_t {
    kNothing = 0,
    kMemory = 1,    // Usage: the memory figures
    kCpu = 2,       // Usage: cpu_user_us, cpu_system_us
    kTasks = 4,     // Usage: tasks, running, blocked; Own::last_pid
    kDevices = 8,   // Own::devices
    kLoad = 16,     // Own::load
    kPressure = 32, // Own::pressure_*
};

using Render = std::string (*)(std::string_view host, const View& view);

struct File {
    const char* path;      // in a view: "proc/meminfo"
    const char* host_path; // "/proc/meminfo"; "" where the host's text is of no use
    std::uint32_t needs;
    Render render;
};

// Files in the order of the documentation. Those in `cpu/` and `node/` are in procfs/tree.h.
[[nodiscard]] std::span<const File> files();

// proc(5), Documentation/filesystems/proc.rst; the formats of Linux 5.10 to 6.17.
[[nodiscard]] std::string meminfo(std::string_view host, const View& view);
[[nodiscard]] std::string cpuinfo(std::string_view host, const View& view);
[[nodiscard]] std::string stat(std::string_view host, const View& view);
[[nodiscard]] std::string uptime(std::string_view host, const View& view);
[[nodiscard]] std::string loadavg(std::string_view host, const View& view);
[[nodiscard]] std::string swaps(std::string_view host, const View& view);
[[nodiscard]] std::string diskstats(std::string_view host, const View& view);
[[nodiscard]] std::string vmstat(std::string_view host, const View& view);
[[nodiscard]] std::string slabinfo(std::string_view host, const View& view);
[[nodiscard]] std::string version(std::string_view host, const View& view);
// Documentation/accounting/psi.rst
[[nodiscard]] std::string pressure_cpu(std::string_view host, const View& view);
[[nodiscard]] std::string pressure_memory(std::string_view host, const View& view);
[[nodiscard]] std::string pressure_io(std::string_view host, const View& view);

// What sysinfo(2) says: of the same source as meminfo(), loadavg() and uptime(), and equal to them. Bytes; loads in
// 1/65536 (SI_LOAD_SHIFT).
struct SystemInfo {
    std::uint64_t uptime_s = 0;
    std::array<std::uint64_t, 3> loads{};
    std::uint64_t total = 0, free = 0, shared = 0, buffers = 0, total_swap = 0, free_swap = 0;
    std::uint64_t processes = 0;
};
[[nodiscard]] SystemInfo system_info(std::string_view host_meminfo, std::string_view host_loadavg, const View& view);
inline constexpr std::uint32_t kSystemInfoNeeds = kMemory | kTasks | kLoad;

} // namespace squish::procfs

#include "procfs/files.h"

namespace squish::procfs {

std::span<const File> files() {
    static constexpr File kFiles[] = {
        {"proc/meminfo", "/proc/meminfo", kMemory, meminfo},
        {"proc/cpuinfo", "/proc/cpuinfo", kNothing, cpuinfo},
        {"proc/stat", "/proc/stat", kCpu | kTasks, stat},
        {"proc/uptime", "/proc/uptime", kCpu, uptime},
        {"proc/loadavg", "/proc/loadavg", kLoad | kTasks, loadavg},
        {"proc/swaps", "/proc/swaps", kMemory, swaps},
        {"proc/diskstats", "/proc/diskstats", kDevices, diskstats},
        {"proc/vmstat", "/proc/vmstat", kMemory, vmstat},
        {"proc/slabinfo", "", kNothing, slabinfo},
        {"proc/version", "/proc/version", kNothing, version},
        {"proc/pressure/cpu", "/proc/pressure/cpu", kPressure, pressure_cpu},
        {"proc/pressure/memory", "/proc/pressure/memory", kPressure, pressure_memory},
        {"proc/pressure/io", "/proc/pressure/io", kPressure, pressure_io},
    };
    return kFiles;
}

} // namespace squish::procfs

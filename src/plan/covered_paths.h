// What a container does not get to see, or to write, of the kernel's own filesystems. Paths beneath /proc and /sys;
// what a kernel does not have needs no cover.
//
// The kernel's permissions shut most of these to a container's root, who is nobody to the host. They are covered all
// the same: a file's mode is one bug away from the data, a mount is another wall. Names as in the runtimes that came
// before (Docker's and Podman's MaskedPaths), and those that have come since.
#pragma once

#include <array>
#include <utility>

namespace squish::plan {

inline constexpr std::array kMaskedProc{
    "acpi",          // machine state; acpi/wakeup can be written
    "asound",        // what sound the host plays
    "interrupts",    // when the host's keys are pressed
    "kcore",         // the kernel's memory
    "key-users",     // whose keys there are: ids of the host
    "keys",          // the keys of the user that the container's root is
    "kmsg",          // the kernel's log
    "latency_stats", // where the host's processes wait
    "sched_debug",   // every process of the host by name
    "scsi",          // disks; scsi/scsi removes them
    "sysrq-trigger", // the machine's reset
    "timer_list",    // addresses in the kernel, processes of the host
    "timer_stats",   // as above
};
// Shown, since programs read them; not written, whatever the mode of a file says.
inline constexpr std::array kFrozenProc{"bus", "fs", "irq", "sys"};

inline constexpr std::array kMaskedSys{
    "devices/virtual/powercap", // how much power the processor takes: a side channel to its keys (PLATYPUS)
    "firmware",                 // tables, variables, serial numbers
};
// Filesystems of their own, which only the host's /sys has (network mode "host").
inline constexpr std::array kMaskedHostSys{"fs/bpf", "kernel/config", "kernel/debug", "kernel/security",
                                           "kernel/tracing"};

// Shown as the container's own where it has a view (procfs/files.h): over the kernel's.
inline constexpr std::array kShownProc{"cpuinfo", "diskstats", "loadavg", "meminfo", "pressure", "slabinfo",
                                       "stat",    "swaps",     "uptime",  "version", "vmstat"};
// Beneath /sys, and in the view.
inline constexpr std::array kShownSys{std::pair{"devices/system/cpu", "cpu"}, std::pair{"devices/system/node", "node"}};

} // namespace squish::plan

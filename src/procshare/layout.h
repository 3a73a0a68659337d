// The memory that squishd, squish-procfs and squish-sysinfo share: what there is to be shown, of every container.
//
// How this works
//   Two kinds of memfd, which the keeper holds, so that they outlive everybody who maps them.
//   The *table* is written by squishd alone and mapped read-only by the servers: an entry for each cell, from before
//   its init runs its prelude until its last process is gone. An entry holds its facts twice: squishd writes those that
//   nobody reads and then says by the sequence number that they hold. A reader copies and looks again. So the servers
//   need no message, squishd waits for nobody, and a squishd that was killed while it wrote leaves what held before.
//   A *workbook* is one server's own (procshare/workbook.h): what it had in hand, so that the next server can go on
//   where it was killed.
//   Whoever reads trusts nothing of it: every index and size is checked against the bounds below.
//   A view is known by its key, index + kMaxViews * serial: an index is used again, a key never.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace squish::procshare {

inline constexpr std::uint64_t kTableMagic = 0x3130545051530a00; // changes with the layout
inline constexpr std::uint32_t kMaxViews = 8192;
inline constexpr std::size_t kMaxCgroupPath = 640;
inline constexpr std::size_t kMaxRoots = 32;
inline constexpr std::size_t kCpuWords = 16; // 1024 CPUs

using Key = std::uint64_t;
constexpr std::uint32_t index_of(Key key) {
    return static_cast<std::uint32_t>(key % kMaxViews);
}

// Plain words only: it is copied as bytes.
struct Facts {
    Key key = 0;                                 // 0: nothing is here
    std::uint64_t started_ns = 0;                // CLOCK_BOOTTIME of the host; 0: has not started (a cell that waits)
    std::int64_t started_at = 0;                 // microseconds since 1970
    std::uint64_t memory = 0;                    // [procfs] memory: the figure to show where no limit stands; 0: none
    std::array<std::uint64_t, kCpuWords> cpus{}; // those it sees and may run on; empty: the host's
    std::uint32_t own_cpus = 0;                  // 1: [procfs] cpus, or limits on CPUs: `cpus` is its own
    // Where it has no cgroup: init and the processes that `squish exec` started, whose descendants are the container's
    // processes. In the host's numbers; 0: none.
    std::array<std::int32_t, kMaxRoots> roots{};
    // "/user.slice/…/payload" below the cgroup2 mount; empty: it has no cgroup of its own.
    std::array<char, kMaxCgroupPath> cgroup{};
    std::uint32_t reserved = 0;
};
using FactWords = std::array<std::uint64_t, sizeof(Facts) / sizeof(std::uint64_t)>;
static_assert(sizeof(FactWords) == sizeof(Facts));

struct alignas(2048) Entry {
    std::atomic<std::uint32_t> sequence; // facts[sequence % 2] holds
    std::array<std::atomic<std::uint64_t>, std::tuple_size_v<FactWords>> facts[2];
};
static_assert(sizeof(Entry) == 2048 && std::atomic<std::uint64_t>::is_always_lock_free);

struct Table {
    std::uint64_t magic;
    std::uint64_t next_serial;         // of the key that add() gives next
    std::atomic<std::uint32_t> in_use; // entries from here on were never used: reading them would cost memory
    std::uint32_t reserved[507];
    Entry entries[kMaxViews];
};
static_assert(offsetof(Table, entries) == 2048);

} // namespace squish::procshare

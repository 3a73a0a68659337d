// What squishd asks of the keeper, and what the keeper tells. One message per SOCK_SEQPACKET datagram on keeper.sock:
// u32 kind, u32 sequence number, then the fields in the order given here (wire/codec.h). An answer repeats the
// sequence number; events have 0.
#pragma once

#include "base/result.h"
#include "wire/codec.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace squish::wire {

inline constexpr std::uint32_t kKeeperVersion = 4;
inline constexpr std::size_t kMaxKeeperMessage = 64 * 1024;
inline constexpr std::size_t kMaxContainers = 4096; // what the keeper holds at once
inline constexpr std::size_t kMaxStoredFds = 32768; // names of `put`
inline constexpr std::size_t kMaxGuards = 16;
// The guarded helper that gets the seccomp listeners of all cells: a SEQPACKET socket as its fd 3, ahead of what it is
// given; on it one message per listener: u64 key (launch/format.h, `notify`), and the listener. Whenever it is started,
// it gets all that are open.
inline constexpr const char* kSysinfoServer = "squish-sysinfo";

// clang-format off
enum class KeeperKind : std::uint32_t {
    // requests → answers
    hello = 1, // u32 version                     → hello_done after one `container` per container
    prepare = 2, // text cell, u32 of cell_kind; fds: prelude plan, its slots…, the cgroup where it has one, the netns
                 // unless in the host's → fds: its pidfd; EUSERS where it was to have ids of its own, and none are left
    launch = 3, // text id, text cell; fds: plan, its slots…           → launched or failed_step
                // The cell's network namespace is kept from then on, as if put under "net/ID"; its cgroup under "cgroup/ID",
                // where every exec is born too.
    exec = 4,   // text id, text exec id; fds: plan, its slots…                     → launched or failed_step
    signal = 5, // text id (or exec id), i32 signal                                 → done
    forget = 6, // text id (or exec id): its end has been recorded                   → done
                // Drops "net/ID", "cgroup/ID" and every "port/ID/…", and ends its anchor, too.
    put = 7,    // text name; fds: what to keep                                     → done
    take =
        8, // text name                                                        → fds (copies; the keeper keeps its own)
    drop = 9,       // text name                                                        → done
    spawn = 10,     // text helper name; fds: program, listening socket, log file        → spawned
    shut_down = 11, // kills everything and ends                                       → done
    discard = 12,   // text cell: an unused cell is not wanted any more                  → done
    watch_log = 13, // text id, u64 limit; fds: files                                  → done
    anchor = 14,    // text id: a process that only sleeps, for its cgroup              → spawned; fds: pidfd
                    // Ends with `forget`, with the keeper, and with the client where no container of that id was launched.
    guard = 15,     // text helper name; fds: program, log file, then what it gets as 3, 4, …  → spawned (no fds)
                    // Started again with the same whenever it ends, until the keeper ends. Of the same name: in place of
                    // the old one, which is killed before; where the new one cannot be started, the old one is, again.
    affinity = 16,  // text id, text mask (launch/format.h, `affinity`): of all that runs in the container's cgroup → done
                    // ENOENT: no "cgroup/ID" is kept. EINVAL: no CPU of the mask may be used there.

    // answers
    done = 32,
    error = 33,       // i32 errno, text what
    hello_done = 34,  // i32 keeper pid, u32 single_id, u32 slices of ids, text uid_map, text gid_map
    launched = 35,    // i32 pid, u64 received_ns, u64 rooted_ns, u64 executed_ns, u64 cloned_ns; fds: pidfd
    failed_step = 36, // u32 step, i32 errno
    fds = 37,         // fds
    spawned = 38,     // i32 pid; fds: pidfd

    // events, and the list that precedes hello_done
    container = 64,     // text id, u32 state (ContainerPhase), i32 pid, i32 wait status; fds: pidfd where it runs
    exited = 65,        // text id or exec id, i32 wait status
    helper_exited = 66, // text name, i32 wait status
    cell_lost = 67,     // text cell
    guarded = 68,       // text name, i32 pid: it had ended, and was started again
};
// clang-format on

// What a cell is prepared as: a sum.
namespace cell_kind {
inline constexpr std::uint32_t kHostNetwork = 1; // in the host's network namespace
inline constexpr std::uint32_t kOwnIds = 2;      // with a slice of the subordinate ids of its own (keeper/slices.h)
inline constexpr std::uint32_t kOwnCgroup = 4;   // born in a cgroup of its own, the root of what it sees of cgroups
} // namespace cell_kind

enum class ContainerPhase : std::uint32_t { starting = 1, running = 2, exited = 3 };

// The beginning of a message for `kind`.
[[nodiscard]] inline Writer keeper_message(KeeperKind kind, std::uint32_t sequence) {
    Writer writer;
    writer.u32(std::to_underlying(kind)).u32(sequence);
    return writer;
}

} // namespace squish::wire

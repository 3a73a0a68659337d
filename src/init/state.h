// What squish-init holds while it executes a plan.
#pragma once

#include "launch/format.h"

#include <cstdint>

namespace squish::init {

inline constexpr int kControl = 3; // the socket to the keeper

inline constexpr std::uint32_t kMaxArguments = 8192;
inline constexpr std::uint32_t kMaxPassed = launch::kOwnSlots;
inline constexpr int kFirstPassed = 3; // SD_LISTEN_FDS_START

struct Payload {
    const char* argv[kMaxArguments + 1];
    const char* envp[kMaxArguments + 1];
    std::uint32_t argc, envc;
    const char* folder;
    std::uint32_t uid, gid;
    bool set_ids, groups_denied;
    int stdio[3];
    int passed[kMaxPassed];
    std::uint32_t passed_count;
    int console; // socket that gets the terminal's master; -1: none
    std::uint16_t rows, columns;
    std::uint64_t capabilities;
    struct Limit {
        std::uint32_t which;
        std::uint64_t soft, hard;
    } limits[32];
    std::uint32_t limit_count;
    launch::CpuMask cpus;      // of size 0: those we may run on
    std::uint64_t scope;       // LANDLOCK_SCOPE_*
    const void* filter;        // struct sock_filter[]; null: none
    std::uint16_t filter_size; // in instructions
    std::uint32_t filter_flags;
};

struct State {
    int slots[launch::kSlots];
    Payload payload;
    std::uint32_t step; // index over all plans, for the report
    std::uint64_t received_ns, rooted_ns;
};

// Executes one step that changes the surroundings; 0, or a negative errno.
long perform(State& state, const launch::StepView& view);
// Has sysinfo(2) of this process, and of all that it starts, answered by whoever gets the listener from the keeper.
long notify(const State& state, std::uint64_t key, bool may_fail);
// Takes note of one that describes the payload.
long describe(State& state, const launch::StepView& view);
// Turns this process into the payload. Returns only on failure: a negative errno.
long become_payload(State& state, const char* command);
// PID 1 after the payload was forked: forwards signals, reaps, reports, exits with the payload's status.
[[noreturn]] void supervise(State& state, int payload);

void report(const State& state, launch::ReportKind kind, std::int32_t value, std::uint64_t executed_ns = 0);
[[nodiscard]] bool is_slot(std::uint64_t value);

} // namespace squish::init

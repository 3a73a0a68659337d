// A container's cgroups: an outer one, which has the limits, and the payload's own beneath it, which has them too.
//
// How this works
//   squish-ID[.scope]        the limits; no process (but, for a moment, nobody's concern: see systemd.h)
//     payload                init, payload and execs are born here; the same limits, for those who read only their own
//   The payload's cgroup namespace begins at `payload`, so that neither can be changed from within, even by somebody
//   who got a writable mount of it: the outer one cannot be named, the inner one's limits are not writable from inside
//   (nsdelegate, cgroup-v2.rst "Delegation").
//   Everything here is the same for both drivers: only who makes and removes the outer cgroup differs.
#pragma once

#include "cgroup/figures.h"
#include "cgroup/node.h"

#include <cstdint>
#include <optional>
#include <string>

namespace squish::cgroup {

inline constexpr const char* kPayload = "payload";
inline constexpr const char* kOpening = "opening"; // where the process that opened a scope waits

class ContainerCgroup {
public:
    // Makes `payload` in `outer` with the limits; what was made is removed where something fails.
    // `figures`: controllers that are enabled as well where there are, for `stats`.
    [[nodiscard]] static Result<ContainerCgroup> make(Node outer, const Limits& limits, ControllerSet figures);
    // One that is there.
    [[nodiscard]] static Result<ContainerCgroup> find(Node outer);

    // The directory for CLONE_INTO_CGROUP; borrowed.
    [[nodiscard]] int fd() const { return payload_.fd(); }
    [[nodiscard]] const std::string& path() const { return outer_.path(); }
    [[nodiscard]] const Node& outer() const { return outer_; }
    [[nodiscard]] const Node& payload() const { return payload_; }

    // Of the payload's own cgroup; the outer one's is the driver's. Undone where a write fails.
    [[nodiscard]] Result<void> set_limits(const Limits& to, const Limits& from) const;

    [[nodiscard]] Result<void> kill() const; // SIGKILL to all that is in it, atomically (cgroup.kill, Linux 5.14)
    // Takes effect a little later: events().frozen says when. A frozen container can be killed.
    [[nodiscard]] Result<void> freeze() const;
    [[nodiscard]] Result<void> thaw() const;
    [[nodiscard]] Result<CgroupEvents> events() const;
    // How many of its processes the kernel has killed for want of memory, whoever's limit it was.
    // None without the memory controller.
    [[nodiscard]] Result<std::optional<std::uint64_t>> oom_kills() const;
    // memory.events, opened for reading: for init, which reads it last (docs/decisions/0040). Not there: ENOENT.
    [[nodiscard]] Result<UniqueFd> open_memory_events() const;
    [[nodiscard]] Result<Usage> usage() const;

    // The payload's cgroup goes; EBUSY while something is in it.
    [[nodiscard]] Result<void> remove_payload() const;

private:
    ContainerCgroup(Node outer, Node payload) : outer_(std::move(outer)), payload_(std::move(payload)) {}
    Node outer_, payload_;
};

// An error where the container already uses more than `to` allows and the kernel would have to kill for it; the cache
// that it can drop does not count. For `squish update`.
[[nodiscard]] Result<void> check_fits(const Limits& to, const Usage& usage);

// "squish-ID" ↔ "ID". An id is lower-case hex, 8 to 64 digits: "squish-keeper" is nobody's.
[[nodiscard]] Result<std::string> cgroup_name(std::string_view id);
[[nodiscard]] std::optional<std::string> id_of(std::string_view name); // with or without ".scope"

} // namespace squish::cgroup

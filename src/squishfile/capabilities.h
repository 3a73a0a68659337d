// The capabilities that a container can be given: those that count over its own files and processes and nothing else.
//
// Each is valid in the container's user namespace only, over ids that are mapped there (user_namespaces(7)). Left out
// is what reaches further (SYS_ADMIN, SYS_PTRACE, DAC_READ_SEARCH and with it open_by_handle_at(2), SETFCAP,
// SYS_RESOURCE), and what would be a promise without effect: the network namespace is the user's (NET_ADMIN, NET_RAW),
// and the kernel asks for the others in the host's namespace (MKNOD, SYS_TIME, IPC_LOCK, …).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace squish {

struct Capability {
    std::string_view name; // without CAP_
    std::uint8_t number;   // linux/capability.h
    const char* why_safe;
};

inline constexpr std::array<Capability, 9> kGrantable{{
    {"CHOWN", 0, "among the ids that are mapped: the user and the user's subordinate ids"},
    {"DAC_OVERRIDE", 1, "over files of mapped ids only; read-only mounts stay read-only"},
    {"FOWNER", 3, "as DAC_OVERRIDE"},
    {"FSETID", 4, "set-group-ID bits of mapped groups; no mount of a container honours them"},
    {"KILL", 5, "processes of the container, which are all that it sees; init is out of reach"},
    {"SETGID", 6, "among the ids that are mapped"},
    {"SETUID", 7, "among the ids that are mapped"},
    {"NET_BIND_SERVICE", 10, "without effect and not needed: every port of a container's own network is free to bind"},
    {"SYS_CHROOT", 18, "leads out of a chroot at most to the container's own root"},
}};

} // namespace squish

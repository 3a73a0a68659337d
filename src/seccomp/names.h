// The names of system calls and their numbers on the machine that squish was compiled for.
//
// libseccomp knows them up to the Linux of its release (2.5.4: 5.17); those added since, which have the same number on
// every architecture, stand in a table here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace squish::seccomp {

struct NamedCall {
    enum class Where {
        here,      // `number` is the one that this machine's programs use
        elsewhere, // a call of other architectures
        nowhere,   // no system call has this name
    };
    Where where = Where::nowhere;
    std::uint32_t number = 0;
};
[[nodiscard]] NamedCall find_call(std::string_view name);

// "openat" for 257 (x86_64); empty where the number has no name.
[[nodiscard]] std::string name_of_call(std::uint32_t number);

// AUDIT_ARCH_* of this machine (linux/audit.h), and its OCI name "SCMP_ARCH_X86_64" and Go name "amd64".
extern const std::uint32_t kArchitecture;
extern const std::string_view kOciArchitecture;
extern const std::string_view kGoArchitecture;

} // namespace squish::seccomp

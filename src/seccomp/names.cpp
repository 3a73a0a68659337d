#include "seccomp/names.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <linux/audit.h>
#include <memory>
#include <seccomp.h>
#include <utility>

namespace squish::seccomp {

#if defined(__x86_64__)
const std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
const std::string_view kOciArchitecture = "SCMP_ARCH_X86_64";
const std::string_view kGoArchitecture = "amd64";
#elif defined(__aarch64__)
const std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
const std::string_view kOciArchitecture = "SCMP_ARCH_AARCH64";
const std::string_view kGoArchitecture = "arm64";
#else
#error "which AUDIT_ARCH_* is this?"
#endif

namespace {

// Added after Linux 5.17 (the tables arch/*/*/syscalls/*.tbl and scripts/syscall.tbl of Linux 6.18). From 424 on a call
// has one number everywhere.
constexpr auto kNewer = std::to_array<std::pair<std::string_view, std::uint32_t>>({
#if defined(__x86_64__)
    {"uretprobe", 335},         {"uprobe", 336},
#endif
    {"cachestat", 451},         {"fchmodat2", 452},        {"map_shadow_stack", 453},
    {"futex_wake", 454},        {"futex_wait", 455},       {"futex_requeue", 456},
    {"statmount", 457},         {"listmount", 458},        {"lsm_get_self_attr", 459},
    {"lsm_set_self_attr", 460}, {"lsm_list_modules", 461}, {"mseal", 462},
    {"setxattrat", 463},        {"getxattrat", 464},       {"listxattrat", 465},
    {"removexattrat", 466},     {"open_tree_attr", 467},   {"file_getattr", 468},
    {"file_setattr", 469},
});

} // namespace

NamedCall find_call(std::string_view name) {
    const auto newer = std::ranges::find(kNewer, name, &std::pair<std::string_view, std::uint32_t>::first);
    if (newer != kNewer.end())
        return {NamedCall::Where::here, newer->second};
    const int number = ::seccomp_syscall_resolve_name(std::string(name).c_str());
    if (number >= 0)
        return {NamedCall::Where::here, static_cast<std::uint32_t>(number)};
    // Below -1 are libseccomp's own numbers for calls that other architectures have.
    return {number == __NR_SCMP_ERROR ? NamedCall::Where::nowhere : NamedCall::Where::elsewhere, 0};
}

std::string name_of_call(std::uint32_t number) {
    const auto newer = std::ranges::find(kNewer, number, &std::pair<std::string_view, std::uint32_t>::second);
    if (newer != kNewer.end())
        return std::string(newer->first);
    const std::unique_ptr<char, decltype(&std::free)> name(
        ::seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, static_cast<int>(number)), &std::free);
    return name ? name.get() : std::string();
}

} // namespace squish::seccomp

// From decisions to the ordered steps that init executes.
//
// The order, and why: what every container has (proc, /dev) is made in the prelude, before it is known which container
// it will be. Then the root, the kernel's filesystems, the user's mounts from the outside in, pivot; then what is
// invisible to mounts (host name, clock); last the payload. Nothing after `run` is done with the container's
// capabilities.
#pragma once

#include "launch/plan_builder.h"
#include "plan/container_plan.h"

#include <cstdint>
#include <string>

namespace squish::plan {

// The descriptors that travel with the launch plan, in slot order: the root, one per mount of the plan, then these.
struct IoSlots {
    bool console = false;
    std::uint16_t rows = 24, columns = 80;
};

// What a cell has of its own.
struct Surroundings {
    bool sysfs = true;   // absent in the host's network
    bool cgroup = false; // it was born in a cgroup of its own
    bool view = false;   // it is shown files of its own in place of the host's (procfs/files.h)
    // Calls of sysinfo(2) are answered by squish-sysinfo, for the view of this key; 0: by the kernel.
    std::uint64_t sysinfo = 0;
};
// The prelude's received descriptors: a sysfs mount and the folder of its view, where it has them.
[[nodiscard]] launch::PlanBuilder make_prelude(const Machine& machine, const Surroundings& surroundings);
// `folders[i]`: mount i is a folder (else a file). Slots: 0 root, 1… mounts, then stdin, stdout, stderr, or console;
// then one for each of `plan.sockets`, then the filter, where there is one. `prelude_steps`: how many steps ran before,
// so that a failed step's index can be told apart.
[[nodiscard]] launch::PlanBuilder make_launch(const ContainerPlan& plan, const std::vector<bool>& folders,
                                              const IoSlots& io);

struct ExecPlan {
    std::vector<std::string> command;
    std::vector<std::pair<std::string, std::string>> environment;
    std::string work_folder = "/";
    UserSpec user;
    std::optional<std::uint32_t> filter; // as in ContainerPlan
    std::uint64_t capabilities = 0;
    bool own_keyring = false; // as in ContainerPlan
    std::uint64_t sysinfo = 0;
    std::string affinity; // as in ContainerPlan
    NetworkMode network = NetworkMode::bridge;
    Machine machine;
};
// Slots: a tree of mounts, which covers `point` in the container that is joined.
[[nodiscard]] launch::PlanBuilder make_attach(const std::string& point);
// Slots: stdin, stdout, stderr, or console; then the filter, where there is one.
[[nodiscard]] launch::PlanBuilder make_exec(const ExecPlan& plan, const IoSlots& io);

} // namespace squish::plan

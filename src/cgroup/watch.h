// Tells when something happens in a container's cgroup: an OOM kill, frozen, thawed, empty. One descriptor for all.
//
// The kernel notifies inotify of changes of memory.events and cgroup.events (kernfs_notify(), cgroup-v2.rst "Core
// Interface Files"). A notice says where to look, not what happened: read oom_kills() and events().
#pragma once

#include "cgroup/container_cgroup.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace squish::cgroup {

class Watch {
public:
    [[nodiscard]] static Result<Watch> open();

    [[nodiscard]] int fd() const { return inotify_.get(); } // readable when take() has something
    // Without the memory controller only cgroup.events is watched. Twice is a conflict.
    [[nodiscard]] Result<void> add(const std::string& id, const ContainerCgroup& cgroup);
    void remove(const std::string& id);
    // The containers that something happened to, each once. Where the kernel dropped notices: all of them.
    [[nodiscard]] Result<std::vector<std::string>> take();

private:
    explicit Watch(UniqueFd inotify) : inotify_(std::move(inotify)) {}
    UniqueFd inotify_;
    std::map<int, std::string> watched_; // by watch descriptor; two for a container
};

} // namespace squish::cgroup

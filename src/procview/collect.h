// Collects, at one instant, what is to be shown of a container: its cgroup's files (descriptors are kept open), the sum
// over its processes where it has no cgroup, the host's texts. For squish-procfs and squish-sysinfo; needs no
// capability and no right to trace anybody, so that it works behind Landlock.
//
// Descriptors: at most half of RLIMIT_NOFILE, as it is at open(), and at most 3100 for cgroups (procview/cgroups.h).
#pragma once

#include "base/result.h"
#include "procfs/files.h"
#include "procshare/layout.h"

#include <memory>
#include <string>

namespace squish::procview {

class Collector {
public:
    // `proc`, `sys`, `cgroup`: "/proc", "/sys", "/sys/fs/cgroup" (the cgroup2 mount; there may be none), or folders of
    // a test. Their descriptors are opened now: what is confined later needs no path.
    [[nodiscard]] static Result<Collector> open(std::string proc, std::string sys, std::string cgroup);
    // What of `needs` (procfs::Needs) is known. What cannot be read is left at its default: never an error, since no
    // program expects one of these files.
    [[nodiscard]] procfs::View view(const procshare::Facts& facts, std::uint32_t needs);
    // The host's text: of "/proc/…" or "/sys/…"; empty where there is none. At most 1 MiB.
    [[nodiscard]] std::string host_text(const std::string& path);
    // Once in a while (seconds): counts the running tasks of those whose load was asked for lately.
    void tick();
    // Some load is watched: tick() has something to do.
    [[nodiscard]] bool watches_load() const;
    // Nothing more will be asked of it.
    void forget(procshare::Key key);

    Collector(Collector&&) noexcept;
    Collector& operator=(Collector&&) noexcept;
    ~Collector();

private:
    struct Body;
    explicit Collector(std::unique_ptr<Body> body);
    std::unique_ptr<Body> body_;
};

} // namespace squish::procview

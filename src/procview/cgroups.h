// The files of containers' cgroups (cgroup v2), through descriptors that are kept open.
#pragma once

#include "base/unique_fd.h"
#include "procfs/view.h"
#include "procshare/layout.h"
#include "procview/text.h"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace squish::procview {

// One cgroup. Its figures stay what they were when it is gone.
class CgroupFiles {
public:
    CgroupFiles(std::string path, DirFd folder) : path_(std::move(path)), folder_(std::move(folder)) {}

    [[nodiscard]] const std::string& path() const { return path_; }
    // The memory controller is on for it.
    [[nodiscard]] bool has_memory();
    void read_memory(procfs::Usage& usage);
    void read_cpu(procfs::Usage& usage);
    // Its own limits; none for "max".
    [[nodiscard]] std::optional<std::uint64_t> memory_limit();
    [[nodiscard]] std::optional<std::uint64_t> swap_limit();
    [[nodiscard]] std::vector<procfs::DeviceUse> devices();
    // The ids of its threads and of those in the cgroups beneath it, by our /proc.
    [[nodiscard]] std::vector<pid_t> threads();
    void read_pressure(procfs::Own& own);

    std::uint64_t used = 0; // when it was last asked for

private:
    std::string path_;
    DirFd folder_;
    procfs::Usage last_;
    std::vector<procfs::DeviceUse> last_devices_;
    std::optional<std::uint64_t> last_memory_limit_, last_swap_limit_;
    bool has_memory_ = false;
    KeptFile memory_current_, memory_stat_, memory_max_, swap_current_, swap_max_, cpu_stat_, io_stat_, threads_;
    KeptFile cpu_pressure_, memory_pressure_, io_pressure_;
};

class Cgroups {
public:
    static constexpr std::size_t kMaxOpen = 256; // cgroups; the least used are closed
    static constexpr std::size_t kDescriptorsOfOne = 12;

    // `root` is the cgroup2 mount; none where there is none. At most half of the descriptors that the process may have
    // now are used.
    explicit Cgroups(DirFd root);

    // Null where `path` cannot be opened, or is no path below the mount. Good until the next call.
    [[nodiscard]] CgroupFiles* find(procshare::Key key, std::string_view path);
    void forget(procshare::Key key) { open_.erase(key); }

    // The least of the limits of the cgroups above `path`, not of itself; they are read at most once a second.
    struct Limits {
        std::optional<std::uint64_t> memory, swap;
    };
    [[nodiscard]] Limits limits_above(std::string_view path);

    [[nodiscard]] std::size_t open_count() const { return open_.size(); }

private:
    struct Parent {
        Limits limits;
        std::uint64_t good_until = 0;
    };
    [[nodiscard]] const Limits& limits_of(std::string_view path);
    void close_least_used(std::size_t keep);

    DirFd root_;
    std::size_t max_open_;
    std::map<procshare::Key, CgroupFiles> open_;
    std::map<std::string, Parent, std::less<>> parents_;
};

// "/a/b" without "." or ".." or anything empty in it. Paths come from memory that another process writes.
[[nodiscard]] bool is_cgroup_path(std::string_view path);

} // namespace squish::procview

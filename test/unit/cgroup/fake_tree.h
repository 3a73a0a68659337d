// A folder that looks like a cgroup v2 file system: what the kernel puts into a new cgroup is put there by make_dir.
#pragma once

#include "cgroup/node.h"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

namespace squish::cgroup {

class FakeTree {
public:
    FakeTree() {
        char name[] = "/tmp/squish-cgroup-XXXXXX";
        root_ = ::mkdtemp(name);
        furnish(root_, "cpuset cpu io memory hugetlb pids rdma misc");
        kernel_ = {
            .is_cgroup2 = [this](int) { return is_cgroup2; },
            .make_dir =
                [this](int dir, const char* child) {
                    if (::mkdirat(dir, child, 0755) < 0)
                        return -1;
                    const auto parent = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(dir));
                    std::string controllers = get(parent.string(), "cgroup.subtree_control");
                    std::erase(controllers, '+');
                    furnish((parent / child).string(), grants_all ? "cpuset cpu io memory pids" : controllers);
                    return 0;
                },
            .remove_dir =
                [](int dir, const char* child) {
                    const auto path = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(dir)) / child;
                    if (!std::filesystem::exists(path)) {
                        errno = ENOENT;
                        return -1;
                    }
                    for (const auto& entry : std::filesystem::directory_iterator(path))
                        if (entry.is_directory()) {
                            errno = EBUSY; // as the kernel says it of a cgroup with children
                            return -1;
                        }
                    std::filesystem::remove_all(path);
                    return 0;
                },
        };
    }
    FakeTree(const FakeTree&) = delete;
    FakeTree& operator=(const FakeTree&) = delete;
    ~FakeTree() { std::filesystem::remove_all(root_); }

    [[nodiscard]] const std::string& root() const { return root_; }
    [[nodiscard]] const Kernel& kernel() const { return kernel_; }
    [[nodiscard]] Node open(std::string_view path = "/") const { return Node::open(kernel_, root_, path).value(); }
    [[nodiscard]] std::string read(const std::string& file) const { return get(root_, file); }
    void put(const std::string& file, const std::string& text) const { std::ofstream(root_ + "/" + file) << text; }
    [[nodiscard]] bool exists(const std::string& path) const { return std::filesystem::exists(root_ + "/" + path); }

    bool is_cgroup2 = true;
    bool grants_all = true; // a new cgroup has every controller, whatever its parent enabled last

private:
    static std::string get(const std::string& folder, const std::string& file) {
        std::stringstream text;
        text << std::ifstream(folder + "/" + file).rdbuf();
        return text.str();
    }
    static void furnish(const std::string& folder, const std::string& controllers) {
        const auto file = [&](const char* name, const std::string& text = "") {
            std::ofstream(folder + "/" + name) << text;
        };
        file("cgroup.controllers", controllers + "\n");
        file("cgroup.subtree_control");
        file("cgroup.procs");
        file("cgroup.events", "populated 0\nfrozen 0\n");
        file("cgroup.kill");
        file("cgroup.freeze", "0\n");
        file("cpuset.cpus.effective", "0-1\n");
        for (const auto* name : {"memory.max", "memory.high", "memory.swap.max", "cpu.max", "pids.max", "io.max"})
            file(name, "max\n");
        for (const auto* name : {"memory.low", "cpu.max.burst", "cpu.weight", "cpuset.cpus"})
            file(name);
        file("memory.current", "5242880\n");
        file("memory.stat", "anon 1048576\nfile 4194304\ninactive_file 3145728\n");
        file("memory.events", "low 0\nhigh 0\nmax 7\noom 2\noom_kill 1\noom_group_kill 0\n");
        file("cpu.stat", "usage_usec 300\nuser_usec 200\nsystem_usec 100\n");
        file("pids.current", "3\n");
        file("io.stat",
             "8:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=2 rios=3 wios=4\n");
        file("memory.pressure",
             "some avg10=1.50 avg60=0.25 avg300=0.00 total=1234\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n");
    }

    std::string root_;
    Kernel kernel_;
};

} // namespace squish::cgroup

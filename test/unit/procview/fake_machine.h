// A folder that looks like /proc, /sys and a cgroup2 mount.
#pragma once

#include "../os/scratch.h"

#include "procview/collect.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <sys/types.h>

namespace squish::procview {

class FakeMachine : public test::Scratch {
protected:
    void SetUp() override {
        Scratch::SetUp();
        write("proc/meminfo", "MemTotal:        8000 kB\nMemFree:         5000 kB\nSwapTotal:       2000 kB\n");
        write("sys/devices/system/cpu/online", "0-3\n");
        std::filesystem::create_directories(at("cgroup"));
    }
    void write(const std::string& name, const std::string& text) const {
        std::filesystem::create_directories(std::filesystem::path(at(name)).parent_path());
        put(name, text);
    }
    struct Process {
        pid_t pid = 0, parent = 0;
        char state = 'S';
        unsigned threads = 1;
        unsigned user = 0, system = 0, ended_user = 0, ended_system = 0; // ticks
        unsigned started = 0;
        unsigned resident = 0, shared = 0; // pages
        std::string ids{};                 // NSpid
        std::string name = "sh";
    };
    static std::string stat_text(const Process& process) {
        const auto text = [](auto value) { return std::to_string(value); };
        return text(process.pid) + " (" + process.name + ") " + process.state + " " + text(process.parent) +
               " 1 1 0 -1 4194304 10 20 3 4 " + text(process.user) + " " + text(process.system) + " " +
               text(process.ended_user) + " " + text(process.ended_system) + " 20 0 " + text(process.threads) + " 0 " +
               text(process.started) + " 1000000 25 18446744073709551615 0 0 0\n";
    }
    void add(const Process& process) const {
        const auto folder = "proc/" + std::to_string(process.pid);
        write(folder + "/stat", stat_text(process));
        write(folder + "/statm",
              "900 " + std::to_string(process.resident) + " " + std::to_string(process.shared) + " 1 0 50 0\n");
        write(folder + "/status", "Name:\tsh\nNSpid:\t" +
                                      (process.ids.empty() ? std::to_string(process.pid) : process.ids) +
                                      "\nThreads:\t1\n");
    }
    [[nodiscard]] Result<Collector> open() const { return Collector::open(at("proc"), at("sys"), at("cgroup")); }
    static procshare::Facts facts(const std::string& cgroup, pid_t root = 0) {
        procshare::Facts out;
        out.key = 1;
        std::ranges::copy(cgroup, out.cgroup.begin());
        out.roots[0] = root;
        return out;
    }
    static constexpr std::uint32_t kAll =
        procfs::kMemory | procfs::kCpu | procfs::kTasks | procfs::kDevices | procfs::kLoad | procfs::kPressure;
};

} // namespace squish::procview

// Hosts to make views of: texts captured on, or written in the form of, several kernels and machines.
//
// golden/HOST/host.txt has the host's files, each behind a line "==> PATH <=="; golden/HOST/VIEW.txt has what is made
// of them. After a change that is meant, `SQUISH_WRITE_GOLDEN=1 build/PRESET/bin/unit-procfs` writes the latter anew,
// and `git diff` says whether it was meant. A new host's: `for f in /proc/meminfo …; do echo "==> $f <=="; cat $f;
// done`, without the names of its owner, its disks and its builder.
#pragma once

#include "procfs/tree.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace squish::procfs {

inline std::string text_of(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

struct Sample {
    std::string name;
    std::map<std::string, std::string, std::less<>> texts;

    [[nodiscard]] std::string text(std::string_view path) const {
        const auto found = texts.find(path);
        return found == texts.end() ? std::string() : found->second;
    }
    // As a caller of the tree knows it: a folder is there where something in it is.
    [[nodiscard]] bool has(const std::string& path) const {
        const auto next = texts.lower_bound(path);
        return path.empty() || (next != texts.end() && (next->first == path || next->first.starts_with(path + "/")));
    }
    [[nodiscard]] CpuSet cpus() const { return parse_cpu_list(text("/sys/devices/system/cpu/online")); }
};

inline std::filesystem::path golden_folder() {
    return std::filesystem::path(SQUISH_SOURCE_DIR) / "test/unit/procfs/golden";
}

inline Sample load_sample(const std::string& name) {
    Sample sample{.name = name, .texts = {}};
    std::istringstream in(text_of(golden_folder() / name / "host.txt"));
    std::string* text = nullptr;
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with("==> ") && line.ends_with(" <=="))
            text = &sample.texts[line.substr(4, line.size() - 8)];
        else
            *text += line + "\n";
    }
    return sample;
}

inline const std::vector<Sample>& samples() {
    static const auto all = [] {
        std::vector<Sample> found;
        for (const auto& entry : std::filesystem::directory_iterator(golden_folder()))
            found.push_back(load_sample(entry.path().filename()));
        std::ranges::sort(found, {}, &Sample::name);
        return found;
    }();
    return all;
}

// Neither a cgroup nor figures: it ran for 100.12 s, with five threads.
inline View plain_view(const CpuSet& host_cpus) {
    View view;
    view.uptime_ns = 100'120'000'000;
    view.started_at = 1'767'225'600;
    view.host_cpus = host_cpus;
    view.own.limits.cpus = host_cpus;
    view.own.usage.tasks = 5;
    view.own.usage.running = 1;
    view.own.last_pid = 45;
    return view;
}

// A cgroup without limits.
inline View unlimited_view(const CpuSet& host_cpus) {
    constexpr std::uint64_t kMega = 1 << 20;
    auto view = plain_view(host_cpus);
    view.own_memory = view.own_usage = true;
    view.own.limits.own_cpus = true;
    auto& usage = view.own.usage;
    usage.memory = 50 * kMega + 1;
    usage.anon = 22 * kMega;
    usage.file = 20 * kMega;
    usage.file_mapped = 3 * kMega;
    usage.file_dirty = 8192;
    usage.file_writeback = 4096;
    usage.shmem = kMega;
    usage.inactive_anon = 21 * kMega;
    usage.active_anon = kMega;
    usage.inactive_file = 12 * kMega;
    usage.active_file = 7 * kMega;
    usage.unevictable = 4096;
    usage.slab_reclaimable = 2 * kMega;
    usage.slab_unreclaimable = kMega;
    usage.kernel_stack = 81920;
    usage.pagetables = 409600;
    usage.swap = 3 * kMega;
    usage.swap_cached = 4096;
    usage.cpu_user_us = 3'450'000;
    usage.cpu_system_us = 1'010'000;
    usage.page_faults = 12345;
    usage.major_faults = 67;
    usage.running = 2;
    usage.blocked = 1;
    view.own.load = {112, 5, 1};
    view.own.devices = {{254, 0, 4096, 8192, 1, 2}, {259, 0, 1'000'000, 0, 77, 0}, {8, 16, 512, 512, 1, 1}};
    view.own.pressure_cpu = "some avg10=1.50 avg60=0.25 avg300=0.06 total=123456\n"
                            "full avg10=0.50 avg60=0.00 avg300=0.01 total=654\n";
    return view;
}

// memory = "256M", swap and CPUs: on a large host three, two of them of one core, on small ones the last.
inline View limited_view(const CpuSet& host_cpus) {
    auto view = unlimited_view(host_cpus);
    view.own.limits.memory = 256 << 20;
    view.own.limits.swap = 64 << 20;
    view.own.limits.cpus.reset();
    if (host_cpus.count() > 18)
        view.own.limits.cpus.set(2).set(3).set(18);
    else
        view.own.limits.cpus.set(host_cpus.count() - 1);
    return view;
}

struct NamedView {
    const char* name;
    View (*make)(const CpuSet&);
};
inline constexpr std::array kViews = {NamedView{"plain", plain_view}, NamedView{"unlimited", unlimited_view},
                                      NamedView{"limited", limited_view}};

// Lines as "name: value" or "name value", whatever is behind it.
inline std::map<std::string, std::uint64_t> figures(const std::string& text) {
    std::map<std::string, std::uint64_t> found;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
        std::istringstream words(line);
        std::string name;
        std::uint64_t value = 0;
        words >> name >> value;
        if (name.ends_with(':'))
            name.pop_back();
        found[name] = value;
    }
    return found;
}

// Lines that begin so.
inline std::vector<std::string> lines_with(const std::string& text, const std::string& start) {
    std::vector<std::string> found;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);)
        if (line.starts_with(start))
            found.push_back(line);
    return found;
}

} // namespace squish::procfs

// What holds of every view of every host, also of those that make no sense: what a program computes from a file is
// sound, and what two files say is the same.
#include "samples.h"

#include <gmock/gmock.h>
#include <random>

namespace squish::procfs {
namespace {

constexpr int kRounds = 150;

class Generator {
public:
    explicit Generator(unsigned seed) : random_(seed) {}

    // Of all magnitudes; the ends more often.
    std::uint64_t number() {
        switch (random_() % 8) {
        case 0:
            return 0;
        case 1:
            return ~std::uint64_t{0};
        default:
            return random_() >> random_() % 64;
        }
    }

    std::size_t below(std::size_t end) { return random_() % end; }

    View view(const CpuSet& host_cpus) {
        View view;
        view.uptime_ns = number();
        view.started_at = static_cast<std::int64_t>(number() / 2);
        view.ticks_per_second = static_cast<std::uint32_t>(below(4) == 0 ? number() : 100);
        view.page_size = below(4) == 0 ? number() : 4096;
        view.host_cpus = host_cpus;
        view.own_memory = below(2) == 0;
        view.own_usage = below(2) == 0;
        for (std::size_t cpu = 0; cpu < host_cpus.size(); ++cpu)
            view.own.limits.cpus.set(cpu, host_cpus.test(cpu) && below(2) == 0);
        if (below(2) == 0)
            view.own.limits.memory = number();
        if (below(2) == 0)
            view.own.limits.swap = number();
        auto& usage = view.own.usage;
        for (auto* const figure : {&usage.memory,
                                   &usage.anon,
                                   &usage.file,
                                   &usage.file_mapped,
                                   &usage.file_dirty,
                                   &usage.shmem,
                                   &usage.inactive_anon,
                                   &usage.active_anon,
                                   &usage.inactive_file,
                                   &usage.active_file,
                                   &usage.slab_reclaimable,
                                   &usage.slab_unreclaimable,
                                   &usage.kernel_stack,
                                   &usage.pagetables,
                                   &usage.swap,
                                   &usage.swap_cached,
                                   &usage.cpu_user_us,
                                   &usage.cpu_system_us,
                                   &usage.page_faults,
                                   &usage.tasks,
                                   &usage.running,
                                   &usage.blocked})
            *figure = number();
        for (auto& load : view.own.load)
            load = static_cast<std::uint32_t>(number());
        view.own.last_pid = number();
        for (auto count = below(4); count-- > 0;)
            view.own.devices.push_back({static_cast<std::uint32_t>(below(300)), static_cast<std::uint32_t>(below(20)),
                                        number(), number(), number(), number()});
        return view;
    }

    // Cut off, or with bytes that do not belong there.
    std::string damaged(std::string text) {
        if (text.empty())
            return text;
        if (below(2) == 0)
            text.resize(below(text.size()));
        for (auto count = below(20); count-- > 0 && !text.empty();)
            text[below(text.size())] = "0123456789 \n\t:x-,9\0"[below(19)];
        return text;
    }

private:
    std::mt19937_64 random_;
};

template <typename Check> void for_all(Check check) {
    Generator generator(7);
    for (int round = 0; round < kRounds; ++round) {
        const auto& sample = samples()[generator.below(samples().size())];
        check(sample, generator.view(sample.cpus()));
    }
}

CpuSet shown(const View& view) {
    return view.own.limits.cpus.any() ? view.own.limits.cpus : view.host_cpus;
}

TEST(Properties, MemoryAddsUp) {
    for_all([](const Sample& sample, const View& view) {
        const auto text = meminfo(sample.text("/proc/meminfo"), view);
        const auto memory = figures(text);
        ASSERT_GT(memory.at("MemTotal"), 0U);
        ASSERT_LE(memory.at("MemTotal"), figures(sample.text("/proc/meminfo")).at("MemTotal"));
        ASSERT_LE(memory.at("MemFree"), memory.at("MemAvailable"));
        ASSERT_LE(memory.at("MemAvailable"), memory.at("MemTotal"));
        ASSERT_LE(memory.at("SwapFree"), memory.at("SwapTotal"));
        // What free(1) shows as buff/cache is a part of what is used.
        ASSERT_LE(memory.at("MemFree") + memory.at("Buffers") + memory.at("Cached") + memory.at("SReclaimable"),
                  memory.at("MemTotal"));
        ASSERT_LE(memory.at("Shmem"), memory.at("Cached"));
        ASSERT_EQ(lines_with(text, "").size(), lines_with(sample.text("/proc/meminfo"), "").size());
        if (view.own_memory && view.own.limits.memory) {
            ASSERT_LE(memory.at("MemTotal"), std::max<std::uint64_t>(4, *view.own.limits.memory / 1024));
        }
    });
}

TEST(Properties, EveryCpuHasItsLineAndTheirSumIsRight) {
    for_all([](const Sample& sample, View view) {
        view.own.usage.cpu_user_us /= 1024; // no sum is cut off
        view.own.usage.cpu_system_us /= 1024;
        view.uptime_ns /= 1024;
        const auto lines = lines_with(stat(sample.text("/proc/stat"), view), "cpu");
        const auto cpus = shown(view);
        ASSERT_EQ(lines.size(), cpus.count() + 1);
        std::vector<std::vector<std::uint64_t>> columns;
        CpuSet named;
        for (const auto& line : lines) {
            std::istringstream words(line);
            std::string name;
            words >> name;
            if (name != "cpu")
                named.set(std::stoul(name.substr(3)));
            auto& row = columns.emplace_back();
            for (std::uint64_t value = 0; words >> value;)
                row.push_back(value);
            ASSERT_EQ(row.size(), 10U);
        }
        ASSERT_EQ(named, cpus);
        for (std::size_t column = 0; column < 10; ++column) {
            std::uint64_t sum = 0;
            for (std::size_t row = 1; row < columns.size(); ++row)
                sum += columns[row][column];
            ASSERT_EQ(sum, columns[0][column]);
        }
    });
}

TEST(Properties, AllFilesShowTheSameCpus) {
    for_all([](const Sample& sample, const View& view) {
        const auto cpus = shown(view);
        ASSERT_EQ(lines_with(cpuinfo(sample.text("/proc/cpuinfo"), view), "processor\t").size(), cpus.count());
        ASSERT_EQ(parse_cpu_list(render("cpu/online", "", view)), cpus);
        ASSERT_EQ(parse_cpu_list(render("node/node0/cpulist", "", view)), cpus);
        std::size_t folders = 0;
        for (const auto& name : list("cpu", view))
            folders += name.starts_with("cpu") ? 1 : 0;
        ASSERT_EQ(folders, cpus.count());
    });
}

TEST(Properties, NeighboursAreShownAndHaveEachOther) {
    for_all([](const Sample& sample, const View& view) {
        const auto cpus = shown(view);
        for (const auto* const file :
             {"thread_siblings_list", "core_cpus_list", "package_cpus_list", "core_siblings_list"}) {
            for (std::size_t cpu = 0; cpu < cpus.size(); ++cpu) {
                const auto folder = "cpu/cpu" + std::to_string(cpu) + "/topology/";
                const auto host = sample.text("/sys/devices/system/" + folder + file);
                if (!cpus.test(cpu) || host.empty())
                    continue;
                const auto neighbours = parse_cpu_list(render(folder + file, host, view));
                ASSERT_TRUE(neighbours.test(cpu));
                ASSERT_TRUE((neighbours & ~cpus).none());
                // The mask beside it says the same.
                auto mask_file = std::string(file);
                mask_file.resize(mask_file.size() - 5);
                const auto mask = sample.text("/sys/devices/system/" + folder + mask_file);
                const auto digits = mask.size() - 1 - static_cast<std::size_t>(std::ranges::count(mask, ','));
                ASSERT_EQ(render(folder + mask_file, mask, view), cpu_mask(neighbours, digits * 4) + "\n");
            }
        }
    });
}

TEST(Properties, SysinfoSaysWhatTheFilesSay) {
    for_all([](const Sample& sample, const View& view) {
        const auto host = sample.text("/proc/meminfo");
        const auto info = system_info(host, sample.text("/proc/loadavg"), view);
        const auto memory = figures(meminfo(host, view));
        ASSERT_EQ(info.total, memory.at("MemTotal") * 1024);
        ASSERT_EQ(info.free, memory.at("MemFree") * 1024);
        ASSERT_EQ(info.free_swap, memory.at("SwapFree") * 1024);
        ASSERT_TRUE(uptime("", view).starts_with(std::to_string(info.uptime_s) + "."));
        ASSERT_THAT(loadavg("", view), testing::HasSubstr("/" + std::to_string(info.processes) + " "));
    });
}

TEST(Properties, IdleTimeIsTheSameInStatAndUptime) {
    for_all([](const Sample& sample, View view) {
        view.own_usage = true;
        view.ticks_per_second = 100;
        view.uptime_ns /= 1024;
        std::istringstream words(lines_with(stat(sample.text("/proc/stat"), view), "cpu ").at(0));
        std::string name;
        std::uint64_t user = 0, nice = 0, system = 0, idle = 0;
        words >> name >> user >> nice >> system >> idle;
        const auto fraction = std::to_string(idle % 100);
        ASSERT_TRUE(uptime("", view).ends_with(" " + std::to_string(idle / 100) + (fraction.size() < 2 ? ".0" : ".") +
                                               fraction + "\n"));
    });
}

TEST(Properties, NothingRunsBackwards) {
    Generator generator(3);
    for (int round = 0; round < kRounds; ++round) {
        auto view = unlimited_view(samples()[0].cpus());
        view.own.usage.cpu_user_us = generator.below(1 << 30);
        const auto before = lines_with(stat("", view), "cpu");
        const auto more = generator.below(1 << 20);
        view.own.usage.cpu_user_us += more;
        view.uptime_ns += more * 1000; // one CPU worked all the time
        const auto after = lines_with(stat("", view), "cpu");
        for (std::size_t i = 0; i < before.size(); ++i) {
            std::istringstream old(before[i]), now(after[i]);
            std::string name;
            std::uint64_t a = 0, b = 0;
            old >> name >> a;
            now >> name >> b;
            ASSERT_LE(a, b);
        }
    }
}

TEST(Properties, DamagedTextsDoNoHarm) {
    Generator generator(11);
    for (int round = 0; round < kRounds; ++round) {
        const auto& sample = samples()[generator.below(samples().size())];
        const auto view = generator.view(sample.cpus());
        for (const auto& file : files()) {
            const auto text = file.render(generator.damaged(sample.text(file.host_path)), view);
            ASSERT_TRUE(text.empty() || text.ends_with('\n')) << file.path;
            ASSERT_TRUE(!text.empty() || std::string_view(file.path) == "proc/diskstats") << file.path;
        }
        const auto memory = figures(meminfo(generator.damaged(sample.text("/proc/meminfo")), view));
        ASSERT_TRUE(memory.contains("MemTotal") && memory.contains("SwapFree"));
        const auto cpus = shown(view);
        ASSERT_EQ(lines_with(stat(generator.damaged(sample.text("/proc/stat")), view), "cpu").size(), cpus.count() + 1);
        for (const auto* const path : {"node/node0/meminfo", "node/node0/cpumap", "cpu/kernel_max"})
            ASSERT_TRUE(render(path, generator.damaged(sample.text("/proc/meminfo")), view).ends_with('\n'));
    }
}

} // namespace
} // namespace squish::procfs

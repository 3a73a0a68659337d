// Every file, for hosts of several kernels and containers with several limits, as it was read and found right.
//
// golden/HOST holds texts of a host: linux-6.18-x86_64 was captured from a virtual machine, linux-6.1-debian (two
// sockets, two nodes, swap) and linux-4.19-arm were written by hand after the kernel's documentation and sources of
// those versions. golden/HOST/CONTAINER.expected holds what the container sees there. With SQUISH_GOLDEN_WRITE set
// those are written.
#include "procfs/cpu_folder.h"
#include "procfs/cpuinfo.h"
#include "procfs/diskstats.h"
#include "procfs/meminfo.h"
#include "procfs/pressure.h"
#include "procfs/stat.h"
#include "procfs/swaps.h"
#include "procfs/version.h"
#include "procfs/vmstat.h"
#include "views.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>

namespace squish::procfs::testing {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

std::string render_all(const fs::path& host, const Limits& limits) {
    const auto text = [&host](const char* name) { return read(host / name); };
    const auto view = make_view(limits, some_usage(), read_host(text("meminfo"), text("online")));
    const auto memory = meminfo(text("meminfo"), view);
    std::string out;
    const auto put = [&out](const std::string& name, const std::string& content) {
        out += "=== " + name + "\n" + content;
    };
    put("meminfo", memory);
    put("cpuinfo", cpuinfo(text("cpuinfo"), view));
    put("stat", stat(text("stat"), view));
    put("uptime", uptime(view));
    put("loadavg", loadavg(view));
    put("swaps", swaps(text("swaps"), view));
    put("diskstats", diskstats(text("diskstats"), view));
    put("vmstat", vmstat(text("vmstat"), view));
    put("pressure/cpu", pressure(text("pressure/cpu"), view.usage.cpu_pressure));
    put("pressure/io", pressure(text("pressure/io"), view.usage.io_pressure));
    put("pressure/memory", pressure(text("pressure/memory"), view.usage.memory_pressure));
    put("version", version(text("version")));
    put("cpu/online", cpu_list(text("online"), view));
    if (!fs::exists(host / "node0")) // a kernel without NUMA
        return out;
    put("node0/meminfo", node_meminfo(text("node0/meminfo"), memory));
    put("node0/cpulist", cpu_list(text("node0/cpulist"), view));
    put("node0/cpumap", cpu_mask(text("node0/cpumap"), view));
    return out;
}

class Golden : public ::testing::TestWithParam<std::string> {};

TEST_P(Golden, IsWhatTheContainerSees) {
    const auto host = fs::path(SQUISH_GOLDEN) / GetParam();
    ASSERT_TRUE(fs::exists(host / "meminfo")) << host;
    for (const auto& [name, limits] : some_limits()) {
        const auto path = host / (name + ".expected");
        const auto rendered = render_all(host, limits);
        if (std::getenv("SQUISH_GOLDEN_WRITE") != nullptr)
            std::ofstream(path, std::ios::binary) << rendered;
        EXPECT_EQ(rendered, read(path)) << path;
    }
}

INSTANTIATE_TEST_SUITE_P(Hosts, Golden, ::testing::Values("linux-6.18-x86_64", "linux-6.1-debian", "linux-4.19-arm"),
                         [](const auto& each) {
                             std::string name;
                             for (const char c : each.param)
                                 name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
                             return name;
                         });

} // namespace
} // namespace squish::procfs::testing

// bench-procfs: what reading /proc/meminfo costs through squish-procfs, beside the host's own file, in one run.
//
// How this works
//   A FUSE tree of its own, with the server from the build and no squishd: bench/procfs.sh says how to start it. The
//   files are read by turns, each time open, read to the end, close. Then 20 processes read at once; then 200 views are
//   read once each, and the server's memory is looked at.
//   `floor` is what any server must cost at least: the host's file, and as many exchanges with another process (a byte
//   through a pipe, and one back) as there are requests in a read through FUSE: OPEN, READ, READ at the end.

#include "os/file.h"
#include "os/mount.h"
#include "os/process.h"
#include "procshare/table.h"
#include "procshare/workbook.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace {

using namespace squish;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kReaders = 20, kViews = 200;
constexpr auto kThroughputTime = std::chrono::seconds(2);

struct Contestant {
    std::string name, path;
    std::vector<double> us;
};

struct Tree {
    UniqueFd fuse, table, readable, workbook;
    std::string at;
    os::Child server;
};

Result<void> enter_namespaces() {
    const auto uid = std::to_string(::geteuid()), gid = std::to_string(::getegid());
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return fail_errno("make namespaces");
    TRY(os::write_existing("/proc/self/setgroups", "deny"));
    TRY(os::write_existing("/proc/self/uid_map", "0 " + uid + " 1"));
    return os::write_existing("/proc/self/gid_map", "0 " + gid + " 1");
}

Result<Tree> make_tree(const std::string& program) {
    Tree tree;
    tree.table = TRY(procshare::TableWriter::make());
    tree.readable = TRY(procshare::read_only(tree.table.get()));
    tree.workbook = TRY(procshare::Workbook::make());
    tree.fuse = TRY(os::open_file("/dev/fuse", O_RDWR));
    const auto mount =
        TRY(os::new_filesystem("fuse",
                               {{"source", "squish-procfs"},
                                {"fd", std::to_string(tree.fuse.get())},
                                {"rootmode", "40000"},
                                {"user_id", "0"},
                                {"group_id", "0"},
                                {"allow_other", ""},
                                {"default_permissions", ""}},
                               MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
    std::string pattern = (std::filesystem::temp_directory_path() / "bench-procfs.XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr)
        return fail_errno("mkdtemp");
    tree.at = pattern;
    TRY(os::attach_mount(mount.get(), TRY(os::open_file(pattern, O_PATH | O_DIRECTORY)).get()));
    tree.server = TRY(os::spawn_child({.program = program,
                                       .args = {"squish-procfs"},
                                       .environment = {},
                                       .keep = {tree.fuse.get(), tree.readable.get(), tree.workbook.get()},
                                       .stderr_fd = 2}));
    return tree;
}

// Open, read to the end as cat(1) does, close.
bool read_file(const std::string& path) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file)
        return false;
    char buffer[65536];
    ssize_t got = 0;
    while ((got = ::read(file.get(), buffer, sizeof buffer)) > 0) {
    }
    return got == 0;
}

// The file at a place of its own, as in a container: nobody there walks through the folder of all views.
Result<std::string> cover(const std::string& at, std::size_t number, const std::string& path) {
    const auto place = at + ".file" + std::to_string(number);
    TRY(os::open_file(place, O_WRONLY | O_CREAT, 0600));
    if (::mount(path.c_str(), place.c_str(), nullptr, MS_BIND, nullptr) < 0)
        return fail_errno("bind '" + path + "'");
    return place;
}

// A process that answers each byte with a byte. It ends with its pipe.
class Partner {
public:
    Partner() {
        int there[2], back[2];
        if (::pipe2(there, O_CLOEXEC) < 0 || ::pipe2(back, O_CLOEXEC) < 0)
            return;
        if (::fork() == 0) {
            ::close(there[1]);
            for (char byte = 0; ::read(there[0], &byte, 1) == 1 && ::write(back[1], &byte, 1) == 1;) {
            }
            ::_exit(0);
        }
        ::close(there[0]);
        ::close(back[1]);
        to_ = UniqueFd(there[1]);
        from_ = UniqueFd(back[0]);
    }
    [[nodiscard]] bool exchange() const {
        char byte = 0;
        return ::write(to_.get(), &byte, 1) == 1 && ::read(from_.get(), &byte, 1) == 1;
    }

private:
    UniqueFd to_, from_;
};

bool read_at_least() {
    static const Partner partner;
    bool good = read_file("/proc/meminfo");
    for (int request = 0; request < 3; ++request)
        good = good && partner.exchange();
    return good;
}

double time_of(const std::string& path) {
    const auto start = Clock::now();
    if (path.empty() ? !read_at_least() : !read_file(path))
        std::fprintf(stderr, "bench-procfs: '%s' cannot be read: %s\n", path.c_str(), std::strerror(errno));
    return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

double percentile(std::vector<double> values, double part) {
    std::ranges::sort(values);
    return values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1))];
}

void compare(std::vector<Contestant>& contestants, int rounds) {
    for (int round = -rounds / 10; round < rounds; ++round)
        for (auto& contestant : contestants)
            if (const auto us = time_of(contestant.path); round >= 0)
                contestant.us.push_back(us);
    const auto& native = contestants.front().us;
    std::printf("open + read + close of meminfo, %d rounds by turns, microseconds\n", rounds);
    std::printf("%-16s %8s %8s %10s %10s %10s %10s\n", "", "p50", "p99", "p50 more", "p99 more", "p50 ratio",
                "p99 ratio");
    for (const auto& contestant : contestants) {
        const auto p50 = percentile(contestant.us, 0.5), p99 = percentile(contestant.us, 0.99);
        const auto native50 = percentile(native, 0.5), native99 = percentile(native, 0.99);
        std::printf("%-16s %8.1f %8.1f %10.1f %10.1f %10.2f %10.2f\n", contestant.name.c_str(), p50, p99,
                    p50 - native50, p99 - native99, p50 / native50, p99 / native99);
    }
}

// Files read in a second by 20 processes, each its own.
double throughput(const std::vector<std::string>& paths) {
    auto* const reads = static_cast<std::atomic<std::uint64_t>*>(
        ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    std::vector<pid_t> pids;
    const auto end = Clock::now() + kThroughputTime;
    for (std::size_t i = 0; i < kReaders; ++i) {
        pids.push_back(::fork());
        if (pids.back() == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            std::uint64_t count = 0;
            while (Clock::now() < end)
                count += read_file(paths[i % paths.size()]);
            *reads += count;
            ::_exit(0);
        }
    }
    for (const auto pid : pids)
        ::waitpid(pid, nullptr, 0);
    const auto total = static_cast<double>(reads->load());
    ::munmap(reads, 4096);
    return total / std::chrono::duration<double>(kThroughputTime).count();
}

long memory_kib(pid_t pid, const char* name) {
    const auto status = os::read_file("/proc/" + std::to_string(pid) + "/status");
    const auto at = status ? status->find(name) : std::string::npos;
    return at == std::string::npos ? -1 : std::atol(status->c_str() + at + std::strlen(name));
}

Result<void> run(const std::string& program, int rounds, std::vector<Contestant> contestants) {
    TRY(enter_namespaces());
    auto tree = TRY(make_tree(program));
    auto writer = TRY(procshare::TableWriter::open(tree.table.get()));
    std::vector<std::string> views;
    for (std::size_t i = 0; i < kViews; ++i) {
        procshare::Facts facts;
        facts.key = writer.add();
        facts.memory = 256 << 20;
        facts.cpus[0] = 1;
        facts.own_cpus = 1;
        writer.put(facts);
        views.push_back(tree.at + "/" + std::to_string(facts.key));
    }
    const auto started = memory_kib(tree.server.pid, "VmRSS:");
    std::vector<std::string> covers;
    for (std::size_t i = 0; i < kReaders; ++i)
        covers.push_back(TRY(cover(tree.at, i, views[i] + "/proc/meminfo")));
    const Contestant ours{.name = "squish", .path = covers[0], .us = {}};
    const Contestant floor{.name = "floor", .path = "", .us = {}};
    contestants.insert(contestants.begin() + 1, ours);
    contestants.insert(contestants.begin() + 1, floor);
    compare(contestants, rounds);
    std::erase_if(contestants, [](const auto& contestant) { return contestant.path.empty(); });

    std::printf("\n20 readers at once, files in a second\n");
    for (const auto& contestant : contestants) {
        std::vector<std::string> paths;
        for (std::size_t i = 0; i < kReaders; ++i)
            paths.push_back(contestant.name == "squish" ? covers[i] : contestant.path);
        std::printf("%-16s %8.0f\n", contestant.name.c_str(), throughput(paths));
    }

    for (const auto& view : views)
        for (const auto* file : {"meminfo", "cpuinfo", "stat", "uptime", "loadavg", "swaps", "diskstats", "vmstat"})
            (void) read_file(view + "/proc/" + file);
    std::printf("\nmemory of squish-procfs, KiB: %ld resident when it had started, %ld after %zu views were read "
                "(%ld its own, %ld of files, %ld shared memory)\n",
                started, memory_kib(tree.server.pid, "VmRSS:"), kViews, memory_kib(tree.server.pid, "RssAnon:"),
                memory_kib(tree.server.pid, "RssFile:"), memory_kib(tree.server.pid, "RssShmem:"));
    std::printf("server: pid %d\n", tree.server.pid);
    std::fflush(stdout);
    if (std::getenv("BENCH_PROCFS_HOLD") != nullptr)
        ::sleep(3); // somebody measures from outside
    ::kill(tree.server.pid, SIGKILL);
    ::waitpid(tree.server.pid, nullptr, 0);
    tree.fuse.reset();
    for (const auto& place : covers) {
        ::umount2(place.c_str(), MNT_DETACH);
        ::unlink(place.c_str());
    }
    ::umount2(tree.at.c_str(), MNT_DETACH);
    ::rmdir(tree.at.c_str());
    return {};
}

} // namespace

// bench-procfs SERVER ROUNDS [NAME=PATH…]: further files to compare with.
int main(int count, char** arguments) {
    if (count < 3 || std::atoi(arguments[2]) < 10) {
        std::fprintf(stderr, "usage: bench-procfs SERVER ROUNDS [NAME=PATH...]\n");
        return 2;
    }
    std::vector<Contestant> contestants = {{.name = "host", .path = "/proc/meminfo", .us = {}}};
    for (int i = 3; i < count; ++i) {
        const std::string_view given = arguments[i];
        const auto equals = std::min(given.find('='), given.size() - 1);
        contestants.push_back(
            {.name = std::string(given.substr(0, equals)), .path = std::string(given.substr(equals + 1)), .us = {}});
    }
    const auto done = run(arguments[1], std::atoi(arguments[2]), std::move(contestants));
    if (done)
        return 0;
    std::fprintf(stderr, "bench-procfs: %s\n", done.error().text().c_str());
    return 1;
}

// squish-procfs by itself: a FUSE tree in a namespace of the test's own, any way of reading it, and its death.
#include "procfs_tree.h"

#include "base/sanitizers.h"
#include "procfs/tree.h"
#include "procfsd/confine.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <gmock/gmock.h>
#include <random>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <vector>

namespace squish::procfsd {
namespace {

using namespace squish::test;
using procshare::Key;
using test::write_file;
using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;
using ::testing::StartsWith;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kMiB = 1 << 20;

// A tree with its server in namespaces of its own.
void with_tree(const std::function<void(ProcfsTree&)>& body) {
    in_child([&] {
        enter_user_namespace(CLONE_NEWNS);
        if (::testing::Test::HasFatalFailure())
            return;
        const auto tree = MUST(ProcfsTree::make());
        tree->start_server();
        body(*tree);
    });
}

// The errno with which open(2) failed; 0 where it did not.
int open_error(const std::string& path, int flags = O_RDONLY) {
    const UniqueFd file(::open(path.c_str(), flags | O_CLOEXEC, 0600));
    return file ? 0 : errno;
}

// The whole of a file, read in pieces of `size`; none where a read fails.
std::optional<std::string> read_in_pieces(int file, std::size_t size) {
    std::string text, piece(size, '\0');
    for (;;) {
        const auto got = ::read(file, piece.data(), piece.size());
        if (got < 0)
            return std::nullopt;
        if (got == 0)
            return text;
        text.append(piece, 0, static_cast<std::size_t>(got));
    }
}
std::optional<std::string> read_whole(const std::string& path, std::size_t size = 65536) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    return file ? read_in_pieces(file.get(), size) : std::nullopt;
}

std::vector<std::string> names_in(const std::string& folder) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        names.push_back(entry.path().filename());
    std::ranges::sort(names);
    return names;
}

// Files whose text is the same at any moment: none of the view's processes exists.
constexpr const char* kSteady[] = {"proc/meminfo", "proc/cpuinfo", "proc/swaps", "cpu/online", "node/node0/meminfo"};

class Procfsd : public ::testing::Test {
protected:
    void SetUp() override { SKIP_AS_ROOT(); }
};

TEST_F(Procfsd, ShowsEachViewItsOwnFigures) {
    with_tree([](ProcfsTree& tree) {
        const auto small = tree.add_view(64 * kMiB), large = tree.add_view(128 * kMiB);
        EXPECT_THAT(read_whole(tree.path(small, "proc/meminfo")).value_or(""),
                    AllOf(HasSubstr("MemTotal:          65536 kB\n"), EndsWith("\n")));
        EXPECT_THAT(read_whole(tree.path(large, "proc/meminfo")).value_or(""),
                    HasSubstr("MemTotal:         131072 kB\n"));
        EXPECT_EQ(read_whole(tree.path(small, "cpu/online")), "0\n");
        EXPECT_THAT(read_whole(tree.path(small, "node/node0/meminfo")).value_or(""),
                    HasSubstr("MemTotal:          65536 kB"));
        EXPECT_THAT(read_whole(tree.path(small, "proc/uptime")).value_or(""), Not(testing::IsEmpty()));
        struct stat info{};
        ASSERT_EQ(::stat(tree.path(small, "proc/meminfo").c_str(), &info), 0);
        EXPECT_EQ(info.st_mode, static_cast<mode_t>(S_IFREG | 0444));
        EXPECT_EQ(info.st_size, 4096) << "sendfile(2) takes a size of 0 for the end";
        EXPECT_EQ(info.st_uid, 0U);
    });
}

TEST_F(Procfsd, EveryFileThatIsListedCanBeReadAndHasAnIdOfItsOwn) {
    with_tree([](ProcfsTree& tree) {
        const auto key = tree.add_view(64 * kMiB);
        const auto view = tree.path(key, "");
        EXPECT_THAT(names_in(view), ElementsAre("cpu", "node", "proc"));
        EXPECT_THAT(names_in(view + "proc"), IsSupersetOf({"cpuinfo", "diskstats", "loadavg", "meminfo", "slabinfo",
                                                           "stat", "swaps", "uptime", "version", "vmstat"}));
        std::vector<ino_t> ids;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(view)) {
            struct stat info{};
            ASSERT_EQ(::stat(entry.path().c_str(), &info), 0) << entry.path();
            ids.push_back(info.st_ino);
            if (entry.is_regular_file()) {
                EXPECT_TRUE(read_whole(entry.path())) << entry.path();
            }
        }
        EXPECT_GT(ids.size(), 25U);
        std::ranges::sort(ids);
        EXPECT_EQ(std::ranges::adjacent_find(ids), ids.end());
    });
}

TEST_F(Procfsd, AnyWayOfReadingGivesTheSameText) {
    with_tree([](ProcfsTree& tree) {
        const auto key = tree.add_view(64 * kMiB);
        for (const auto* name : kSteady) {
            const auto path = tree.path(key, name);
            const auto whole = read_whole(path);
            ASSERT_TRUE(whole);
            ASSERT_FALSE(whole->empty()) << name;
            for (const std::size_t size : {1U, 2U, 7U, 100U, 4095U, 4096U, 1U << 20})
                EXPECT_EQ(read_whole(path, size), whole) << name << " by " << size;
            const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
            std::minstd_rand random(7);
            for (int i = 0; i < 200; ++i) {
                const auto offset = random() % (whole->size() + 10), size = random() % 5000;
                std::string part(size, '\0');
                const auto got = ::pread(file.get(), part.data(), size, static_cast<off_t>(offset));
                ASSERT_GE(got, 0);
                part.resize(static_cast<std::size_t>(got));
                EXPECT_EQ(part, offset < whole->size() ? whole->substr(offset, size) : "");
            }
            char byte = 0;
            EXPECT_EQ(::pread(file.get(), &byte, 1, static_cast<off_t>(whole->size())), 0);
            EXPECT_EQ(::pread(file.get(), &byte, 1, INT64_MAX - 1), 0) << "far beyond the end";
            EXPECT_EQ(::lseek(file.get(), 1, SEEK_SET), 1);
            EXPECT_EQ(::read(file.get(), &byte, 1), 1);
            EXPECT_EQ(byte, (*whole)[1]);
            EXPECT_EQ(::lseek(file.get(), 0, SEEK_SET), 0) << "a file that is kept open, as procps does";
            EXPECT_EQ(read_in_pieces(file.get(), 512), whole);
        }
    });
}

TEST_F(Procfsd, WhoReadsInPiecesReadsWhatWasThereWhenItWasOpened) {
    with_tree([](ProcfsTree& tree) {
        const auto key = tree.add_view(64 * kMiB);
        const UniqueFd file(::open(tree.path(key, "proc/meminfo").c_str(), O_RDONLY | O_CLOEXEC));
        char start[10];
        ASSERT_EQ(::read(file.get(), start, sizeof start), 10);
        auto facts = tree.writer->get(key).value();
        facts.memory = 32 * kMiB;
        tree.writer->put(facts);
        tree.kill_server();
        tree.start_server();
        EXPECT_THAT(std::string(start, 10) + read_in_pieces(file.get(), 64).value_or(""),
                    HasSubstr("MemTotal:          65536 kB\n"));
        EXPECT_THAT(read_whole(tree.path(key, "proc/meminfo")).value_or(""),
                    HasSubstr("MemTotal:          32768 kB\n"));
    });
}

TEST_F(Procfsd, ViewsThatAreNotThereAreNotFound) {
    with_tree([](ProcfsTree& tree) {
        const auto key = tree.add_view(64 * kMiB);
        for (const std::string name : {"1", "0", "-1", "00", "999999999999999999999999", "x", "proc", "self",
                                       "18446744073709551615", "1099511627775"})
            EXPECT_EQ(open_error(tree.at + "/" + name), ENOENT) << name;
        EXPECT_EQ(open_error(tree.at + "/0" + std::to_string(key)), ENOENT);
        EXPECT_EQ(open_error(tree.at + "/" + std::to_string(key + procshare::kMaxViews)), ENOENT);
        EXPECT_THAT(names_in(tree.at), ElementsAre()) << "nobody learns of others' keys";
        for (const std::string name : {"etc", "proc/self", "proc/1", "proc/meminfo/x", "proc/kcore", "cpu/cpu9999",
                                       "cpu/cpu00", "cpu/cpu0/../../../x", "node/node1", "proc/sys"})
            EXPECT_THAT(open_error(tree.path(key, name)), AnyOf(ENOENT, ENOTDIR)) << name;
        EXPECT_EQ(open_error(tree.path(key, std::string(255, 'a'))), ENOENT);
        EXPECT_EQ(open_error(tree.path(key, "proc/meminfo")), 0);
    });
}

TEST_F(Procfsd, AViewThatIsRemovedIsGoneAndWhatIsOpenStaysReadable) {
    with_tree([](ProcfsTree& tree) {
        const auto key = tree.add_view(64 * kMiB), other = tree.add_view(64 * kMiB);
        const auto path = tree.path(key, "proc/meminfo");
        const UniqueFd folder(::open(tree.path(key, "proc").c_str(), O_PATH | O_CLOEXEC)); // as a container's mount
        const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        tree.writer->remove(key);
        EXPECT_EQ(open_error(path), ENOENT);
        EXPECT_EQ(::openat(folder.get(), "meminfo", O_RDONLY | O_CLOEXEC), -1);
        EXPECT_THAT(read_in_pieces(file.get(), 100).value_or(""), HasSubstr("MemTotal:          65536 kB\n"));
        const auto next = tree.add_view(32 * kMiB);
        EXPECT_EQ(procshare::index_of(next), procshare::index_of(key));
        EXPECT_EQ(open_error(path), ENOENT) << "the next view at its index is another";
        EXPECT_THAT(read_whole(tree.path(next, "proc/meminfo")).value_or(""), HasSubstr(" 32768 kB"));
        EXPECT_TRUE(read_whole(tree.path(other, "proc/meminfo")));
    });
}

TEST_F(Procfsd, TheFoldersOfCpusFollowTheFacts) {
    if (std::thread::hardware_concurrency() < 2)
        GTEST_SKIP() << "needs two CPUs";
    with_tree([](ProcfsTree& tree) {
        const auto key = tree.add_view(64 * kMiB, 3);
        const auto folder = tree.path(key, "cpu");
        EXPECT_THAT(names_in(folder), IsSupersetOf({"cpu0", "cpu1", "online", "possible", "present"}));
        EXPECT_EQ(read_whole(folder + "/online"), "0-1\n");
        EXPECT_EQ(open_error(folder + "/cpu1"), 0);
        auto facts = tree.writer->get(key).value();
        facts.cpus[0] = 1;
        tree.writer->put(facts);
        EXPECT_EQ(read_whole(folder + "/online"), "0\n");
        EXPECT_THAT(names_in(folder), Not(Contains("cpu1")));
        EXPECT_TRUE(eventually([&] { return open_error(folder + "/cpu1") == ENOENT; }));
        facts.cpus[0] = 3;
        tree.writer->put(facts);
        EXPECT_TRUE(eventually([&] { return open_error(folder + "/cpu1") == 0; }));
    });
}

TEST_F(Procfsd, NothingCanBeWritten) {
    with_tree([](ProcfsTree& tree) {
        const auto key = tree.add_view(64 * kMiB);
        const auto path = tree.path(key, "proc/meminfo");
        EXPECT_EQ(open_error(path, O_WRONLY), EROFS);
        EXPECT_EQ(open_error(path, O_RDWR), EROFS);
        EXPECT_EQ(open_error(path, O_RDONLY | O_TRUNC), EROFS);
        EXPECT_EQ(open_error(tree.path(key, "proc/new"), O_WRONLY | O_CREAT), EROFS);
        EXPECT_NE(::unlink(path.c_str()), 0);
        EXPECT_NE(::mkdir(tree.path(key, "new").c_str(), 0700), 0);
        EXPECT_NE(::chmod(path.c_str(), 0777), 0);
        EXPECT_NE(::rename(path.c_str(), tree.path(key, "proc/x").c_str()), 0);
        EXPECT_NE(::symlink("/", tree.path(key, "link").c_str()), 0);
        EXPECT_NE(::truncate(path.c_str(), 0), 0);
        // And where somebody mounts it writable.
        ASSERT_EQ(::mount(nullptr, tree.at.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                          nullptr),
                  0)
            << std::strerror(errno);
        EXPECT_THAT(open_error(path, O_WRONLY), AnyOf(EACCES, EROFS));
        EXPECT_THAT(open_error(path, O_RDONLY | O_TRUNC), AnyOf(EACCES, EROFS, ENOSYS));
        EXPECT_NE(open_error(tree.path(key, "proc/new"), O_WRONLY | O_CREAT), 0);
        EXPECT_NE(::unlink(path.c_str()), 0);
        EXPECT_TRUE(read_whole(path));
    });
}

// --- many, and unkind, readers

// Holds `count` opens of `path` from processes of its own, until it is destroyed.
class Holders {
public:
    Holders(const std::string& path, int count) {
        rlimit limit{};
        ::getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = limit.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &limit);
        const int each = static_cast<int>(std::min<rlim_t>(limit.rlim_cur - 100, 1000));
        for (int held = 0; held < count; held += each) {
            int ready[2];
            EXPECT_EQ(::pipe2(ready, O_CLOEXEC), 0);
            const pid_t pid = ::fork();
            if (pid == 0) {
                ::prctl(PR_SET_PDEATHSIG, SIGKILL);
                char opened = 1;
                for (int i = held; i < std::min(held + each, count); ++i)
                    if (::open(path.c_str(), O_RDONLY | O_CLOEXEC) < 0)
                        opened = 0;
                (void) !::write(ready[1], &opened, 1);
                for (;;)
                    ::pause();
            }
            ::close(ready[1]);
            pids_.push_back(pid);
            ready_.emplace_back(ready[0]);
        }
        for (const auto& end : ready_) {
            char opened = 0;
            EXPECT_EQ(::read(end.get(), &opened, 1), 1);
            EXPECT_EQ(opened, 1) << "an open failed";
        }
    }
    ~Holders() {
        for (const auto pid : pids_) {
            ::kill(pid, SIGKILL);
            ::waitpid(pid, nullptr, 0);
        }
    }

private:
    std::vector<pid_t> pids_;
    std::vector<UniqueFd> ready_;
};

std::int64_t resident_kib(pid_t pid) {
    const auto status = test::read_file("/proc/" + std::to_string(pid) + "/status");
    const auto at = status.find("VmRSS:");
    return at == std::string::npos ? -1 : std::atoll(status.c_str() + at + 6);
}

TEST_F(Procfsd, TenThousandOpensOfOneContainerCostTheOthersNothing) {
    with_tree([](ProcfsTree& tree) {
        const auto greedy = tree.add_view(64 * kMiB), modest = tree.add_view(128 * kMiB);
        const auto path = tree.path(modest, "proc/meminfo");
        const auto expected = read_whole(path);
        const UniqueFd open_before(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        const auto longest = [&] {
            auto worst = Clock::duration::zero();
            for (int i = 0; i < 500; ++i) {
                const auto start = Clock::now();
                EXPECT_EQ(read_whole(path), expected);
                worst = std::max(worst, Clock::now() - start);
            }
            return std::chrono::duration_cast<std::chrono::microseconds>(worst).count();
        };
        const auto before = longest();
        const auto resident = resident_kib(tree.server.pid);
        {
            const Holders holders(tree.path(greedy, "proc/cpuinfo"), 10'000);
            std::printf("longest of 500 reads: %ld us before, %ld us with 10,000 files open\n", before, longest());
            EXPECT_LE(tree.texts_held(), procshare::kSlotsOfView + 2U); // one is open, one is being closed
            if (!kAddressSanitizer) {                                   // which keeps what was freed
                EXPECT_LT(resident_kib(tree.server.pid), resident + 4096) << "memory does not grow with them";
            }
            EXPECT_EQ(read_in_pieces(open_before.get(), 10), expected) << "the other's text was not dropped";
            EXPECT_TRUE(read_whole(tree.path(greedy, "proc/meminfo")));
        }
        EXPECT_TRUE(eventually([&] { return tree.texts_held() == 1; })) << "closed, each of them";
    });
}

TEST_F(Procfsd, ATextThatWasDroppedFromTheShelfIsMadeAgain) {
    with_tree([](ProcfsTree& tree) {
        const auto key = tree.add_view(64 * kMiB);
        const auto path = tree.path(key, "proc/meminfo");
        const auto expected = read_whole(path);
        std::vector<UniqueFd> files;
        for (int i = 0; i < 600; ++i)
            files.emplace_back(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        for (const auto& file : files)
            EXPECT_EQ(read_in_pieces(file.get(), 700), expected);
        files.clear();
        EXPECT_TRUE(eventually([&] { return tree.texts_held() == 0; }));
    });
}

TEST_F(Procfsd, ReadersThatAreKilledLeaveNothingBehind) {
    with_tree([](ProcfsTree& tree) {
        const auto key = tree.add_view(64 * kMiB);
        const auto path = tree.path(key, "proc/meminfo");
        for (int round = 0; round < 50; ++round) {
            int pipe[2];
            ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
            const pid_t pid = ::fork();
            if (pid == 0) {
                ::prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;) {
                    (void) read_whole(path, 1);
                    (void) !::write(pipe[1], "x", 1);
                }
            }
            ::close(pipe[1]);
            char byte = 0;
            EXPECT_EQ(::read(pipe[0], &byte, 1), 1);
            ::kill(pid, SIGKILL);
            ::waitpid(pid, nullptr, 0);
            ::close(pipe[0]);
        }
        EXPECT_TRUE(eventually([&] { return tree.texts_held() == 0; }));
        EXPECT_TRUE(read_whole(path));
    });
}

// --- the death of the server

// What readers report, in memory that they share with the test.
struct Report {
    std::atomic<bool> stop;
    std::atomic<std::uint64_t> reads, wrong, longest_us;
};

class Readers {
public:
    // Each reads the file of its own view again and again and compares.
    Readers(ProcfsTree& tree, int count)
        : report_(*static_cast<Report*>(
              ::mmap(nullptr, sizeof(Report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
        std::vector<std::pair<std::string, std::string>> files;
        for (int i = 0; i < count; ++i) {
            const auto key = tree.add_view((64 + static_cast<unsigned>(i)) * kMiB);
            const auto path = tree.path(key, kSteady[static_cast<std::size_t>(i) % std::size(kSteady)]);
            files.emplace_back(path, read_whole(path).value_or(""));
            EXPECT_FALSE(files.back().second.empty()) << path;
        }
        for (int i = 0; i < count; ++i) {
            pids_.push_back(::fork());
            if (pids_.back() == 0) {
                ::prctl(PR_SET_PDEATHSIG, SIGKILL);
                read_on(files[static_cast<std::size_t>(i)], i % 4 == 0 ? 100 : 8192);
                ::_exit(0);
            }
        }
    }
    // Waits for so many more reads.
    [[nodiscard]] bool go_on(std::uint64_t reads) const {
        const auto goal = report_.reads + reads;
        const auto end = Clock::now() + std::chrono::seconds(20);
        while (report_.reads < goal && Clock::now() < end)
            std::this_thread::yield();
        return report_.reads >= goal;
    }
    // Ends them; what they saw.
    const Report& finish() {
        report_.stop = true;
        for (const auto pid : pids_) {
            int status = -1;
            ::waitpid(pid, &status, 0);
            EXPECT_EQ(status, 0);
        }
        pids_.clear();
        return report_;
    }

private:
    void read_on(const std::pair<std::string, std::string>& file, std::size_t size) {
        while (!report_.stop) {
            const auto start = Clock::now();
            const auto text = read_whole(file.first, size);
            const auto took = static_cast<std::uint64_t>(
                std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start).count());
            if (text != file.second)
                ++report_.wrong;
            ++report_.reads;
            auto longest = report_.longest_us.load();
            while (took > longest && !report_.longest_us.compare_exchange_weak(longest, took)) {
            }
        }
    }

    Report& report_;
    std::vector<pid_t> pids_;
};

TEST_F(Procfsd, KilledAHundredTimesUnderTwentyReadersEveryTextIsWhole) {
    with_tree([](ProcfsTree& tree) {
        Readers readers(tree, 20);
        std::minstd_rand random(1);
        for (int round = 0; round < 100; ++round) {
            ASSERT_TRUE(readers.go_on(1 + random() % 100)) << "readers hang after " << round << " kills";
            tree.kill_server();
            tree.start_server();
        }
        ASSERT_TRUE(readers.go_on(100));
        const auto& report = readers.finish();
        std::printf("%lu reads, longest %lu us\n", report.reads.load(), report.longest_us.load());
        EXPECT_EQ(report.wrong, 0U);
        EXPECT_TRUE(eventually([&] { return tree.texts_held() == 0; })) << "no text is left without a reader";
    });
}

TEST_F(Procfsd, StoppedAndKilledInTheMiddleOfItsWorkEveryTextIsWhole) {
    with_tree([](ProcfsTree& tree) {
        Readers readers(tree, 8);
        for (int round = 0; round < 30; ++round) {
            ASSERT_TRUE(readers.go_on(20));
            ::kill(tree.server.pid, SIGSTOP);
            int status = 0;
            ASSERT_EQ(::waitpid(tree.server.pid, &status, WUNTRACED), tree.server.pid);
            ASSERT_TRUE(WIFSTOPPED(status));
            tree.kill_server();
            tree.start_server();
        }
        ASSERT_TRUE(readers.go_on(50));
        EXPECT_EQ(readers.finish().wrong, 0U);
    });
}

// A reader in a process of its own, and what it read.
class OneReader {
public:
    explicit OneReader(const std::string& path) {
        int pipe[2];
        EXPECT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            const auto text = read_whole(path).value_or("error");
            (void) !::write(pipe[1], text.data(), text.size());
            ::_exit(0);
        }
        ::close(pipe[1]);
        end_ = UniqueFd(pipe[0]);
    }
    std::string text() {
        auto text = read_in_pieces(end_.get(), 4096).value_or("");
        ::waitpid(pid_, nullptr, 0);
        return text;
    }

private:
    pid_t pid_ = -1;
    UniqueFd end_;
};

// What a server does that is killed as soon as it has read a request.
void take_request(ProcfsTree& tree, std::uint32_t begun) {
    auto& memory = *static_cast<procshare::WorkbookMemory*>(
        ::mmap(nullptr, sizeof(procshare::WorkbookMemory), PROT_READ | PROT_WRITE, MAP_SHARED, tree.workbook.get(), 0));
    std::memset(memory.request, 0, 40);
    EXPECT_GT(::read(tree.fuse.get(), memory.request, sizeof memory.request), 40);
    memory.begun = begun;
    ::munmap(&memory, sizeof memory);
}

// Kills the server when it has nothing in hand that the next take_request() would overwrite.
void rest(ProcfsTree& tree) {
    EXPECT_TRUE(eventually([&] { return tree.texts_held() == 0; })) << "closing a file is answered later";
    tree.kill_server();
}

TEST_F(Procfsd, ARequestThatWasInHandIsAnsweredByTheNextServer) {
    with_tree([](ProcfsTree& tree) {
        const auto path = tree.path(tree.add_view(64 * kMiB), "proc/meminfo");
        const auto expected = read_whole(path);
        for (int round = 0; round < 20; ++round) {
            rest(tree);
            OneReader reader(path);
            take_request(tree, 1);
            tree.start_server();
            EXPECT_EQ(reader.text(), expected);
        }
        EXPECT_TRUE(eventually([&] { return tree.texts_held() == 0; }));
    });
}

TEST_F(Procfsd, ARequestThatKilledTheServerAgainAndAgainIsAnsweredWithoutTheHost) {
    with_tree([](ProcfsTree& tree) {
        const auto path = tree.path(tree.add_view(64 * kMiB), "proc/meminfo");
        EXPECT_TRUE(read_whole(path));
        rest(tree);
        OneReader reader(path);
        take_request(tree, 2);
        tree.start_server();
        EXPECT_THAT(reader.text(), StartsWith("MemTotal:"));
    });
}

TEST_F(Procfsd, TheFirstRequestOfAllMayBeInHandToo) {
    in_child([] {
        enter_user_namespace(CLONE_NEWNS);
        const auto tree = MUST(ProcfsTree::make());
        take_request(*tree, 1); // INIT, which the mount sent
        OneReader reader(tree->path(tree->add_view(64 * kMiB), "cpu/online"));
        tree->start_server();
        EXPECT_EQ(reader.text(), "0\n");
        tree->kill_server();
        tree->start_server();
        EXPECT_EQ(OneReader(tree->path(tree->add_view(64 * kMiB), "cpu/online")).text(), "0\n");
    });
}

TEST_F(Procfsd, ARequestThatWasAnsweredAlreadyDoesNoHarm) {
    with_tree([](ProcfsTree& tree) {
        const auto path = tree.path(tree.add_view(64 * kMiB), "proc/meminfo");
        const auto expected = read_whole(path);
        rest(tree);
        std::vector<std::byte> request(procshare::kMaxRequest);
        auto& memory = *static_cast<procshare::WorkbookMemory*>(::mmap(
            nullptr, sizeof(procshare::WorkbookMemory), PROT_READ | PROT_WRITE, MAP_SHARED, tree.workbook.get(), 0));
        const pid_t opener = ::fork(); // opens, then reads when it is told
        if (opener == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
            ::raise(SIGSTOP);
            ::_exit(read_in_pieces(file.get(), 1000) == expected ? 0 : 1);
        }
        take_request(tree, 1);
        std::memcpy(request.data(), memory.request, request.size());
        tree.start_server();
        int status = 0;
        ASSERT_EQ(::waitpid(opener, &status, WUNTRACED), opener); // its OPEN is answered
        ASSERT_TRUE(WIFSTOPPED(status));
        tree.kill_server();
        std::memcpy(memory.request, request.data(), request.size()); // killed before it could forget
        memory.begun = 1;
        tree.start_server();
        EXPECT_EQ(read_whole(path), expected);
        EXPECT_TRUE(eventually([&] { return tree.texts_held() == 1; }))
            << "the text that the opener has is still there, once";
        ::kill(opener, SIGCONT);
        ASSERT_EQ(::waitpid(opener, &status, 0), opener);
        EXPECT_EQ(status, 0);
        EXPECT_TRUE(eventually([&] { return tree.texts_held() == 0; }));
        ::munmap(&memory, sizeof memory);
    });
}

TEST_F(Procfsd, ANewVersionTakesOverWhileReadersRead) {
    with_tree([](ProcfsTree& tree) {
        Readers readers(tree, 8);
        for (int round = 0; round < 20; ++round) {
            auto next = MUST(tree.spawn_server()); // it waits for the end of the one before
            ASSERT_TRUE(readers.go_on(20));
            ::kill(tree.server.pid, SIGTERM);
            int status = 0;
            ASSERT_EQ(::waitpid(tree.server.pid, &status, 0), tree.server.pid);
            tree.server = std::move(next);
            ASSERT_TRUE(readers.go_on(20));
        }
        EXPECT_EQ(readers.finish().wrong, 0U);
    });
}

TEST_F(Procfsd, EndsWhenTheTreeIsNotMountedAnyMore) {
    with_tree([](ProcfsTree& tree) {
        EXPECT_TRUE(read_whole(tree.path(tree.add_view(64 * kMiB), "proc/meminfo")));
        ASSERT_EQ(::umount(tree.at.c_str()), 0);
        int status = -1;
        ASSERT_EQ(::waitpid(tree.server.pid, &status, 0), tree.server.pid);
        EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
        tree.server = {};
    });
}

// --- what it may do

TEST_F(Procfsd, IsConfined) {
    with_tree([](ProcfsTree& tree) {
        EXPECT_TRUE(read_whole(tree.path(tree.add_view(64 * kMiB), "proc/meminfo")));
        const auto status = test::read_file("/proc/" + std::to_string(tree.server.pid) + "/status");
        EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1"));
        EXPECT_THAT(status, HasSubstr("CapPrm:\t0000000000000000"));
        EXPECT_THAT(status, HasSubstr("CapEff:\t0000000000000000"));
        if (!kAddressSanitizer) {
            EXPECT_THAT(status, HasSubstr("Seccomp:\t2"));
        }
        EXPECT_THAT(status, HasSubstr("Threads:\t1"));
    });
}

TEST_F(Procfsd, ReachesNothingButProcAndSys) {
    in_child([] {
        enter_user_namespace(CLONE_NEWNS);
        const bool landlock = ::syscall(444, nullptr, 0, 1) > 0;
        MUST_VOID(confine());
        EXPECT_EQ(open_error("/proc/meminfo"), 0);
        EXPECT_EQ(open_error("/sys/devices/system/cpu/online"), 0);
        if (landlock) {
            for (const auto* path : {"/etc/passwd", "/", "/dev/null", "/tmp/new"})
                EXPECT_EQ(open_error(path, path[1] == 't' ? O_WRONLY | O_CREAT : O_RDONLY), EACCES) << path;
            EXPECT_EQ(open_error("/proc/self/comm", O_WRONLY), EACCES);
        } else {
            std::printf("this kernel has no Landlock\n");
        }
        if (kAddressSanitizer)
            return;
        EXPECT_EQ(::socket(AF_INET, SOCK_STREAM, 0), -1);
        EXPECT_EQ(::fork(), -1);
        char* const arguments[] = {nullptr};
        EXPECT_EQ(::execve("/proc/self/exe", arguments, arguments), -1);
        EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), MAP_FAILED);
        EXPECT_EQ(::kill(::getppid(), 0), -1);
        EXPECT_EQ(::unshare(CLONE_NEWUSER), -1);
        EXPECT_EQ(errno, ENOSYS);
    });
}

} // namespace
} // namespace squish::procfsd

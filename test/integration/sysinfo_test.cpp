// squish-sysinfo against real filters in real user namespaces. The test plays the keeper.
#include "user_network.h"

#include "os/process.h"
#include "os/socket.h"
#include "procfs/files.h"
#include "procshare/notices.h"
#include "procshare/table.h"
#include "procview/clock.h"
#include "procview/collect.h"
#include "wire/codec.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <linux/filter.h>
#include <linux/fuse.h>
#include <linux/seccomp.h>
#include <map>
#include <memory>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <thread>
#include <vector>

namespace squish {
namespace {

using procshare::Key;
using procview::now_ns;

constexpr std::uint64_t kMemory = 256ULL << 20;

template <class T> T must(Result<T> result) {
    if (!result) {
        ADD_FAILURE() << result.error().text();
        std::exit(1);
    }
    return std::move(result).value();
}

// Memory that the test shares with those that it forks.
template <class T> class Shared {
public:
    Shared() : at_(new(::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) T{}) {}
    ~Shared() { ::munmap(at_, sizeof(T)); }
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;
    T* operator->() const { return at_; }

private:
    T* at_;
};

int call(struct sysinfo* where) {
    return ::syscall(SYS_sysinfo, where) < 0 ? errno : 0;
}

// What init does in a cell (src/init/notify.cpp).
UniqueFd install_filter() {
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sysinfo, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog filter{4, program};
    return UniqueFd(
        static_cast<int>(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter)));
}

// A container: a process in a user namespace of its own with the filter, which runs `body` when it is let go.
class Cell {
public:
    explicit Cell(const std::function<int()>& body) {
        auto [ours, theirs] = must(os::socket_pair());
        pid_ = ::fork();
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (::unshare(CLONE_NEWUSER) != 0)
                ::_exit(101);
            auto listener = install_filter();
            const int fd = listener.get();
            if (!listener || !os::send_message(theirs.get(), "l", {&fd, 1}))
                ::_exit(102);
            listener.reset();
            ours.reset();
            char go = 0;
            if (::read(theirs.get(), &go, 1) != 1)
                ::_exit(103);
            ::_exit(body());
        }
        theirs.reset();
        auto message = must(os::receive_message(ours.get(), 16));
        if (message.fds.size() == 1)
            listener_ = std::move(message.fds[0]);
        else
            ADD_FAILURE() << "no listener";
        go_ = std::move(ours);
    }
    ~Cell() {
        if (pid_ > 0)
            kill();
    }
    Cell(const Cell&) = delete;
    Cell& operator=(const Cell&) = delete;

    [[nodiscard]] pid_t pid() const { return pid_; }
    [[nodiscard]] int listener() const { return listener_.get(); }
    void go() const { EXPECT_EQ(::write(go_.get(), "g", 1), 1); }
    void kill() {
        ::kill(pid_, SIGKILL);
        (void) wait();
    }
    int wait() {
        int status = 0;
        ::waitpid(pid_, &status, 0);
        pid_ = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    int run() {
        go();
        return wait();
    }

private:
    pid_t pid_ = 0;
    UniqueFd listener_, go_;
};

class Keeper {
public:
    Keeper()
        : table_memory_(must(procshare::TableWriter::make())), notices_(must(procshare::Notices::make())),
          table_(must(procshare::TableWriter::open(table_memory_.get()))) {}
    ~Keeper() { stop(); }
    Keeper(const Keeper&) = delete;
    Keeper& operator=(const Keeper&) = delete;

    // 256 MiB, since 100 s.
    procshare::Facts facts_for(const Cell& cell) {
        procshare::Facts facts;
        facts.key = table_.add();
        facts.memory = kMemory;
        facts.started_ns = now_ns() - 100 * procview::kSecond;
        facts.roots[0] = cell.pid();
        return facts;
    }
    procshare::Facts add(const Cell& cell) {
        const auto facts = facts_for(cell);
        put(facts);
        add(facts.key, cell);
        return facts;
    }
    void put(const procshare::Facts& facts) { table_.put(facts); }
    void add(Key key, const Cell& cell) {
        listeners_.emplace_back(key, cell.listener());
        if (server_ > 0)
            send(listeners_.back());
    }
    void start() {
        auto [ours, theirs] = must(os::socket_pair());
        const UniqueFd table(
            ::open(("/proc/self/fd/" + std::to_string(table_memory_.get())).c_str(), O_RDONLY | O_CLOEXEC));
        auto child = must(os::spawn_child({.program = std::string(SQUISH_BUILD_DIR) + "/libexec/squish/squish-sysinfo",
                                           .args = {"squish-sysinfo"},
                                           .environment = {},
                                           .keep = {theirs.get(), table.get(), notices_.get()},
                                           .stderr_fd = 2}));
        server_ = child.pid;
        socket_ = std::move(ours);
        for (const auto& listener : listeners_)
            send(listener);
    }
    void stop() {
        if (server_ > 0) {
            ::kill(server_, SIGKILL);
            ::waitpid(server_, nullptr, 0);
        }
        server_ = 0;
    }
    // How it ended by itself.
    int wait() {
        int status = 0;
        ::waitpid(server_, &status, 0);
        server_ = 0;
        return status;
    }
    void hang_up() { socket_.reset(); }
    [[nodiscard]] pid_t server() const { return server_; }
    [[nodiscard]] int notices() const { return notices_.get(); }
    [[nodiscard]] int table_memory() const { return table_memory_.get(); }

private:
    void send(const std::pair<Key, int>& listener) const {
        EXPECT_TRUE(os::send_message(socket_.get(), wire::Writer().u64(listener.first).bytes(), {&listener.second, 1}));
    }

    UniqueFd table_memory_, notices_;
    procshare::TableWriter table_;
    std::vector<std::pair<Key, int>> listeners_;
    UniqueFd socket_;
    pid_t server_ = 0;
};

void in_user_namespace(const std::function<void()>& body) {
    test::in_child([&] {
        test::enter_user_namespace(0);
        if (!::testing::Test::HasFatalFailure())
            body();
    });
}

int ask_once() {
    struct sysinfo info{};
    if (const int error = call(&info); error != 0)
        return error;
    return info.totalram == kMemory && info.mem_unit == 1 ? 0 : 99;
}

TEST(Sysinfo, SaysWhatMeminfoSays) {
    in_user_namespace([] {
        const Shared<struct sysinfo> answer;
        Cell cell([&] {
            const int error = call(answer.operator->());
            ::kill(::getpid(), SIGSTOP); // it is looked at once more, as it is
            return error;
        });
        Keeper keeper;
        const auto facts = keeper.add(cell);
        keeper.start();
        cell.go();
        int status = 0;
        ASSERT_EQ(::waitpid(cell.pid(), &status, WUNTRACED), cell.pid());
        auto collector = must(procview::Collector::open("/proc", "/sys", "/sys/fs/cgroup"));
        const auto view = collector.view(facts, procfs::kSystemInfoNeeds);
        const auto expected =
            procfs::system_info(collector.host_text("/proc/meminfo"), collector.host_text("/proc/loadavg"), view);
        EXPECT_EQ(answer->totalram, kMemory);
        EXPECT_EQ(answer->totalram, expected.total);
        EXPECT_NEAR(static_cast<double>(answer->freeram), static_cast<double>(expected.free), 1 << 20);
        EXPECT_EQ(answer->totalswap, expected.total_swap);
        EXPECT_EQ(answer->freeswap, expected.free_swap);
        EXPECT_EQ(answer->bufferram, expected.buffers);
        EXPECT_EQ(answer->procs, 1);
        EXPECT_GE(answer->uptime, 100);
        EXPECT_LE(answer->uptime, static_cast<long>(expected.uptime_s) + 1);
        EXPECT_EQ(answer->mem_unit, 1U);
        ::kill(cell.pid(), SIGCONT);
        EXPECT_EQ(cell.wait(), 0);
    });
}

TEST(Sysinfo, AViewThatNobodyDescribesIsTheKernels) {
    in_user_namespace([] {
        struct sysinfo host{};
        ASSERT_EQ(call(&host), 0);
        const Shared<struct sysinfo> answer;
        Cell cell([&] { return call(answer.operator->()); });
        Keeper keeper;
        keeper.start();
        keeper.add(procshare::kMaxViews * 5, cell);
        EXPECT_EQ(cell.run(), 0);
        EXPECT_EQ(answer->totalram, host.totalram);
    });
}

TEST(Sysinfo, APointerThatIsNoneIsEfault) {
    in_user_namespace([] {
        Cell cell([] {
            const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
            auto* const at =
                static_cast<char*>(::mmap(nullptr, 2 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
            const auto ask = [](void* where) { return call(static_cast<struct sysinfo*>(where)); };
            if (ask(nullptr) != EFAULT || ask(reinterpret_cast<void*>(-1L)) != EFAULT || ask(at) != EFAULT ||
                at[0] != 0)
                return 1;
            if (::mprotect(at, page, PROT_READ | PROT_WRITE) != 0 || ask(at + page - 8) != EFAULT)
                return 2;
            if (::munmap(at + page, page) != 0 || ask(at + page - 8) != EFAULT || ask(at) != 0)
                return 3;
            return ask_once();
        });
        Keeper keeper;
        keeper.add(cell);
        keeper.start();
        EXPECT_EQ(cell.run(), 0);
    });
}

TEST(Sysinfo, WhoIsKilledWhileWaitingHarmsNobody) {
    in_user_namespace([] {
        Keeper keeper;
        keeper.start();
        for (int round = 0; round < 20; ++round) {
            ::kill(keeper.server(), SIGSTOP);
            Cell killed(ask_once), other(ask_once);
            keeper.add(killed);
            keeper.add(other);
            killed.go();
            pollfd waits{killed.listener(), POLLIN, 0};
            ASSERT_EQ(::poll(&waits, 1, 60'000), 1);
            ::kill(keeper.server(), SIGCONT);
            killed.kill();
            EXPECT_EQ(other.run(), 0);
        }
    });
}

// Receives a call as a server does that is then killed.
void take_call(const Keeper& keeper, const Cell& cell, Key key, const std::function<void(procshare::Notice&)>& more) {
    test::in_child([&] {
        auto notices = must(procshare::Notices::open(keeper.notices(), now_ns(), UINT64_MAX));
        auto& notice = notices.take(key);
        ASSERT_EQ(::ioctl(cell.listener(), SECCOMP_IOCTL_NOTIF_RECV, notice.kernel()), 0);
        more(notice);
    });
}

TEST(Sysinfo, ACallInHandIsAnsweredByTheNextServer) {
    in_user_namespace([] {
        Cell cell(ask_once), other(ask_once);
        Keeper keeper;
        const auto facts = keeper.add(cell);
        keeper.add(facts.key, other); // `squish exec`: the same view, another listener
        cell.go();
        take_call(keeper, cell, facts.key, [](procshare::Notice&) {});
        keeper.start();
        EXPECT_EQ(other.run(), 0);
        EXPECT_EQ(cell.wait(), 0);
    });
}

TEST(Sysinfo, ACallThatStoppedTwoServersIsRefused) {
    in_user_namespace([] {
        Cell cell(
            [] { return call(std::make_unique<struct sysinfo>().get()) == EFAULT && ask_once() == EFAULT ? 0 : 1; });
        Cell other(ask_once);
        Keeper keeper;
        const auto facts = keeper.add(cell);
        keeper.add(other);
        cell.go();
        take_call(keeper, cell, facts.key, [](procshare::Notice& notice) {
            notice.begun_ns = 1;
            notice.overdue = 1;
        });
        keeper.start();
        EXPECT_EQ(cell.wait(), 0);
        EXPECT_EQ(other.run(), 0);
    });
}

TEST(Sysinfo, AFileThatIsMappedIsWrittenTo) {
    in_user_namespace([] {
        const Shared<struct sysinfo> shared; // of a file, as the kernel sees it
        static struct sysinfo in_data = [] {
            struct sysinfo some{};
            some.uptime = 1;
            return some;
        }();
        Cell cell([&] {
            int error = 0;
            for (auto* const where : {&in_data, shared.operator->()})
                if (error = call(where); error != 0 || where->totalram != kMemory)
                    return 1 + error;
            return 0;
        });
        Keeper keeper;
        keeper.add(cell);
        keeper.start();
        EXPECT_EQ(cell.run(), 0);
    });
}

// A file system of one file, whose content never comes. Its process answers what it must so that it can be opened.
pid_t mount_what_never_answers(const std::string& target) {
    UniqueFd fuse(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
    const auto options = "fd=" + std::to_string(fuse.get()) + ",rootmode=100000,user_id=0,group_id=0";
    if (!fuse || ::mount("never", target.c_str(), "fuse", MS_NOSUID | MS_NODEV, options.c_str()) != 0) {
        ADD_FAILURE() << "mount: " << std::strerror(errno);
        return 0;
    }
    const pid_t pid = ::fork();
    if (pid != 0)
        return pid;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::vector<char> request(1 << 17);
    while (::read(fuse.get(), request.data(), request.size()) > 0) {
        fuse_in_header in;
        std::memcpy(&in, request.data(), sizeof in);
        struct {
            fuse_out_header head;
            union {
                fuse_init_out init;
                fuse_attr_out attributes;
                fuse_open_out open;
            };
        } out;
        std::memset(&out, 0, sizeof out);
        std::size_t size = 0;
        if (in.opcode == FUSE_READ)
            continue;
        if (in.opcode == FUSE_INIT) {
            out.init.major = FUSE_KERNEL_VERSION;
            out.init.minor = 31;
            out.init.max_write = 4096;
            size = sizeof out.init;
        } else if (in.opcode == FUSE_GETATTR) {
            out.attributes.attr.ino = 1;
            out.attributes.attr.size = 4096;
            out.attributes.attr.mode = S_IFREG | 0666;
            out.attributes.attr.nlink = 1;
            size = sizeof out.attributes;
        } else if (in.opcode == FUSE_OPEN) {
            size = sizeof out.open;
        } else {
            out.head.error = -ENOSYS;
        }
        out.head.unique = in.unique;
        out.head.len = static_cast<std::uint32_t>(sizeof out.head + size);
        if (::write(fuse.get(), &out, out.head.len) < 0)
            break;
    }
    ::_exit(0);
}

TEST(Sysinfo, AFileWhoseContentNeverComesStopsNobodyElse) {
    test::in_child([] {
        test::enter_user_namespace(CLONE_NEWNS);
        char target[] = "/tmp/squish-sysinfo.XXXXXX";
        const UniqueFd made(::mkstemp(target));
        const pid_t never = mount_what_never_answers(target);
        ASSERT_GT(never, 0);
        const UniqueFd file(::open(target, O_RDWR | O_CLOEXEC));
        ASSERT_TRUE(file.valid()) << std::strerror(errno);
        struct stat info{};
        ASSERT_EQ(::fstat(file.get(), &info), 0); // from then on the kernel knows that there is a page
        ASSERT_EQ(info.st_size, 4096);
        const auto use = [&](int flags) {
            auto* const at = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, flags, file.get(), 0);
            return at == MAP_FAILED ? 1 : call(static_cast<struct sysinfo*>(at)) == EFAULT ? 0 : 2;
        };
        Cell shared([&] { return use(MAP_SHARED); }), own([&] { return use(MAP_PRIVATE); });
        Cell other(ask_once), last(ask_once);
        Keeper keeper;
        for (const auto* const cell : {&shared, &own, &other, &last})
            keeper.add(*cell);
        keeper.start();
        EXPECT_EQ(shared.run(), 0);
        EXPECT_EQ(other.run(), 0);
        EXPECT_EQ(own.run(), 0);
        EXPECT_EQ(::waitpid(keeper.server(), nullptr, WNOHANG), 0); // the same server all the time
        keeper.stop();                                              // which can be ended
        keeper.start();
        EXPECT_EQ(last.run(), 0);
        ::kill(never, SIGKILL); // and with it all that waits for it
        ::waitpid(never, nullptr, 0);
        ::umount2(target, MNT_DETACH);
        ::unlink(target);
    });
}

struct Calls {
    std::atomic<bool> stop;
    std::atomic<std::uint64_t> done, wrong, longest_ns;
};

int ask_until_stopped(Calls* calls) {
    while (!calls->stop) {
        const auto begin = now_ns();
        const int answer = ask_once();
        const auto took = now_ns() - begin;
        if (answer != 0)
            ++calls->wrong;
        ++calls->done;
        auto longest = calls->longest_ns.load();
        while (took > longest && !calls->longest_ns.compare_exchange_weak(longest, took)) {
        }
    }
    return 0;
}

TEST(Sysinfo, ServersThatAreKilledAreNotNoticedByTwentyCallers) {
    in_user_namespace([] {
        const Shared<Calls> calls;
        std::vector<std::unique_ptr<Cell>> cells;
        Keeper keeper;
        for (int i = 0; i < 20; ++i) {
            cells.push_back(std::make_unique<Cell>([&] { return ask_until_stopped(calls.operator->()); }));
            keeper.add(*cells.back());
        }
        keeper.start();
        for (const auto& cell : cells)
            cell->go();
        for (int round = 0; round < 100; ++round) {
            const auto before = calls->done.load();
            while (calls->done < before + 30)
                ::sched_yield();
            keeper.stop();
            keeper.start();
        }
        calls->stop = true;
        for (const auto& cell : cells)
            EXPECT_EQ(cell->wait(), 0);
        EXPECT_EQ(calls->wrong, 0U);
        std::printf("%llu calls by 20 callers, 100 servers killed: the longest took %.1f ms\n",
                    static_cast<unsigned long long>(calls->done), static_cast<double>(calls->longest_ns) / 1e6);
    });
}

TEST(Sysinfo, WhoAsksWithoutEndDoesNotKeepOthersWaiting) {
    in_user_namespace([] {
        const Shared<Calls> flood;
        Keeper keeper;
        std::vector<std::unique_ptr<Cell>> floods;
        for (int i = 0; i < 4; ++i) {
            floods.push_back(std::make_unique<Cell>([&] {
                for (int more = 0; more < 7; ++more)
                    if (::fork() == 0)
                        break;
                return ask_until_stopped(flood.operator->());
            }));
            keeper.add(*floods.back());
        }
        constexpr std::uint64_t kCalls = 300;
        Cell quiet([] {
            for (std::uint64_t i = 0; i < kCalls; ++i)
                if (ask_once() != 0)
                    return 1;
            return 0;
        });
        keeper.add(quiet);
        keeper.start();
        for (const auto& cell : floods)
            cell->go();
        while (flood->done < 100)
            ::sched_yield();
        const auto before = flood->done.load();
        EXPECT_EQ(quiet.run(), 0);
        const auto meanwhile = flood->done.load() - before;
        flood->stop = true;
        for (const auto& cell : floods)
            EXPECT_EQ(cell->wait(), 0);
        EXPECT_EQ(flood->wrong, 0U);
        // In turn by listener, one of the four gets no more than one answer for each of the quiet one's, but for the
        // moments in which that one is not asking.
        EXPECT_LT(meanwhile, kCalls * 4 * 8);
        std::printf("%llu calls, and %llu of 32 that do nothing else\n", static_cast<unsigned long long>(kCalls),
                    static_cast<unsigned long long>(meanwhile));
    });
}

TEST(Sysinfo, ThousandsOfThreadsAreCountedAndDoNotSlowItDown) {
    in_user_namespace([] {
        rlimit processes{};
        ASSERT_EQ(::getrlimit(RLIMIT_NPROC, &processes), 0);
        constexpr int kThreads = 2000;
        Cell cell([] {
            std::atomic<int> up = 0;
            std::atomic<bool> stop = false;
            std::vector<std::thread> threads;
            for (int i = 0; i < kThreads; ++i)
                threads.emplace_back([&] {
                    ++up;
                    stop.wait(false);
                });
            while (up < kThreads)
                ::sched_yield();
            struct sysinfo info{};
            int error = 0;
            do // it is counted anew once in a while
                error = call(&info);
            while (error == 0 && info.procs < kThreads);
            const auto begin = now_ns();
            for (int i = 0; i < 200 && error == 0; ++i)
                error = call(&info);
            std::printf("with %d threads: %.1f us a call\n", kThreads, static_cast<double>(now_ns() - begin) / 200e3);
            std::fflush(stdout);
            stop = true;
            stop.notify_all();
            for (auto& thread : threads)
                thread.join();
            return error;
        });
        Keeper keeper;
        keeper.add(cell);
        keeper.start();
        EXPECT_EQ(cell.run(), 0);
    });
}

TEST(Sysinfo, ATableOfNonsenseIsAnsweredAllTheSame) {
    in_user_namespace([] {
        const Shared<std::atomic<int>> answered;
        Cell cell([&] {
            struct sysinfo info{};
            for (int i = 0; i < 2000; ++i)
                if (call(&info) == 0)
                    ++*answered.operator->();
            return 0;
        });
        Keeper keeper;
        auto facts = keeper.add(cell);
        facts.memory = UINT64_MAX;
        facts.started_ns = UINT64_MAX;
        facts.started_at = INT64_MIN;
        facts.own_cpus = UINT32_MAX;
        facts.cpus.fill(UINT64_MAX);
        facts.roots.fill(INT32_MIN);
        facts.roots[1] = INT32_MAX;
        facts.roots[2] = cell.pid();
        std::ranges::copy(std::string_view("/../../../etc"), facts.cgroup.begin());
        keeper.put(facts);
        keeper.start();
        cell.go();
        // All of the table but its head is overwritten again and again, while it is read.
        std::uint64_t state = 88172645463325252ULL;
        std::array<std::uint64_t, 512> nonsense{};
        while (answered->load() < 2000) {
            for (auto& word : nonsense) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                word = state;
            }
            ASSERT_EQ(::pwrite(keeper.table_memory(), nonsense.data(), sizeof nonsense, 1024),
                      static_cast<ssize_t>(sizeof nonsense));
            keeper.put(facts);
        }
        EXPECT_EQ(cell.wait(), 0);
        EXPECT_EQ(::kill(keeper.server(), 0), 0);
        EXPECT_EQ(::waitpid(keeper.server(), nullptr, WNOHANG), 0);
    });
}

TEST(Sysinfo, HasNoRightsButThoseThatItNeeds) {
    in_user_namespace([] {
        Cell cell(ask_once);
        Keeper keeper;
        keeper.add(cell);
        keeper.start();
        EXPECT_EQ(cell.run(), 0); // it serves: it is confined
        const auto status = test::read_file("/proc/" + std::to_string(keeper.server()) + "/status");
        for (const auto* const line :
             {"\nNoNewPrivs:\t1\n", "\nCapEff:\t0000000000080002\n", "\nCapPrm:\t0000000000080002\n",
              "\nCapInh:\t0000000000000000\n", "\nCapBnd:\t0000000000000000\n"})
            EXPECT_NE(status.find(line), std::string::npos) << line << status;
    });
}

TEST(Sysinfo, EndsWithItsKeeper) {
    in_user_namespace([] {
        Keeper keeper;
        keeper.start();
        keeper.hang_up();
        const int status = keeper.wait();
        EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    });
}

TEST(Sysinfo, SaysWhatACallCosts) {
    in_user_namespace([] {
        Cell cell([] {
            constexpr int kCalls = 4000;
            const auto begin = now_ns();
            for (int i = 0; i < kCalls; ++i)
                if (ask_once() != 0)
                    return 1;
            std::printf("%.1f us a call\n", static_cast<double>(now_ns() - begin) / 1e3 / kCalls);
            std::fflush(stdout);
            return 0;
        });
        Keeper keeper;
        keeper.add(cell);
        keeper.start();
        EXPECT_EQ(cell.run(), 0);
    });
}

} // namespace
} // namespace squish

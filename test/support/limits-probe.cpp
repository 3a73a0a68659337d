// limits-probe DRIVER: has a cgroup driver do all that it is for, on a machine that has it (a user's systemd, or a
// delegated subtree), and says what came of it. Takes the part of squishd and of the keeper. Exit 0: all as promised.
//   limits-probe systemd [break-bus] | direct [ROOT] | open DRIVER | refused DRIVER
// break-bus: ends the user's message bus between calls and during them (systemctl --user).
#include "limits/cgroup.h"
#include "limits/driver.h"
#include "limits/figures.h"
#include "os/file.h"
#include "os/process.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <linux/sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace squish;
using namespace squish::limits;
using namespace std::chrono_literals;

namespace {

asio::io_context loop{1};
int failures = 0;

void check(bool fine, const std::string& what) {
    std::cout << (fine ? "ok      " : "FAILED  ") << what << std::endl;
    failures += fine ? 0 : 1;
}

template <class T> Result<T> run(Task<T> task) {
    std::optional<Result<T>> out;
    asio::co_spawn(loop, [&]() -> asio::awaitable<void> { out = co_await std::move(task); }, asio::detached);
    loop.restart();
    while (!out && loop.run_one() > 0) {
    }
    return out ? *std::move(out) : Result<T>(fail(ErrorKind::unavailable, "it never came back"));
}

template <class T> bool must(const Result<T>& result, const std::string& what) {
    check(result.has_value(), what + (result ? "" : ": " + result.error().text()));
    return result.has_value();
}

// A process of ours, in `cgroup` where that is a descriptor.
class Process {
public:
    explicit Process(const std::function<void()>& body, int cgroup = -1, std::uint64_t flags = 0) {
        auto child = os::clone_process(flags, cgroup);
        if (!must(child, "clone" + std::string(cgroup >= 0 ? " into the cgroup" : "")))
            return;
        if (child->pid == 0) {
            body();
            ::_exit(0);
        }
        child_ = *std::move(child);
    }
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    ~Process() { end(); }
    [[nodiscard]] pid_t pid() const { return child_.pid; }
    // Its exit code, once it ends by itself.
    int wait() {
        int status = 0;
        ::waitpid(std::exchange(child_.pid, 0), &status, 0);
        return os::exit_code(status);
    }
    void end() {
        if (child_.pid <= 0)
            return;
        (void) os::send_signal(child_.pidfd.get(), SIGKILL);
        wait();
    }

private:
    os::Child child_;
};

void sleep_for_ever() {
    for (;;)
        ::pause();
}

void spin() {
    for (;;)
        asm volatile("");
}

std::string id_of(char digit) {
    return std::string(32, digit);
}

std::string value(int folder, const std::string& file) {
    auto text = read_value(folder, file);
    return text ? *text : "(" + text.error().message + ")";
}

// Waits until `reached`, looking again as time goes by: what a processor does is told by nobody.
bool until(const std::function<bool()>& reached) {
    for (const auto end = std::chrono::steady_clock::now() + 30s; std::chrono::steady_clock::now() < end;) {
        if (reached())
            return true;
        asio::steady_timer timer(loop, 50ms);
        timer.wait();
    }
    return reached();
}

void is(const Cgroup& cgroup, const std::string& file, const std::string& outer, const std::string& leaf) {
    // systemd answers first and writes then.
    until([&] { return value(cgroup.outer(), file) == outer; });
    const auto have = value(cgroup.outer(), file), inside = value(cgroup.leaf(), file);
    check(have == outer && inside == leaf,
          file + ": outer '" + have + "', leaf '" + inside + "'" +
              (have == outer && inside == leaf ? "" : ", should be '" + outer + "' and '" + leaf + "'"));
}
void is(const Cgroup& cgroup, const std::string& file, const std::string& both) {
    is(cgroup, file, both, both);
}

class Timed {
public:
    explicit Timed(const char* what) : what_(what) {}
    ~Timed() {
        std::cout << "time    " << what_ << ": "
                  << std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count()
                  << " ms" << std::endl;
    }

private:
    const char* what_;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

class Probe {
public:
    explicit Probe(std::unique_ptr<Driver> driver) : driver_(std::move(driver)) {}

    void all() {
        adopt();
        limits();
        refusals();
        enforcement();
        freezing();
        killing();
        retaining();
    }

    void adopt() {
        must(run(driver_->adopt({::getpid()})), "adopt");
        must(run(driver_->adopt({::getpid()})), "adopt again");
        const auto own = os::read_file("/proc/self/cgroup");
        check(own && own->contains("-keeper"), "the cloner is in " + own.value_or("?"));
    }

    void limits() {
        std::cout << "-- limits\n";
        ResourceSpec limits;
        limits.memory = 64 << 20;
        limits.memory_high = 60 << 20;
        limits.memory_low = 1 << 20;
        limits.cpus = 0.5;
        limits.cpu_burst = 20ms;
        limits.cpu_weight = 50;
        limits.pids = 20;
        const bool cpuset = driver_->controllers().contains(Controller::cpuset);
        if (cpuset)
            limits.cpuset = "0";
        std::string all_cpus;
        if (const auto root = open_folder("/sys/fs/cgroup"))
            all_cpus = value(root->get(), "cpuset.cpus.effective");
        const bool io = driver_->controllers().contains(Controller::io) && !machine_disks().empty();
        if (io)
            limits.io = {{"", 10 << 20, {}, {}, 500}};
        Process anchor(sleep_for_ever);
        auto cgroup = create('1', limits, anchor);
        if (!cgroup)
            return;
        const bool scope = driver_->needs_anchor();
        std::cout << "        " << cgroup->path() << "\n";
        is(*cgroup, "memory.max", "67108864");
        is(*cgroup, "memory.high", "62914560");
        is(*cgroup, "memory.low", "1048576");
        is(*cgroup, "memory.swap.max", "67108864");
        is(*cgroup, "cpu.max", "50000 100000");
        is(*cgroup, "cpu.max.burst", scope ? "0" : "20000", "20000");
        is(*cgroup, "cpu.weight", "50");
        is(*cgroup, "pids.max", scope ? "21" : "20", "20");
        if (cpuset)
            is(*cgroup, "cpuset.cpus", "0");
        std::string disk;
        if (io) {
            const auto first = machine_disks().front();
            disk = std::to_string(first.major) + ":" + std::to_string(first.minor);
            for (const int folder : {cgroup->outer(), cgroup->leaf()})
                check(value(folder, "io.max").contains(disk + " rbps=10485760 wbps=max riops=max wiops=500"),
                      "io.max: " + value(folder, "io.max"));
        }
        if (scope)
            check(value(cgroup->outer(), "anchor/cgroup.procs") == std::to_string(anchor.pid()),
                  "the anchor is beside the leaf");

        std::cout << "-- update\n";
        Process payload(sleep_for_ever, cgroup->leaf());
        auto wanted = limits;
        wanted.memory = 32 << 20;
        wanted.memory_high.reset();
        wanted.memory_low.reset();
        wanted.swap = 0;
        wanted.cpus = 1.5;
        wanted.cpu_period = 50ms;
        wanted.cpu_burst.reset();
        wanted.cpu_weight.reset();
        wanted.cpuset.reset();
        wanted.pids = 10;
        wanted.io.clear();
        must(run(driver_->update(id_of('1'), limits, wanted)), "update");
        is(*cgroup, "memory.max", "33554432");
        is(*cgroup, "memory.high", "max");
        is(*cgroup, "memory.low", "0");
        is(*cgroup, "memory.swap.max", "0");
        is(*cgroup, "cpu.max", "75000 50000");
        is(*cgroup, "cpu.max.burst", "0");
        is(*cgroup, "cpu.weight", "100");
        is(*cgroup, "pids.max", scope ? "11" : "10", "10");
        if (cpuset)
            is(*cgroup, "cpuset.cpus.effective", all_cpus);
        if (io)
            is(*cgroup, "io.max", "");

        if (scope) {
            check(std::system("systemctl --user daemon-reload") == 0, "systemd reads its units again");
            is(*cgroup, "memory.max", "33554432");
            is(*cgroup, "pids.max", "11", "10");
            if (cpuset)
                is(*cgroup, "cpuset.cpus.effective", all_cpus);
        }

        std::cout << "-- an update that fails\n";
        auto impossible = wanted;
        impossible.memory = 16 << 20;
        impossible.pids = 3;
        if (cpuset) {
            impossible.cpuset = "63";
            const auto refused = run(driver_->update(id_of('1'), wanted, impossible));
            check(!refused, refused ? "it was taken" : refused.error().text());
            is(*cgroup, "memory.max", "33554432");
            is(*cgroup, "pids.max", scope ? "11" : "10", "10");
            is(*cgroup, "cpuset.cpus.effective", all_cpus);
        }
        must(run(driver_->update(id_of('1'), wanted, {})), "lift all");
        is(*cgroup, "memory.max", "max");
        is(*cgroup, "cpu.max", scope ? "max 100000" : "max 100000", "max 100000");
        is(*cgroup, "pids.max", "max");
        const auto absent = run(driver_->update(id_of('2'), {}, {}));
        check(!absent && absent.error().kind == ErrorKind::not_found,
              absent ? "what is not there was updated" : absent.error().text());
        remove('1');
    }

    void refusals() {
        std::cout << "-- refusals\n";
        ResourceSpec limits;
        limits.hugetlb = {{2U << 20, 64U << 20}};
        if (!driver_->controllers().contains(Controller::hugetlb))
            expect_refused(limits);
        limits = {};
        limits.cpuset = "0";
        if (!driver_->controllers().contains(Controller::cpuset))
            expect_refused(limits);
        limits = {};
        limits.io = {{"/dev/null", 1, {}, {}, {}}};
        expect_refused(limits);
        if (driver_->controllers().contains(Controller::cpuset)) {
            limits = {};
            limits.cpuset = "63";
            expect_refused(limits);
        }
        check(!std::filesystem::exists(driver_->path_of(id_of('3'))), "nothing is left");
    }

    void enforcement() {
        std::cout << "-- enforcement\n";
        ResourceSpec limits;
        limits.memory = 32 << 20;
        limits.swap = 0;
        limits.cpus = 0.2;
        limits.pids = 8;
        Process anchor(sleep_for_ever);
        auto cgroup = create('4', limits, anchor);
        if (!cgroup)
            return;
        {
            Process many(
                [] {
                    int count = 1;
                    while (::fork() >= 0)
                        if (++count > 100)
                            break;
                    ::_exit(count);
                },
                cgroup->leaf());
            (void) many; // its children fork on: the count is not of one process
            until([&] { return value(cgroup->leaf(), "pids.events") != "max 0"; });
            check(value(cgroup->leaf(), "pids.current") <= "8", "processes: " + value(cgroup->leaf(), "pids.current"));
            must(kill_all(cgroup->leaf()), "kill all in the leaf");
            must(run(wait_empty(cgroup->leaf(), 20s)), "it becomes empty");
        }
        {
            Process burner(spin, cgroup->leaf());
            const bool throttled = until([&] {
                const auto figures = read_cgroup(cgroup->leaf());
                return figures && figures->throttled_periods > 3;
            });
            check(throttled, "throttled: " + value(cgroup->leaf(), "cpu.stat"));
            const auto figures = read_cgroup(cgroup->leaf());
            if (must(figures, "figures"))
                std::cout << "        cpu " << figures->cpu_us << " µs, throttled " << figures->throttled_us
                          << " µs, memory " << figures->memory << ", limit " << figures->memory_limit.value_or(0)
                          << ", peak " << figures->memory_peak.value_or(0) << ", pids " << figures->pids
                          << ", cpu pressure " << (figures->cpu_pressure ? figures->cpu_pressure->some.avg10 : -1)
                          << "\n";
        }
        {
            Process eater(
                [] {
                    const std::size_t size = 128 << 20;
                    auto* const memory = static_cast<char*>(
                        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
                    for (std::size_t i = 0; i < size; i += 4096)
                        memory[i] = 1;
                },
                cgroup->leaf());
            check(eater.wait() == 128 + SIGKILL, "who takes more memory is killed");
            const auto kills = read_oom_kills(cgroup->leaf());
            check(kills && *kills == 1, "and counted: " + value(cgroup->leaf(), "memory.events"));
            check(std::filesystem::exists(driver_->path_of(id_of('4'))), "the cgroup stays");
        }
        {
            // The leaf is the root of a cgroup namespace that the same clone makes (Linux 5.7: cgroup_post_fork()).
            Process inside([] { ::_exit(os::read_file("/proc/self/cgroup").value_or("") == "0::/\n" ? 7 : 1); },
                           cgroup->leaf(), CLONE_NEWUSER | CLONE_NEWCGROUP);
            check(inside.wait() == 7, "the leaf is the root of its cgroup namespace");
        }
        remove('4');
    }

    void freezing() {
        std::cout << "-- freezing\n";
        Process anchor(sleep_for_ever);
        auto cgroup = create('5', {}, anchor);
        if (!cgroup)
            return;
        Process burner(spin, cgroup->leaf());
        {
            const Timed timed("freeze");
            must(run(set_frozen(cgroup->leaf(), true)), "freeze");
        }
        const auto events = value(cgroup->leaf(), "cgroup.events");
        check(events.contains("frozen 1"), "frozen: " + events);
        const auto before = read_cgroup(cgroup->leaf());
        asio::steady_timer timer(loop, 200ms);
        timer.wait();
        const auto after = read_cgroup(cgroup->leaf());
        check(before && after && before->cpu_us == after->cpu_us, "it does nothing");
        check(is_frozen(cgroup->leaf()).value_or(false), "it says so");
        must(run(set_frozen(cgroup->leaf(), false)), "thaw");
        check(until([&] {
                  const auto now = read_cgroup(cgroup->leaf());
                  return now && now->cpu_us > after->cpu_us;
              }),
              "it goes on");
        must(run(set_frozen(cgroup->leaf(), true)), "freeze again");
        remove('5'); // what is frozen can be killed
        check(burner.wait() == 128 + SIGKILL, "the frozen one was killed");
    }

    void killing() {
        std::cout << "-- removing what runs, with cgroups of its own\n";
        Process anchor(sleep_for_ever);
        auto cgroup = create('6', {}, anchor);
        if (!cgroup)
            return;
        Process payload(sleep_for_ever, cgroup->leaf());
        for (const auto* name : {"deep", "deep/er", "deep/er/still"})
            check(::mkdirat(cgroup->leaf(), name, 0755) == 0, std::string("mkdir ") + name);
        auto moved = write_value(cgroup->leaf(), "deep/er/still/cgroup.procs", std::to_string(payload.pid()));
        check(true, "move into it: " + (moved ? std::string("done") : moved.error().text()));
        remove('6');
        check(payload.wait() == 128 + SIGKILL, "the payload was killed");
        must(run(driver_->remove(id_of('6'))), "remove again");
        check(read_cgroup(cgroup->leaf()).error().sys_errno == ENODEV, "its figures are gone");
    }

    void retaining() {
        std::cout << "-- retain\n";
        Process one(sleep_for_ever), two(sleep_for_ever), three(sleep_for_ever);
        create('7', {}, one);
        create('8', {}, two);
        create('9', {}, three);
        {
            const Timed timed("retain");
            must(run(driver_->retain({id_of('8')})), "retain");
        }
        for (const char digit : {'7', '8', '9'})
            check(std::filesystem::exists(driver_->path_of(id_of(digit))) == (digit == '8'),
                  std::string(1, digit) + (digit == '8' ? " stays" : " goes"));
        auto opened = Cgroup::open(driver_->path_of(id_of('8')));
        must(opened, "open the one that stays");
        // Once more under the same name: an earlier run is cleared away.
        Process again(sleep_for_ever);
        if (driver_->needs_anchor())
            create('8', {}, again);
        must(run(driver_->retain({})), "retain nothing");
        check(!std::filesystem::exists(driver_->path_of(id_of('8'))), "all gone");
    }

    void breaking() {
        std::cout << "-- the bus is killed between calls\n";
        Process one(sleep_for_ever), two(sleep_for_ever), three(sleep_for_ever);
        create('a', {}, one);
        check(std::system("systemctl --user kill --signal=KILL dbus.service") == 0, "kill the bus");
        turn(); // the loss is seen
        create('b', {}, two);
        remove('b');
        remove('a');

        std::cout << "-- the bus is restarted between calls\n";
        check(std::system("systemctl --user restart dbus.service") == 0, "restart the bus");
        create('c', {}, three); // the loss is not seen yet
        remove('c');

        std::cout << "-- the bus is killed during calls\n";
        int done = 0, failed = 0, other = 0;
        for (int round = 0; round < 8; ++round) {
            Process anchor(sleep_for_ever);
            if (::fork() == 0) {
                ::execlp("systemctl", "systemctl", "--user", "kill", "--signal=KILL", "dbus.service", nullptr);
                ::_exit(127);
            }
            for (int i = 0; i < 3; ++i) {
                const auto made = run(driver_->create(id_of('d'), {}, anchor.pid()));
                if (made)
                    ++done;
                else if (made.error().kind == ErrorKind::unavailable)
                    ++failed;
                else
                    ++other;
                if (!made) {
                    std::cout << "        " << made.error().text() << "\n";
                    break; // its anchor may be gone
                }
            }
            ::wait(nullptr);
            anchor.end();
            until([&] { return run(driver_->remove(id_of('d'))).has_value(); });
        }
        check(other == 0, std::to_string(done) + " done, " + std::to_string(failed) + " to be tried again, " +
                              std::to_string(other) + " otherwise");
        check(!std::filesystem::exists(driver_->path_of(id_of('d'))), "nothing is left");

        std::cout << "-- the user's systemd starts itself anew\n";
        check(std::system("systemctl --user daemon-reexec") == 0, "daemon-reexec");
        Process last(sleep_for_ever);
        create('e', {}, last);
        remove('e');
    }

private:
    // Lets the loop do what is there to do.
    static void turn() {
        loop.restart();
        loop.run_for(500ms);
    }

    std::optional<Cgroup> create(char digit, const ResourceSpec& limits, const Process& anchor) {
        const Timed timed("create");
        auto made = run(driver_->create(id_of(digit), limits, driver_->needs_anchor() ? anchor.pid() : 0));
        if (!must(made, std::string("create ") + digit))
            return std::nullopt;
        return *std::move(made);
    }
    void remove(char digit) {
        {
            const Timed timed("remove");
            must(run(driver_->remove(id_of(digit))), std::string("remove ") + digit);
        }
        check(!std::filesystem::exists(driver_->path_of(id_of(digit))), "its cgroup is gone");
    }
    void expect_refused(const ResourceSpec& limits) {
        Process anchor(sleep_for_ever);
        const auto made = run(driver_->create(id_of('3'), limits, anchor.pid()));
        check(!made, made ? "it was taken" : made.error().text());
    }

    std::unique_ptr<Driver> driver_;
};

} // namespace

int main(int count, char** arguments) {
    std::cout << std::unitbuf; // a child is to print nothing of ours again
    const std::vector<std::string> words(arguments + 1, arguments + count);
    const auto has = [&](std::size_t at, const char* word) { return words.size() > at && words[at] == word; };
    Config config;
    const std::size_t named = has(0, "refused") || has(0, "open") ? 1 : 0;
    config.driver = has(named, "systemd") ? Choice::systemd : has(named, "direct") ? Choice::direct : Choice::automatic;
    if (config.driver == Choice::direct && words.size() > named + 1)
        config.cgroup = words[named + 1];
    auto driver = run(open_driver(loop.get_executor(), config, "00ff00ff"));
    if (has(0, "refused")) {
        std::cout << (driver ? "it is there" : driver.error().text()) << std::endl;
        return driver ? 1 : 0;
    }
    if (!must(driver, "open"))
        return 1;
    std::cout << "        " << (*driver)->name() << ":";
    for (const auto controller : (*driver)->controllers())
        std::cout << " " << to_string(controller);
    std::cout << std::endl;
    if (has(0, "open"))
        return 0;
    Probe probe(*std::move(driver));
    if (has(1, "break-bus")) {
        probe.adopt();
        probe.breaking();
    } else {
        probe.all();
    }
    std::cout << (failures == 0 ? "all is well" : std::to_string(failures) + " FAILED") << std::endl;
    return failures == 0 ? 0 : 1;
}

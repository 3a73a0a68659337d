#include "machine.h"

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sched.h>
#include <string_view>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;

bool read_whole(const char* path, std::size_t piece, std::string& out) {
    out.clear();
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    std::vector<char> buffer(piece);
    ssize_t got = 0;
    while ((got = read(fd, buffer.data(), buffer.size())) > 0)
        out.append(buffer.data(), static_cast<std::size_t>(got));
    const int error = errno;
    close(fd);
    errno = error;
    return got == 0;
}

// A whole text of the file's kind: it begins and ends as it must, and its first line is the one that is wanted.
bool is_whole(std::string_view text, std::string_view first_line, std::size_t lines) {
    std::size_t count = 0;
    for (const char c : text)
        count += c == '\n' ? 1 : 0;
    return text.starts_with(first_line) && text.ends_with("\n") && count == lines;
}

} // namespace

int cmd_sysinfo(const std::vector<std::string>& /*args*/) {
    struct sysinfo info{};
    if (sysinfo(&info) != 0) {
        std::printf("%s\n", strerrorname_np(errno));
        return 1;
    }
    const auto kib = [&](unsigned long units) { return static_cast<unsigned long long>(units) * info.mem_unit / 1024; };
    std::printf(
        "total %llu\nfree %llu\nbuffers %llu\nshared %llu\nswap %llu\nfree-swap %llu\nuptime %ld\nprocesses %u\n",
        kib(info.totalram), kib(info.freeram), kib(info.bufferram), kib(info.sharedram), kib(info.totalswap),
        kib(info.freeswap), info.uptime, static_cast<unsigned>(info.procs));
    return 0;
}

int cmd_cpus(const std::vector<std::string>& /*args*/) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    std::printf("affinity %d\nonline %ld\nconfigured %ld\n", CPU_COUNT(&set), sysconf(_SC_NPROCESSORS_ONLN),
                sysconf(_SC_NPROCESSORS_CONF));
    return 0;
}

int cmd_uptimes(const std::vector<std::string>& /*args*/) {
    timespec boot{};
    struct sysinfo info{};
    std::string text;
    if (clock_gettime(CLOCK_BOOTTIME, &boot) != 0 || sysinfo(&info) != 0 || !read_whole("/proc/uptime", 4096, text))
        return 1;
    std::printf("boottime %lld\nsysinfo %ld\nproc %ld\n", static_cast<long long>(boot.tv_sec), info.uptime,
                std::stol(text));
    return 0;
}

// readers FILE COUNT SECONDS [UNTIL]: COUNT processes read FILE again and again, till the file UNTIL is there; every
// text has the first line and the number of lines that it had at the beginning. "reads N longest N ms", or the text
// that is wrong.
int cmd_readers(const std::vector<std::string>& args) {
    const char* path = args.at(0).c_str();
    std::string sample;
    if (!read_whole(path, 65536, sample)) {
        std::printf("%s: %s\n", path, strerrorname_np(errno));
        return 1;
    }
    const auto first = sample.substr(0, sample.find('\n') + 1);
    std::size_t lines = 0;
    for (const char c : sample)
        lines += c == '\n' ? 1 : 0;
    struct Tally {
        std::uint64_t reads = 0;
        std::int64_t longest_us = 0;
    };
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return 1;
    const int count = std::stoi(args.at(1));
    const auto end = Clock::now() + std::chrono::duration<double>(std::stod(args.at(2)));
    const char* until = args.size() > 3 ? args[3].c_str() : "";
    for (int i = 0; i < count; ++i) {
        if (fork() != 0)
            continue;
        Tally tally;
        std::string text;
        while (Clock::now() < end && access(until, F_OK) != 0) {
            const auto begun = Clock::now();
            const bool got = read_whole(path, i % 2 == 0 ? 65536 : 100, text); // some in many small reads
            const int error = errno;
            const auto taken = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begun).count();
            if (!got || !is_whole(text, first, lines)) {
                std::printf("reader %d: %s: [%s]\n", i, got ? "wrong text" : strerrorname_np(error), text.c_str());
                std::fflush(stdout);
                _exit(1);
            }
            ++tally.reads;
            tally.longest_us = taken > tally.longest_us ? taken : tally.longest_us;
        }
        _exit(write(ends[1], &tally, sizeof tally) == sizeof tally ? 0 : 1);
    }
    close(ends[1]);
    Tally all;
    for (Tally one; read(ends[0], &one, sizeof one) == sizeof one;) {
        all.reads += one.reads;
        all.longest_us = one.longest_us > all.longest_us ? one.longest_us : all.longest_us;
    }
    bool good = true;
    for (int status = 0; wait(&status) > 0;)
        good = good && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    std::printf("reads %llu longest %.1f ms\n", static_cast<unsigned long long>(all.reads),
                static_cast<double>(all.longest_us) / 1000);
    return good ? 0 : 1;
}

// hoard FILE COUNT SECONDS: opens it so often and reads one byte of each; keeps all open; reads the rest at the end.
int cmd_hoard(const std::vector<std::string>& args) {
    const std::size_t count = std::stoull(args.at(1));
    const rlimit limit{count + 64, count + 64};
    (void) setrlimit(RLIMIT_NOFILE, &limit);
    std::vector<int> fds;
    char byte = 0;
    while (fds.size() < count) {
        const int fd = open(args.at(0).c_str(), O_RDONLY | O_CLOEXEC);
        if (fd < 0 || read(fd, &byte, 1) != 1)
            break;
        fds.push_back(fd);
    }
    std::printf("opened %zu%s%s\n", fds.size(), fds.size() < count ? ": " : "",
                fds.size() < count ? strerrorname_np(errno) : "");
    std::fflush(stdout);
    sleep(static_cast<unsigned>(std::stoul(args.at(2))));
    std::size_t whole = 0;
    char rest[65536];
    for (const int fd : fds)
        whole += read(fd, rest, sizeof rest) > 0 ? 1 : 0;
    std::printf("whole %zu\n", whole);
    return 0;
}

// nibble FILE: byte by byte, backwards, and past the end; what is read so is what is read at once from the same
// descriptor.
int cmd_nibble(const std::vector<std::string>& args) {
    const int fd = open(args.at(0).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 1;
    std::string text(1 << 20, '\0');
    const auto size = pread(fd, text.data(), text.size(), 0);
    if (size <= 0)
        return 1;
    text.resize(static_cast<std::size_t>(size));
    for (auto at = size - 1; at >= 0; --at) {
        char byte = 0;
        if (pread(fd, &byte, 1, at) != 1 || byte != text[static_cast<std::size_t>(at)]) {
            std::printf("byte %lld differs\n", static_cast<long long>(at));
            return 1;
        }
    }
    char beyond[16];
    if (pread(fd, beyond, sizeof beyond, size) != 0 || pread(fd, beyond, sizeof beyond, size + 100000) != 0) {
        std::printf("there is something behind the end\n");
        return 1;
    }
    if (lseek(fd, 5, SEEK_SET) != 5 || read(fd, beyond, 3) != 3 || std::string_view(beyond, 3) != text.substr(5, 3)) {
        std::printf("not to be sought in\n");
        return 1;
    }
    std::printf("all alike\n");
    return 0;
}

#include "measure.h"

#include "base/unique_fd.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace squish::bench {

namespace {

constexpr std::size_t kMostTold = 64 << 10;

// Owns what posix_spawn(3) is told about descriptors 0, 1, 2.
class Streams {
public:
    explicit Streams(int output) {
        ::posix_spawn_file_actions_init(&actions_);
        ::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        ::posix_spawn_file_actions_adddup2(&actions_, output, STDOUT_FILENO);
        ::posix_spawn_file_actions_adddup2(&actions_, output, STDERR_FILENO);
    }
    Streams(const Streams&) = delete;
    Streams& operator=(const Streams&) = delete;
    ~Streams() { ::posix_spawn_file_actions_destroy(&actions_); }
    [[nodiscard]] const posix_spawn_file_actions_t* get() const { return &actions_; }

private:
    posix_spawn_file_actions_t actions_{};
};

// As execve(2) takes them; borrowed.
std::vector<char*> pointers(const std::vector<std::string>& words) {
    std::vector<char*> out;
    out.reserve(words.size() + 1);
    for (const auto& word : words)
        out.push_back(const_cast<char*>(word.c_str()));
    out.push_back(nullptr);
    return out;
}

} // namespace

std::uint64_t monotonic_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
}

Environment environment_with(const Environment& changes) {
    auto out = changes;
    for (char** at = environ; *at; ++at) {
        const std::string_view entry(*at);
        const auto name = entry.substr(0, entry.find('=') + 1);
        if (std::ranges::none_of(changes, [&](const std::string& one) { return one.starts_with(name); }))
            out.emplace_back(entry);
    }
    return out;
}

Result<Outcome> run_process(const std::vector<std::string>& words, int output, const Environment& environment) {
    const Streams streams(output);
    auto arguments = pointers(words);
    auto variables = pointers(environment);

    const auto began = monotonic_ns();
    pid_t pid = 0;
    if (const int error = ::posix_spawn(&pid, arguments[0], streams.get(), nullptr, arguments.data(),
                                        environment.empty() ? environ : variables.data()))
        return fail_errno("start '" + words[0] + "'", error);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return fail_errno("waitpid");
    const auto took = monotonic_ns() - began;
    return Outcome{took, WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status)};
}

Result<Told> ask_process(const std::vector<std::string>& words, const Environment& environment) {
    const UniqueFd file(::memfd_create("told", MFD_CLOEXEC)); // a pipe would wait for a daemon that inherited it
    if (!file)
        return fail_errno("memfd_create");
    const auto outcome = TRY(run_process(words, file.get(), environment));
    Told told{outcome.code, std::string(kMostTold, '\0')};
    const auto got = ::pread(file.get(), told.text.data(), kMostTold, 0);
    told.text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return told;
}

void rest(unsigned milliseconds) {
    timespec time{milliseconds / 1000, static_cast<long>(milliseconds % 1000) * 1'000'000};
    while (::nanosleep(&time, &time) < 0 && errno == EINTR) {
    }
}

std::string find_program(const std::string& name) {
    const char* path = std::getenv("PATH");
    std::string folders = (path ? path : "") + std::string(":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin");
    for (std::size_t begin = 0; begin < folders.size();) {
        const auto end = std::min(folders.find(':', begin), folders.size());
        const auto program = folders.substr(begin, end - begin) + "/" + name;
        if (program.front() == '/' && ::access(program.c_str(), X_OK) == 0)
            return program;
        begin = end + 1;
    }
    return {};
}

} // namespace squish::bench

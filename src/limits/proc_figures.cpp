#include "limits/proc_figures.h"

#include "base/text.h"
#include "limits/cgroup.h"
#include "os/file.h"

#include <array>
#include <climits>
#include <fcntl.h>
#include <unistd.h>

namespace squish::limits {

namespace {

constexpr std::size_t kMaxBytes = 64 << 10;

// "pid:[4026531836]"; empty where we may not look, or the process has ended.
std::string pid_namespace(int folder) {
    std::array<char, 64> text{};
    const auto length = ::readlinkat(folder, "ns/pid", text.data(), text.size());
    return length > 0 ? std::string(text.data(), static_cast<std::size_t>(length)) : std::string();
}

std::string text_of(int folder, const char* file) {
    auto text = os::read_file_at(folder, file, kMaxBytes);
    return text ? *std::move(text) : std::string();
}

std::uint64_t in_us(std::uint64_t ticks) {
    static const auto per_second = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
    return ticks * 1'000'000 / per_second;
}

void add(Figures& sum, int folder) {
    const auto times = parse_stat(text_of(folder, "stat"));
    if (!times)
        return; // it has ended meanwhile
    // Times of those that have ended are their parent's once it has waited for them: nobody is counted twice.
    sum.cpu_user_us += in_us(times->user + times->ended_user);
    sum.cpu_system_us += in_us(times->system + times->ended_system);
    sum.cpu_us = sum.cpu_user_us + sum.cpu_system_us;
    sum.pids += times->threads;
    sum.memory += parse_statm(text_of(folder, "statm")) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    const auto io = parse_proc_io(text_of(folder, "io"));
    sum.io_read += io.read;
    sum.io_written += io.written;
}

} // namespace

std::optional<ProcessTimes> parse_stat(std::string_view text) {
    const auto name_end = text.rfind(')');
    if (name_end == std::string_view::npos)
        return std::nullopt;
    const auto fields = split(trim(text.substr(name_end + 1)), ' '); // the first is field 3, the state
    if (fields.size() < 20)
        return std::nullopt;
    const auto field = [&](std::size_t number) { return parse_number(fields[number - 3]).value_or(0); };
    return ProcessTimes{field(14), field(15), field(16), field(17), field(20)};
}

std::uint64_t parse_statm(std::string_view text) {
    const auto fields = split(trim(text), ' ');
    return fields.size() > 1 ? parse_number(fields[1]).value_or(0) : 0;
}

IoTotals parse_proc_io(std::string_view text) {
    return {parse_keyed(text, "read_bytes:"), parse_keyed(text, "write_bytes:")};
}

Result<std::map<pid_t, Figures>> read_processes_below(const std::string& proc, std::span<const pid_t> inits) {
    const auto root = TRY(os::open_file(proc, O_RDONLY | O_DIRECTORY));
    std::map<std::string, pid_t> wanted; // by PID namespace
    std::map<pid_t, Figures> found;
    for (const auto init : inits) {
        const auto folder = os::open_at(root.get(), std::to_string(init), O_PATH | O_DIRECTORY);
        if (auto space = folder ? pid_namespace(folder->get()) : std::string(); !space.empty()) {
            wanted.emplace(std::move(space), init);
            found[init].source = Figures::Source::proc;
        }
    }
    if (wanted.empty())
        return found;
    const auto names = TRY(children_of(root.get()));
    for (const auto& name : names) {
        if (!parse_number(name))
            continue;
        const auto folder = os::open_at(root.get(), name, O_PATH | O_DIRECTORY);
        if (!folder)
            continue;
        if (const auto space = wanted.find(pid_namespace(folder->get())); space != wanted.end())
            add(found[space->second], folder->get());
    }
    // A zombie has no threads that run; one that was reaped is not listed at all.
    std::erase_if(found, [](const auto& entry) { return entry.second.pids == 0; });
    return found;
}

Result<std::map<pid_t, Figures>> read_processes(std::span<const pid_t> inits) {
    return read_processes_below("/proc", inits);
}

} // namespace squish::limits

#include "procview/parse.h"

#include "base/text.h"
#include "procview/text.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

namespace squish::procview {

namespace {

constexpr std::size_t kMaxDevices = 256;

std::uint64_t number(std::string_view word) {
    return parse_number(word).value_or(0);
}

pid_t id(std::string_view word) {
    const auto value = number(word);
    return value <= 1U << 30 ? static_cast<pid_t>(value) : 0;
}

struct Column {
    std::string_view key;
    std::uint64_t procfs::Usage::* figure;
};

constexpr Column kMemoryColumns[] = {
    {"anon", &procfs::Usage::anon},
    {"file", &procfs::Usage::file},
    {"kernel_stack", &procfs::Usage::kernel_stack},
    {"pagetables", &procfs::Usage::pagetables},
    {"shmem", &procfs::Usage::shmem},
    {"file_mapped", &procfs::Usage::file_mapped},
    {"file_dirty", &procfs::Usage::file_dirty},
    {"file_writeback", &procfs::Usage::file_writeback},
    {"swapcached", &procfs::Usage::swap_cached},
    {"inactive_anon", &procfs::Usage::inactive_anon},
    {"active_anon", &procfs::Usage::active_anon},
    {"inactive_file", &procfs::Usage::inactive_file},
    {"active_file", &procfs::Usage::active_file},
    {"unevictable", &procfs::Usage::unevictable},
    {"slab_reclaimable", &procfs::Usage::slab_reclaimable},
    {"slab_unreclaimable", &procfs::Usage::slab_unreclaimable},
    {"pgfault", &procfs::Usage::page_faults},
    {"pgmajfault", &procfs::Usage::major_faults},
};
constexpr Column kCpuColumns[] = {
    {"user_usec", &procfs::Usage::cpu_user_us},
    {"system_usec", &procfs::Usage::cpu_system_us},
};

template <std::size_t N> void parse_columns(std::string_view text, const Column (&columns)[N], procfs::Usage& usage) {
    while (!text.empty()) {
        auto line = take_line(text);
        const auto key = take_word(line);
        const auto* const column = std::ranges::find(columns, key, &Column::key);
        if (column != std::end(columns))
            usage.*column->figure = number(take_word(line));
    }
}

} // namespace

std::optional<ProcessStat> parse_process_stat(std::string_view text) {
    // The name is the process's own choice: ") R 1 1" included.
    const auto name_end = text.rfind(')');
    if (name_end == std::string_view::npos)
        return std::nullopt;
    text = text.substr(name_end + 1);
    text = text.substr(0, text.find('\n'));
    std::array<std::string_view, 20> words; // from field 3 on
    for (auto& word : words)
        word = take_word(text);
    if (words[19].empty() || words[0].size() != 1)
        return std::nullopt;
    const auto field = [&](std::size_t place) { return number(words[place - 3]); };
    ProcessStat stat;
    stat.state = words[0][0];
    stat.parent = id(words[1]);
    stat.minor_faults = field(10) + field(11);
    stat.major_faults = field(12) + field(13);
    stat.user = field(14) + field(16);
    stat.system = field(15) + field(17);
    stat.threads = field(20);
    stat.started = field(22);
    return stat;
}

Pages parse_statm(std::string_view text) {
    (void) take_word(text); // the size of its addresses
    Pages pages;
    pages.resident = number(take_word(text));
    pages.shared = std::min(number(take_word(text)), pages.resident);
    return pages;
}

std::vector<pid_t> parse_namespace_ids(std::string_view status) {
    constexpr std::size_t kMaxNamespaces = 33; // MAX_PID_NS_LEVEL, and the first
    std::vector<pid_t> ids;
    while (!status.empty()) {
        auto line = take_line(status);
        if (take_word(line) != "NSpid:")
            continue;
        while (ids.size() < kMaxNamespaces) {
            const auto one = id(take_word(line));
            if (one <= 0) // the end of the line, or of what makes sense
                break;
            ids.push_back(one);
        }
        break;
    }
    return ids;
}

std::vector<pid_t> parse_ids(std::string_view text, std::size_t limit) {
    std::vector<pid_t> ids;
    while (!text.empty() && ids.size() < limit)
        if (const auto one = id(take_line(text)); one > 0) // 0: of another PID namespace
            ids.push_back(one);
    return ids;
}

std::optional<std::uint64_t> parse_single(std::string_view text) {
    return parse_number(trim(text));
}

void parse_memory_stat(std::string_view text, procfs::Usage& usage) {
    parse_columns(text, kMemoryColumns, usage);
}

void parse_cpu_stat(std::string_view text, procfs::Usage& usage) {
    parse_columns(text, kCpuColumns, usage);
}

std::vector<procfs::DeviceUse> parse_io_stat(std::string_view text) {
    std::vector<procfs::DeviceUse> devices;
    while (!text.empty() && devices.size() < kMaxDevices) {
        auto line = take_line(text);
        const auto name = take_word(line);
        const auto colon = name.find(':');
        if (colon == std::string_view::npos)
            continue;
        const auto major = parse_number(name.substr(0, colon)), minor = parse_number(name.substr(colon + 1));
        if (!major || !minor || *major > UINT32_MAX || *minor > UINT32_MAX)
            continue;
        procfs::DeviceUse device;
        device.major = static_cast<std::uint32_t>(*major);
        device.minor = static_cast<std::uint32_t>(*minor);
        for (auto word = take_word(line); !word.empty(); word = take_word(line)) {
            const auto equals = word.find('=');
            if (equals == std::string_view::npos)
                continue;
            const auto key = word.substr(0, equals);
            const auto value = number(word.substr(equals + 1));
            if (key == "rbytes")
                device.read_bytes = value;
            else if (key == "wbytes")
                device.written_bytes = value;
            else if (key == "rios")
                device.reads = value;
            else if (key == "wios")
                device.writes = value;
        }
        devices.push_back(device);
    }
    return devices;
}

std::uint64_t parse_meminfo(std::string_view text, std::string_view key) {
    while (!text.empty()) {
        auto line = take_line(text);
        if (take_word(line) != key)
            continue;
        const auto value = number(take_word(line));
        return value <= UINT64_MAX / 1024 ? value * 1024 : 0;
    }
    return 0;
}

} // namespace squish::procview

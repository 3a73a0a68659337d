#include "sysinfo/caller.h"

#include "os/file.h"
#include "procview/text.h"

#include <cerrno>
#include <charconv>
#include <climits>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <sys/ioctl.h>
#include <unistd.h>

namespace squish::sysinfo {

namespace {

// struct procmap_query and PROCMAP_QUERY of Linux 6.11, which Debian 12's headers do not know.
struct MapQuery {
    std::uint64_t size = sizeof(MapQuery), flags = 0, address = 0;
    std::uint64_t begin = 0, end = 0, vma_flags = 0, page_size = 0, offset = 0, inode = 0;
    std::uint32_t major = 0, minor = 0, name_size = 0, build_id_size = 0;
    std::uint64_t name_address = 0, build_id_address = 0;
};
static_assert(sizeof(MapQuery) == 104);
constexpr unsigned long kMapQuery = _IOWR('f', 17, MapQuery);
constexpr std::uint64_t kQueryWritable = 2;

constexpr std::size_t kMaxMaps = 4 << 20; // bytes of /proc/PID/maps: some 50,000 mappings

struct Range {
    std::uint64_t begin = 0, end = 0;
    bool writable = false, of_file = false;
};

// "7ffd1000-7ffd3000 rw-p 00000000 00:00 0    [stack]": range, rights, offset, device, inode (proc(5)).
bool parse_range(std::string_view line, Range& range) {
    const auto* const start = line.data();
    const auto* const stop = start + line.size();
    const auto [dash, first] = std::from_chars(start, stop, range.begin, 16);
    if (first != std::errc() || dash == stop || *dash != '-')
        return false;
    const auto [space, second] = std::from_chars(dash + 1, stop, range.end, 16);
    if (second != std::errc() || stop - space < 3)
        return false;
    range.writable = space[2] == 'w';
    std::string_view rest(space, static_cast<std::size_t>(stop - space));
    for (int i = 0; i < 3; ++i)
        (void) procview::take_word(rest);
    const auto inode = procview::take_word(rest);
    range.of_file = inode != "0";
    return !inode.empty();
}

} // namespace

Memory look_in_text(int maps, std::uint64_t address, std::uint64_t end) {
    std::string text;
    bool of_file = false;
    char part[16384];
    for (std::size_t total = 0; total < kMaxMaps;) {
        const auto got = ::read(maps, part, sizeof part);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return Memory::none;
        total += static_cast<std::size_t>(got);
        text.append(part, static_cast<std::size_t>(got));
        std::size_t done = 0;
        for (auto newline = text.find('\n'); newline != std::string::npos; newline = text.find('\n', done)) {
            Range range;
            if (!parse_range(std::string_view(text).substr(done, newline - done), range))
                return Memory::none;
            done = newline + 1;
            if (range.end <= address)
                continue;
            if (range.begin > address || !range.writable)
                return Memory::none;
            of_file |= range.of_file;
            if (range.end >= end)
                return of_file ? Memory::of_file : Memory::own;
            address = range.end; // it goes on in the next mapping
        }
        text.erase(0, done);
    }
    return Memory::none;
}

bool Caller::open(int proc, pid_t pid) {
    const auto folder = std::to_string(pid);
    auto memory = os::open_at(proc, folder + "/mem", O_WRONLY);
    if (!memory)
        return false;
    auto maps = os::open_at(proc, folder + "/maps", O_RDONLY);
    if (!maps)
        return false;
    memory_ = *std::move(memory);
    maps_ = *std::move(maps);
    return true;
}

Memory Caller::look_at(std::uint64_t address, std::uint64_t size) const {
    if (address > LONG_MAX - size)
        return Memory::none;
    const auto end = address + size;
    bool of_file = false;
    while (address < end) {
        MapQuery query;
        query.flags = kQueryWritable;
        query.address = address;
        if (::ioctl(maps_.get(), kMapQuery, &query) < 0)
            return errno == ENOTTY ? look_in_text(maps_.get(), address, end) : Memory::none;
        if (query.end <= address)
            return Memory::none;
        of_file |= query.inode != 0;
        address = query.end;
    }
    return of_file ? Memory::of_file : Memory::own;
}

bool Caller::write(std::uint64_t address, std::span<const std::byte> bytes) const {
    return ::pwrite(memory_.get(), bytes.data(), bytes.size(), static_cast<off_t>(address)) ==
           static_cast<ssize_t>(bytes.size());
}

} // namespace squish::sysinfo

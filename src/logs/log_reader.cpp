#include "logs/log_reader.h"

#include "base/text.h"
#include "os/file.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace squish {

namespace {

constexpr std::size_t kBlock = 64 * 1024;

Result<std::size_t> read_at(int fd, char* to, std::size_t size, std::uint64_t offset) {
    for (;;) {
        const auto got = ::pread(fd, to, size, static_cast<off_t>(offset));
        if (got >= 0)
            return static_cast<std::size_t>(got);
        if (errno != EINTR)
            return fail_errno("read the log");
    }
}

// Where the next data is, at or after `offset`; nothing at the end of the file.
Result<std::optional<std::uint64_t>> next_data(int fd, std::uint64_t offset) {
    const auto found = ::lseek(fd, static_cast<off_t>(offset), SEEK_DATA);
    if (found >= 0)
        return std::optional(static_cast<std::uint64_t>(found));
    if (errno == ENXIO)
        return std::optional<std::uint64_t>();
    if (errno == EINVAL) // a filesystem that does not know holes has none
        return std::optional(offset);
    return fail_errno("seek in the log");
}

// The start of the last `lines` lines between `first` and `end`. An unfinished line counts as one.
Result<std::uint64_t> start_of_tail(int fd, std::uint64_t first, std::uint64_t end, std::size_t lines) {
    if (lines == 0)
        return end;
    std::string block(kBlock, '\0');
    std::size_t newlines = 0;
    for (std::uint64_t to = end; to > first;) {
        const auto from = std::max(first, to > kBlock ? to - kBlock : 0);
        const auto got = TRY(read_at(fd, block.data(), to - from, from));
        for (std::size_t i = got; i-- > 0;) {
            if (block[i] != '\n' || from + i + 1 == end) // the newline that ends the last line starts none
                continue;
            if (++newlines == lines)
                return from + i + 1;
        }
        to = from;
    }
    return first;
}

} // namespace

Result<LogReader> LogReader::open(const std::string& path, std::optional<std::size_t> tail) {
    auto file = TRY(os::open_file(path, O_RDONLY));
    const auto first = TRY(next_data(file.get(), 0));
    if (!first)
        return LogReader(std::move(file), 0);
    if (!tail)
        return LogReader(std::move(file), *first);
    const auto end = ::lseek(file.get(), 0, SEEK_END);
    if (end < 0)
        return fail_errno("seek in the log '" + printable(path) + "'");
    const auto start = TRY(start_of_tail(file.get(), *first, static_cast<std::uint64_t>(end), *tail));
    return LogReader(std::move(file), start);
}

Result<std::string> LogReader::read(std::size_t limit) {
    const auto from = TRY(next_data(file_.get(), offset_));
    if (!from)
        return std::string();
    std::string bytes(std::min(limit, kBlock), '\0');
    bytes.resize(TRY(read_at(file_.get(), bytes.data(), bytes.size(), *from)));
    offset_ = *from + bytes.size();
    return bytes;
}

} // namespace squish

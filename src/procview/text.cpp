#include "procview/text.h"

#include "os/file.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <linux/openat2.h>
#include <unistd.h>

namespace squish::procview {

std::optional<std::string> read_from_start(int fd) {
    std::array<char, 16384> part; // NOLINT(cppcoreguidelines-pro-type-member-init): read(2) fills what is used of it
    std::string out;
    while (out.size() < kMaxText) {
        const auto got =
            ::pread(fd, part.data(), std::min(part.size(), kMaxText - out.size()), static_cast<off_t>(out.size()));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return std::nullopt;
        if (got == 0)
            break;
        out.append(part.data(), static_cast<std::size_t>(got));
    }
    return out;
}

std::optional<std::string> read_once(int folder, const std::string& path) {
    // Not RESOLVE_NO_SYMLINKS: sysfs has links within itself.
    const auto file =
        os::open_beneath(folder, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
    return file ? read_from_start(file->get()) : std::nullopt;
}

std::optional<std::string> KeptFile::read(int folder, const char* name) {
    if (!looked_) {
        auto opened = os::open_beneath(folder, name, O_RDONLY | O_NONBLOCK | O_NOCTTY,
                                       RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
        // A shortage of descriptors passes.
        looked_ = opened || (opened.error().sys_errno != EMFILE && opened.error().sys_errno != ENFILE);
        if (opened)
            fd_ = *std::move(opened);
    }
    return fd_ ? read_from_start(fd_.get()) : std::nullopt;
}

std::string_view take_line(std::string_view& text) {
    const auto end = text.find('\n');
    const auto line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return line;
}

std::string_view take_word(std::string_view& line) {
    const auto begin = line.find_first_not_of(" \t");
    line.remove_prefix(begin == std::string_view::npos ? line.size() : begin);
    const auto word = line.substr(0, line.find_first_of(" \t"));
    line.remove_prefix(word.size());
    return word;
}

} // namespace squish::procview

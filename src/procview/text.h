// Reading the kernel's text files again and again through one descriptor.
#pragma once

#include "base/unique_fd.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace squish::procview {

inline constexpr std::size_t kMaxText = 1 << 20;

// From the start, whatever was read before (procfs and kernfs make the text anew at offset 0). At most kMaxText bytes.
// None where it cannot be read (any more): the cgroup is gone, the process has ended.
[[nodiscard]] std::optional<std::string> read_from_start(int fd);
// A file that is read once. Links of the kernel's own (/proc/PID/root) and out of the folder are not followed.
[[nodiscard]] std::optional<std::string> read_once(int folder, const std::string& path);

// Owns the descriptor of a file that is opened when it is first asked for, and then kept.
class KeptFile {
public:
    // None, too, where there is no such file; it is not looked for again.
    [[nodiscard]] std::optional<std::string> read(int folder, const char* name);

private:
    UniqueFd fd_;
    bool looked_ = false;
};

// Takes the next line off `text`, without its newline; empty at the end.
[[nodiscard]] std::string_view take_line(std::string_view& text);
// Takes the next word of a line.
[[nodiscard]] std::string_view take_word(std::string_view& line);

} // namespace squish::procview

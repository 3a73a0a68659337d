// The user's terminal while a container has one of its own: raw, and as it was again afterwards.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <cstdint>
#include <termios.h>

namespace squish::cli {

struct WindowSize {
    std::uint16_t rows = 24, columns = 80;
};

// Of the first of stdin, stdout, stderr that is a terminal.
[[nodiscard]] WindowSize window_size();
void set_window_size(int master, WindowSize size);

// Raw from construction to destruction: keys go to the container's terminal, Ctrl-C too.
class RawTerminal {
public:
    [[nodiscard]] static Result<RawTerminal> enter(int fd);
    RawTerminal(RawTerminal&& other) noexcept;
    RawTerminal& operator=(RawTerminal&&) = delete;
    ~RawTerminal();

private:
    RawTerminal(int fd, const termios& before) : fd_(fd), before_(before) {}
    int fd_;
    termios before_;
};

} // namespace squish::cli

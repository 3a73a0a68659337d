#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>
#include <utility>

namespace squish::cli {

WindowSize window_size() {
    winsize size{};
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
            return {size.ws_row, size.ws_col};
    return {};
}

void set_window_size(int master, WindowSize size) {
    winsize wanted{};
    wanted.ws_row = size.rows;
    wanted.ws_col = size.columns;
    ::ioctl(master, TIOCSWINSZ, &wanted);
}

Result<RawTerminal> RawTerminal::enter(int fd) {
    termios before{};
    if (::tcgetattr(fd, &before) < 0)
        return fail_errno("read the terminal's settings");
    termios raw = before;
    ::cfmakeraw(&raw);
    // TCSADRAIN, not TCSAFLUSH: what was typed ahead is meant for the container.
    if (::tcsetattr(fd, TCSADRAIN, &raw) < 0)
        return fail_errno("set the terminal to raw mode");
    return RawTerminal(fd, before);
}

RawTerminal::RawTerminal(RawTerminal&& other) noexcept : fd_(std::exchange(other.fd_, -1)), before_(other.before_) {}

RawTerminal::~RawTerminal() {
    if (fd_ >= 0)
        ::tcsetattr(fd_, TCSADRAIN, &before_);
}

} // namespace squish::cli

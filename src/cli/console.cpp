#include "cli/console.h"

#include "base/text.h"
#include "os/file.h"

#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <unistd.h>

namespace squish::cli {

bool print(std::string_view text) {
    return os::write_all(STDOUT_FILENO, text).has_value();
}

void warn(std::string_view line) {
    const bool colour = use_colours(STDERR_FILENO);
    std::string out = colour ? "\033[1msquish:\033[0m " : "squish: ";
    // A message may have several lines, each of which was made printable; the breaks between them are ours.
    for (const auto part : split(line, '\n'))
        out.append(printable(part)).append("\n");
    (void) os::write_all(STDERR_FILENO, out);
}

void complain(const Error& error) {
    warn(error.text());
}

void keep_standard_fds() {
    for (int fd = 0; fd < 3; ++fd)
        if (::fcntl(fd, F_GETFD) < 0)
            ::open("/dev/null",
                   O_RDWR); // NOLINT(android-cloexec-open): the lowest free number, this one; for children too
}

bool is_terminal(int fd) {
    const char* terminal = std::getenv("TERM");
    return terminal && std::string_view(terminal) != "dumb" && ::isatty(fd) == 1;
}

bool use_colours(int fd) {
    const char* no_colour = std::getenv("NO_COLOR");
    return !(no_colour && *no_colour) && is_terminal(fd);
}

} // namespace squish::cli

#include "cli/screen.h"

#include "base/text.h"
#include "cli/console.h"

#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <langinfo.h>
#include <unistd.h>
#include <utility>

#define NCURSES_NOMACROS 1
#include <curses.h>

namespace squish::cli {

namespace {

constexpr short kWarning = 1, kTitle = 2; // pairs of colours

int attributes_of(TopLine::Style style, bool colours) {
    switch (style) {
    case TopLine::Style::plain:
        return A_NORMAL;
    case TopLine::Style::title:
        return static_cast<int>(A_BOLD | (colours ? COLOR_PAIR(kTitle) : A_NORMAL));
    case TopLine::Style::header:
        return A_UNDERLINE;
    case TopLine::Style::selected:
        return A_REVERSE;
    case TopLine::Style::warning:
        return static_cast<int>(A_BOLD | (colours ? COLOR_PAIR(kWarning) : A_NORMAL));
    }
    std::unreachable();
}

} // namespace

bool use_utf8() {
    if (!std::setlocale(LC_CTYPE, "")) // not installed: what its name says of the letters is true all the same
        for (const char* variable : {"LC_ALL", "LC_CTYPE", "LANG"})
            if (const char* value = std::getenv(variable); value && *value) {
                const std::string_view name(value);
                if (name.ends_with(".UTF-8") || name.ends_with(".utf8"))
                    std::setlocale(LC_CTYPE, "C.UTF-8");
                break;
            }
    return std::string_view(::nl_langinfo(CODESET)) == "UTF-8";
}

Result<Screen> Screen::open() {
    if (::isatty(STDIN_FILENO) != 1 || ::isatty(STDOUT_FILENO) != 1)
        return fail(ErrorKind::system, "top needs a terminal", "use 'squish stats'");
    const char* name = std::getenv("TERM");
    const auto unknown = [&] {
        return fail(ErrorKind::system,
                    "nothing is known about the terminal '" + printable(name ? name : "") +
                        "' (TERM), or it cannot move its cursor",
                    "set TERM to its kind, such as xterm, or use 'squish stats'");
    };
    if (!is_terminal(STDOUT_FILENO))
        return unknown();
    SCREEN* terminal = ::newterm(nullptr, stdout, stdin); // initscr(3X) would end the program
    if (!terminal)
        return unknown();
    ::set_term(terminal);
    ::cbreak();
    ::noecho();
    ::nonl();
    ::keypad(stdscr, TRUE);
    ::nodelay(stdscr, TRUE);
    ::set_escdelay(25);
    (void) ::curs_set(0);
    const bool colours = use_colours(STDOUT_FILENO) && ::has_colors() && ::start_color() == OK;
    if (colours) {
        const short ground = static_cast<short>(::use_default_colors() == OK ? -1 : COLOR_BLACK);
        ::init_pair(kWarning, COLOR_YELLOW, ground);
        ::init_pair(kTitle, COLOR_CYAN, ground);
    }
    return Screen(terminal, colours);
}

Screen::Screen(Screen&& other) noexcept
    : terminal_(std::exchange(other.terminal_, nullptr)), colours_(other.colours_) {}

Screen::~Screen() {
    if (!terminal_)
        return;
    ::endwin();
    ::delscreen(static_cast<SCREEN*>(terminal_));
}

Screen::Size Screen::size() const {
    return {static_cast<std::size_t>(std::max(getmaxx(stdscr), 0)),
            static_cast<std::size_t>(std::max(getmaxy(stdscr), 0))};
}

void Screen::show(std::span<const TopLine> lines) {
    ::werase(stdscr);
    int row = 0;
    for (const auto& line : lines) {
        ::wattrset(stdscr, attributes_of(line.style, colours_));
        (void) ::mvwaddnstr(stdscr, row++, 0, line.text.data(), static_cast<int>(line.text.size()));
    }
    ::wattrset(stdscr, A_NORMAL);
    ::wrefresh(stdscr);
}

std::optional<Screen::Press> Screen::key() {
    const int code = ::wgetch(stdscr);
    switch (code) {
    case ERR:
        return std::nullopt;
    case KEY_RESIZE:
        return Press{.resized = true};
    case KEY_UP:
        return Press{TopKey::up};
    case KEY_DOWN:
        return Press{TopKey::down};
    case KEY_HOME:
        return Press{TopKey::first};
    case KEY_END:
        return Press{TopKey::last};
    default:
        return Press{TopKey::other, code > 0 && code < 128 ? static_cast<char>(code) : '\0'};
    }
}

void Screen::leave() {
    ::def_prog_mode();
    ::endwin();
}

void Screen::come_back() {
    ::reset_prog_mode();
    ::clearok(stdscr, TRUE); // whoever was here has left something
    ::wrefresh(stdscr);
}

} // namespace squish::cli

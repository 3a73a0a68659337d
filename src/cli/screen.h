// The terminal as a whole, through ncurses, which ends in screen.cpp.
#pragma once

#include "base/result.h"
#include "cli/top_model.h"

#include <optional>
#include <span>

namespace squish::cli {

// One at a time; the terminal is as it was again when it goes.
class Screen {
public:
    // Errors: invalid where stdin or stdout is no terminal; unsupported where nothing is known about the terminal.
    [[nodiscard]] static Result<Screen> open();
    Screen(Screen&& other) noexcept;
    Screen& operator=(Screen&&) = delete;
    ~Screen();

    struct Size {
        std::size_t width, height;
    };
    [[nodiscard]] Size size() const;
    void show(std::span<const TopLine> lines);

    struct Press {
        TopKey key = TopKey::other;
        char letter = 0;
        bool resized = false; // nothing was pressed
    };
    // The next key that waits; nothing where none does.
    [[nodiscard]] std::optional<Press> key();

    // Gives the terminal to somebody else, and takes it back.
    void leave();
    void come_back();

private:
    Screen(void* terminal, bool colours) : terminal_(terminal), colours_(colours) {}
    void* terminal_; // ncurses' SCREEN
    bool colours_;
};

// Whether the user's locale is UTF-8; sets the program's to it (setlocale(3)).
[[nodiscard]] bool use_utf8();

} // namespace squish::cli

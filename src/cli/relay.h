// Between the user's terminal and the container's: bytes both ways, and the window's size.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "cli/terminal.h"

#include <optional>
#include <poll.h>
#include <span>
#include <string>

namespace squish::cli {

class Relay {
public:
    static constexpr std::size_t kFds = 3;

    // The master side of the container's terminal will come over `console`. With `interactive` our keys go there.
    void await_master(UniqueFd console, bool interactive);
    // One turn of a poll loop: what to wait for, and what to do about what came. Idle where there is no terminal.
    void prepare(std::span<pollfd, kFds> waiting) const;
    [[nodiscard]] Result<void> serve(std::span<const pollfd, kFds> waiting);
    // The window has another size now.
    void resize();
    // Writes out what the container has left in its terminal, then lets go of ours.
    void drain();

private:
    [[nodiscard]] Result<void> take_master();
    // False at the end: the other side of the terminal is closed.
    [[nodiscard]] bool copy_output();
    void take_keys();
    void give_keys();

    UniqueFd console_, master_;
    std::optional<RawTerminal> raw_;
    std::string keys_; // typed, and not yet taken by the container
    bool interactive_ = false;
};

} // namespace squish::cli

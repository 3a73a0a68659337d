// Pipes to splice through, shared by all connections.
//
// A pipe is needed only while bytes are on their way; in a thread that drains what it has filled, that is mostly one
// pipe for everybody. Only a direction whose receiver is slow keeps one. Pipes count against the user's
// pipe-user-pages-soft (pipe(7)), beyond which the kernel makes new ones tiny: we stop at half of it, so that the
// user's other programs keep theirs. No container gets more than half of ours.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <cstddef>
#include <optional>
#include <vector>

namespace squish::forward {

struct Pipe {
    UniqueFd reader, writer;
    std::size_t pages = 0;
};

// What one container holds of the pool.
struct PipeAccount {
    std::size_t pages = 0;
};

class PipePool {
public:
    struct Limits {
        std::size_t pages = 8192;   // all pipes together
        int highest_fd = 1 << 20;   // descriptors from here on are for others
        std::size_t pipe_bytes = 0; // 0: kPipeBytes
    };
    explicit PipePool(Limits limits) : limits_(limits) {}

    // The limits that this machine and process allow.
    [[nodiscard]] static Limits machine_limits();

    // An empty pipe; nothing where a limit is reached, or the kernel has none: the caller then does without.
    [[nodiscard]] std::optional<Pipe> take(PipeAccount& account);
    // `empty` ones are used again, others are closed with what is in them.
    void give_back(Pipe pipe, PipeAccount& account, bool empty);

    [[nodiscard]] std::size_t pages_in_use() const { return pages_; }

private:
    [[nodiscard]] std::optional<Pipe> make() const;

    Limits limits_;
    std::vector<Pipe> free_;
    std::size_t pages_ = 0; // of all pipes, free ones included
};

} // namespace squish::forward

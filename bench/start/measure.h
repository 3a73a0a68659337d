// Running whole processes and taking the time.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>
#include <vector>

namespace squish::bench {

[[nodiscard]] std::uint64_t monotonic_ns();

struct Outcome {
    std::uint64_t nanoseconds = 0; // from before posix_spawn(3) to after waitpid(2)
    int code = 0;                  // 128+N where a signal ended it
};

// `words[0]` is an absolute path. stdin is /dev/null; stdout and stderr go to `output`, a descriptor.
[[nodiscard]] Result<Outcome> run_process(const std::vector<std::string>& words, int output);

// The same for somebody who wants to know what it said: at most 64 KiB of it.
struct Told {
    int code = 0;
    std::string text;
};
[[nodiscard]] Result<Told> ask_process(const std::vector<std::string>& words);

// The program of that name in $PATH or in the folders of the administrator; empty where there is none.
[[nodiscard]] std::string find_program(const std::string& name);

} // namespace squish::bench

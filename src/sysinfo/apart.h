// Does what may hang for good in a process apart, which is then left behind.
#pragma once

#include "base/unique_fd.h"

#include <cstddef>
#include <functional>
#include <vector>

namespace squish::sysinfo {

class Apart {
public:
    static constexpr int kMilliseconds = 1000;
    static constexpr std::size_t kMostStuck = 8; // as long as there are that many, all is refused

    enum class Outcome { done, failed, stuck };
    // Waits at most kMilliseconds for `work` to say whether it is done.
    [[nodiscard]] Outcome run(const std::function<bool()>& work);

private:
    std::vector<Pidfd> stuck_; // were killed, and cannot end yet
};

} // namespace squish::sysinfo

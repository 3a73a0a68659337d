#include "daemon/signals.h"

#include "base/text.h"

#include <csignal>
#include <cstring>
#include <string>

namespace squish::daemon {

std::optional<int> signal_number(std::string_view text) {
    if (const auto number = parse_number(text))
        return *number >= 1 && *number < NSIG ? std::optional(static_cast<int>(*number)) : std::nullopt;
    std::string name;
    for (const char letter : text.substr(0, 32))
        name += static_cast<char>(letter >= 'a' && letter <= 'z' ? letter - 'a' + 'A' : letter);
    if (name.starts_with("SIG"))
        name.erase(0, 3);
    if (name.starts_with("RTMIN")) {
        const auto offset = name == "RTMIN"              ? std::optional<std::uint64_t>(0)
                            : name.starts_with("RTMIN+") ? parse_number(std::string_view(name).substr(6))
                                                         : std::nullopt;
        const int first = SIGRTMIN;
        return offset && *offset <= static_cast<std::uint64_t>(SIGRTMAX - first)
                   ? std::optional(first + static_cast<int>(*offset))
                   : std::nullopt;
    }
    for (int number = 1; number < NSIG; ++number)
        if (const char* known = ::sigabbrev_np(number); known && name == known)
            return number;
    return std::nullopt;
}

} // namespace squish::daemon

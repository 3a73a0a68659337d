// The time that everything in here is measured by.
#pragma once

#include <cstdint>
#include <ctime>

namespace squish::procview {

inline constexpr std::uint64_t kMillisecond = 1'000'000, kSecond = 1'000'000'000;

// CLOCK_BOOTTIME, nanoseconds: what Facts::started_ns is in, and it goes on while the machine sleeps.
[[nodiscard]] inline std::uint64_t now_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * kSecond + static_cast<std::uint64_t>(now.tv_nsec);
}

// How long what took from `begin` until `end` to read is good for: so long that reading it anew takes less than a
// sixteenth of the time, however many processes there are and however often it is asked for.
[[nodiscard]] constexpr std::uint64_t good_until(std::uint64_t begin, std::uint64_t end) {
    const auto cost = end > begin ? end - begin : 0;
    return end + (cost * 16 > 100 * kMillisecond ? cost * 16 : 100 * kMillisecond);
}

} // namespace squish::procview

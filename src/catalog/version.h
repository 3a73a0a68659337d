// Versions of layers, in a total order.
//
// Semantic versions (semver.org, 2.0.0) plus what is met in the field: two to four numbers ("3.20", "1.2.3.4"), a
// leading "v" ("v20.11.1") and Alpine's suffixes ("3.20.0_rc1", "1.2.3_p2"; apk-tools, "Package version"). Missing
// numbers count as zero, so that "3.20" and "3.20.0" are equal.
#pragma once

#include "base/result.h"

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace squish::catalog {

inline constexpr std::size_t kMaxVersionBytes = 128;
inline constexpr std::size_t kMaxVersionNumbers = 4;

class Version {
public:
    // Errors (invalid) name the text, what is wrong and at which character.
    [[nodiscard]] static Result<Version> parse(std::string_view text);
    // A version without suffix; for bounds of ranges.
    [[nodiscard]] static Version of(std::array<std::uint32_t, kMaxVersionNumbers> numbers);

    // As it was written, without a leading "v".
    [[nodiscard]] const std::string& text() const { return text_; }
    [[nodiscard]] const std::array<std::uint32_t, kMaxVersionNumbers>& numbers() const { return numbers_; }
    // How many numbers were written: 2 for "3.20".
    [[nodiscard]] std::size_t written() const { return written_; }
    [[nodiscard]] bool is_prerelease() const { return !prerelease_.empty(); }
    [[nodiscard]] const std::string& build() const { return build_; }

    // Precedence of semver section 11: numbers, then prereleases before the release, then Alpine's "_p" after it.
    // Build metadata decides last, so that the order is total; `same_precedence` leaves it out.
    [[nodiscard]] std::strong_ordering operator<=>(const Version& other) const;
    [[nodiscard]] bool operator==(const Version& other) const {
        return (*this <=> other) == std::strong_ordering::equal;
    }
    [[nodiscard]] bool same_precedence(const Version& other) const;

private:
    [[nodiscard]] std::strong_ordering precedence(const Version& other) const;

    std::array<std::uint32_t, kMaxVersionNumbers> numbers_{};
    std::size_t written_ = 0;
    std::vector<std::string> prerelease_; // "rc", "1"
    std::uint32_t patch_level_ = 0;       // of Alpine's "_p2"; 0 where there is none
    std::string build_;
    std::string text_;
};

} // namespace squish::catalog

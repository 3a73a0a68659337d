#pragma once

#include <cstdint>
#include <string_view>

namespace squish::doctor {

// Pure: how many ids the text of /etc/subuid or /etc/subgid gives to a user, by name or number (subuid(5)).
[[nodiscard]] std::uint64_t count_ids(std::string_view text, std::string_view user, std::uint64_t uid);

} // namespace squish::doctor

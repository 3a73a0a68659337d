// Addresses, as far as a downloader must understand them.
#pragma once

#include "base/result.h"

#include <string>
#include <string_view>

namespace squish {

inline constexpr std::size_t kMaxUrlBytes = 4095;

// http:// or https:// with a host, printable ASCII without blanks, not too long; anything else (file://, ftp://, a
// path) is invalid, and the error says why.
[[nodiscard]] Result<void> check_url(std::string_view url);

// For messages and records: without user, password, query and fragment, which may be secrets.
[[nodiscard]] std::string shown_url(std::string_view url);

// "https://host:port": what is unreachable when one of its addresses is.
[[nodiscard]] std::string origin_of(std::string_view url);

// BASE/PATH with one slash between them.
[[nodiscard]] std::string below(std::string_view base, std::string_view path);

} // namespace squish

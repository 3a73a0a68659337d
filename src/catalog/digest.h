// Digests as text, and the files that carry them.
#pragma once

#include "base/result.h"

#include <string>
#include <string_view>

namespace squish::catalog {

inline constexpr std::size_t kSha256Digits = 64;
inline constexpr std::size_t kSha512Digits = 128;
inline constexpr std::size_t kMaxDigestFileBytes = 4096;

// `count` lower-case hexadecimal digits.
[[nodiscard]] bool is_hex_digest(std::string_view text, std::size_t count);

// A file as sha256sum(1) and sha512sum(1) write it ("DIGEST  NAME"), made for one file: its digest. The name must be
// `file`, so that the digest of another release is never taken for this one's.
[[nodiscard]] Result<std::string> parse_digest_file(std::string_view text, std::string_view file, std::size_t digits);

} // namespace squish::catalog

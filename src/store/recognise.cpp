#include "store/store.h"

#include <algorithm>
#include <array>
#include <openssl/evp.h>

namespace squish {

std::string text_digest(std::string_view text) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha256(), nullptr);
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string out;
    for (unsigned int i = 0; i < size; ++i) {
        out += kDigits[digest[i] >> 4U];
        out += kDigits[digest[i] & 0xfU];
    }
    return out;
}

bool is_digest(std::string_view text) {
    return text.size() == 64 && std::ranges::all_of(text, [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           });
}

bool looks_like_archive(std::string_view first_bytes) {
    using namespace std::string_view_literals;
    // gzip (RFC 1952), bzip2, xz, zstd (RFC 8878), zip: a file, an empty one (APPNOTE 4.3)
    constexpr std::array kStarts{"\x1f\x8b"sv, "BZh"sv, "\xfd"
                                                        "7zXZ\0"sv,
                                 "\x28\xb5\x2f\xfd"sv, "PK\3\4"sv, "PK\5\6"sv};
    if (std::ranges::any_of(kStarts, [&](std::string_view start) { return first_bytes.starts_with(start); }))
        return true;
    constexpr std::size_t kMagicAt = 257; // POSIX.1-2017, pax: ustar header
    return first_bytes.size() >= kMagicAt + 5 && first_bytes.substr(kMagicAt, 5) == "ustar";
}

} // namespace squish

// What a file is, by its first bytes. Nothing else is asked: not its name, not what a server says of it.
#pragma once

#include <cstddef>
#include <string_view>

namespace squish::archive {

enum class Kind {
    plain, // none of the others
    tar,
    gzip, // of what, must be seen
    bzip2,
    xz,
    zstd,
    zip,
};

// As many bytes as it takes, where the file has them.
inline constexpr std::size_t kRecogniseBytes = 512;

// A zip must begin as one: a program with a zip behind it (self-extracting archives, Python and Java bundles) is a
// program. Formats: RFC 1952, bzip2's block magic, the .xz file format 1.0.4, RFC 8878, PKWARE's APPNOTE 4.3, POSIX
// pax.
[[nodiscard]] Kind recognise(std::string_view start);

// A tar header whose checksum is right, in a block of 512 bytes.
[[nodiscard]] bool is_tar_header(std::string_view block);

[[nodiscard]] const char* to_string(Kind kind);

} // namespace squish::archive

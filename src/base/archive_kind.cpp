#include "base/archive_kind.h"

#include <array>
#include <cstdint>
#include <utility>

namespace squish::archive {

using namespace std::string_view_literals;

bool is_tar_header(std::string_view block) {
    constexpr std::size_t kChecksum = 148, kChecksumSize = 8;
    if (block.size() < 512 || block[0] == '\0')
        return false;
    std::uint64_t as_unsigned = 0;
    std::int64_t as_signed = 0; // what some old archivers summed up
    for (std::size_t i = 0; i < 512; ++i) {
        const char byte = i >= kChecksum && i < kChecksum + kChecksumSize ? ' ' : block[i];
        as_unsigned += static_cast<unsigned char>(byte);
        as_signed += static_cast<signed char>(byte);
    }
    std::uint64_t stated = 0;
    bool digits = false;
    for (const char byte : block.substr(kChecksum, kChecksumSize)) {
        if (byte == ' ' && !digits)
            continue;
        if (byte < '0' || byte > '7')
            break;
        stated = stated * 8 + static_cast<std::uint64_t>(byte - '0');
        digits = true;
    }
    return digits && (stated == as_unsigned || static_cast<std::int64_t>(stated) == as_signed);
}

Kind recognise(std::string_view start) {
    if (start.starts_with("\x1f\x8b\x08"sv))
        return Kind::gzip;
    if (start.size() >= 10 && start.starts_with("BZh"sv) && start[3] >= '1' && start[3] <= '9' &&
        (start.substr(4, 6) == "\x31\x41\x59\x26\x53\x59"sv || start.substr(4, 6) == "\x17\x72\x45\x38\x50\x90"sv))
        return Kind::bzip2;
    if (start.starts_with("\xfd\x37zXZ\0"sv))
        return Kind::xz;
    if (start.starts_with("\x28\xb5\x2f\xfd"sv))
        return Kind::zstd;
    if (start.size() >= 4 && (start[0] & 0xf0) == 0x50 && start.substr(1, 3) == "\x2a\x4d\x18"sv) // a skippable frame
        return Kind::zstd;
    if (start.starts_with("PK\x03\x04"sv) || start.starts_with("PK\x05\x06"sv))
        return Kind::zip;
    return is_tar_header(start) ? Kind::tar : Kind::plain;
}

const char* to_string(Kind kind) {
    switch (kind) {
    case Kind::plain:
        return "file";
    case Kind::tar:
        return "tar";
    case Kind::gzip:
        return "gzip";
    case Kind::bzip2:
        return "bzip2";
    case Kind::xz:
        return "xz";
    case Kind::zstd:
        return "zstd";
    case Kind::zip:
        return "zip";
    }
    std::unreachable();
}

} // namespace squish::archive

#include "archive/tar_writer.h"

#include <algorithm>
#include <array>

namespace squish::archive {

namespace {

constexpr std::size_t kBlock = 512;
constexpr std::uint64_t kMaxOctal7 = 07777777, kMaxOctal11 = 077777777777;

// "LENGTH KEY=VALUE\n", where LENGTH counts its own digits.
void append_pax(std::string& out, std::string_view key, std::string_view value) {
    const std::size_t rest = key.size() + value.size() + 3;
    std::size_t length = rest + 1;
    while (std::to_string(length).size() + rest != length)
        length = std::to_string(length).size() + rest;
    out.append(std::to_string(length)).append(" ").append(key).append("=").append(value).append("\n");
}

void put(std::array<char, kBlock>& block, std::size_t at, std::string_view text) {
    std::ranges::copy(text, block.begin() + static_cast<std::ptrdiff_t>(at));
}

void put_octal(std::array<char, kBlock>& block, std::size_t at, std::size_t digits, std::uint64_t value) {
    for (std::size_t i = digits; i-- > 0; value >>= 3)
        block[at + i] = static_cast<char>('0' + (value & 7));
}

// Where the path is cut into prefix (155) and name (100); npos where it cannot be.
std::size_t cut_of(const std::string& path) {
    if (path.size() <= 100)
        return 0;
    const auto slash = path.find('/', path.size() - 101);
    const bool fits = slash <= 155 && slash > 0 && slash + 1 < path.size(); // npos is beyond all
    return fits ? slash : std::string::npos;
}

std::array<char, kBlock> ustar(const TarHeader& header, const std::string& path, char type) {
    std::array<char, kBlock> block{};
    const auto cut = cut_of(path);
    if (cut == std::string::npos) {
        put(block, 0, std::string_view(path).substr(0, 100));
    } else if (cut == 0) {
        put(block, 0, path);
    } else {
        put(block, 0, std::string_view(path).substr(cut + 1));
        put(block, 345, std::string_view(path).substr(0, cut));
    }
    put_octal(block, 100, 7, header.mode & 07777);
    put_octal(block, 108, 7, std::min(header.uid, kMaxOctal7));
    put_octal(block, 116, 7, std::min(header.gid, kMaxOctal7));
    put_octal(block, 124, 11, std::min(header.size, kMaxOctal11));
    put_octal(block, 136, 11, static_cast<std::uint64_t>(std::clamp<std::int64_t>(header.seconds, 0, kMaxOctal11)));
    put(block, 148, "        ");
    block[156] = type;
    put(block, 157, std::string_view(header.target).substr(0, 100));
    put(block, 257, std::string_view("ustar\00000", 8));
    put_octal(block, 329, 7, 0);
    put_octal(block, 337, 7, 0);
    std::uint64_t sum = 0;
    for (const char byte : block)
        sum += static_cast<unsigned char>(byte);
    put_octal(block, 148, 6, sum);
    block[154] = '\0';
    return block;
}

std::string pax_records(const TarHeader& header, const std::string& path) {
    std::string out;
    if (cut_of(path) == std::string::npos)
        append_pax(out, "path", path);
    if (header.target.size() > 100)
        append_pax(out, "linkpath", header.target);
    if (header.size > kMaxOctal11)
        append_pax(out, "size", std::to_string(header.size));
    if (header.uid > kMaxOctal7)
        append_pax(out, "uid", std::to_string(header.uid));
    if (header.gid > kMaxOctal7)
        append_pax(out, "gid", std::to_string(header.gid));
    if (header.nanoseconds != 0 || header.seconds < 0) {
        // pax counts the fraction in the direction of the sign: -1.5 is half a second before -1
        auto seconds = header.seconds;
        auto fraction = header.nanoseconds;
        const bool negative = seconds < 0;
        if (negative && fraction > 0) {
            ++seconds;
            fraction = 1'000'000'000 - fraction;
        }
        auto digits = std::to_string(fraction);
        digits.insert(0, 9 - digits.size(), '0');
        append_pax(out, "mtime",
                   std::string(negative ? "-" : "") + std::to_string(negative ? -seconds : seconds) + "." + digits);
    }
    for (const auto& [name, value] : header.xattrs)
        append_pax(out, "SCHILY.xattr." + name, value);
    return out;
}

} // namespace

Result<void> TarWriter::header(const TarHeader& header) {
    const auto path = header.type == '5' ? header.path + "/" : header.path;
    // Names are bytes, and pax wants UTF-8: readers that meet a name above ustar's fields take it as it is.
    if (const auto records = pax_records(header, path); !records.empty()) {
        TarHeader extra;
        extra.size = records.size();
        const auto block =
            ustar(extra, "PaxHeaders/" + header.path.substr(header.path.rfind('/') + 1).substr(0, 80), 'x');
        TRY(sink_({block.data(), block.size()}));
        TRY(write(records));
        TRY(pad());
    }
    const auto block = ustar(header, path, header.type);
    return sink_({block.data(), block.size()});
}

Result<void> TarWriter::write(std::string_view bytes) {
    written_ += bytes.size();
    return sink_(bytes);
}

Result<void> TarWriter::pad() {
    static constexpr std::array<char, kBlock> kZeros{};
    const auto rest = written_ % kBlock;
    written_ = 0;
    return rest == 0 ? Result<void>{} : sink_({kZeros.data(), kBlock - rest});
}

Result<void> TarWriter::finish() {
    static constexpr std::array<char, 2 * kBlock> kZeros{};
    return sink_({kZeros.data(), kZeros.size()});
}

} // namespace squish::archive

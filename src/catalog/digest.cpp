#include "catalog/digest.h"

#include "base/text.h"

#include <algorithm>

namespace squish::catalog {

bool is_hex_digest(std::string_view text, std::size_t count) {
    return text.size() == count &&
           std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

Result<std::string> parse_digest_file(std::string_view text, std::string_view file, std::size_t digits) {
    const auto refuse = [&](std::string_view why) {
        return fail(ErrorKind::invalid,
                    "not a digest of '" + printable(file.substr(0, 128)) + "': " + std::string(why));
    };
    if (text.size() > kMaxDigestFileBytes)
        return refuse("the file is longer than " + std::to_string(kMaxDigestFileBytes) + " bytes");
    const auto lines = split(trim(text), '\n');
    if (lines.size() != 1)
        return refuse("the file has more than one line");
    const auto line = trim(lines[0]);
    const auto blank = line.find(' ');
    const auto digest = line.substr(0, blank);
    if (!is_hex_digest(digest, digits))
        return refuse("it does not start with " + std::to_string(digits) + " hexadecimal digits");
    auto name = blank == std::string_view::npos ? std::string_view() : trim(line.substr(blank));
    if (name.starts_with('*')) // binary mode, sha256sum(1)
        name.remove_prefix(1);
    if (const auto slash = name.rfind('/'); slash != std::string_view::npos)
        name.remove_prefix(slash + 1);
    if (name != file)
        return refuse("it names '" + printable(name.substr(0, 128)) + "'");
    return std::string(digest);
}

} // namespace squish::catalog

#include "base/url.h"

#include "base/text.h"

#include <algorithm>

namespace squish {

namespace {
std::size_t scheme_size(std::string_view url) {
    return url.starts_with("https://") ? 8 : url.starts_with("http://") ? 7 : 0;
}

std::string_view authority_of(std::string_view url) {
    const auto from = scheme_size(url);
    return url.substr(from, url.find_first_of("/?#", from) - from);
}

std::string_view without_user(std::string_view authority) {
    const auto at = authority.rfind('@');
    return at == std::string_view::npos ? authority : authority.substr(at + 1);
}
} // namespace

Result<void> check_url(std::string_view url) {
    const auto refuse = [&](std::string_view why) {
        return fail(ErrorKind::invalid,
                    "cannot download '" + printable(shown_url(url.substr(0, 256))) + "': " + std::string(why));
    };
    if (scheme_size(url) == 0)
        return refuse("only http:// and https:// addresses are fetched");
    if (url.size() > kMaxUrlBytes)
        return refuse("the address is longer than " + std::to_string(kMaxUrlBytes) + " bytes");
    if (!std::ranges::all_of(url, [](char c) { return c > ' ' && c < 0x7f && c != '\\'; }))
        return refuse("the address contains blanks, backslashes or characters beyond ASCII");
    if (without_user(authority_of(url)).empty())
        return refuse("the address names no host");
    return {};
}

std::string shown_url(std::string_view url) {
    const auto scheme = scheme_size(url);
    if (scheme == 0)
        return printable(url.substr(0, url.find_first_of("?#")));
    const auto authority = authority_of(url);
    auto path = url.substr(scheme + authority.size());
    path = path.substr(0, path.find_first_of("?#"));
    return printable(std::string(url.substr(0, scheme)) + std::string(without_user(authority)) + std::string(path));
}

std::string origin_of(std::string_view url) {
    return std::string(url.substr(0, scheme_size(url))) + std::string(without_user(authority_of(url)));
}

std::string below(std::string_view base, std::string_view path) {
    while (base.ends_with('/'))
        base.remove_suffix(1);
    return std::string(base) + "/" + std::string(path);
}

} // namespace squish

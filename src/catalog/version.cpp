#include "catalog/version.h"

#include "base/text.h"

#include <algorithm>
#include <optional>

namespace squish::catalog {

namespace {

constexpr std::array<std::string_view, 4> kAlpinePrereleases{"alpha", "beta", "pre", "rc"};

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_identifier_char(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

// Walks the text and remembers where it is, for messages.
class Cursor {
public:
    explicit Cursor(std::string_view text) : text_(text) {}

    [[nodiscard]] bool at_end() const { return at_ == text_.size(); }
    [[nodiscard]] char peek() const { return at_end() ? '\0' : text_[at_]; }
    bool take(char c) {
        if (peek() != c || at_end())
            return false;
        ++at_;
        return true;
    }
    template <class Predicate> std::string_view take_while(Predicate wanted) {
        const auto from = at_;
        while (!at_end() && wanted(text_[at_]))
            ++at_;
        return text_.substr(from, at_ - from);
    }
    [[nodiscard]] std::unexpected<Error> refuse(std::string_view why) const {
        return fail(ErrorKind::invalid,
                    "'" + printable(text_.substr(0, 64)) + "' is not a version: " + std::string(why) +
                        " at character " + std::to_string(at_ + 1),
                    "a version is written \"3.20\", \"3.20.3\" or \"1.2.0-rc.1\"");
    }

private:
    std::string_view text_;
    std::size_t at_ = 0;
};

std::optional<std::uint32_t> small_number(std::string_view digits) {
    const auto number = digits.size() <= 9 ? parse_number(digits) : std::nullopt;
    return number ? std::optional(static_cast<std::uint32_t>(*number)) : std::nullopt;
}

Result<std::vector<std::string>> take_identifiers(Cursor& cursor, std::string_view what) {
    std::vector<std::string> out;
    do {
        const auto part = cursor.take_while(is_identifier_char);
        if (part.empty())
            return cursor.refuse("the " + std::string(what) + " has an empty part");
        out.emplace_back(part);
    } while (cursor.take('.'));
    return out;
}

bool is_number(std::string_view text) {
    return std::ranges::all_of(text, is_digit);
}

std::string_view without_zeros(std::string_view digits) {
    return digits.substr(std::min(digits.find_first_not_of('0'), digits.size() - 1));
}

// Numeric identifiers by value and before words; words by their bytes (semver 11.4).
std::strong_ordering compare_identifiers(std::string_view a, std::string_view b) {
    const bool a_number = is_number(a), b_number = is_number(b);
    if (a_number != b_number)
        return a_number ? std::strong_ordering::less : std::strong_ordering::greater;
    if (!a_number)
        return a <=> b;
    a = without_zeros(a);
    b = without_zeros(b);
    if (a.size() != b.size())
        return a.size() <=> b.size();
    return a <=> b;
}

std::strong_ordering compare_prereleases(const std::vector<std::string>& a, const std::vector<std::string>& b) {
    if (a.empty() || b.empty())
        return a.empty() <=> b.empty(); // the release comes after its prereleases
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
        if (const auto order = compare_identifiers(a[i], b[i]); order != std::strong_ordering::equal)
            return order;
    return a.size() <=> b.size();
}

} // namespace

Version Version::of(std::array<std::uint32_t, kMaxVersionNumbers> numbers) {
    Version out;
    out.numbers_ = numbers;
    out.written_ = numbers[3] != 0 ? 4 : 3;
    for (std::size_t i = 0; i < out.written_; ++i)
        out.text_ += (i > 0 ? "." : "") + std::to_string(numbers[i]);
    return out;
}

Result<Version> Version::parse(std::string_view text) {
    Cursor cursor(text);
    if (text.size() > kMaxVersionBytes)
        return cursor.refuse("it is longer than " + std::to_string(kMaxVersionBytes) + " bytes,");
    Version out;
    if (cursor.take('v'))
        out.text_ = text.substr(1);
    else
        out.text_ = text;
    do {
        if (out.written_ == kMaxVersionNumbers)
            return cursor.refuse("more than four numbers");
        const auto digits = cursor.take_while(is_digit);
        if (digits.empty())
            return cursor.refuse("a number is missing");
        const auto number = small_number(digits);
        if (!number)
            return cursor.refuse("a number of more than nine digits");
        out.numbers_[out.written_++] = *number;
    } while (cursor.take('.'));

    if (cursor.take('-')) {
        out.prerelease_ = TRY(take_identifiers(cursor, "prerelease"));
    } else if (cursor.take('_')) {
        const auto word = cursor.take_while([](char c) { return c >= 'a' && c <= 'z'; });
        const auto digits = cursor.take_while(is_digit);
        const auto number = digits.empty() ? std::optional(0U) : small_number(digits);
        if (!number)
            return cursor.refuse("a number of more than nine digits");
        if (word == "p")
            out.patch_level_ = *number;
        else if (std::ranges::find(kAlpinePrereleases, word) != kAlpinePrereleases.end())
            out.prerelease_ = std::vector{std::string(word), std::to_string(*number)};
        else
            return cursor.refuse("an unknown suffix (known are _alpha, _beta, _pre, _rc and _p)");
    }
    if (cursor.take('+'))
        out.build_ = join(TRY(take_identifiers(cursor, "build metadata")), ".");
    if (!cursor.at_end())
        return cursor.refuse("an unexpected '" + printable(std::string(1, cursor.peek())) + "'");
    return out;
}

std::strong_ordering Version::precedence(const Version& other) const {
    if (const auto order = numbers_ <=> other.numbers_; order != std::strong_ordering::equal)
        return order;
    if (const auto order = compare_prereleases(prerelease_, other.prerelease_); order != std::strong_ordering::equal)
        return order;
    return patch_level_ <=> other.patch_level_;
}

std::strong_ordering Version::operator<=>(const Version& other) const {
    const auto order = precedence(other);
    return order != std::strong_ordering::equal ? order : build_ <=> other.build_;
}

bool Version::same_precedence(const Version& other) const {
    return precedence(other) == std::strong_ordering::equal;
}

} // namespace squish::catalog

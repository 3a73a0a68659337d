// Strings with a meaning of their own: sizes, durations, versions, names.
#include "base/text.h"
#include "squishfile/squishfile.h"

#include <algorithm>
#include <array>
#include <limits>

namespace squish {

namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_alphanumeric(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// Takes the leading decimal digits off `text`.
std::string_view take_digits(std::string_view& text) {
    const auto digits =
        text.substr(0, static_cast<std::size_t>(std::ranges::find_if_not(text, is_digit) - text.begin()));
    text.remove_prefix(digits.size());
    return digits;
}

std::string shown(std::string_view text) {
    return "'" + printable(text.substr(0, 64)) + "'";
}

// The factor that a unit stands for: "", "B", "K", "KB", "KiB", …
std::optional<std::uint64_t> unit_factor(std::string_view unit) {
    if (unit.empty() || unit == "B" || unit == "b")
        return 1;
    constexpr std::string_view kUnits = "KMGT";
    const auto upper = static_cast<char>(unit[0] >= 'a' && unit[0] <= 'z' ? unit[0] - 'a' + 'A' : unit[0]);
    const auto power = kUnits.find(upper);
    const auto rest = unit.substr(1);
    if (power == std::string_view::npos ||
        !(rest.empty() || rest == "B" || rest == "b" || rest == "iB" || rest == "ib"))
        return std::nullopt;
    return std::uint64_t{1} << (10 * (power + 1));
}

} // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
    constexpr std::string_view kRemedy = "write bytes, or a number with K, M, G or T: \"4096\", \"256M\", \"1.5G\"";
    const auto refuse = [&](std::string_view why) {
        return fail(ErrorKind::invalid, shown(text) + " is not a size: " + std::string(why), std::string(kRemedy));
    };
    auto rest = text;
    const auto whole = take_digits(rest);
    std::string_view fraction;
    if (whole.empty())
        return refuse("it does not start with a digit");
    if (rest.starts_with('.')) {
        rest.remove_prefix(1);
        fraction = take_digits(rest);
        if (fraction.empty())
            return refuse("digits are missing after the point");
        if (fraction.size() > 9)
            return refuse("more than nine digits after the point");
    }
    const auto factor = unit_factor(rest);
    if (!factor)
        return refuse("unknown unit " + shown(rest));
    if (!fraction.empty() && *factor == 1)
        return refuse("bytes come in whole numbers");

    __extension__ using Wide = unsigned __int128;
    constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    const auto number = parse_number(whole);
    Wide bytes = number ? Wide{*number} * *factor : Wide{kMost} + 1;
    Wide part = *factor, divisor = 1;
    if (!fraction.empty()) {
        part *= parse_number(fraction).value_or(0);
        for (std::size_t i = 0; i < fraction.size(); ++i)
            divisor *= 10;
        bytes += part / divisor;
    }
    if (bytes > kMost)
        return refuse("it is too large");
    return static_cast<std::uint64_t>(bytes);
}

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
    struct Unit {
        std::string_view name;
        std::int64_t milliseconds;
    };
    constexpr std::array<Unit, 4> kUnits{{{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}}};
    constexpr std::int64_t kMost = 24 * 3'600'000;
    const auto refuse = [&](std::string_view why) {
        return fail(ErrorKind::invalid, shown(text) + " is not a duration: " + std::string(why),
                    "write a whole number with ms, s, m or h: \"500ms\", \"5s\", \"2m\"");
    };
    auto rest = text;
    const auto digits = take_digits(rest);
    if (digits.empty())
        return refuse("it does not start with a digit");
    const auto* const unit = std::ranges::find(kUnits, rest, &Unit::name);
    if (unit == kUnits.end())
        return refuse(rest.empty() ? std::string("the unit is missing") : "unknown unit " + shown(rest));
    const auto number = parse_number(digits);
    if (!number || *number > static_cast<std::uint64_t>(kMost / unit->milliseconds))
        return refuse("it is longer than 24 hours");
    if (*number == 0)
        return refuse("it is shorter than a millisecond");
    return std::chrono::milliseconds(static_cast<std::int64_t>(*number) * unit->milliseconds);
}

bool is_valid_name(std::string_view name) {
    return !name.empty() && name.size() <= 63 && is_alphanumeric(name[0]) &&
           std::ranges::all_of(name, [](char c) { return is_alphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

bool is_valid_env_name(std::string_view name) {
    return !name.empty() && !name.contains('=') && !name.contains('\0');
}

namespace {

// "1", "1.2", "1.2.3.4", "1.2-rc1": up to four numbers, then at most one word
bool is_version(std::string_view text) {
    for (int parts = 1;; ++parts) {
        const auto digits = take_digits(text);
        if (digits.empty() || digits.size() > 9)
            return false;
        if (!text.starts_with('.'))
            break;
        if (parts == 4)
            return false;
        text.remove_prefix(1);
    }
    if (text.empty())
        return true;
    const auto word = text.substr(1);
    return (text[0] == '-' || text[0] == '_') && !word.empty() && word.size() <= 32 &&
           std::ranges::all_of(word, [](char c) { return is_alphanumeric(c) || c == '.' || c == '-'; });
}

// Takes a leading operator off `term`; false where there is none.
bool take_operator(std::string_view& term) {
    constexpr std::array<std::string_view, 7> kOperators{">=", "<=", ">", "<", "=", "~", "^"}; // the longer first
    for (const auto candidate : kOperators) {
        if (term.starts_with(candidate)) {
            term.remove_prefix(candidate.size());
            return true;
        }
    }
    return false;
}

} // namespace

bool is_version_requirement(std::string_view text) {
    if (text == "latest" || text == "*")
        return true;
    constexpr std::string_view kSeparators = ", ";
    if (text.empty() || kSeparators.contains(text.front()) || kSeparators.contains(text.back()))
        return false;
    std::string spaced(text);
    std::ranges::replace(spaced, ',', ' '); // ">=1.2, <2"
    auto terms = split(spaced, ' ');
    std::erase_if(terms, [](std::string_view term) { return term.empty(); });
    return terms.size() <= 8 && std::ranges::all_of(terms, [&](std::string_view term) {
               const bool has_operator = take_operator(term);
               if (!has_operator && (term.ends_with(".x") || term.ends_with(".*")))
                   term.remove_suffix(2); // "3.20.x"
               return (has_operator || terms.size() == 1) && is_version(term);
           });
}

} // namespace squish

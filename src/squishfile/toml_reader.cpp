// The adapter to toml++, and the only file that includes it.
//
// How this works: toml++ 3.3 bounds the nesting of arrays and inline tables but not that of dotted keys, so
// that "a.a.a.a… = 1" builds a tree as deep as the file is long, and destroying it overflows the stack. It also
// searches its list of dotted tables from the start for each dotted key. A lexical scan ahead of it therefore
// counts dots, keys and commas outside of strings and comments. The scan need only agree with toml++ up to the
// first syntax error, since toml++ stops there.
#include "base/text.h"
#include "squishfile/value.h"

#include <algorithm>
#include <cctype>
#include <optional>

#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#define TOML_ENABLE_WINDOWS_COMPAT 0
#define TOML_MAX_NESTED_VALUES 32
#include <toml++/toml.h>

namespace squish::reader {

namespace {

constexpr std::size_t kMaxDotsInKey = 16;
constexpr std::size_t kMaxDots = 16'384;
static_assert(TOML_MAX_NESTED_VALUES == kMaxDepth);

// Walks the tokens of a TOML text without understanding them.
class Scan {
public:
    explicit Scan(std::string_view text) : text_(text) {}

    std::optional<Diagnostic> find_excess() {
        std::size_t dots_in_key = 0, dots = 0, values = 0;
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == '"' || c == '\'') {
                skip_string(c);
                continue;
            }
            if (c == '#') {
                at_ = std::min(text_.find('\n', at_), text_.size());
                continue;
            }
            if (c == '.') {
                if (++dots_in_key > kMaxDotsInKey || ++dots > kMaxDots)
                    return Diagnostic{position(), "too many dots in keys: no key of a squishfile is that deep"};
            } else if (c == '=' || c == ',') {
                if (++values > kMaxValues)
                    return Diagnostic{position(), "too many values: at most " + std::to_string(kMaxValues) +
                                                      " are read from one squishfile"};
                dots_in_key = 0;
            } else if (c == '\n' || c == '[' || c == ']' || c == '{' || c == '}') {
                dots_in_key = 0;
            }
            ++at_;
        }
        return std::nullopt;
    }

private:
    void skip_string(char quote) {
        const bool escapes = quote == '"';
        const bool multi_line = text_.substr(at_, 3) == std::string(3, quote);
        at_ += multi_line ? 3 : 1;
        while (at_ < text_.size()) {
            if (escapes && text_[at_] == '\\') {
                at_ = std::min(at_ + 2, text_.size());
            } else if (!multi_line && (text_[at_] == quote || text_[at_] == '\n')) {
                ++at_;
                return;
            } else if (multi_line && text_[at_] == quote) {
                // up to two quotes may stand directly before the closing three
                const auto end = std::min(text_.find_first_not_of(quote, at_), text_.size());
                const auto run = std::min<std::size_t>(end - at_, 5);
                at_ += run;
                if (run >= 3)
                    return;
            } else {
                ++at_;
            }
        }
    }

    [[nodiscard]] Position position() const {
        const auto before = text_.substr(0, at_);
        const auto line = static_cast<std::uint32_t>(std::ranges::count(before, '\n') + 1);
        const auto last = before.rfind('\n');
        return {line, static_cast<std::uint32_t>(last == std::string_view::npos ? at_ + 1 : at_ - last)};
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

Position position_of(const toml::source_position& position) {
    return {position.line, position.column};
}

Value convert(const toml::node& node);

Value convert_table(const toml::table& table) {
    Value out;
    out.kind = Value::Kind::table;
    out.members.reserve(table.size());
    for (auto&& [key, node] : table)
        out.members.push_back({std::string(key.str()), position_of(key.source().begin), convert(node)});
    // toml++ sorts by key; a squishfile means something by its order
    std::ranges::stable_sort(out.members, [](const Value::Member& a, const Value::Member& b) {
        return std::pair(a.at.line, a.at.column) < std::pair(b.at.line, b.at.column);
    });
    return out;
}

Value convert_array(const toml::array& array) {
    Value out;
    out.kind = Value::Kind::array;
    out.items.reserve(array.size());
    for (const auto& item : array)
        out.items.push_back(convert(item));
    return out;
}

Value convert_scalar(const toml::node& node) {
    Value out;
    if (const auto* text = node.as_string()) {
        out.kind = Value::Kind::string;
        out.text = text->get();
    } else if (const auto* integer = node.as_integer()) {
        out.kind = Value::Kind::integer;
        out.integer = integer->get();
        out.number = static_cast<double>(out.integer);
    } else if (const auto* number = node.as_floating_point()) {
        out.kind = Value::Kind::number;
        out.number = number->get();
    } else if (const auto* boolean = node.as_boolean()) {
        out.kind = Value::Kind::boolean;
        out.boolean = boolean->get();
    } else {
        out.kind = Value::Kind::date; // TOML's dates and times have no use in a squishfile
    }
    return out;
}

Value convert(const toml::node& node) {
    Value out;
    if (const auto* table = node.as_table())
        out = convert_table(*table);
    else if (const auto* array = node.as_array())
        out = convert_array(*array);
    else
        out = convert_scalar(node);
    out.at = position_of(node.source().begin);
    return out;
}

std::string describe(const toml::parse_error& error) {
    auto text = printable(error.description());
    if (!text.empty())
        text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
    return "not valid TOML: " + text;
}

} // namespace

ReadOutcome read_toml(std::string_view text) {
    if (auto excess = Scan(text).find_excess())
        return std::unexpected(std::vector{*std::move(excess)});
    const auto parsed = toml::parse(text);
    if (!parsed)
        return std::unexpected(
            std::vector{Diagnostic{position_of(parsed.error().source().begin), describe(parsed.error())}});
    return convert(parsed.table());
}

} // namespace squish::reader

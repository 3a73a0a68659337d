#include "squishfile/node.h"

#include "base/text.h"

#include <algorithm>
#include <utility>

namespace squish::reader {

namespace {
constexpr std::size_t kMaxDiagnostics = 100;
constexpr std::size_t kMaxQuoted = 64; // bytes of the user's text repeated in a message
} // namespace

std::string_view kind_name(Value::Kind kind) {
    switch (kind) {
    case Value::Kind::null:
        return "null";
    case Value::Kind::boolean:
        return "a boolean";
    case Value::Kind::integer:
        return "an integer";
    case Value::Kind::number:
        return "a float";
    case Value::Kind::string:
        return "a string";
    case Value::Kind::date:
        return "a date or time";
    case Value::Kind::array:
        return "an array";
    case Value::Kind::table:
        return "a table";
    }
    std::unreachable();
}

std::string quoted(std::string_view text) {
    if (text.size() <= kMaxQuoted)
        return "'" + printable(text) + "'";
    auto end = kMaxQuoted;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) // not inside a UTF-8 sequence
        --end;
    return "'" + printable(text.substr(0, end)) + "…'";
}

std::string table_name(const Node& node) {
    if (node.at().line == 0)
        return quoted(node.path());
    const std::string_view path = node.path();
    if (!path.ends_with(']'))
        return "[" + printable(path) + "]";
    return "[[" + printable(path.substr(0, path.rfind('['))) + "]]";
}

void Report::add(Position at, std::string message) {
    messages_.emplace(std::pair(at.line, at.column), std::move(message));
}

std::vector<Diagnostic> Report::take() && {
    std::vector<Diagnostic> out;
    for (auto& [place, message] : messages_) {
        const Position at{place.first, place.second};
        if (out.size() == kMaxDiagnostics) {
            out.push_back({at, "and " + std::to_string(messages_.size() - kMaxDiagnostics) + " more errors"});
            break;
        }
        out.push_back({at, std::move(message)});
    }
    return out;
}

void Node::fail(std::string_view what) const {
    auto message = quoted(path_);
    message += ' ';
    message += what;
    report_->add(at(), std::move(message));
}

void Node::fail_kind(std::string_view wanted) const {
    fail("must be " + std::string(wanted) + ", not " + std::string(kind_name(kind())));
}

std::optional<std::string> Node::string(std::string_view wanted) const {
    if (kind() != Value::Kind::string) {
        fail_kind(wanted);
        return std::nullopt;
    }
    if (value_->text.contains('\0')) {
        fail("contains a NUL byte, which no program can be given");
        return std::nullopt;
    }
    if (value_->text.size() >= kMaxStringBytes) {
        fail("is too long: at most " + std::to_string(kMaxStringBytes - 1) + " bytes");
        return std::nullopt;
    }
    return value_->text;
}

std::optional<std::string> Node::non_empty_string(std::string_view wanted) const {
    auto text = string(wanted);
    if (text && text->empty()) {
        fail("must not be empty");
        return std::nullopt;
    }
    return text;
}

std::optional<bool> Node::boolean() const {
    if (kind() != Value::Kind::boolean) {
        fail_kind("true or false");
        return std::nullopt;
    }
    return value_->boolean;
}

std::optional<std::uint64_t> Node::integer(std::uint64_t least, std::uint64_t most) const {
    if (kind() != Value::Kind::integer) {
        fail_kind("an integer");
        return std::nullopt;
    }
    if (value_->integer < 0 || std::cmp_less(value_->integer, least) || std::cmp_greater(value_->integer, most)) {
        fail("must be between " + std::to_string(least) + " and " + std::to_string(most) + ", not " +
             std::to_string(value_->integer));
        return std::nullopt;
    }
    return static_cast<std::uint64_t>(value_->integer);
}

std::optional<std::uint64_t> Node::word() const {
    if (kind() == Value::Kind::number && !value_->text.empty())
        return parse_number(value_->text);
    if (kind() == Value::Kind::integer && value_->integer >= 0)
        return static_cast<std::uint64_t>(value_->integer);
    fail("must be an integer from 0 to 18446744073709551615");
    return std::nullopt;
}

std::optional<double> Node::number() const {
    if (kind() != Value::Kind::integer && kind() != Value::Kind::number) {
        fail_kind("a number");
        return std::nullopt;
    }
    return value_->number;
}

std::vector<Node> Node::items(std::string_view wanted, std::size_t most) const {
    std::vector<Node> out;
    if (kind() != Value::Kind::array) {
        fail_kind(wanted);
        return out;
    }
    if (value_->items.size() > most) {
        fail("has too many elements: " + std::to_string(value_->items.size()) + ", at most " + std::to_string(most));
        return out;
    }
    out.reserve(value_->items.size());
    for (std::size_t i = 0; i < value_->items.size(); ++i)
        out.emplace_back(value_->items[i], value_->items[i].at, path_ + "[" + std::to_string(i) + "]", *report_);
    return out;
}

std::vector<std::string> Node::strings(std::size_t most) const {
    std::vector<std::string> out;
    for (const auto& item : items("an array of strings", most))
        if (auto text = item.string())
            out.push_back(*std::move(text));
    return out;
}

Node Node::child(const Value::Member& member) const {
    Node node(member.value, member.at, path_.empty() ? member.key : path_ + "." + member.key, *report_);
    node.key_ = member.key;
    return node;
}

std::vector<Node> Node::members(std::size_t most) const {
    std::vector<Node> out;
    if (kind() != Value::Kind::table) {
        fail_kind("a table");
        return out;
    }
    if (value_->members.size() > most) {
        fail("has too many entries: " + std::to_string(value_->members.size()) + ", at most " + std::to_string(most));
        return out;
    }
    out.reserve(value_->members.size());
    for (const auto& member : value_->members)
        out.push_back(child(member));
    return out;
}

Table Node::table(std::initializer_list<std::string_view> known) const {
    return table(std::span(known.begin(), known.size()));
}

Table Node::table(std::span<const std::string_view> known) const {
    if (kind() != Value::Kind::table)
        fail_kind("a table");
    return {*this, known};
}

Table::Table(const Node& node, std::span<const std::string_view> known) : node_(node) {
    for (const auto& member : node_.value_->members) {
        if (std::ranges::find(known, member.key) != known.end())
            continue;
        auto message = "unknown key " + quoted(member.key);
        if (!node_.path().empty())
            message += " in " + table_name(node_);
        if (const auto near = nearest(member.key, known)) {
            message += "; did you mean '" + std::string(*near) + "'?";
        } else {
            const std::vector<std::string> names(known.begin(), known.end());
            message += "; known are " + join(names, ", ");
        }
        node_.report().add(member.at, std::move(message));
    }
}

std::optional<Node> Table::get(std::string_view key) const {
    for (const auto& member : node_.value_->members)
        if (member.key == key)
            return node_.child(member);
    return std::nullopt;
}

std::optional<Node> Table::need(std::string_view key, std::string_view why) const {
    auto found = get(key);
    if (!found && node_.kind() == Value::Kind::table)
        node_.report().add(node_.at(),
                           "missing key '" + std::string(key) + "' in " + table_name(node_) + ": " + std::string(why));
    return found;
}

void fail_choice(const Node& node, std::string_view given, std::initializer_list<std::string_view> choices) {
    std::string message = "must be one of ";
    for (const auto choice : choices)
        message += (choice == *choices.begin() ? "'" : ", '") + std::string(choice) + "'";
    message += ", not " + quoted(given);
    if (const auto near = nearest(given, std::span(choices.begin(), choices.size())))
        message += "; did you mean '" + std::string(*near) + "'?";
    node.fail(message);
}

} // namespace squish::reader

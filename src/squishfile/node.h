// A value under examination: with the path that leads to it and the report that its errors go to.
//
// Every accessor reports a wrong type or size itself and then yields nothing, so that a reader of a table can go
// on to the next key and one pass finds as many errors as it can name.
#pragma once

#include "squishfile/value.h"

#include <initializer_list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace squish::reader {

// What is wrong so far.
class Report {
public:
    void add(Position at, std::string message);
    [[nodiscard]] bool empty() const { return messages_.empty(); }
    // In the order of the file, then in that of add(); a hundred at most, the rest are counted.
    [[nodiscard]] std::vector<Diagnostic> take() &&;

private:
    std::multimap<std::pair<std::uint32_t, std::uint32_t>, std::string> messages_; // by line and column
};

class Table;

class Node {
public:
    Node(const Value& value, Position key_at, std::string path, Report& report)
        : value_(&value), key_at_(key_at), path_(std::move(path)), report_(&report) {}

    [[nodiscard]] Position at() const { return value_->at; }
    [[nodiscard]] Position key_at() const { return key_at_; }
    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] const std::string& key() const { return key_; }
    [[nodiscard]] Value::Kind kind() const { return value_->kind; }
    [[nodiscard]] std::size_t size() const { return value_->items.size() + value_->members.size(); }
    [[nodiscard]] Report& report() const { return *report_; }

    // Reports "'run.command' <what>".
    void fail(std::string_view what) const;
    // Reports "'run.command' must be <wanted>, not <what it is>".
    void fail_kind(std::string_view wanted) const;

    [[nodiscard]] std::optional<std::string> string(std::string_view wanted = "a string") const;
    [[nodiscard]] std::optional<std::string> non_empty_string(std::string_view wanted = "a string") const;
    [[nodiscard]] std::optional<bool> boolean() const;
    [[nodiscard]] std::optional<std::uint64_t> integer(std::uint64_t least, std::uint64_t most) const;
    // 0 to 2^64-1, exactly.
    [[nodiscard]] std::optional<std::uint64_t> word() const;
    [[nodiscard]] std::optional<double> number() const;
    // The elements of an array; none where it is no array or longer than `most`.
    [[nodiscard]] std::vector<Node> items(std::string_view wanted, std::size_t most) const;
    [[nodiscard]] std::vector<std::string> strings(std::size_t most) const;
    // The members of a table whose keys are free; none where it is no table or larger than `most`.
    [[nodiscard]] std::vector<Node> members(std::size_t most) const;
    // A table with fixed keys: reports every other key.
    [[nodiscard]] Table table(std::initializer_list<std::string_view> known) const;
    [[nodiscard]] Table table(std::span<const std::string_view> known) const;

private:
    friend class Table;
    [[nodiscard]] Node child(const Value::Member& member) const;

    const Value* value_;
    Position key_at_;
    std::string path_;
    std::string key_;
    Report* report_;
};

// A table whose keys are fixed. Where the value is no table, that has been reported and every key is absent.
class Table {
public:
    Table(const Node& node, std::span<const std::string_view> known);

    [[nodiscard]] std::optional<Node> get(std::string_view key) const;
    // Reports the absence; `why` says what the key is for.
    [[nodiscard]] std::optional<Node> need(std::string_view key, std::string_view why) const;

private:
    Node node_;
};

// 'text', printable and not too long for a message.
[[nodiscard]] std::string quoted(std::string_view text);

// "[run]" or "[[ports]]" in TOML, "'ports[2]'" in JSON.
[[nodiscard]] std::string table_name(const Node& node);

// "must be one of 'tcp', 'udp', not 'tpc'; did you mean 'tcp'?": for keys whose values are a fixed set.
void fail_choice(const Node& node, std::string_view given, std::initializer_list<std::string_view> choices);

} // namespace squish::reader

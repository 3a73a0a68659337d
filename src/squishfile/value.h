// What TOML and JSON have in common: a small tree of values that know where they stand.
//
// The two readers turn text into this tree and nothing more; everything that a squishfile *means* is checked
// once, on the tree, whichever spelling it came from.
#pragma once

#include "squishfile/squishfile.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace squish::reader {

struct Value {
    enum class Kind { null, boolean, integer, number, string, date, array, table };
    struct Member;

    Kind kind = Kind::null;
    Position at;
    bool boolean = false;        // Kind::boolean
    std::int64_t integer = 0;    // Kind::integer
    double number = 0;           // Kind::number, and Kind::integer as far as a double holds it
    std::string text;            // Kind::string; also the digits of a Kind::number from 2^63 to 2^64-1 (JSON only)
    std::vector<Value> items;    // Kind::array
    std::vector<Member> members; // Kind::table, in the order of the file, keys unique
};

struct Value::Member {
    std::string key;
    Position at; // of the key
    Value value;
};

// "a string", "an integer"; for "must be a table, not a string".
[[nodiscard]] std::string_view kind_name(Value::Kind kind);

// A squishfile nests four levels; the limits are generous and still keep every recursion shallow and every
// reader's memory bounded (no key of ours can make use of more).
inline constexpr std::size_t kMaxDepth = 32;
inline constexpr std::size_t kMaxValues = 65'536;

using ReadOutcome = std::expected<Value, std::vector<Diagnostic>>;

// The root is always a table. Syntax errors come back with a position in both cases, JSON's inside the message.
[[nodiscard]] ReadOutcome read_toml(std::string_view text);
// A member whose value is null counts as not given: serialisers write null for "none". Unless those of the root mean
// something (an update that lifts a limit) and are `kept`.
enum class Nulls { dropped, kept };
[[nodiscard]] ReadOutcome read_json(std::string_view text, Nulls nulls = Nulls::dropped);

} // namespace squish::reader

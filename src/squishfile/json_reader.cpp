// The adapter to nlohmann::json for reading; to_json.cpp is the one for writing.
//
// It listens to the events of the library's parser instead of taking its tree: the parser keeps its own stack, and
// the depth and the number of values are limited while they are counted, before they are built.
#include "base/text.h"
#include "squishfile/value.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

namespace squish::reader {

namespace {

class Builder final : public nlohmann::json_sax<nlohmann::json> {
public:
    explicit Builder(Nulls nulls) : nulls_(nulls) {}

    bool null() override { return add({}); }
    bool boolean(bool value) override {
        auto out = of(Value::Kind::boolean);
        out.boolean = value;
        return add(std::move(out));
    }
    bool number_integer(std::int64_t value) override {
        auto out = of(Value::Kind::integer);
        out.integer = value;
        out.number = static_cast<double>(value);
        return add(std::move(out));
    }
    bool number_unsigned(std::uint64_t value) override {
        if (value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
            return number_integer(static_cast<std::int64_t>(value));
        auto out = of(Value::Kind::number);
        out.number = static_cast<double>(value);
        out.text = std::to_string(value);
        return add(std::move(out));
    }
    bool number_float(double value, const std::string& /*spelling*/) override {
        auto out = of(Value::Kind::number);
        out.number = value;
        return add(std::move(out));
    }
    bool string(std::string& value) override {
        auto out = of(Value::Kind::string);
        out.text = std::move(value);
        return add(std::move(out));
    }
    bool binary(nlohmann::json::binary_t& /*value*/) override { return false; } // never comes from text

    bool start_object(std::size_t /*elements*/) override { return open(Value::Kind::table); }
    bool start_array(std::size_t /*elements*/) override { return open(Value::Kind::array); }
    bool end_array() override { return close(); }
    bool end_object() override { return keys_are_unique() && close(); }
    bool key(std::string& value) override {
        key_ = std::move(value);
        return true;
    }
    bool parse_error(std::size_t /*position*/, const std::string& /*last_token*/,
                     const nlohmann::detail::exception& error) override {
        const std::string_view what = error.what(); // "[json.exception.parse_error.101] parse error at line 1, …"
        const auto end = what.find("] ");
        return stop("not valid JSON: " + printable(end == std::string_view::npos ? what : what.substr(end + 2)));
    }

    Value root;
    std::string problem;

private:
    struct Open {
        Value value;
        std::string key; // under which it stands in the one around it
    };

    static Value of(Value::Kind kind) {
        Value out;
        out.kind = kind;
        return out;
    }

    bool stop(std::string why) {
        problem = std::move(why);
        return false;
    }

    bool open(Value::Kind kind) {
        if (open_.size() == kMaxDepth)
            return stop("nested too deeply: at most " + std::to_string(kMaxDepth) + " levels are read");
        open_.push_back({of(kind), std::move(key_)});
        return true;
    }

    bool close() {
        auto last = std::move(open_.back());
        open_.pop_back();
        key_ = std::move(last.key);
        return add(std::move(last.value));
    }

    bool add(Value value) {
        if (++values_ > kMaxValues)
            return stop("too many values: at most " + std::to_string(kMaxValues) + " are read from one squishfile");
        if (open_.empty()) {
            root = std::move(value);
        } else if (auto& around = open_.back().value; around.kind == Value::Kind::array) {
            around.items.push_back(std::move(value));
        } else {
            around.members.push_back({std::move(key_), {}, std::move(value)});
        }
        return true;
    }

    // RFC 8259 leaves the meaning of a repeated key open; TOML forbids it, and so do we.
    bool keys_are_unique() {
        auto& members = open_.back().value.members;
        std::vector<std::string_view> keys;
        keys.reserve(members.size());
        for (const auto& member : members)
            keys.push_back(member.key);
        std::ranges::sort(keys);
        if (const auto twice = std::ranges::adjacent_find(keys); twice != keys.end())
            return stop("the key '" + printable(twice->substr(0, 64)) + "' is given twice");
        if (nulls_ == Nulls::dropped || open_.size() > 1)
            std::erase_if(members, [](const Value::Member& member) { return member.value.kind == Value::Kind::null; });
        return true;
    }

    Nulls nulls_;
    std::vector<Open> open_;
    std::string key_;
    std::size_t values_ = 0;
};

std::unexpected<std::vector<Diagnostic>> refuse(std::string why) {
    return std::unexpected(std::vector{Diagnostic{{}, std::move(why)}});
}

} // namespace

ReadOutcome read_json(std::string_view text, Nulls nulls) {
    Builder builder(nulls);
    try {
        if (!nlohmann::json::sax_parse(text, &builder))
            return refuse(builder.problem.empty() ? "not valid JSON" : std::move(builder.problem));
    } catch (const nlohmann::json::exception& error) {
        return refuse("not valid JSON: " + printable(error.what()));
    }
    if (builder.root.kind != Value::Kind::table)
        return refuse("a squishfile in JSON must be an object, not " + std::string(kind_name(builder.root.kind)));
    return std::move(builder.root);
}

} // namespace squish::reader

// A minimal binary encoding for the keeper's messages: little-endian integers and length-prefixed bytes.
// The reader never trusts a length; the first malformed field makes everything after it zero and `ok()` false.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace squish::wire {

class Writer {
public:
    Writer& u32(std::uint32_t value) { return raw(&value, sizeof value); }
    Writer& u64(std::uint64_t value) { return raw(&value, sizeof value); }
    Writer& i32(std::int32_t value) { return raw(&value, sizeof value); }
    Writer& text(std::string_view value) {
        u32(static_cast<std::uint32_t>(value.size()));
        return raw(value.data(), value.size());
    }
    [[nodiscard]] const std::string& bytes() const { return bytes_; }

private:
    Writer& raw(const void* data, std::size_t size) {
        bytes_.append(static_cast<const char*>(data), size);
        return *this;
    }
    std::string bytes_;
};

class Reader {
public:
    explicit Reader(std::string_view bytes) : bytes_(bytes) {}
    std::uint32_t u32() { return number<std::uint32_t>(); }
    std::uint64_t u64() { return number<std::uint64_t>(); }
    std::int32_t i32() { return number<std::int32_t>(); }
    std::string text() {
        const auto size = u32();
        if (size > bytes_.size()) {
            ok_ = false;
            bytes_ = {};
            return {};
        }
        std::string value(bytes_.substr(0, size));
        bytes_.remove_prefix(size);
        return value;
    }
    [[nodiscard]] bool ok() const { return ok_; }
    // Everything was read, and it was all there.
    [[nodiscard]] bool finished() const { return ok_ && bytes_.empty(); }

private:
    template <class T> T number() {
        T value{};
        if (bytes_.size() < sizeof value) {
            ok_ = false;
            bytes_ = {};
            return value;
        }
        bytes_.copy(reinterpret_cast<char*>(&value), sizeof value);
        bytes_.remove_prefix(sizeof value);
        return value;
    }
    std::string_view bytes_;
    bool ok_ = true;
};

} // namespace squish::wire

// The keeper's encoding: what was written is read, and what is damaged is noticed without reading beyond it.
#include "wire/codec.h"

#include "wire/keeper_protocol.h"

#include <gtest/gtest.h>
#include <limits>
#include <memory>
#include <random>

namespace squish::wire {
namespace {

std::string sample() {
    Writer writer;
    writer.u32(7).text("hello").i32(-5).u64(0x0123456789abcdefULL).text("").text(std::string("a\0b", 3));
    return writer.bytes();
}

struct Fields {
    std::uint32_t a;
    std::string b;
    std::int32_t c;
    std::uint64_t d;
    std::string e, f;
    bool operator==(const Fields&) const = default;
};

Fields read(Reader& in) {
    Fields fields{};
    fields.a = in.u32();
    fields.b = in.text();
    fields.c = in.i32();
    fields.d = in.u64();
    fields.e = in.text();
    fields.f = in.text();
    return fields;
}

// The bytes in a block of exactly their size, so that ASan sees a read beyond them.
class Exact {
public:
    explicit Exact(std::string_view bytes) : bytes_(new char[bytes.size()]), size_(bytes.size()) {
        bytes.copy(bytes_.get(), bytes.size());
    }
    [[nodiscard]] std::string_view view() const { return {bytes_.get(), size_}; }

private:
    std::unique_ptr<char[]> bytes_;
    std::size_t size_;
};

TEST(Codec, ReadsWhatWasWritten) {
    const auto bytes = sample();
    Reader in(bytes);
    EXPECT_EQ(read(in), (Fields{7, "hello", -5, 0x0123456789abcdefULL, "", std::string("a\0b", 3)}));
    EXPECT_TRUE(in.finished());
}

TEST(Codec, NumbersAreLittleEndian) {
    EXPECT_EQ(Writer().u32(0x01020304).bytes(), std::string("\x04\x03\x02\x01", 4));
    EXPECT_EQ(Writer().text("ab").bytes(), std::string("\x02\0\0\0ab", 6));
}

TEST(Codec, EveryTruncationIsNoticed) {
    const auto bytes = sample();
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        const Exact cut(std::string_view(bytes).substr(0, size));
        Reader in(cut.view());
        (void) read(in);
        EXPECT_FALSE(in.ok()) << size;
        EXPECT_FALSE(in.finished()) << size;
    }
}

TEST(Codec, AfterTheFirstDamagedFieldAllIsZero) {
    Writer writer;
    writer.u32(1000).u64(~0ULL); // a text that claims more than there is
    Reader in(writer.bytes());
    EXPECT_EQ(in.text(), "");
    EXPECT_EQ(in.u64(), 0U);
    EXPECT_EQ(in.u32(), 0U);
    EXPECT_EQ(in.i32(), 0);
    EXPECT_EQ(in.text(), "");
    EXPECT_FALSE(in.ok());
}

TEST(Codec, LengthsAtTheEdgesDoNotOverflow) {
    for (const auto size : {1U, 0x7FFFFFFFU, 0x80000000U, std::numeric_limits<std::uint32_t>::max()}) {
        const Exact bytes(Writer().u32(size).bytes());
        Reader in(bytes.view());
        EXPECT_EQ(in.text(), "") << size;
        EXPECT_FALSE(in.ok()) << size;
    }
}

TEST(Codec, WhatIsLeftOverIsNotFinished) {
    const auto bytes = sample() + "x";
    Reader in(bytes);
    (void) read(in);
    EXPECT_TRUE(in.ok());
    EXPECT_FALSE(in.finished());
}

TEST(Codec, RandomBytesAreNeverReadBeyondTheirEnd) {
    std::mt19937 random(1); // NOLINT: the same every time, on purpose
    for (int round = 0; round < 20'000; ++round) {
        std::string bytes = sample();
        bytes.resize(random() % (bytes.size() + 8));
        for (auto changes = random() % 4; changes > 0 && !bytes.empty(); --changes)
            bytes[random() % bytes.size()] = static_cast<char>(random());
        const Exact exact(bytes);
        Reader in(exact.view());
        const auto fields = read(in);
        EXPECT_LE(fields.b.size() + fields.e.size() + fields.f.size(), bytes.size());
    }
}

TEST(Codec, AKeeperMessageBeginsWithKindAndNumber) {
    const auto message = keeper_message(KeeperKind::signal, 9).text("id").i32(15).bytes();
    Reader in(message);
    EXPECT_EQ(static_cast<KeeperKind>(in.u32()), KeeperKind::signal);
    EXPECT_EQ(in.u32(), 9U);
    EXPECT_EQ(in.text(), "id");
    EXPECT_EQ(in.i32(), 15);
    EXPECT_TRUE(in.finished());
}

} // namespace
} // namespace squish::wire

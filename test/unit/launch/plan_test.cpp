// Launch plans: what the builder wrote the reader gives back, and nothing damaged is walked over its edge.
#include "launch/plan_builder.h"

#include <cstring>
#include <gmock/gmock.h>
#include <memory>
#include <random>

namespace squish::launch {
namespace {

using ::testing::HasSubstr;

struct Seen {
    StepKind kind;
    std::uint16_t flags;
    std::uint32_t a, b;
    std::uint64_t c;
    std::string text1, text2;
    bool operator==(const Seen&) const = default;
};

// The plan in a block of exactly its size, aligned as mmap would, so that ASan sees a read beyond it.
class Mapped {
public:
    explicit Mapped(std::string_view bytes) : block_(new std::uint64_t[bytes.size() / 8 + 1]), size_(bytes.size()) {
        // at the end of the block, as far as alignment allows: sizes of plans are multiples of 8
        at_ = reinterpret_cast<char*>(block_.get()) + (size_ % 8 == 0 ? 8 : 0);
        bytes.copy(at_, size_);
    }
    [[nodiscard]] PlanReader reader() const { return {at_, size_}; }

private:
    std::unique_ptr<std::uint64_t[]> block_;
    std::size_t size_;
    char* at_;
};

struct Walk {
    std::vector<Seen> steps;
    bool valid = false;
};
Walk walk(std::string_view bytes) {
    const Mapped mapped(bytes);
    auto reader = mapped.reader();
    Walk out;
    StepView view;
    while (reader.next(view))
        out.steps.push_back({static_cast<StepKind>(view.step->kind), view.step->flags, view.step->a, view.step->b,
                             view.step->c, view.text1, view.text2});
    out.valid = reader.valid();
    return out;
}

PlanBuilder sample() {
    PlanBuilder plan;
    plan.add(StepKind::new_proc, {.a = 256}, "mount proc");
    plan.add(StepKind::symlink, {.a = 1, .text1 = "/proc/self/fd", .text2 = "fd"}, "link");
    plan.add(StepKind::ids, {.flags = kKeepGroups, .a = 1000, .b = ~0U, .c = ~0ULL}, "ids");
    plan.add(StepKind::environment, {.text1 = "KEY=value with spaces and \xff"}, "environment");
    plan.add(StepKind::argument, {.text1 = ""}, "an empty argument");
    plan.add(StepKind::run, {.text1 = "/bin/true"}, "run");
    return plan;
}

std::string bytes_of(const PlanBuilder& plan) {
    auto bytes = plan.bytes();
    EXPECT_TRUE(bytes) << bytes.error().message;
    return bytes ? *bytes : std::string();
}

PlanHeader header_of(const std::string& bytes) {
    PlanHeader header{};
    std::memcpy(&header, bytes.data(), sizeof header);
    return header;
}
std::string with_header(std::string bytes, const PlanHeader& header) {
    std::memcpy(bytes.data(), &header, sizeof header);
    return bytes;
}

TEST(Plan, ReaderGivesBackWhatBuilderWrote) {
    const auto seen = walk(bytes_of(sample()));
    EXPECT_TRUE(seen.valid);
    const std::vector<Seen> expected = {
        {StepKind::new_proc, 0, 256, 0, 0, "", ""},
        {StepKind::symlink, 0, 1, 0, 0, "/proc/self/fd", "fd"},
        {StepKind::ids, kKeepGroups, 1000, ~0U, ~0ULL, "", ""},
        {StepKind::environment, 0, 0, 0, 0, "KEY=value with spaces and \xff", ""},
        {StepKind::argument, 0, 0, 0, 0, "", ""},
        {StepKind::run, 0, 0, 0, 0, "/bin/true", ""},
    };
    EXPECT_EQ(seen.steps, expected);
}

TEST(Plan, DescriptionsGoWithTheSteps) {
    const auto plan = sample();
    ASSERT_EQ(plan.descriptions().size(), plan.size());
    EXPECT_EQ(plan.descriptions()[1], "link");
    EXPECT_EQ(plan.descriptions().back(), "run");
}

TEST(Plan, AnEmptyPlanIsAPlan) {
    const auto seen = walk(bytes_of(PlanBuilder()));
    EXPECT_TRUE(seen.valid);
    EXPECT_TRUE(seen.steps.empty());
}

TEST(Plan, TextsOfEveryLengthKeepTheirPadding) {
    PlanBuilder plan;
    for (std::size_t one = 0; one < 20; ++one)
        for (std::size_t two = 0; two < 20; ++two)
            plan.add(StepKind::symlink, {.text1 = std::string(one, 'a'), .text2 = std::string(two, 'b')}, "");
    const auto bytes = bytes_of(plan);
    EXPECT_EQ(bytes.size() % 8, 0U);
    const auto seen = walk(bytes);
    EXPECT_TRUE(seen.valid);
    ASSERT_EQ(seen.steps.size(), 400U);
    for (std::size_t i = 0; i < 400; ++i) {
        EXPECT_EQ(seen.steps[i].text1.size(), i / 20);
        EXPECT_EQ(seen.steps[i].text2.size(), i % 20);
    }
}

TEST(Plan, ANulInATextIsRefused) {
    for (const bool second : {false, true}) {
        PlanBuilder plan;
        const std::string_view bad("a\0b", 3);
        plan.add(StepKind::symlink, {.text1 = second ? "x" : bad, .text2 = second ? bad : "x"}, "");
        const auto bytes = plan.bytes();
        ASSERT_FALSE(bytes);
        EXPECT_EQ(bytes.error().kind, ErrorKind::invalid);
        EXPECT_THAT(bytes.error().message, HasSubstr("NUL"));
    }
}

TEST(Plan, ThereIsALimitOfBytesAndOfSteps) {
    PlanBuilder large;
    large.add(StepKind::argument, {.text1 = std::string(kMaxPlanBytes, 'x')}, "");
    EXPECT_FALSE(large.bytes());
    PlanBuilder many;
    for (std::uint32_t i = 0; i < kMaxSteps; ++i)
        many.add(StepKind::loopback, {}, "");
    EXPECT_TRUE(many.bytes());
    many.add(StepKind::loopback, {}, "");
    EXPECT_FALSE(many.bytes());
}

TEST(Plan, EveryTruncationIsRefused) {
    const auto bytes = bytes_of(sample());
    for (std::size_t size = 0; size < bytes.size(); ++size)
        EXPECT_FALSE(walk(std::string_view(bytes).substr(0, size)).valid) << size;
    // Also where the header agrees with the shorter length.
    for (std::size_t size = sizeof(PlanHeader); size < bytes.size(); size += 8) {
        auto header = header_of(bytes);
        header.size = static_cast<std::uint32_t>(size);
        EXPECT_FALSE(walk(with_header(bytes.substr(0, size), header)).valid) << size;
    }
}

TEST(Plan, AHeaderThatDoesNotFitIsRefused) {
    const auto bytes = bytes_of(sample());
    const auto good = header_of(bytes);
    auto header = good;
    header.magic ^= 1;
    EXPECT_FALSE(walk(with_header(bytes, header)).valid);
    header = good;
    header.size += 8;
    EXPECT_FALSE(walk(with_header(bytes, header)).valid);
    for (const auto steps : {good.steps + 1, kMaxSteps, kMaxSteps + 1, ~0U}) {
        header = good;
        header.steps = steps;
        EXPECT_FALSE(walk(with_header(bytes, header)).valid) << steps;
    }
}

TEST(Plan, StepsThatTheHeaderDoesNotCountAreRefused) {
    const auto bytes = bytes_of(sample());
    auto header = header_of(bytes);
    --header.steps; // a plan that would silently lose its end
    EXPECT_FALSE(walk(with_header(bytes, header)).valid);
    header = header_of(bytes);
    header.size += 8;
    EXPECT_FALSE(walk(with_header(bytes + std::string(8, '\0'), header)).valid) << "bytes behind the last step";
}

TEST(Plan, SizesOfAStepThatDoNotFitAreRefused) {
    const auto bytes = bytes_of(sample());
    const auto damage = [&](auto change) {
        auto copy = bytes;
        Step step{};
        std::memcpy(&step, copy.data() + sizeof(PlanHeader), sizeof step);
        change(step);
        std::memcpy(copy.data() + sizeof(PlanHeader), &step, sizeof step);
        return walk(copy).valid;
    };
    EXPECT_TRUE(damage([](Step&) {}));
    for (const auto size : {0U, 1U, 31U, 32U, 36U, 0xFFFFFFF8U, ~0U})
        EXPECT_FALSE(damage([&](Step& step) { step.size = size; })) << size;
    for (const auto size : {1U, 7U, 1000U, 0x7FFFFFFFU, 0xFFFFFFFEU, ~0U}) {
        EXPECT_FALSE(damage([&](Step& step) { step.text1_size = size; })) << size;
        EXPECT_FALSE(damage([&](Step& step) { step.text2_size = size; })) << size;
        EXPECT_FALSE(damage([&](Step& step) { step.text1_size = step.text2_size = size; })) << size;
    }
}

// Whatever a damaged plan is taken for, its texts end within it and its steps are no more than it has.
TEST(Plan, NoRandomDamageLeadsOutOfThePlan) {
    const auto bytes = bytes_of(sample());
    std::mt19937 random(2); // NOLINT: the same every time, on purpose
    int refused = 0;
    for (int round = 0; round < 50'000; ++round) {
        auto copy = bytes;
        for (auto changes = 1 + random() % 5; changes > 0; --changes) {
            const auto at = random() % copy.size();
            switch (random() % 3) {
            case 0:
                copy[at] = static_cast<char>(random());
                break;
            case 1:
                copy[at] = static_cast<char>(copy[at] ^ (1 << random() % 8));
                break;
            default:
                copy[at] = '\xff';
            }
        }
        if (random() % 8 == 0)
            copy.resize(random() % (copy.size() + 1));
        const auto seen = walk(copy);
        refused += !seen.valid;
        EXPECT_LE(seen.steps.size(), copy.size() / sizeof(Step));
        std::size_t texts = 0;
        for (const auto& step : seen.steps)
            texts += step.text1.size() + step.text2.size();
        EXPECT_LE(texts, copy.size());
    }
    EXPECT_GT(refused, 10'000) << "most damage is noticed";
}

TEST(Reports, AreTakenByTheirSizeTheirMarkAndTheirKind) {
    const Report sent{kMagic, ReportKind::exited, 4, 256, 1, 2, 3};
    Report got{};
    ASSERT_TRUE(read_report(&sent, sizeof sent, got));
    EXPECT_EQ(got.value, 256);
    EXPECT_EQ(got.executed_ns, 3U);
    Report none{};
    EXPECT_FALSE(read_report(&sent, sizeof sent - 1, none));
    for (const auto& [magic, kind] : {std::pair{kMagic + 1, 3U}, std::pair{kMagic, 0U}, std::pair{kMagic, 5U}}) {
        auto other = sent;
        other.magic = magic;
        other.kind = static_cast<ReportKind>(kind);
        EXPECT_FALSE(read_report(&other, sizeof other, none)) << magic << ' ' << kind;
    }
    EXPECT_EQ(none.magic, 0U) << "what is refused leaves nothing";
}

TEST(Reports, OfAListenerHoldItsKeyAndNothingElse) {
    const Report sent{kMagic, ReportKind::listener, 12, 0, 8192 * 3 + 5, 0, 0};
    Report got{};
    ASSERT_TRUE(read_report(&sent, sizeof sent, got));
    EXPECT_EQ(got.received_ns, 8192U * 3 + 5);
    const auto refused = [&](auto change) {
        auto other = sent;
        change(other);
        return !read_report(&other, sizeof other, got);
    };
    EXPECT_TRUE(refused([](Report& report) { report.received_ns = 0; })) << "no view has the key 0";
    EXPECT_TRUE(refused([](Report& report) { report.value = 1; }));
    EXPECT_TRUE(refused([](Report& report) { report.rooted_ns = 1; }));
    EXPECT_TRUE(refused([](Report& report) { report.executed_ns = 1; }));
}

TEST(CpuMasks, AreTwoDigitsAByte) {
    const auto mask = [](std::string_view text) { return read_mask(text.data(), text.size()); };
    const auto three = mask("0f0080");
    ASSERT_EQ(three.size, 3U);
    EXPECT_EQ(three.bytes[0], 0x0F);
    EXPECT_EQ(three.bytes[1], 0);
    EXPECT_EQ(three.bytes[2], 0x80) << "CPU 23";
    EXPECT_EQ(mask(std::string(255, '0') + "1").size, sizeof three.bytes);
    for (const auto* none : {"", "0", "1", "00", "0000", "0g", "g0", "FF", " 1", "0x01", "01 ", "-1"})
        EXPECT_EQ(mask(none).size, 0U) << none;
    EXPECT_EQ(mask(std::string(257, '0') + "1").size, 0U) << "more CPUs than a mask holds";
    EXPECT_EQ(mask(std::string_view("01\0001", 5)).size, 0U);
}

} // namespace
} // namespace squish::launch

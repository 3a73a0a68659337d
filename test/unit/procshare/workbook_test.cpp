// The workbook: what the next server finds, quotas of the shelf, and contents that nobody of ours wrote.
#include "procshare/workbook.h"

#include "../os/scratch.h"

#include <algorithm>
#include <cstring>
#include <gmock/gmock.h>
#include <random>
#include <sys/mman.h>
#include <sys/stat.h>

namespace squish::procshare {
namespace {

using ::testing::Each;
using ::testing::Eq;

struct Opened {
    UniqueFd memfd;
    Workbook book;
};
Result<Opened> make_workbook() {
    auto memfd = TRY(Workbook::make());
    auto book = TRY(Workbook::open(memfd.get()));
    return Opened{std::move(memfd), std::move(book)};
}
WorkbookMemory& raw(const Opened& opened) {
    return *static_cast<WorkbookMemory*>(
        ::mmap(nullptr, sizeof(WorkbookMemory), PROT_READ | PROT_WRITE, MAP_SHARED, opened.memfd.get(), 0));
}
std::uint64_t bytes_touched(int memfd) {
    struct stat info{};
    ::fstat(memfd, &info);
    return static_cast<std::uint64_t>(info.st_blocks) * 512;
}

std::optional<std::string> text_at(const Shelf& shelf, Shelf::Handle handle, std::uint64_t offset = 0,
                                   std::size_t size = 1 << 20) {
    std::string text;
    for (;;) {
        Shelf::Pieces pieces;
        const auto count = shelf.read(handle, offset + text.size(), size - text.size(), pieces);
        if (!count)
            return std::nullopt;
        if (*count == 0)
            return text;
        for (std::size_t i = 0; i < *count; ++i)
            text.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
    }
}
std::string letters(std::size_t size, unsigned seed = 1) {
    std::string text(size, ' ');
    std::minstd_rand random(seed);
    std::ranges::generate(text, [&] { return static_cast<char>('a' + random() % 26); });
    return text;
}

constexpr Key kView = 5 + kMaxViews, kOther = 6 + kMaxViews;

TEST(Workbook, TheNextServerFindsTheRequestInHandAndTheInit) {
    auto opened = MUST(make_workbook());
    EXPECT_TRUE(opened.book.init().empty());
    std::vector<std::byte> init(104, std::byte{7});
    opened.book.keep_init(init);
    opened.book.clear_request();
    std::memset(opened.book.request().data(), 9, 100);
    EXPECT_EQ(opened.book.begin_request(), 1U);
    auto next = MUST(Workbook::open(opened.memfd.get()));
    EXPECT_THAT(next.init(), ::testing::ElementsAreArray(init));
    EXPECT_THAT(next.request().first(100), Each(Eq(std::byte{9})));
    EXPECT_EQ(next.begin_request(), 2U);
    next.clear_request();
    EXPECT_THAT(next.request().first(40), Each(Eq(std::byte{0})));
    EXPECT_EQ(next.begin_request(), 1U);
}

TEST(Workbook, AnotherVersionsShelfIsStartedAnewAndTheRequestInHandStays) {
    auto opened = MUST(make_workbook());
    const auto handle = opened.book.shelf().put(kView, 1, "text");
    opened.book.keep_init(std::vector<std::byte>(104, std::byte{7}));
    std::memset(opened.book.request().data(), 9, 100);
    raw(opened).shelf_version = 999;
    auto next = MUST(Workbook::open(opened.memfd.get()));
    EXPECT_EQ(next.init().size(), 104U);
    EXPECT_EQ(next.request()[99], std::byte{9});
    EXPECT_FALSE(text_at(next.shelf(), handle));
    EXPECT_NE(next.shelf().put(kView, 2, "new"), 0U);
}

TEST(Workbook, RefusesMemoryThatIsNone) {
    EXPECT_FALSE(Workbook::open(-1));
    const auto other = MUST(Mapping::make("x", sizeof(WorkbookMemory)));
    EXPECT_EQ(Workbook::open(other.get()).error().kind, ErrorKind::invalid);
}

TEST(Shelf, GivesBackAnyPartOfATextAndNothingBeyondItsEnd) {
    auto opened = MUST(make_workbook());
    auto& shelf = opened.book.shelf();
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kSlotBytes - 1, kSlotBytes, kSlotBytes + 1,
                                   std::size_t{100'000}, std::size_t{1} << 20}) {
        const auto text = letters(size);
        const auto handle = shelf.put(kView, size, text);
        ASSERT_NE(handle, 0U);
        EXPECT_EQ(text_at(shelf, handle, 0, 2 << 20), text);
        EXPECT_EQ(text_at(shelf, handle, size), "");
        EXPECT_EQ(text_at(shelf, handle, ~0ULL), "");
        std::minstd_rand random(42);
        for (int i = 0; i < 200 && size > 0; ++i) {
            const auto offset = random() % size, length = random() % 40'000;
            EXPECT_EQ(text_at(shelf, handle, offset, length), text.substr(offset, length));
        }
    }
}

TEST(Shelf, TextsOutliveTheServer) {
    auto opened = MUST(make_workbook());
    const auto text = letters(50'000);
    const auto gone = opened.book.shelf().put(kView, 6, "gone");
    const auto handle = opened.book.shelf().put(kView, 7, text);
    opened.book.shelf().drop(gone);
    auto next = MUST(Workbook::open(opened.memfd.get()));
    EXPECT_EQ(text_at(next.shelf(), handle), text);
    EXPECT_EQ(next.shelf().find_request(7), handle);
    EXPECT_EQ(next.shelf().find_request(6), std::nullopt);
    EXPECT_EQ(next.shelf().slots_of(kView), 4U);
    const auto later = next.shelf().put(kView, 8, "later");
    EXPECT_NE(later, gone) << "a handle is never given twice";
    EXPECT_FALSE(text_at(next.shelf(), gone));
}

TEST(Shelf, TextsThatWereBeingWrittenAreDropped) {
    auto opened = MUST(make_workbook());
    const auto handle = opened.book.shelf().put(kView, 7, letters(50'000));
    raw(opened).shelf.slots[handle & 0xffff].state = 1;
    auto next = MUST(Workbook::open(opened.memfd.get()));
    EXPECT_FALSE(text_at(next.shelf(), handle));
    EXPECT_EQ(next.shelf().slots_in_use(), 0U) << "nor does the rest of it stay";
}

TEST(Shelf, TakesTheLowestFreeSlot) {
    auto opened = MUST(make_workbook());
    auto& shelf = opened.book.shelf();
    const auto first = shelf.put(kView, 1, "1"), second = shelf.put(kView, 2, "2");
    (void) shelf.put(kView, 3, "3");
    EXPECT_EQ(second & 0xffff, 1U);
    shelf.drop(first);
    shelf.drop(second);
    EXPECT_EQ(shelf.put(kOther, 4, "4") & 0xffff, 0U);
    EXPECT_EQ(shelf.put(kOther, 5, "5") & 0xffff, 1U);
}

TEST(Shelf, DropsTheOldestTextOfTheSameViewBeyondItsQuota) {
    auto opened = MUST(make_workbook());
    auto& shelf = opened.book.shelf();
    const auto others = shelf.put(kOther, 1, "another's, and the oldest of all");
    std::vector<Shelf::Handle> handles;
    for (std::uint32_t i = 0; i < 10'000; ++i)
        handles.push_back(shelf.put(kView, 100 + i, "text " + std::to_string(i)));
    EXPECT_EQ(shelf.slots_of(kView), kSlotsOfView);
    EXPECT_FALSE(text_at(shelf, handles[10'000 - kSlotsOfView - 1]));
    EXPECT_EQ(text_at(shelf, handles[10'000 - kSlotsOfView]), "text " + std::to_string(10'000 - kSlotsOfView));
    EXPECT_EQ(text_at(shelf, handles.back()), "text 9999");
    EXPECT_TRUE(text_at(shelf, others));
    const auto large = shelf.put(kView, 1, letters(kSlotBytes * 200));
    EXPECT_EQ(shelf.slots_of(kView), kSlotsOfView);
    EXPECT_TRUE(text_at(shelf, large));
    EXPECT_TRUE(text_at(shelf, others));
    EXPECT_EQ(shelf.put(kView, 1, letters(kSlotBytes * kSlotsOfView + 1)), 0U) << "would never fit";
    EXPECT_TRUE(text_at(shelf, large));
}

TEST(Shelf, AFullShelfCostsTheGreediestViewItsOldestText) {
    auto opened = MUST(make_workbook());
    auto& shelf = opened.book.shelf();
    const auto modest = shelf.put(kView, 1, "modest");
    std::vector<Shelf::Handle> greedy;
    for (std::uint32_t i = 0; i < kSlots; ++i)
        greedy.push_back(shelf.put(100 + i / kSlotsOfView, i, "x"));
    EXPECT_EQ(shelf.slots_in_use(), kSlots);
    EXPECT_TRUE(text_at(shelf, modest));
    EXPECT_TRUE(text_at(shelf, shelf.put(kOther, 2, "and another")));
    EXPECT_TRUE(text_at(shelf, modest));
}

TEST(Shelf, TouchesTheMemoryOfWhatIsOpenAndGivesItBackAfterAPeak) {
    auto opened = MUST(make_workbook());
    const auto before = bytes_touched(opened.memfd.get());
    auto& shelf = opened.book.shelf();
    for (int i = 0; i < 100'000; ++i) // one at a time, as most programs read
        shelf.drop(shelf.put(kView, i, "short"));
    EXPECT_LE(bytes_touched(opened.memfd.get()), before + 3 * 4096);
    std::vector<Shelf::Handle> handles;
    for (std::uint32_t i = 0; i < kSlots; ++i)
        handles.push_back(shelf.put(i / 128, i, letters(kSlotBytes)));
    EXPECT_GE(bytes_touched(opened.memfd.get()), kSlots * kSlotBytes);
    for (const auto handle : handles)
        shelf.drop(handle);
    EXPECT_LE(bytes_touched(opened.memfd.get()), before + kSlotsKept * kSlotBytes + kSlots * sizeof(Slot) + 4096);
}

TEST(Shelf, HandlesThatNobodyGaveAreNothing) {
    auto opened = MUST(make_workbook());
    auto& shelf = opened.book.shelf();
    const auto handle = shelf.put(kView, 1, letters(40'000));
    for (const Shelf::Handle wrong :
         {Shelf::Handle{0}, ~Shelf::Handle{0}, handle + 1, handle + 2, handle + 0x10000, Shelf::Handle{0xffff}}) {
        EXPECT_FALSE(text_at(shelf, wrong));
        shelf.drop(wrong);
    }
    EXPECT_TRUE(text_at(shelf, handle));
}

// Whatever is in the memory: no text reaches beyond it, and the shelf works afterwards.
TEST(Shelf, SurvivesAnyContents) {
    for (unsigned seed = 1; seed <= 100; ++seed) {
        auto opened = MUST(make_workbook());
        for (int i = 0; i < 40; ++i)
            (void) opened.book.shelf().put(kView + i % 3, i, letters(static_cast<std::size_t>(i) * 2'000));
        auto& whole = raw(opened);
        auto& memory = whole.shelf;
        std::minstd_rand random(seed);
        const auto any = [&] { return seed % 2 ? static_cast<std::uint32_t>(random() % 70) : ~0U >> random() % 32; };
        for (int i = 0; i < 40; ++i) {
            auto& slot = memory.slots[random() % 70];
            switch (random() % 6) {
            case 0:
                slot.state = static_cast<std::uint32_t>(random() % 5);
                break;
            case 1:
                slot.next = any();
                break;
            case 2:
                slot.serial = any();
                break;
            case 3:
                slot.size = any() * (seed % 2 ? 1'000U : 1U);
                break;
            case 4:
                slot.view = any() * 0x123456789ULL;
                break;
            default:
                memory.touched = any() % 5'000;
                memory.next_serial = any();
                break;
            }
        }
        auto next = MUST(Workbook::open(opened.memfd.get()));
        for (std::uint32_t first = 0; first < 70; ++first)
            (void) text_at(next.shelf(), memory.slots[first].serial << 16 | first, random() % 100'000);
        EXPECT_LE(next.shelf().slots_in_use(), kSlots);
        const auto text = letters(70'000, seed);
        EXPECT_EQ(text_at(next.shelf(), next.shelf().put(kOther, 1, text)), text);
        ::munmap(&whole, sizeof(WorkbookMemory));
    }
}

} // namespace
} // namespace squish::procshare

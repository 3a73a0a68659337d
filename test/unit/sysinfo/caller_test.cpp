#include "sysinfo/caller.h"

#include <cstring>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string_view>
#include <sys/mman.h>
#include <unistd.h>

namespace squish::sysinfo {
namespace {

// Four pages of our own: writable, writable of another mapping, only readable, nothing.
class CallersMemory : public ::testing::Test {
protected:
    void SetUp() override {
        at_ =
            static_cast<char*>(::mmap(nullptr, 4 * page_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        ASSERT_NE(at_, MAP_FAILED);
        std::memset(at_, 'x', 4 * page_);
        ASSERT_EQ(::madvise(at_ + page_, page_, MADV_DONTFORK), 0); // no longer one mapping with the first
        ASSERT_EQ(::mprotect(at_ + 2 * page_, page_, PROT_READ), 0);
        ASSERT_EQ(::munmap(at_ + 3 * page_, page_), 0);
        ASSERT_TRUE(caller_.open(proc_.get(), ::getpid()));
    }
    void TearDown() override { ::munmap(at_, 3 * page_); }
    // As the server does it.
    [[nodiscard]] bool write(std::size_t offset) const {
        const auto address = reinterpret_cast<std::uint64_t>(at_) + offset;
        return caller_.look_at(address, 8) == Memory::own &&
               caller_.write(address, std::as_bytes(std::span("12345678", 8)));
    }
    [[nodiscard]] Memory by_text(std::size_t offset) const {
        const UniqueFd maps(::open("/proc/self/maps", O_RDONLY | O_CLOEXEC));
        const auto address = reinterpret_cast<std::uint64_t>(at_) + offset;
        return look_in_text(maps.get(), address, address + 8);
    }
    [[nodiscard]] std::string_view text(std::size_t offset) const { return {at_ + offset, 8}; }

    const std::size_t page_ = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    char* at_ = nullptr;
    UniqueFd proc_{::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC)};
    Caller caller_;
};

TEST_F(CallersMemory, IsWrittenWhereItsOwnerCould) {
    EXPECT_TRUE(write(16));
    EXPECT_EQ(text(16), "12345678");
    EXPECT_EQ(by_text(16), Memory::own);
}

TEST_F(CallersMemory, IsWrittenAcrossTwoMappings) {
    EXPECT_TRUE(write(page_ - 3));
    EXPECT_EQ(text(page_ - 3), "12345678");
    EXPECT_EQ(by_text(page_ - 3), Memory::own);
}

TEST_F(CallersMemory, ThatIsOnlyReadableStaysAsItIs) {
    for (const auto offset : {2 * page_, 2 * page_ - 3}) {
        EXPECT_FALSE(write(offset));
        EXPECT_EQ(text(offset), "xxxxxxxx");
        EXPECT_EQ(by_text(offset), Memory::none);
    }
}

TEST_F(CallersMemory, ThatIsNotThereIsAnError) {
    EXPECT_FALSE(write(3 * page_));
    EXPECT_EQ(by_text(3 * page_), Memory::none);
    for (const std::uint64_t address : {std::uint64_t{0}, UINT64_MAX, UINT64_MAX - 3, std::uint64_t{1} << 63})
        EXPECT_EQ(caller_.look_at(address, 8), Memory::none) << address;
}

TEST_F(CallersMemory, OfAFileIsToldApart) {
    const UniqueFd file(::memfd_create("file", MFD_CLOEXEC));
    ASSERT_EQ(::ftruncate(file.get(), static_cast<off_t>(page_)), 0);
    ASSERT_NE(::mmap(at_ + page_, page_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, file.get(), 0), MAP_FAILED);
    const auto address = reinterpret_cast<std::uint64_t>(at_) + page_;
    for (const auto place : {address, address - 3}) {
        EXPECT_EQ(caller_.look_at(place, 8), Memory::of_file);
        EXPECT_EQ(by_text(place - reinterpret_cast<std::uint64_t>(at_)), Memory::of_file);
    }
    EXPECT_EQ(caller_.look_at(address - 8, 8), Memory::own);
}

TEST_F(CallersMemory, OfNobodyCannotBeOpened) {
    Caller caller;
    EXPECT_FALSE(caller.open(proc_.get(), 0));
    EXPECT_FALSE(caller.open(proc_.get(), -1));
}

TEST(CallersMaps, ATextThatIsNoMapIsNotWritable) {
    const UniqueFd file(::open("/proc/self/status", O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(look_in_text(file.get(), 4096, 8192), Memory::none);
}

} // namespace
} // namespace squish::sysinfo

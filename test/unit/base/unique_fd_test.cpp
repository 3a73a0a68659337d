#include "base/unique_fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <type_traits>

namespace squish {
namespace {

int open_something() {
    return ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

bool is_open(int fd) {
    return ::fcntl(fd, F_GETFD) != -1;
}

TEST(UniqueFd, ClosesWhatItOwns) {
    const int fd = open_something();
    {
        const UniqueFd owner(fd);
        EXPECT_TRUE(owner);
        EXPECT_EQ(owner.get(), fd);
        EXPECT_TRUE(is_open(fd));
    }
    EXPECT_FALSE(is_open(fd));
}

TEST(UniqueFd, OwnsNothingAtFirst) {
    const UniqueFd none;
    EXPECT_FALSE(none.valid());
    EXPECT_EQ(none.get(), -1);
}

TEST(UniqueFd, MovesItsOwnership) {
    UniqueFd first(open_something());
    const int fd = first.get();
    const UniqueFd second(std::move(first));
    EXPECT_FALSE(first.valid()); // NOLINT(bugprone-use-after-move): the point of the test
    EXPECT_EQ(second.get(), fd);
    EXPECT_TRUE(is_open(fd));
}

TEST(UniqueFd, ClosesTheOldOneOnAssignment) {
    UniqueFd owner(open_something());
    UniqueFd other(open_something());
    const int old_fd = owner.get(), new_fd = other.get();
    owner = std::move(other);
    EXPECT_FALSE(is_open(old_fd));
    EXPECT_TRUE(is_open(new_fd));
    EXPECT_EQ(owner.get(), new_fd);
}

TEST(UniqueFd, SurvivesBeingAssignedToItself) {
    UniqueFd owner(open_something());
    const int fd = owner.get();
    auto& same = owner;
    owner = std::move(same);
    EXPECT_EQ(owner.get(), fd);
    EXPECT_TRUE(is_open(fd));
}

TEST(UniqueFd, ReleasesWithoutClosing) {
    UniqueFd owner(open_something());
    const int fd = owner.release();
    EXPECT_FALSE(owner);
    EXPECT_TRUE(is_open(fd));
    ::close(fd);
}

TEST(UniqueFd, ClosesOnReset) {
    UniqueFd owner(open_something());
    const int fd = owner.get();
    owner.reset();
    EXPECT_FALSE(owner);
    EXPECT_FALSE(is_open(fd));
}

TEST(UniqueFd, CannotBeCopied) {
    static_assert(!std::is_copy_constructible_v<UniqueFd>);
    static_assert(!std::is_copy_constructible_v<DirFd>);
    static_assert(std::is_nothrow_move_constructible_v<UniqueFd>);
}

TEST(UniqueFd, HasKindsThatTakeOverItsOwnership) {
    UniqueFd plain(open_something());
    const int fd = plain.get();
    {
        DirFd folder(std::move(plain));
        EXPECT_EQ(folder.get(), fd);
        const DirFd moved(std::move(folder));
        EXPECT_TRUE(is_open(fd));
    }
    EXPECT_FALSE(is_open(fd));
    EXPECT_FALSE(Pidfd().valid());
}

} // namespace
} // namespace squish

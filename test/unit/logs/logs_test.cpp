#include "logs/log_reader.h"
#include "logs/log_watch.h"

#include "os/file.h"

#include <array>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <poll.h>

namespace squish {

namespace {

class Logs : public ::testing::Test {
protected:
    Logs() {
        auto folder = (std::filesystem::temp_directory_path() / "squish-logs-test-XXXXXX").string();
        folder_ = ::mkdtemp(folder.data());
        path_ = folder_ + "/log";
        file_ = std::move(*os::open_file(path_, O_RDWR | O_CREAT | O_APPEND, 0600));
    }
    ~Logs() override { std::filesystem::remove_all(folder_); }
    void write(std::string_view text) { ASSERT_TRUE(os::write_all(file_.get(), text)); }
    std::string tail(std::optional<std::size_t> lines) {
        auto reader = LogReader::open(path_, lines);
        std::string all;
        for (;;) {
            const auto bytes = reader->read();
            if (!bytes || bytes->empty())
                return all;
            all += *bytes;
        }
    }
    bool grown(const LogWatch& watch) {
        pollfd waiting{watch.fd(), POLLIN, 0};
        return ::poll(&waiting, 1, 0) > 0;
    }

    std::string folder_, path_;
    UniqueFd file_;
};

TEST_F(Logs, AreReadToTheirEndAndFurther) {
    write("one\n");
    auto reader = LogReader::open(path_, std::nullopt);
    ASSERT_TRUE(reader);
    EXPECT_EQ(*reader->read(), "one\n");
    EXPECT_EQ(*reader->read(), "");
    write("two\n");
    EXPECT_EQ(*reader->read(1), "t");
    EXPECT_EQ(*reader->read(), "wo\n");
}

TEST_F(Logs, AreShownFromTheirLastLines) {
    EXPECT_EQ(tail(3), "");
    write("one\ntwo\nthree\n");
    EXPECT_EQ(tail(0), "");
    EXPECT_EQ(tail(1), "three\n");
    EXPECT_EQ(tail(2), "two\nthree\n");
    EXPECT_EQ(tail(3), "one\ntwo\nthree\n");
    EXPECT_EQ(tail(99), "one\ntwo\nthree\n");
    write("unfinished");
    EXPECT_EQ(tail(1), "unfinished");
    EXPECT_EQ(tail(2), "three\nunfinished");
}

TEST_F(Logs, MayHaveLinesLongerThanABlock) {
    const auto longest = std::string(200'000, 'x') + "\n";
    write("a\n" + longest + "b\n");
    EXPECT_EQ(tail(2), longest + "b\n");
    EXPECT_EQ(tail(3), "a\n" + longest + "b\n");
}

TEST_F(Logs, MayBeginWithAHole) {
    write(std::string(64 << 10, 'o') + "\n");
    write("kept\n");
    auto reader = LogReader::open(path_, std::nullopt);
    ASSERT_EQ(::fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 64 << 10), 0);
    EXPECT_EQ(*reader->read(), "\nkept\n") << "what was cut off meanwhile is passed over";
    EXPECT_EQ(tail(std::nullopt), "\nkept\n");
    EXPECT_EQ(tail(1), "kept\n");
    EXPECT_EQ(tail(50), "\nkept\n");
}

TEST_F(Logs, TellWhenTheyHaveGrown) {
    const std::array paths{path_};
    auto watch = LogWatch::open(paths);
    ASSERT_TRUE(watch);
    EXPECT_FALSE(grown(*watch));
    write("x");
    EXPECT_TRUE(grown(*watch));
    watch->clear();
    EXPECT_FALSE(grown(*watch));
}

TEST_F(Logs, ThatAreMissingAreNamed) {
    const auto reader = LogReader::open(folder_ + "/none", std::nullopt);
    ASSERT_FALSE(reader);
    EXPECT_EQ(reader.error().sys_errno, ENOENT);
}

} // namespace

} // namespace squish

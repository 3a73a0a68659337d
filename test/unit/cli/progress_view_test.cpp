#include "cli/progress_view.h"

#include <gmock/gmock.h>

namespace squish::cli {
namespace {

using ::testing::HasSubstr;

TEST(Sizes, AreForPeople) {
    EXPECT_EQ(size_text(0), "0 B");
    EXPECT_EQ(size_text(1023), "1023 B");
    EXPECT_EQ(size_text(1536), "1.5 KiB");
    EXPECT_EQ(size_text(200ULL << 20), "200.0 MiB");
    EXPECT_EQ(size_text(3ULL << 40), "3.0 TiB");
}

TEST(ProgressLines, SayHowFarADownloadIsAndHowLongItTakes) {
    const Json event{{"stage", "downloading"}, {"bytes", 50 << 20}, {"total", 100 << 20}, {"speed", 10 << 20}};
    EXPECT_EQ(progress_line("python@3.11", event, 200),
              "python@3.11: downloading [##########          ] 50.0 MiB/100.0 MiB 10.0 MiB/s 0:05 left");
    EXPECT_EQ(progress_line("python@3.11", event, 20).size(), 20U);
}

TEST(ProgressLines, DoWithoutATotal) {
    const Json event{{"stage", "downloading"}, {"bytes", 1 << 20}};
    EXPECT_EQ(progress_line("x", event, 200), "x: downloading 1.0 MiB");
    const Json more{{"stage", "downloading"}, {"bytes", 30}, {"total", 20}, {"speed", 1}}; // a server that lies
    EXPECT_THAT(progress_line("x", more, 200), HasSubstr("[####################] 30 B/20 B"));
}

TEST(ProgressLines, CountFilesWhileUnpacking) {
    const Json event{{"stage", "unpacking"}, {"bytes", 2048}, {"entries", 12}};
    EXPECT_EQ(progress_line("x", event, 200), "x: unpacking 2.0 KiB, 12 files");
}

TEST(ProgressLines, ShowNoControlCharacters) {
    const Json event{{"stage", "finding"}};
    EXPECT_THAT(progress_line("x\033[31m", event, 200), ::testing::Not(HasSubstr("\033")));
}

} // namespace
} // namespace squish::cli

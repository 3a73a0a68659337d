#include "engine/own_ids.h"

#include "base/unique_fd.h"

#include <fcntl.h>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace squish {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class OwnIds : public ::testing::Test {
protected:
    void SetUp() override {
        auto pattern = (std::filesystem::temp_directory_path() / "squish-own-ids-XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
        ::chmod(folder_.c_str(), 0755);
        plan_.rootfs = folder_;
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }
    std::string file(const std::string& name, mode_t mode) {
        const auto path = folder_ + "/" + name;
        EXPECT_TRUE(UniqueFd(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)));
        ::chmod(path.c_str(), mode);
        return path;
    }
    void mount(const std::string& source, bool read_only = true) {
        plan_.mounts.push_back(
            {.layer = "app", .source = source, .target = "/app", .read_only = read_only, .nested = false});
    }
    std::string folder_;
    plan::ContainerPlan plan_;
    AttachedIo io_;
};

TEST_F(OwnIds, AreHadByDefault) {
    mount(file("readable", 0644));
    mount(folder_);
    mount(folder_ + "/not-there"); // another message is better
    EXPECT_THAT(why_users_ids(plan_, io_), IsEmpty());
}

TEST_F(OwnIds, NotWhereTheSquishfileSaysWho) {
    plan_.user_given = true; // also with 0
    EXPECT_THAT(why_users_ids(plan_, io_), HasSubstr("[run] user"));
}

TEST_F(OwnIds, NotWhereThereAreNone) {
    plan_.machine.single_id = true;
    EXPECT_THAT(why_users_ids(plan_, io_), HasSubstr("no subordinate ids"));
}

TEST_F(OwnIds, NotWithAWritableMount) {
    mount(folder_, false);
    EXPECT_THAT(why_users_ids(plan_, io_), HasSubstr("layer 'app' is mounted rw"));
}

TEST_F(OwnIds, NotWithWhatOnlyTheUserCanRead) {
    mount(file("secret", 0640));
    EXPECT_THAT(why_users_ids(plan_, io_), HasSubstr("secret' cannot be read by everybody"));
    plan_.mounts.clear();
    const auto sub = folder_ + "/sub";
    ::mkdir(sub.c_str(), 0700);
    ::chmod(sub.c_str(), 0744); // can be listed, but not entered
    mount(sub);
    EXPECT_THAT(why_users_ids(plan_, io_), HasSubstr("sub' cannot be read by everybody"));
    plan_.mounts.clear();
    plan_.rootfs = sub;
    EXPECT_THAT(why_users_ids(plan_, io_), HasSubstr("the rootfs"));
}

TEST_F(OwnIds, NotWithALayerThatHasClosedFiles) {
    mount(folder_);
    plan_.mounts.back().closed = 1;
    EXPECT_THAT(why_users_ids(plan_, io_), HasSubstr("layer 'app' has files that not everybody may read"));
}

TEST_F(OwnIds, NotWithStreamsThatOnlyTheUserCanOpen) {
    const auto path = file("out", 0644);
    io_.in = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_THAT(why_users_ids(plan_, io_), IsEmpty()) << "everybody may read it";
    io_.out = UniqueFd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    EXPECT_THAT(why_users_ids(plan_, io_), HasSubstr("stdout"));
    ::chmod(path.c_str(), 0622);
    EXPECT_THAT(why_users_ids(plan_, io_), HasSubstr("stdin"));
    io_.console = UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC)); // its terminal is made inside
    EXPECT_THAT(why_users_ids(plan_, io_), IsEmpty());
}

TEST_F(OwnIds, PipesAreOpenedToAllButNamedOnesAreNot) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const UniqueFd reader(ends[0]);
    io_.out = UniqueFd(ends[1]);
    const auto fifo = folder_ + "/fifo";
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    io_.err = UniqueFd(::open(fifo.c_str(), O_RDWR | O_CLOEXEC));
    EXPECT_THAT(why_users_ids(plan_, io_), HasSubstr("stderr"));
    open_pipes_to_all(io_);
    struct stat info{};
    ASSERT_EQ(::fstat(io_.out.get(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0666U);
    ASSERT_EQ(::fstat(io_.err.get(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST_F(OwnIds, HomeIsNotAFolderThatMayBeClosed) {
    std::vector<std::pair<std::string, std::string>> environment{{"PATH", "/bin"}, {"HOME", "/root"}};
    adapt_environment(Squishfile{}, environment);
    EXPECT_EQ(environment[1].second, "/");
    Squishfile file;
    file.env.emplace_back("HOME", "/root");
    environment[1].second = "/root";
    adapt_environment(file, environment);
    EXPECT_EQ(environment[1].second, "/root") << "the squishfile says so";
}

TEST_F(OwnIds, OthersCannotBeAskedFor) {
    EXPECT_TRUE(check_own_ids(UserSpec{}));
    EXPECT_TRUE(check_own_ids(UserSpec{1022, 65534}));
    for (const auto& user : {UserSpec{1023, 0}, UserSpec{0, 1023}, UserSpec{65533, 0}, UserSpec{100000, 0}}) {
        const auto refused = check_own_ids(user);
        ASSERT_FALSE(refused) << user.uid;
        EXPECT_THAT(refused.error().remedy, HasSubstr("ids = \"user\""));
    }
}

} // namespace
} // namespace squish

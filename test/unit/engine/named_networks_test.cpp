#include "engine/named_networks.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>

namespace squish {
namespace {

using ::testing::HasSubstr;

class Names : public ::testing::Test {
protected:
    Names() {
        auto pattern = (std::filesystem::temp_directory_path() / "squish-networks-XXXXXX").string();
        folder_ = ::mkdtemp(pattern.data());
    }
    ~Names() override { std::filesystem::remove_all(folder_); }
    NamedNetworks open() {
        auto opened = NamedNetworks::open(folder_);
        EXPECT_TRUE(opened) << opened.error().message;
        return *std::move(opened);
    }
    std::string folder_;
};

TEST_F(Names, OutliveWhoeverGaveThem) {
    {
        auto networks = open();
        EXPECT_EQ(networks.create("backend", 5)->number, 1U);
        EXPECT_EQ(networks.create("front", 6)->number, 2U);
    }
    auto networks = open();
    EXPECT_EQ(networks.find("front")->number, 2U);
    ASSERT_EQ(networks.list().size(), 3U);
    EXPECT_EQ(networks.list()[0].name, "default");
    EXPECT_EQ(networks.list()[1].created_at, 5);
    EXPECT_TRUE(networks.remove("backend"));
    EXPECT_EQ(networks.create("third", 7)->number, 1U) << "a number that is free is given again";
    EXPECT_EQ(open().find("backend").error().kind, ErrorKind::not_found);
}

TEST_F(Names, RefuseWhatIsTakenOrMeansSomethingElse) {
    auto networks = open();
    ASSERT_TRUE(networks.create("a", 0));
    for (const auto* taken : {"a", "default"})
        EXPECT_EQ(networks.create(taken, 0).error().kind, ErrorKind::conflict) << taken;
    for (const auto* wrong : {"", "host", "none", "bridge", "a/b", "-a", ".."})
        EXPECT_EQ(networks.create(wrong, 0).error().kind, ErrorKind::invalid) << wrong;
    EXPECT_EQ(networks.remove("default").error().kind, ErrorKind::invalid);
    EXPECT_EQ(networks.remove("b").error().kind, ErrorKind::not_found);
    EXPECT_EQ(networks.find("default")->number, 0U);
}

TEST_F(Names, AreNoMoreThanThereAreBridges) {
    auto networks = open();
    for (std::uint32_t i = 1; i <= kMostNamedNetworks; ++i)
        ASSERT_EQ(networks.create("n" + std::to_string(i), 0)->number, i);
    EXPECT_EQ(networks.create("more", 0).error().kind, ErrorKind::conflict);
}

TEST_F(Names, ADamagedFileIsAnErrorThatNamesIt) {
    for (const auto* text :
         {"", "[]", "{}", R"({"networks":[{}]})", R"({"networks":[{"name":"a","number":0,"created_at":0}]})",
          R"({"networks":[{"name":"a","number":1,"created_at":0},{"name":"b","number":1,"created_at":0}]})"}) {
        std::ofstream(folder_ + "/networks.json") << text;
        const auto opened = NamedNetworks::open(folder_);
        ASSERT_FALSE(opened) << text;
        EXPECT_THAT(opened.error().message, HasSubstr("networks.json' is damaged")) << text;
    }
}

} // namespace
} // namespace squish

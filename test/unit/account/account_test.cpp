#include "account/account.h"

#include <gtest/gtest.h>

namespace squish::account {

namespace {

constexpr std::string_view kPasswd = "root:x:0:0:root:/root:/bin/bash\n"
                                     "# a comment\n"
                                     "broken:x:12\n"
                                     "huge:x:4294967295:1::/:/bin/sh\n"
                                     "squish:x:998:997:squish:/var/lib/squish:/usr/sbin/nologin\n";

TEST(Accounts, AreFoundByNameAndNumber) {
    const auto squish = find_by_name(kPasswd, "squish");
    ASSERT_TRUE(squish);
    EXPECT_EQ(squish->uid, 998U);
    EXPECT_EQ(squish->gid, 997U);
    EXPECT_EQ(squish->home, "/var/lib/squish");
    EXPECT_EQ(find_by_uid(kPasswd, 998)->name, "squish");
}

TEST(Accounts, ThatAreMalformedAreNone) {
    EXPECT_FALSE(find_by_name(kPasswd, "broken"));
    EXPECT_FALSE(find_by_name(kPasswd, "huge"));
    EXPECT_FALSE(find_by_name(kPasswd, ""));
    EXPECT_FALSE(find_by_uid(kPasswd, 12));
    EXPECT_FALSE(find_by_name("", "squish"));
}

TEST(Accounts, KeepTheirGroupsButNeverRoots) {
    const Account account{"squish", 998, 997, "/"};
    EXPECT_EQ(
        groups_of("root:x:0:squish\nkvm:x:104:a,squish,b\nsquish:x:997:squish\nsquishy:x:5:squishy\nbad:x:x:squish\n",
                  account),
        (std::vector<gid_t>{997, 104}));
    EXPECT_EQ(groups_of("", account), (std::vector<gid_t>{997}));
}

TEST(Namespaces, AreTheMachinesOwnWhereEveryIdIsItself) {
    EXPECT_TRUE(is_identity_map("         0          0 4294967295\n"));
    EXPECT_FALSE(is_identity_map("         0       1000          1\n"));
    EXPECT_FALSE(is_identity_map("         0       1000          1\n         1     100000      65536\n"));
    EXPECT_FALSE(is_identity_map("         0          0      65536\n"));
    EXPECT_FALSE(is_identity_map(""));
}

} // namespace

} // namespace squish::account

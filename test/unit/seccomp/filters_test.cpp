// Filters are compiled once, and their files are believed only where they are what their names say.
#include "seccomp/filters.h"

#include "seccomp/compile.h"

#include "../os/scratch.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace squish::seccomp;
using squish::ErrorKind;
using ::testing::HasSubstr;

namespace {

class FilterStore : public squish::test::Scratch {
protected:
    [[nodiscard]] std::string folder() const { return at("seccomp"); }
    Filters filters_{at("seccomp")};
};

std::string content(const Filter& filter) {
    std::string out(filter.instructions * sizeof(sock_filter) + 1, '\0');
    const auto got = ::pread(filter.program.get(), out.data(), out.size(), 0);
    out.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return out;
}

constexpr const char* kNoMkdir = R"({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG"],
    "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]})";

TEST_F(FilterStore, CompilesTheDefaultOnce) {
    const auto first = MUST(filters_.standard(IoUring::refused));
    const auto again = MUST(filters_.standard(IoUring::refused));
    EXPECT_EQ(first, again);
    const auto other = MUST(filters_.standard(IoUring::allowed));
    EXPECT_NE(first->digest, other->digest);
    const auto program = MUST(compile(default_profile(IoUring::refused)));
    EXPECT_EQ(first->instructions, program.size());
    EXPECT_EQ(content(*first),
              std::string(reinterpret_cast<const char*>(program.data()), program.size() * sizeof(sock_filter)));
}

TEST_F(FilterStore, HandsOutProgramsThatNobodyCanChange) {
    const auto filter = MUST(filters_.standard(IoUring::refused));
    EXPECT_EQ(::pwrite(filter->program.get(), "x", 1, 0), -1);
    EXPECT_EQ(::ftruncate(filter->program.get(), 0), -1);
    EXPECT_NE(::fcntl(filter->program.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(FilterStore, ReadsAProfileAgainWhenItsTextChanges) {
    const auto path = put("profile.json", kNoMkdir);
    const auto first = MUST(filters_.custom(path, {}));
    EXPECT_EQ(first, MUST(filters_.custom(path, {})));
    EXPECT_EQ(first->flags, static_cast<std::uint32_t>(SECCOMP_FILTER_FLAG_LOG));
    put("profile.json", R"({"defaultAction": "SCMP_ACT_ALLOW"})");
    EXPECT_NE(first->digest, MUST(filters_.custom(path, {}))->digest);
}

TEST_F(FilterStore, TellsProfilesApartByTheCapabilitiesTheyAreFor) {
    const auto path = put("profile.json", R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["chroot"], "action": "SCMP_ACT_ERRNO", "excludes": {"caps": ["CAP_SYS_CHROOT"]}}]})");
    EXPECT_NE(MUST(filters_.custom(path, {}))->digest, MUST(filters_.custom(path, {"CAP_SYS_CHROOT"}))->digest);
}

TEST_F(FilterStore, SaysWhichFileIsWrong) {
    const auto missing = filters_.custom(at("no.json"), {});
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().kind, ErrorKind::not_found);
    EXPECT_THAT(missing.error().message, HasSubstr("no.json"));
    const auto broken = filters_.custom(put("broken.json", "{"), {});
    ASSERT_FALSE(broken);
    EXPECT_THAT(broken.error().message, HasSubstr("broken.json"));
    const auto deadly = filters_.custom(put("deadly.json", R"({"defaultAction": "SCMP_ACT_KILL"})"), {});
    ASSERT_FALSE(deadly);
    EXPECT_THAT(deadly.error().message, HasSubstr("deadly.json"));
    EXPECT_THAT(deadly.error().message, HasSubstr("no payload can be started"));
}

TEST_F(FilterStore, DoesNotWaitForAFifoNorReadADevice) {
    ASSERT_EQ(::mkfifo(at("fifo").c_str(), 0600), 0);
    for (const auto& path : {at("fifo"), std::string("/dev/zero"), folder_}) {
        const auto refused = filters_.custom(path, {});
        ASSERT_FALSE(refused);
        EXPECT_THAT(refused.error().message, HasSubstr("not a regular file"));
    }
    ASSERT_EQ(::truncate(put("large.json", "").c_str(), 1 << 30), 0);
    EXPECT_FALSE(filters_.custom(at("large.json"), {}));
}

TEST_F(FilterStore, FindsAFilterAgainAfterARestart) {
    const auto path = put("profile.json", kNoMkdir);
    const auto before = MUST(filters_.custom(path, {}));
    ASSERT_EQ(::unlink(path.c_str()), 0);
    Filters restarted(folder());
    const auto after = MUST(restarted.kept(before->digest));
    EXPECT_EQ(content(*after), content(*before));
    EXPECT_EQ(after->flags, before->flags);
    EXPECT_EQ(after->digest, before->digest);
}

TEST_F(FilterStore, NeverLoadsADamagedFile) {
    const auto digest = MUST(filters_.standard(IoUring::refused))->digest;
    const auto good = text_of(folder() + "/" + digest);
    ASSERT_GT(good.size(), 500U);
    for (std::size_t at = 0; at < good.size(); at += 7) { // one bit anywhere
        auto bad = good;
        bad[at] = static_cast<char>(bad[at] ^ 1);
        put("seccomp/" + digest, bad);
        const auto refused = Filters(folder()).kept(digest);
        ASSERT_FALSE(refused) << at;
        EXPECT_THAT(refused.error().message, HasSubstr("damaged"));
    }
    for (const auto& bad : {std::string(), good.substr(0, 12), good.substr(0, good.size() - 8),
                            good + std::string(8, '\0'), std::string(1 << 20, 'x')}) {
        put("seccomp/" + digest, bad);
        EXPECT_FALSE(Filters(folder()).kept(digest)) << bad.size();
    }
    Filters fresh(folder()); // what is compiled anew replaces it
    EXPECT_OK(fresh.standard(IoUring::refused));
    EXPECT_EQ(text_of(folder() + "/" + digest), good);
}

TEST_F(FilterStore, TakesNoPathForADigest) {
    MUST(filters_.standard(IoUring::refused));
    for (const std::string name : {"../profile.json", "", "default", "ABCDEF"})
        EXPECT_FALSE(Filters(folder()).kept(name)) << name;
    const auto gone = filters_.kept(std::string(64, 'a'));
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().kind, ErrorKind::not_found);
    EXPECT_FALSE(gone.error().remedy.empty());
}

TEST_F(FilterStore, RemovesTheFilesOfContainersThatAreGone) {
    const auto first = MUST(filters_.standard(IoUring::refused))->digest;
    const auto second = MUST(filters_.standard(IoUring::allowed))->digest;
    Filters restarted(folder());
    restarted.retain({second});
    EXPECT_FALSE(restarted.kept(first));
    EXPECT_OK(restarted.kept(second));
    Filters(at("nowhere")).retain({}); // nothing there is fine
}

} // namespace

// Messages with descriptors: whole or not at all.
#include "os/socket.h"

#include "scratch.h"

#include <cerrno>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace squish::os {
namespace {

using ::testing::HasSubstr;

class Socket : public test::Scratch {};

std::size_t open_descriptors() {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
        ++count;
    return count;
}

bool same_file(int a, int b) {
    struct stat one{}, two{};
    return ::fstat(a, &one) == 0 && ::fstat(b, &two) == 0 && one.st_ino == two.st_ino && one.st_dev == two.st_dev;
}

TEST_F(Socket, DescriptorsTravelInOrderAndAreCloseOnExec) {
    auto [one, two] = MUST(socket_pair());
    const UniqueFd a(::open("/dev/null", O_RDONLY)), b(::open(folder_.c_str(), O_PATH));
    const int fds[] = {b.get(), a.get(), b.get()};
    EXPECT_OK(send_message(one.get(), "hello", fds));
    const auto message = MUST(receive_message(two.get(), 100));
    EXPECT_EQ(message.bytes, "hello");
    EXPECT_FALSE(message.peer_closed);
    ASSERT_EQ(message.fds.size(), 3U);
    EXPECT_TRUE(same_file(message.fds[0].get(), b.get()));
    EXPECT_TRUE(same_file(message.fds[1].get(), a.get()));
    EXPECT_TRUE(same_file(message.fds[2].get(), b.get()));
    for (const auto& fd : message.fds)
        EXPECT_TRUE(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC);
}

TEST_F(Socket, AsManyDescriptorsAsTheKernelAllows) {
    auto [one, two] = MUST(socket_pair());
    const UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const std::vector<int> most(kMaxFdsPerMessage, null.get());
    EXPECT_OK(send_message(one.get(), "x", most));
    EXPECT_EQ(MUST(receive_message(two.get(), 10)).fds.size(), kMaxFdsPerMessage);
    const std::vector<int> more(kMaxFdsPerMessage + 1, null.get());
    const auto refused = send_message(one.get(), "x", more);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("253"));
}

TEST_F(Socket, ALongerMessageThanAllowedIsAnErrorAndLeaksNothing) {
    auto [one, two] = MUST(socket_pair());
    const UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const int fds[] = {null.get(), null.get()};
    const auto before = open_descriptors();
    EXPECT_OK(send_message(one.get(), "0123456789", fds));
    EXPECT_OK(send_message(one.get(), "next"));
    const auto cut = receive_message(two.get(), 9);
    ASSERT_FALSE(cut);
    EXPECT_EQ(cut.error().sys_errno, EMSGSIZE);
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_EQ(MUST(receive_message(two.get(), 9)).bytes, "next") << "the next one is in step";
}

TEST_F(Socket, ExactlyTheLimitIsNoTruncation) {
    auto [one, two] = MUST(socket_pair());
    EXPECT_OK(send_message(one.get(), "0123456789"));
    EXPECT_EQ(MUST(receive_message(two.get(), 10)).bytes, "0123456789");
}

TEST_F(Socket, DescriptorsThatCannotBeTakenAreAnErrorNotAShorterList) {
    auto [one, two] = MUST(socket_pair());
    const UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const std::vector<int> fds(8, null.get());
    EXPECT_OK(send_message(one.get(), "x", fds));
    rlimit old{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &old), 0);
    rlimit tight = old;
    tight.rlim_cur = static_cast<rlim_t>(null.get()) + 4; // room for three or so
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
    const auto got = receive_message(two.get(), 10);
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &old), 0);
    EXPECT_FALSE(got);
}

TEST_F(Socket, TellsTheEndOfThePeerFromAnEmptySocket) {
    auto [one, two] = MUST(socket_pair());
    ASSERT_EQ(::fcntl(two.get(), F_SETFL, O_NONBLOCK), 0);
    const auto nothing = receive_message(two.get(), 10);
    ASSERT_FALSE(nothing);
    EXPECT_EQ(nothing.error().sys_errno, EAGAIN);
    one.reset();
    EXPECT_TRUE(MUST(receive_message(two.get(), 10)).peer_closed);
    EXPECT_FALSE(send_message(two.get(), "x")) << "and no SIGPIPE";
}

TEST_F(Socket, AFullSocketSaysTryAgain) {
    auto [one, two] = MUST(socket_pair());
    ASSERT_EQ(::fcntl(one.get(), F_SETFL, O_NONBLOCK), 0);
    const std::string block(10'000, 'x');
    Result<void> sent;
    for (int i = 0; i < 10'000 && sent; ++i)
        sent = send_message(one.get(), block);
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().sys_errno, EAGAIN);
}

TEST_F(Socket, ListensForItsOwnerOnlyAndReplacesAStaleSocket) {
    for (int round = 0; round < 2; ++round) { // the second finds the first's file
        const auto listener = MUST(listen_unix(at("s"), SOCK_SEQPACKET));
        struct stat info{};
        ASSERT_EQ(::stat(at("s").c_str(), &info), 0);
        EXPECT_EQ(info.st_mode & 0777, 0600U);
        EXPECT_EQ(::accept(listener.get(), nullptr, nullptr), -1);
        EXPECT_EQ(errno, EAGAIN) << "it does not block";
        const auto client = MUST(connect_unix(at("s"), SOCK_SEQPACKET));
        const UniqueFd served(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
        ASSERT_TRUE(served.valid());
        const auto peer = MUST(peer_credentials(served.get()));
        EXPECT_EQ(peer.pid, ::getpid());
        EXPECT_EQ(peer.uid, ::geteuid());
        EXPECT_EQ(peer.gid, ::getegid());
    }
    const auto gone = connect_unix(at("s"), SOCK_SEQPACKET);
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().sys_errno, ECONNREFUSED);
}

TEST_F(Socket, PathsThatDoNotFitAreRefusedWithTheRemedy) {
    const auto longest = "/tmp/" + std::string(102, 'x');
    for (const auto& path : {longest + "y", std::string()}) {
        const auto listener = listen_unix(path, SOCK_STREAM);
        ASSERT_FALSE(listener);
        EXPECT_EQ(listener.error().kind, ErrorKind::invalid);
        EXPECT_THAT(listener.error().remedy, HasSubstr("XDG_RUNTIME_DIR"));
        EXPECT_FALSE(connect_unix(path, SOCK_STREAM));
    }
    EXPECT_EQ(connect_unix(longest, SOCK_STREAM).error().sys_errno, ENOENT) << "107 bytes do fit";
}

TEST_F(Socket, DoesNotReplaceAFolder) {
    std::filesystem::create_directory(at("s"));
    EXPECT_FALSE(listen_unix(at("s"), SOCK_STREAM));
    EXPECT_TRUE(std::filesystem::is_directory(at("s")));
}

} // namespace
} // namespace squish::os

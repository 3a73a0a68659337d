#include "catalog/minisign.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/wait.h>
#include <unistd.h>

namespace squish::catalog {
namespace {

using ::testing::HasSubstr;

std::string line(const std::string& text, int number) {
    std::istringstream in(text);
    std::string out;
    for (int i = 0; i < number; ++i)
        std::getline(in, out);
    return out;
}

std::string with_line(const std::string& text, int number, const std::string& replacement) {
    std::istringstream in(text);
    std::string out, one;
    for (int i = 1; std::getline(in, one); ++i)
        out += (i == number ? replacement : one) + "\n";
    return out;
}

TEST(Minisign, AcceptsWhatTheKeySigned) {
    const auto key = SecretKey::generate();
    const auto signature = key.sign("the index", "made by a test");
    const auto comment = key.public_key().verify("the index", signature);
    ASSERT_TRUE(comment) << comment.error().message;
    EXPECT_EQ(*comment, "made by a test");
    EXPECT_EQ(signature, key.sign("the index", "made by a test"));
}

TEST(Minisign, RefusesAnythingElse) {
    const auto key = SecretKey::generate(), other = SecretKey::generate();
    const auto file = std::string("the index");
    const auto good = key.sign(file, "made by a test");
    const auto forged = other.sign(file, "made by a test");
    const auto refused = [&](std::string_view bytes, const std::string& signature) {
        const auto verified = key.public_key().verify(bytes, signature);
        EXPECT_FALSE(verified) << signature;
        EXPECT_TRUE(verified || verified.error().kind == ErrorKind::denied);
        return verified ? std::string("accepted") : verified.error().message;
    };
    EXPECT_THAT(refused("the indeX", good), HasSubstr("the signature is wrong"));
    EXPECT_THAT(refused("", good), HasSubstr("the signature is wrong"));
    EXPECT_THAT(refused(file, forged), HasSubstr("was made with key " + to_string(other.public_key().id()) +
                                                 ", not with " + to_string(key.public_key().id())));
    EXPECT_THAT(refused(file, with_line(good, 3, "trusted comment: made by somebody else")),
                HasSubstr("trusted comment is wrong"));
    EXPECT_THAT(refused(file, with_line(good, 4, line(forged, 4))), HasSubstr("trusted comment is wrong"));
    EXPECT_THAT(refused(file, with_line(good, 2, "AAAA")), HasSubstr("line 2 is no signature"));
    EXPECT_THAT(refused(file, with_line(good, 2, "not base64!")), HasSubstr("line 2 is no signature"));
    EXPECT_THAT(refused(file, with_line(good, 4, "")), HasSubstr("malformed"));
    EXPECT_THAT(refused(file, with_line(good, 1, "comment")), HasSubstr("line 1 does not start with"));
    EXPECT_THAT(refused(file, ""), HasSubstr("it has 0 lines instead of 4"));
    EXPECT_THAT(refused(file, "<html>\n404\n</html>\n"), HasSubstr("it has 3 lines instead of 4"));
    EXPECT_THAT(refused(file, std::string(20'000, 'x')), HasSubstr("longer than"));
}

// Should: the bytes that were signed under one algorithm mean nothing under the other.
TEST(Minisign, DoesNotMixUpTheTwoAlgorithms) {
    const auto key = SecretKey::generate();
    const auto signature = key.sign("file", "comment");
    auto second = line(signature, 2);
    ASSERT_EQ(second.substr(0, 2), "RU"); // "ED" in base64; "RW" is "Ed"
    second[1] = 'W';
    EXPECT_FALSE(key.public_key().verify("file", with_line(signature, 2, second)));
}

TEST(Minisign, ReadsKeysAsFilesAndAsLines) {
    const auto key = SecretKey::generate();
    const auto text = key.public_key().text();
    for (const auto& form : {text, text + "\n", "untrusted comment: minisign public key\n" + text + "\n",
                             "untrusted comment: x\r\n" + text + "\r\n"}) {
        const auto parsed = PublicKey::parse(form);
        ASSERT_TRUE(parsed) << form;
        EXPECT_EQ(parsed->text(), text);
    }
    const auto again = SecretKey::parse(key.text());
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->public_key().text(), text);
}

TEST(Minisign, SaysWhatIsWrongWithAKey) {
    const auto key = SecretKey::generate();
    EXPECT_THAT(PublicKey::parse("").error().message, HasSubstr("no line of base64"));
    EXPECT_THAT(PublicKey::parse("RWQ").error().message, HasSubstr("not a minisign public key"));
    EXPECT_THAT(PublicKey::parse("RWQAAAAA").error().message, HasSubstr("6 bytes instead of 42"));
    EXPECT_THAT(PublicKey::parse(key.text()).error().message, HasSubstr("158 bytes instead of 42"));
    EXPECT_THAT(PublicKey::parse("a\nb\n").error().message, HasSubstr("more than one line"));
    auto text = key.public_key().text();
    text[1] = 'X';
    EXPECT_THAT(PublicKey::parse(text).error().message, HasSubstr("not Ed25519"));
    auto secret = key.text();
    auto& byte = secret[secret.size() - 80]; // of the key
    byte = byte == 'A' ? 'B' : 'A';
    EXPECT_THAT(SecretKey::parse(secret).error().message, HasSubstr("it was damaged"));
}

// What minisign(1) itself wrote, with a password of none; and the other way round.
class MinisignProgram : public ::testing::Test {
protected:
    void SetUp() override {
        folder_ = std::filesystem::temp_directory_path() / ("minisign-" + std::to_string(::getpid()));
        std::filesystem::create_directories(folder_);
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }
    [[nodiscard]] bool run(std::vector<std::string> args) const {
        const auto pid = ::fork();
        if (pid == 0) {
            if (::chdir(folder_.c_str()) < 0)
                ::_exit(98);
            const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
            for (int fd = 0; fd < 3; ++fd)
                ::dup2(null, fd);
            args.insert(args.begin(), "minisign");
            std::vector<char*> argv;
            for (auto& arg : args)
                argv.push_back(arg.data());
            argv.push_back(nullptr);
            ::execvp("minisign", argv.data());
            ::_exit(99);
        }
        int status = 0;
        ::waitpid(pid, &status, 0);
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    [[nodiscard]] std::string read(const char* name) const {
        std::ifstream in(folder_ / name);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    void write(const char* name, const std::string& text) const { std::ofstream(folder_ / name) << text; }

    std::filesystem::path folder_;
};

TEST_F(MinisignProgram, MakesSignaturesThatAreAccepted) {
    ASSERT_TRUE(run({"-G", "-W", "-p", "k.pub", "-s", "k.key"}));
    write("file", "contents");
    const auto key = PublicKey::parse(read("k.pub"));
    ASSERT_TRUE(key) << key.error().message;
    ASSERT_TRUE(run({"-S", "-s", "k.key", "-m", "file", "-t", "by hand"})); // prehashed
    EXPECT_EQ(key->verify("contents", read("file.minisig")).value_or("refused"), "by hand");
    ASSERT_TRUE(run({"-S", "-l", "-s", "k.key", "-m", "file", "-x", "legacy", "-t", "the old way"}));
    EXPECT_EQ(key->verify("contents", read("legacy")).value_or("refused"), "the old way");
    EXPECT_FALSE(key->verify("Contents", read("legacy")));
}

TEST_F(MinisignProgram, AcceptsOurSignaturesAndKeys) {
    ASSERT_TRUE(run({"-G", "-W", "-p", "k.pub", "-s", "k.key"}));
    write("file", "contents");
    const auto key = SecretKey::parse(read("k.key"));
    ASSERT_TRUE(key) << key.error().message;
    write("file.minisig", key->sign("contents", "ours"));
    EXPECT_TRUE(run({"-V", "-p", "k.pub", "-m", "file"}));
    write("file", "Contents");
    EXPECT_FALSE(run({"-V", "-p", "k.pub", "-m", "file"}));

    write("file", "contents");
    const auto ours = SecretKey::generate();
    write("ours.key", ours.text());
    ASSERT_TRUE(run({"-S", "-s", "ours.key", "-m", "file", "-x", "by-ours"}));
    EXPECT_TRUE(ours.public_key().verify("contents", read("by-ours")));
}

} // namespace
} // namespace squish::catalog

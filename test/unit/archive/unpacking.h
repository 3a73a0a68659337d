// A folder to unpack into, with a neighbour that must stay as it is: whatever an archive says, only the target changes.
#pragma once

#include "../../support/archives.h"
#include "archive/remove.h"
#include "archive/unpack.h"
#include "archive/verify.h"
#include "os/file.h"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <thread>

namespace squish::archive {

namespace fs = std::filesystem;
using namespace squish::test;
using ::testing::AllOf;
using ::testing::HasSubstr;

inline constexpr const char* kSecret = "the secret that lies outside";

class Unpacking : public ::testing::Test {
protected:
    void SetUp() override {
        ::signal(SIGPIPE, SIG_IGN);
        std::string pattern = (fs::temp_directory_path() / "sqa.XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        base_ = pattern;
        fs::create_directory(base_ + "/target");
        fs::create_directories(base_ + "/outside/folder");
        std::ofstream(base_ + "/outside/secret") << kSecret;
        outside_ = picture(base_ + "/outside");
    }
    void TearDown() override {
        EXPECT_EQ(picture(base_ + "/outside"), outside_) << "something outside of the target changed";
        for (const auto& entry : fs::directory_iterator(base_))
            EXPECT_THAT((std::vector<std::string>{"target", "outside"}),
                        ::testing::Contains(entry.path().filename().string()));
        EXPECT_FALSE(fs::exists("/tmp/squish-hostile")) << "an archive wrote to an absolute path";
        expect_nothing_read(base_ + "/target");
        for (const auto* name : {"target", "outside"}) {
            const auto parent = os::open_file(base_, O_RDONLY | O_DIRECTORY);
            EXPECT_TRUE(remove_tree(parent->get(), name));
        }
        fs::remove(base_);
    }

    [[nodiscard]] std::string at(const std::string& path) const { return base_ + "/target/" + path; }
    [[nodiscard]] UniqueFd target() const {
        auto fd = os::open_file(base_ + "/target", O_RDONLY | O_DIRECTORY);
        EXPECT_TRUE(fd);
        return std::move(*fd);
    }
    static UnpackOptions options() {
        UnpackOptions out;
        out.owners = Owners::ours;
        return out;
    }
    Result<Unpacked> unpack_from(int fd, const UnpackOptions& with) const {
        auto done = unpack(fd, target().get(), with);
        if (done)
            expect_true_manifest(done->manifest);
        else
            EXPECT_FALSE(done.error().message.empty());
        return done;
    }
    Result<Unpacked> unpack_bytes(std::string_view bytes, const UnpackOptions& with = options()) const {
        return unpack_from(file_of(bytes).get(), with);
    }
    // Through a pipe, in pieces.
    Result<Unpacked> unpack_piped(std::string_view bytes, const UnpackOptions& with = options()) const {
        int fds[2];
        EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
        UniqueFd reader(fds[0]);
        std::thread feeding([bytes, writer = UniqueFd(fds[1])]() mutable {
            while (!bytes.empty()) {
                const auto put = ::write(writer.get(), bytes.data(), std::min<std::size_t>(bytes.size(), 3001));
                if (put <= 0)
                    return;
                bytes.remove_prefix(static_cast<std::size_t>(put));
            }
        });
        auto done = unpack_from(reader.get(), with);
        reader.reset();
        feeding.join();
        return done;
    }
    std::string refusal(std::string_view bytes, const UnpackOptions& with = options()) const {
        const auto done = unpack_bytes(bytes, with);
        EXPECT_FALSE(done) << "it was unpacked";
        return done ? "" : done.error().text();
    }
    void expect_true_manifest(const std::string& manifest) const {
        const auto verified = verify(target().get(), manifest);
        ASSERT_TRUE(verified) << verified.error().text();
        for (const auto& finding : verified->findings)
            ADD_FAILURE() << finding.path << ": " << finding.what;
    }
    [[nodiscard]] std::string text(const std::string& path) const {
        auto out = os::read_file(at(path));
        return out ? *out : "(" + out.error().message + ")";
    }
    [[nodiscard]] struct stat info(const std::string& path) const {
        struct stat out{};
        EXPECT_EQ(::lstat(at(path).c_str(), &out), 0) << path;
        return out;
    }
    [[nodiscard]] unsigned mode(const std::string& path) const { return info(path).st_mode & 07777; }
    [[nodiscard]] bool exists(const std::string& path) const {
        struct stat out{};
        return ::lstat(at(path).c_str(), &out) == 0;
    }

    static std::string picture(const std::string& folder) {
        std::string out;
        for (const auto& entry : fs::recursive_directory_iterator(folder)) {
            struct stat info{};
            EXPECT_EQ(::lstat(entry.path().c_str(), &info), 0);
            out += entry.path().string() + " " + std::to_string(info.st_mode) + " " + std::to_string(info.st_nlink) +
                   " " + std::to_string(info.st_size) + " " + std::to_string(info.st_mtim.tv_nsec) + " " +
                   std::to_string(info.st_ctim.tv_nsec) + "\n";
        }
        return out;
    }
    static void expect_nothing_read(const std::string& folder) {
        std::error_code error; // a folder that only root may read holds nothing of ours either
        for (auto at = fs::recursive_directory_iterator(folder, error);
             !error && at != fs::recursive_directory_iterator(); at.increment(error))
            if (fs::is_regular_file(fs::symlink_status(at->path(), error)) && fs::file_size(at->path(), error) < 4096) {
                const auto content = os::read_file(at->path());
                EXPECT_THAT(content ? *content : "", ::testing::Not(HasSubstr(kSecret))) << at->path();
            }
    }

    std::string base_;
    std::string outside_;
};

} // namespace squish::archive

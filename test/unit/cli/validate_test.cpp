#include "cli/command.h"
#include "cli/squishfile_source.h"
#include "cli/start_options.h"

#include <array>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <sys/stat.h>

namespace squish::cli {

namespace {

using ::testing::HasSubstr;

class Validate : public ::testing::Test {
protected:
    Validate() {
        auto folder = (std::filesystem::temp_directory_path() / "squish-cli-test-XXXXXX").string();
        folder_ = ::mkdtemp(folder.data());
    }
    ~Validate() override { std::filesystem::remove_all(folder_); }
    std::string write(const std::string& name, std::string_view text) {
        auto path = folder_ + "/" + name;
        std::filesystem::create_directories(std::filesystem::path(path).parent_path());
        std::ofstream(path) << text;
        return path;
    }
    // What `squish validate FILES` prints on stdout and stderr, and its exit code.
    std::string run(std::vector<std::string> files) {
        std::vector<char*> words;
        for (auto& file : files)
            words.push_back(file.data());
        ::testing::internal::CaptureStdout();
        ::testing::internal::CaptureStderr();
        const int code = validate_command(words);
        const auto out = ::testing::internal::GetCapturedStdout();
        return out + ::testing::internal::GetCapturedStderr() + "exit " + std::to_string(code);
    }

    std::string folder_;
};

TEST_F(Validate, SaysOk) {
    const auto good = write("good.toml", "[layers]\n");
    EXPECT_EQ(run({good}), "ok\nexit 0");
    EXPECT_EQ(run({good, good}), good + ": ok\n" + good + ": ok\nexit 0");
}

TEST_F(Validate, NamesThePlaceOfEveryError) {
    const auto bad = write("bad.toml", "name = 5\n[layers]\n[rum]\n");
    const auto said = run({bad, write("good.toml", "[layers]\n")});
    EXPECT_THAT(said, HasSubstr(bad + ":1:8: 'name' must be a string"));
    EXPECT_THAT(said, HasSubstr("\n" + bad + ":3:2: "));
    EXPECT_THAT(said, HasSubstr("good.toml: ok\n"));
    EXPECT_THAT(said, HasSubstr("exit 2"));
}

TEST_F(Validate, NamesLayersThatAreNotThere) {
    const auto file = write("layers.toml", "[layers]\napp = \"./app\"\nsite = \"./site\"\n");
    write("app", "");
    const auto said = run({file});
    EXPECT_THAT(said,
                HasSubstr(file + ":3:1: layer 'site': '" + folder_ + "/site': No such file or directory\nexit 2"));
}

TEST_F(Validate, TakesAFolderWithASquishfile) {
    write("web/squishfile.toml", "[layers]\napp = \"./app\"\n");
    write("web/app", "");
    EXPECT_EQ(run({folder_ + "/web"}), "ok\nexit 0");
    EXPECT_EQ(run({folder_ + "/web/"}), "ok\nexit 0");
}

TEST_F(Validate, IsNotHeldUpByWhatIsNoFile) {
    const auto fifo = folder_ + "/fifo";
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    EXPECT_THAT(run({fifo}), HasSubstr("is no regular file\nexit 2"));
    EXPECT_THAT(run({"/dev/zero"}), HasSubstr("is no regular file\nexit 2"));
    EXPECT_THAT(run({folder_}), HasSubstr("No such file or directory\nexit 2"));
    EXPECT_THAT(run({write("huge.toml", std::string(2 << 20, '#'))}), HasSubstr("so it is no squishfile\nexit 2"));
}

TEST_F(Validate, ShowsNoControlCharactersOfTheFile) {
    EXPECT_THAT(run({write("evil\x1b.toml", "\"\\u001b[31m\" = 1\n")}), ::testing::Not(HasSubstr("\x1b")));
}

TEST_F(Validate, ResolvesPathsAgainstTheFilesFolder) {
    const auto file = write("layers.toml", "[layers]\napp = \"./app\"\n");
    write("app", "");
    const auto loaded = load(file, StartOptions{});
    ASSERT_TRUE(loaded) << loaded.error().text();
    EXPECT_EQ(loaded->file.layers.at(0).path, folder_ + "/app");
    StartOptions removing;
    removing.remove = true;
    const auto body = create_body(*loaded, removing);
    EXPECT_EQ(body["squishfile"]["layers"]["app"]["target"], "/app/app");
    EXPECT_EQ(body["remove"], true);
}

} // namespace

} // namespace squish::cli

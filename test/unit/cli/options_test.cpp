#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/start_options.h"

#include <gmock/gmock.h>

namespace squish::cli {

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A command line as main() has it.
class Line {
public:
    Line(std::initializer_list<const char*> words) {
        for (const auto* word : words)
            words_.emplace_back(word);
        for (auto& word : words_)
            pointers_.push_back(word.data());
    }
    operator Words() const { return pointers_; }

private:
    std::vector<std::string> words_;
    std::vector<char*> pointers_;
};

struct Parsed {
    StartOptions start;
    std::string file;
    std::optional<int> code;
};

Parsed parse_start(const Line& line) {
    Parsed parsed;
    Options options("run [OPTIONS] FILE", "Runs.");
    parsed.start.declare(options);
    options.positional("FILE", parsed.file);
    parsed.code = options.parse(line);
    return parsed;
}

TEST(StartOptionsOf, RunAreRead) {
    const auto parsed = parse_start(
        {"--rm", "-it", "-e", "A=1", "--env", "B", "--env=C=x=y", "-p", "8080:80", "--name", "web", "file.toml"});
    EXPECT_EQ(parsed.code, std::nullopt);
    EXPECT_TRUE(parsed.start.remove && parsed.start.interactive && parsed.start.terminal);
    EXPECT_THAT(parsed.start.env, ElementsAre("A=1", "B", "C=x=y"));
    EXPECT_THAT(parsed.start.publish, ElementsAre("8080:80"));
    EXPECT_EQ(parsed.start.name, "web");
    EXPECT_EQ(parsed.file, "file.toml");
}

TEST(StartOptionsOf, RunMayFollowTheFile) {
    const auto parsed = parse_start({"file.toml", "--rm", "--env", "A=1"});
    EXPECT_EQ(parsed.code, std::nullopt);
    EXPECT_TRUE(parsed.start.remove);
    EXPECT_EQ(parsed.file, "file.toml");
}

TEST(Mistakes, ExitWithTwo) {
    EXPECT_EQ(parse_start({}).code, 2);
    EXPECT_EQ(parse_start({"a", "b"}).code, 2);
    EXPECT_EQ(parse_start({"--nmae", "x", "file"}).code, 2);
    EXPECT_EQ(parse_start({"file", "--name"}).code, 2);
    EXPECT_EQ(parse_start({"--rm=maybe", "file"}).code, 2);
}

TEST(Help, IsNoMistake) {
    EXPECT_EQ(parse_start({"--help"}).code, 0);
    EXPECT_EQ(parse_start({"-h", "--rm"}).code, 0);
}

TEST(Numbers, AreChecked) {
    const auto parse = [](const Line& line) {
        std::optional<std::uint64_t> seconds;
        Options options("stop [OPTIONS]", "Stops.");
        options.number("-t,--time", "SECONDS", seconds, "how long");
        const auto code = options.parse(line);
        return code ? "exit " + std::to_string(*code) : seconds ? std::to_string(*seconds) : "none";
    };
    EXPECT_EQ(parse({}), "none");
    EXPECT_EQ(parse({"-t", "3"}), "3");
    EXPECT_EQ(parse({"-t3"}), "3");
    EXPECT_EQ(parse({"--time=0"}), "0");
    EXPECT_EQ(parse({"-t", "-1"}), "exit 2");
    EXPECT_EQ(parse({"-t", "x"}), "exit 2");
}

TEST(TheRest, BelongsToSomebodyElse) {
    const auto parse = [](const Line& line) {
        bool flag = false;
        std::string id;
        std::vector<std::string> rest;
        Options options("exec [OPTIONS] ID", "Executes.");
        options.flag("-i,--interactive", flag, "input").positional("ID", id).rest(rest);
        const auto code = options.parse(line);
        std::string out = code ? "exit " + std::to_string(*code) : (flag ? "-i " : "") + id + ":";
        for (const auto& word : rest)
            out += " " + word;
        return out;
    };
    EXPECT_EQ(parse({"-i", "web", "ls", "-i", "--long", "--", "x"}), "-i web: ls -i --long -- x");
    EXPECT_EQ(parse({"web", "--", "ls", "-i"}), "web: ls -i");
    EXPECT_EQ(parse({"web", "--", "-i"}), "web: -i");
    EXPECT_EQ(parse({"web", "ls", "--help"}), "web: ls --help");
    EXPECT_EQ(parse({"web"}), "web:");
    EXPECT_EQ(parse({}), "exit 2");
}

TEST(TheLine, IsSplitAtTheFirstDoubleDash) {
    const Line line{"--rm", "file", "--", "a", "--", "b"};
    const auto split = split_words(line);
    EXPECT_EQ(split.ours.size(), 2U);
    EXPECT_EQ(split.payload.size(), 3U);
    EXPECT_TRUE(split.split);
    const Line plain{"file"};
    EXPECT_FALSE(split_words(plain).split);
}

const char* environment(const char* name) {
    return std::string_view(name) == "OURS" ? "mine" : nullptr;
}

TEST(Applying, SetsVariablesPortsNameAndArguments) {
    Squishfile file;
    file.env = {{"A", "old"}, {"B", "kept"}};
    file.run.emplace().args = {"old"};
    StartOptions start;
    start.env = {"A=new", "C=x=y", "OURS", "NOBODYS", "EMPTY="};
    start.publish = {"8080:80", "0.0.0.0:53:53/udp"};
    start.name = "web";
    start.args = {"one"};
    start.has_args = true;
    ASSERT_TRUE(apply(start, file, environment));
    EXPECT_EQ(file.env, (std::vector<std::pair<std::string, std::string>>{
                            {"A", "new"}, {"B", "kept"}, {"C", "x=y"}, {"OURS", "mine"}, {"EMPTY", ""}}));
    ASSERT_EQ(file.ports.size(), 2U);
    EXPECT_EQ(to_string(file.ports[1]), "0.0.0.0:53:53/udp");
    EXPECT_EQ(file.name, "web");
    EXPECT_THAT(file.run->args, ElementsAre("one"));
}

TEST(Applying, RefusesWhatMakesNoSense) {
    const auto applied = [](auto change) {
        Squishfile file;
        StartOptions start;
        change(start);
        const auto outcome = apply(start, file, environment);
        return outcome ? std::string() : outcome.error().text();
    };
    EXPECT_THAT(applied([](auto& start) { start.env = {"=x"}; }), HasSubstr("names no variable"));
    EXPECT_THAT(applied([](auto& start) { start.publish = {"80"}; }), HasSubstr("--publish '80'"));
    EXPECT_THAT(applied([](auto& start) { start.name = "a/b"; }), HasSubstr("is no name"));
    EXPECT_THAT(applied([](auto& start) { start.with = {"de/bug=1"}; }), HasSubstr("is no layer and version"));
    EXPECT_THAT(applied([](auto& start) { start.with = {"debug=one"}; }), HasSubstr("is no layer and version"));
    EXPECT_EQ(applied([](auto& start) { start.has_args = true; }), "") << "for the command that squish puts together";
}

TEST(Applying, AddsLayersAndReplacesVersions) {
    Squishfile file;
    LayerSpec python, app;
    python.name = "python";
    python.source = LayerSpec::Source::version;
    python.version = "~3.10";
    app.name = "app";
    app.path = "/srv/app";
    file.layers = {python, app};
    StartOptions start;
    start.with = {"python=~3.11", "debug", "alpine=3.20"};
    ASSERT_TRUE(apply(start, file, environment));
    ASSERT_EQ(file.layers.size(), 4U);
    EXPECT_EQ(file.layers[0].version, "~3.11");
    EXPECT_EQ(file.layers[2].name, "debug");
    EXPECT_EQ(file.layers[2].version, "*");
    EXPECT_FALSE(file.layers[2].rootfs);
    EXPECT_TRUE(file.layers[3].rootfs) << "alpine is a rootfs where there is none";
    start.with = {"app=1"};
    const auto clash = apply(start, file, environment);
    ASSERT_FALSE(clash);
    EXPECT_EQ(clash.error().kind, ErrorKind::conflict);
}

TEST(ExitCodes, AreTheContracts) {
    EXPECT_EQ(exit_code(ErrorKind::invalid), 2);
    EXPECT_EQ(exit_code(ErrorKind::not_executable), 126);
    EXPECT_EQ(exit_code(ErrorKind::no_command), 127);
    EXPECT_EQ(exit_code(ErrorKind::start_failed), 125);
    EXPECT_EQ(exit_code(ErrorKind::unsupported), 125);
    for (const auto kind :
         {ErrorKind::not_found, ErrorKind::conflict, ErrorKind::denied, ErrorKind::unavailable, ErrorKind::system}) {
        EXPECT_EQ(exit_code(kind), 1);
        EXPECT_EQ(exit_code(kind, Doing::starting), 125);
    }
}

struct Limits {
    LimitOptions limits;
    std::vector<std::string> ids;
    std::optional<int> code;
};

Limits parse_limits(const Line& line) {
    Limits parsed;
    Options options("update [OPTIONS] ID…", "Changes.");
    parsed.limits.declare_all(options);
    options.positionals("ID", parsed.ids);
    parsed.code = options.parse(line);
    return parsed;
}

TEST(LimitOptionsOf, UpdateBecomeTheSquishfilesSpelling) {
    const auto parsed = parse_limits({"--memory",
                                      "512M",
                                      "--memory-high=400M",
                                      "--memory-low",
                                      "1M",
                                      "--swap",
                                      "0",
                                      "--cpus",
                                      "0.5",
                                      "--cpu-period",
                                      "50ms",
                                      "--cpu-burst",
                                      "10ms",
                                      "--cpu-weight",
                                      "200",
                                      "--cpuset",
                                      "0-1",
                                      "--pids",
                                      "64",
                                      "web",
                                      "db"});
    EXPECT_EQ(parsed.code, std::nullopt);
    EXPECT_TRUE(parsed.limits.given());
    EXPECT_THAT(parsed.ids, ElementsAre("web", "db"));
    EXPECT_EQ(parsed.limits.to_json(),
              Json::parse(R"({"memory": "512M", "memory_high": "400M", "memory_low": "1M", "swap": "0", "cpus": 0.5,
                  "cpu_period": "50ms", "cpu_burst": "10ms", "cpu_weight": 200, "cpuset": "0-1", "pids": 64})"));
    EXPECT_TRUE(parsed.limits.edit());
}

TEST(LimitOptionsOf, UpdateLiftWithMax) {
    const auto parsed = parse_limits({"--memory", "max", "--pids", "max", "web"});
    EXPECT_EQ(parsed.limits.to_json(), Json::parse(R"({"memory": null, "pids": null})"));
    EXPECT_THAT(parsed.limits.edit()->lifted, ElementsAre("memory", "pids"));
}

TEST(LimitOptionsOf, UpdateMayLeaveOutTheNought) {
    EXPECT_EQ(parse_limits({"--cpus", ".5", "web"}).limits.to_json(), Json::parse(R"({"cpus": 0.5})"));
}

TEST(LimitOptionsOf, UpdateSayWhatIsWrong) {
    struct Case {
        const char *option, *value, *message;
    };
    constexpr Case kCases[] = {
        {"--memory", "1Q", "'memory' '1Q' is not a size"},
        {"--memory", "0", "must not be 0"},
        {"--cpus", "much", "'cpus' must be a number"},
        {"--cpus", "0", "must be between 0.01 and 8192"},
        {"--pids", "1.5", "'pids' must be an integer"},
        {"--pids", "-1", "must be between 1 and 4194304"},
        {"--cpu-weight", "0", "must be between 1 and 10000"},
        {"--cpuset", "a", "must be a list of processors"},
        {"--cpu-period", "2s", "must be between 1ms and 1s"},
        {"--pids", "{", "'pids' must be an integer, not a string"},
        {"--memory", "\xff", "not a size"},
    };
    for (const auto& [option, value, message] : kCases) {
        SCOPED_TRACE(value);
        const auto edit = parse_limits({option, value, "web"}).limits.edit();
        ASSERT_FALSE(edit);
        EXPECT_EQ(edit.error().kind, ErrorKind::invalid);
        EXPECT_THAT(edit.error().message, HasSubstr(message));
    }
    EXPECT_FALSE(parse_limits({"web"}).limits.given());
}

TEST(LimitOptionsOf, RunReplaceThoseOfTheSquishfile) {
    auto parsed = parse_start({"--memory", "1G", "--cpus", "max", "--pids", "9", "--cpuset", "0", "file.toml"});
    auto file = *parse_toml("resources = { memory = '64M', cpus = 2, swap = 0 }");
    ASSERT_TRUE(apply(parsed.start, file, [](const char*) -> const char* { return nullptr; }));
    EXPECT_EQ(file.resources.memory, std::uint64_t{1} << 30);
    EXPECT_EQ(file.resources.cpus, std::nullopt);
    EXPECT_EQ(file.resources.swap, 0U);
    EXPECT_EQ(file.resources.pids, 9U);
    EXPECT_EQ(file.resources.cpuset, "0");
    auto strict = *parse_toml("resources = { memory_high = '2G' }");
    const auto refused = apply(parsed.start, strict, [](const char*) -> const char* { return nullptr; });
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("'memory_high' must not be more than memory"));
}

} // namespace

} // namespace squish::cli

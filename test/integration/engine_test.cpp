// The engine as a library: real keeper, stager, forwarder and containers, in temporary state and data folders.
#include "engine/engine.h"

#include "async/link.h"
#include "os/file.h"
#include "os/process.h"
#include "os/socket.h"
#include "user_network.h"
#include "wire/keeper_protocol.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

namespace squish {
namespace {

template <class T>::testing::AssertionResult succeeded(const Result<T>& result) {
    return result ? ::testing::AssertionSuccess() : ::testing::AssertionFailure() << result.error().text();
}

using namespace squish::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr auto kPatience = 30s;

// An engine with the event loop that it lives on; both end together, the engine first.
class Driven {
public:
    static EngineConfig small() {
        EngineConfig config;
        config.spare_cells = 0; // no network unless a test asks for one
        return config;
    }
    Driven() = default;
    Driven(const Driven&) = delete;
    Driven& operator=(const Driven&) = delete;
    Result<void> open(const Paths& paths, EngineConfig config = small()) {
        engine_ = TRY(await(Engine::open(loop_, paths, config)));
        return {};
    }
    // Runs the loop until the task is done.
    template <class T> Result<T> await(Task<T> task) {
        std::optional<Result<T>> result;
        asio::co_spawn(loop_, std::move(task), [&](std::exception_ptr failed, Result<T> value) {
            if (failed)
                std::rethrow_exception(failed);
            result.emplace(std::move(value));
        });
        run_until([&] { return result.has_value(); });
        if (!result)
            return fail(ErrorKind::unavailable, "no answer within the patience of the test");
        return std::move(*result);
    }
    bool run_until(const std::function<bool()>& condition) {
        const auto end = std::chrono::steady_clock::now() + kPatience;
        loop_.restart();
        while (!condition()) {
            if (std::chrono::steady_clock::now() > end)
                return false;
            loop_.run_one_for(10ms);
            loop_.restart();
        }
        return true;
    }
    void run_for(std::chrono::milliseconds time) {
        loop_.restart();
        loop_.run_for(time);
    }
    Engine* operator->() { return engine_.get(); }
    [[nodiscard]] pid_t keeper_pid() const {
        return nlohmann::json::parse(engine_->describe()).at("keeper_pid").get<pid_t>();
    }
    asio::io_context& loop() { return loop_; }

private:
    asio::io_context loop_;
    std::unique_ptr<Engine> engine_;
};

class EngineTest : public ::testing::Test {
protected:
    void SetUp() override {
        SKIP_AS_ROOT();
        std::string pattern = (fs::temp_directory_path() / "sqe.XXXXXX").string();
        ASSERT_TRUE(::mkdtemp(pattern.data()));
        folder_ = pattern;
        auto paths = find_paths();
        ASSERT_TRUE(paths) << paths.error().text();
        paths_ = std::move(*paths);
        paths_.state = folder_ + "/squish";
        paths_.data = folder_ + "/data";
        paths_.config = folder_ + "/config";
        paths_.socket = paths_.state + "/squishd.sock";
        testbin_ = std::string(SQUISH_BUILD_DIR) + "/test/testbin";
    }
    void TearDown() override {
        if (folder_.empty())
            return;
        if (const auto keeper = keeper_of_the_folder()) {
            const auto pidfd = os::open_pidfd(*keeper);
            ::kill(*keeper, SIGKILL);
            if (pidfd) {
                EXPECT_TRUE(os::wait_ended(pidfd->get(), 10'000));
            }
        }
        std::error_code ignored;
        fs::remove_all(folder_, ignored);
    }
    // By asking the socket, as a new squishd does.
    std::optional<pid_t> keeper_of_the_folder() const {
        const auto socket = os::connect_unix(paths_.keeper_socket(), SOCK_SEQPACKET);
        if (!socket ||
            !os::send_message(socket->get(),
                              wire::keeper_message(wire::KeeperKind::hello, 1).u32(wire::kKeeperVersion).bytes()))
            return std::nullopt;
        for (;;) {
            auto message = os::receive_message(socket->get(), wire::kMaxKeeperMessage);
            if (!message || message->peer_closed)
                return std::nullopt;
            wire::Reader in(message->bytes);
            if (static_cast<wire::KeeperKind>(in.u32()) != wire::KeeperKind::hello_done)
                continue;
            (void) in.u32();
            return in.i32();
        }
    }
    // What the keeper holds, by its own account: containers that nobody forgot.
    std::set<std::string> known_to_the_keeper() const {
        std::set<std::string> ids;
        const auto socket = os::connect_unix(paths_.keeper_socket(), SOCK_SEQPACKET);
        if (!socket ||
            !os::send_message(socket->get(),
                              wire::keeper_message(wire::KeeperKind::hello, 1).u32(wire::kKeeperVersion).bytes()))
            return ids;
        for (;;) {
            auto message = os::receive_message(socket->get(), wire::kMaxKeeperMessage);
            if (!message || message->peer_closed)
                return ids;
            wire::Reader in(message->bytes);
            if (static_cast<wire::KeeperKind>(in.u32()) != wire::KeeperKind::container)
                return ids;
            (void) in.u32();
            ids.insert(in.text());
        }
    }
    Squishfile file(const std::string& toml) const {
        auto parsed = parse_toml(toml);
        EXPECT_TRUE(parsed) << render("squishfile.toml", parsed ? std::vector<Diagnostic>() : parsed.error());
        if (!parsed)
            return {};
        resolve_paths(*parsed, folder_, folder_);
        return std::move(*parsed);
    }
    // testbin as the app, with these arguments, on the built-in rootfs.
    CreateRequest testbin(const std::vector<std::string>& arguments,
                          const std::string& more = "[network]\nmode = \"none\"\n") const {
        std::string toml = "[layers]\napp = { path = \"" + testbin_ +
                           "\", target = \"/app/testbin\" }\n[run]\ncommand = \"/app/testbin\"\nargs = [";
        for (const auto& argument : arguments)
            toml += "\"" + argument + "\", ";
        CreateRequest request;
        request.file = file(toml + "]\n" + more);
        return request;
    }
    static CreateRequest named(CreateRequest request, const std::string& name) {
        request.file.name = name;
        return request;
    }
    std::size_t container_folders() const {
        std::error_code error;
        return static_cast<std::size_t>(
            std::distance(fs::directory_iterator(paths_.containers(), error), fs::directory_iterator()));
    }
    static std::size_t descriptors(pid_t pid) {
        return static_cast<std::size_t>(
            std::distance(fs::directory_iterator("/proc/" + std::to_string(pid) + "/fd"), fs::directory_iterator()));
    }
    static std::uint16_t free_port() {
        const auto probe = listen_tcp("127.0.0.1", 0);
        return static_cast<std::uint16_t>(port_of(probe.get()));
    }
    static std::string one_port(std::uint16_t host) {
        return "[[ports]]\ncontainer = 80\nhost = " + std::to_string(host) + "\n";
    }
    bool have_network() {
        if (::access("/dev/net/tun", R_OK | W_OK) == 0 && ::access("/usr/bin/slirp4netns", X_OK) == 0)
            return true;
        EXPECT_FALSE(tests_must_run()) << "slirp4netns or /dev/net/tun is missing";
        return false;
    }

    std::string folder_, testbin_;
    Paths paths_;
};

TEST_F(EngineTest, CreatesListsWaitsAndRemoves) {
    Driven engine;
    MUST_VOID(engine.open(paths_));
    EXPECT_THAT(engine->list(true), IsEmpty());
    const auto id = MUST(engine.await(engine->create(named(testbin({"sleep", "0.3"}), "web"))));
    auto info = MUST(engine->inspect(id));
    EXPECT_EQ(info.name, "web");
    EXPECT_EQ(info.state, ContainerState::running);
    EXPECT_GT(info.pid, 0);
    EXPECT_GE(info.started_at, info.created_at);
    EXPECT_EQ(info.command, "/app/testbin sleep 0.3");
    EXPECT_EQ(info.network_mode, "none");
    EXPECT_FALSE(info.exit);
    EXPECT_EQ(engine->list(false).size(), 1U);
    EXPECT_EQ(engine->running_count(), 1U);
    EXPECT_EQ(MUST(engine->find("web")), id);
    EXPECT_EQ(MUST(engine->find(id.substr(0, 6))), id);
    const auto early = engine.await(engine->remove(id, false));
    ASSERT_FALSE(early);
    EXPECT_EQ(early.error().kind, ErrorKind::conflict);
    const auto exit = MUST(engine.await(engine->wait(id)));
    EXPECT_EQ(exit.code, 0);
    EXPECT_EQ(exit.reason, "exited");
    EXPECT_THAT(engine->list(false), IsEmpty());
    info = MUST(engine->inspect(id));
    EXPECT_EQ(info.state, ContainerState::exited);
    EXPECT_EQ(info.pid, 0);
    EXPECT_GE(info.exited_at, info.started_at);
    MUST_VOID(engine.await(engine->remove(id, false)));
    EXPECT_THAT(engine->list(true), IsEmpty());
    EXPECT_EQ(container_folders(), 0U);
    EXPECT_FALSE(engine->find("web"));
    EXPECT_EQ(MUST(engine.await(engine->wait(id))).code, 0) << "a late question";
    EXPECT_TRUE(engine.run_until([&] { return known_to_the_keeper().empty(); }));
}

TEST_F(EngineTest, TellsHowContainersEnded) {
    Driven engine;
    MUST_VOID(engine.open(paths_));
    const auto end_of = [&](const std::vector<std::string>& arguments) {
        const auto id = engine.await(engine->create(testbin(arguments)));
        EXPECT_TRUE(id) << id.error().text();
        const auto exit = engine.await(engine->wait(id ? *id : ""));
        EXPECT_TRUE(exit);
        return exit ? *exit : ExitInfo{};
    };
    EXPECT_EQ(end_of({"exit", "0"}).code, 0);
    EXPECT_EQ(end_of({"exit", "42"}).code, 42);
    EXPECT_EQ(end_of({"exit", "255"}).code, 255);
    const auto raised = end_of({"raise", "11"});
    EXPECT_EQ(raised.code, 139);
    EXPECT_EQ(raised.signal, 11);
    EXPECT_EQ(raised.reason, "signaled");
}

TEST_F(EngineTest, StopAsksFirstAndKillsThen) {
    Driven engine;
    MUST_VOID(engine.open(paths_));
    const auto obeys = MUST(engine.await(engine->create(testbin({"sleep", "600"}))));
    auto began = std::chrono::steady_clock::now();
    MUST_VOID(engine.await(engine->stop(obeys, 10s)));
    EXPECT_LT(std::chrono::steady_clock::now() - began, 2s);
    EXPECT_EQ(MUST(engine->inspect(obeys)).exit->code, 143);
    MUST_VOID(engine.await(engine->stop(obeys, 10s)));

    auto request = testbin({"ignore-term", "600"});
    int out[2];
    ASSERT_EQ(::pipe2(out, O_CLOEXEC), 0);
    const UniqueFd reader(out[0]);
    request.io.out = UniqueFd(out[1]);
    const auto stubborn = MUST(engine.await(engine->create(std::move(request))));
    char ready[6] = {};
    ASSERT_EQ(::read(reader.get(), ready, sizeof ready), 6) << "it ignores the signal from here on";
    began = std::chrono::steady_clock::now();
    MUST_VOID(engine.await(engine->stop(stubborn, 300ms)));
    EXPECT_GE(std::chrono::steady_clock::now() - began, 300ms);
    const auto exit = *MUST(engine->inspect(stubborn)).exit;
    EXPECT_EQ(exit.code, 137);
    EXPECT_EQ(exit.reason, "killed");
    const auto killed = MUST(engine.await(engine->create(testbin({"sleep", "600"}))));
    EXPECT_FALSE(engine.await(engine->kill(killed, SIGSTOP))) << "it would stop init, not the payload";
    MUST_VOID(engine.await(engine->kill(killed, SIGUSR1)));
    EXPECT_EQ(MUST(engine.await(engine->wait(killed))).signal, SIGUSR1);
    EXPECT_FALSE(engine.await(engine->kill(killed, SIGTERM)));
    const auto forced = MUST(engine.await(engine->create(testbin({"sleep", "600"}))));
    MUST_VOID(engine.await(engine->remove(forced, true)));
    EXPECT_FALSE(engine->inspect(forced));
}

TEST_F(EngineTest, NamesAreUniqueAndPrefixesMustBe) {
    Driven engine;
    MUST_VOID(engine.open(paths_));
    (void) MUST(engine.await(engine->create(named(testbin({"sleep", "600"}), "web-one"))));
    (void) MUST(engine.await(engine->create(named(testbin({"sleep", "600"}), "web-two"))));
    const auto taken = engine.await(engine->create(named(testbin({"true"}), "web-one")));
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().kind, ErrorKind::conflict);
    EXPECT_THAT(taken.error().message, HasSubstr("'web-one' is taken"));
    const auto ambiguous = engine->find("web");
    ASSERT_FALSE(ambiguous);
    EXPECT_EQ(ambiguous.error().kind, ErrorKind::conflict);
    EXPECT_THAT(ambiguous.error().message, AllOf(HasSubstr("web-one"), HasSubstr("web-two")));
    EXPECT_EQ(engine->find("nobody").error().kind, ErrorKind::not_found);
    EXPECT_EQ(engine->find("").error().kind, ErrorKind::not_found);
    EXPECT_EQ(engine.await(engine->wait("nobody")).error().kind, ErrorKind::not_found);
    EXPECT_EQ(engine.await(engine->remove("nobody", true)).error().kind, ErrorKind::not_found);
}

TEST_F(EngineTest, FailingStartsLeaveNothing) {
    Driven engine;
    MUST_VOID(engine.open(paths_));
    (void) MUST(engine.await(engine->create(named(testbin({"true"}), "warm"))));
    (void) engine.await(engine->wait(MUST(engine->find("warm"))));
    (void) engine.await(engine->remove(MUST(engine->find("warm")), true));
    EXPECT_TRUE(engine.run_until([&] { return known_to_the_keeper().empty(); }));
    const auto keeper = engine.keeper_pid();
    const auto ours = descriptors(::getpid()), its = descriptors(keeper);
    fs::create_directories(folder_ + "/layer");
    std::ofstream(folder_ + "/plain") << "no program";
    const std::string none = "[network]\nmode = \"none\"\n";
    struct Case {
        std::string toml;
        ErrorKind kind;
        std::string said;
    };
    const Case cases[] = {
        {"[run]\ncommand = \"/no/such/program\"\n" + none, ErrorKind::no_command, "'/no/such/program'"},
        {"[run]\ncommand = \"no-such-program\"\n" + none, ErrorKind::no_command, "'no-such-program'"},
        {"[run]\ncommand = \"/etc\"\n" + none, ErrorKind::not_executable, "'/etc'"},
        {"[layers]\nx = { path = \"./plain\", target = \"/x\" }\n[run]\ncommand = \"/x\"\n" + none,
         ErrorKind::not_executable, "'/x'"},
        {"[run]\ncommand = \"/bin/sh\"\nworkdir = \"/no/such/folder\"\n" + none, ErrorKind::start_failed,
         "'/no/such/folder'"},
        {"[layers]\nx = { path = \"./missing\", target = \"/x\" }\n[run]\ncommand = \"/bin/sh\"\n" + none,
         ErrorKind::start_failed, "[layers] x"},
        {"[layers]\nx = { path = \"./layer\", target = \"/etc/passwd\" }\n[run]\ncommand = \"/bin/sh\"\n" + none,
         ErrorKind::invalid, "/etc/passwd"},
        {"[layers]\nroot = { path = \"./missing\", rootfs = true }\n[run]\ncommand = \"/bin/sh\"\n" + none,
         ErrorKind::start_failed, "missing"},
        {"[layers]\nroot = { path = \"./plain\", rootfs = true }\n[run]\ncommand = \"/bin/sh\"\n" + none,
         ErrorKind::start_failed, "plain"},
        {"[layers]\napp = \"./layer\"\n" + none, ErrorKind::invalid, "no executable file"},
    };
    for (int round = 0; round < 2; ++round)
        for (const auto& [toml, kind, said] : cases) {
            CreateRequest request;
            request.file = file("name = \"failing\"\n" + toml);
            const auto id = engine.await(engine->create(std::move(request)));
            ASSERT_FALSE(id) << toml;
            EXPECT_EQ(id.error().kind, kind) << toml << id.error().text();
            EXPECT_THAT(id.error().message, HasSubstr(said)) << toml;
            EXPECT_THAT(engine->list(true), IsEmpty());
            EXPECT_FALSE(engine->find("failing"));
            EXPECT_EQ(container_folders(), 0U) << toml;
        }
    EXPECT_TRUE(engine.run_until([&] { return known_to_the_keeper().empty(); }));
    EXPECT_TRUE(engine.run_until([&] { return descriptors(keeper) <= its && descriptors(::getpid()) <= ours + 1; }))
        << "keeper: " << descriptors(keeper) << " instead of " << its << "; we: " << descriptors(::getpid())
        << " instead of " << ours;
    EXPECT_TRUE(succeeded(engine.await(engine->create(named(testbin({"true"}), "failing"))))) << "and the name is free";
}

TEST_F(EngineTest, WhatCouldNotBeReadBackIsNotStarted) {
    Driven engine;
    MUST_VOID(engine.open(paths_));
    // A valid squishfile of 700 KB that consists of quotes is twice as long in JSON, and so too long for the record.
    auto request = testbin({"sleep", "600"});
    for (int i = 0; i < 6; ++i)
        request.file.env.emplace_back("V" + std::to_string(i), std::string(115'000, '"'));
    const auto id = engine.await(engine->create(std::move(request)));
    ASSERT_FALSE(id);
    EXPECT_EQ(id.error().kind, ErrorKind::invalid);
    EXPECT_EQ(container_folders(), 0U);
}

TEST_F(EngineTest, WhoWaitsForAStartThatFailsIsTold) {
    Driven engine;
    MUST_VOID(engine.open(paths_));
    std::optional<Result<ExitInfo>> waited;
    CreateRequest request;
    request.file = file("name = \"failing\"\n[run]\ncommand = \"/no/such/program\"\n[network]\nmode = \"none\"\n");
    std::optional<Result<std::string>> created;
    asio::co_spawn(engine.loop(), engine->create(std::move(request)),
                   [&](const std::exception_ptr&, Result<std::string> id) { created.emplace(std::move(id)); });
    engine.run_until([&] { return created.has_value() || engine->find("failing").has_value(); });
    ASSERT_FALSE(created) << "it can be found while it is being started";
    const auto id = MUST(engine->find("failing"));
    asio::co_spawn(engine.loop(), engine->wait(id),
                   [&](const std::exception_ptr&, Result<ExitInfo> exit) { waited.emplace(std::move(exit)); });
    EXPECT_TRUE(engine.run_until([&] { return created && waited; }));
    ASSERT_TRUE(created);
    EXPECT_FALSE(*created);
    ASSERT_TRUE(waited) << "wait hangs";
    EXPECT_TRUE(!*waited || (*waited)->code == 125);
}

TEST_F(EngineTest, ANewEngineFindsWhatRunsAndWhatEndedMeanwhile) {
    std::string runs, ended, removed;
    pid_t pid = 0, keeper = 0;
    {
        Driven engine;
        MUST_VOID(engine.open(paths_));
        runs = MUST(engine.await(engine->create(named(testbin({"sleep", "600"}), "runs"))));
        ended = MUST(engine.await(engine->create(named(testbin({"exit", "7"}), "ended"))));
        auto request = named(testbin({"sleep", "0.4"}), "removed");
        request.remove_on_exit = true;
        removed = MUST(engine.await(engine->create(std::move(request))));
        (void) engine.await(engine->wait(ended));
        engine.run_for(100ms);
        pid = MUST(engine->inspect(runs)).pid;
        keeper = engine.keeper_pid();
    }
    std::this_thread::sleep_for(600ms); // "removed" ends while nobody is there
    Driven engine;
    MUST_VOID(engine.open(paths_));
    EXPECT_EQ(engine.keeper_pid(), keeper);
    const auto info = MUST(engine->inspect(runs));
    EXPECT_EQ(info.state, ContainerState::running);
    EXPECT_EQ(info.pid, pid);
    EXPECT_EQ(info.name, "runs");
    EXPECT_EQ(::kill(pid, 0), 0);
    EXPECT_EQ(MUST(engine.await(engine->wait(ended))).code, 7);
    EXPECT_TRUE(engine.run_until([&] { return !engine->inspect(removed); }));
    EXPECT_TRUE(engine.run_until([&] { return container_folders() == 2; })) << "its folder went with it";
    MUST_VOID(engine.await(engine->stop(runs, 5s)));
    EXPECT_EQ(MUST(engine.await(engine->wait(runs))).code, 143);
    EXPECT_TRUE(engine.run_until([&] { return known_to_the_keeper().empty(); })) << "nothing is kept twice";
}

TEST_F(EngineTest, AStartThatIsCutShortIsNeverHalfDone) {
    std::mt19937 random(5); // NOLINT: the same every time, on purpose
    for (int round = 0; round < 25; ++round) {
        {
            Driven engine;
            MUST_VOID(engine.open(paths_));
            asio::co_spawn(engine.loop(), engine->create(testbin({"sleep", "600"})),
                           [](const std::exception_ptr&, Result<std::string>) {});
            const auto steps = random() % 40;
            engine.loop().restart();
            for (unsigned i = 0; i < steps; ++i)
                if (engine.loop().run_one_for(20ms) == 0)
                    break;
        } // squishd ends here, wherever that is
        Driven next;
        MUST_VOID(next.open(paths_));
        // Everything that the keeper knows is known by name, or is gone soon.
        EXPECT_TRUE(next.run_until([&] {
            for (const auto& id : known_to_the_keeper())
                if (!next->inspect(id))
                    return false;
            return true;
        })) << round;
        for (const auto& info : next->list(true))
            MUST_VOID(next.await(next->remove(info.id, true)));
        EXPECT_TRUE(next.run_until([&] { return container_folders() == 0; })) << round;
    }
    // No init of theirs is left: the keeper has its twin, its stager and the servers of /proc, no more.
    const auto keeper = keeper_of_the_folder();
    ASSERT_TRUE(keeper);
    EXPECT_TRUE(eventually([&] {
        const auto children =
            test::read_file("/proc/" + std::to_string(*keeper) + "/task/" + std::to_string(*keeper) + "/children");
        return std::ranges::count(children, ' ') <= 4;
    }));
}

TEST_F(EngineTest, OnlyOneEngineAtATime) {
    Driven first;
    MUST_VOID(first.open(paths_));
    Driven second;
    const auto refused = second.open(paths_);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::conflict);
    EXPECT_TRUE(first.await(first->create(testbin({"true"}))));
}

TEST_F(EngineTest, ManyStartsAtOnce) {
    Driven engine;
    MUST_VOID(engine.open(paths_));
    constexpr int kMany = 30;
    std::vector<Result<std::string>> done;
    for (int i = 0; i < kMany; ++i)
        asio::co_spawn(engine.loop(), engine->create(testbin({"exit", std::to_string(i)})),
                       [&](const std::exception_ptr&, Result<std::string> id) { done.push_back(std::move(id)); });
    ASSERT_TRUE(engine.run_until([&] { return done.size() == kMany; }));
    std::multiset<int> codes, expected;
    for (int i = 0; i < kMany; ++i) {
        ASSERT_TRUE(done[static_cast<std::size_t>(i)]) << done[static_cast<std::size_t>(i)].error().text();
        codes.insert(MUST(engine.await(engine->wait(*done[static_cast<std::size_t>(i)]))).code);
        expected.insert(i);
    }
    EXPECT_EQ(codes, expected);
}

TEST_F(EngineTest, StartsLeaveNoDescriptorsBehind) {
    Driven engine;
    MUST_VOID(engine.open(paths_));
    const auto rounds = [&](int count) {
        for (int i = 0; i < count; ++i) {
            auto request = testbin({"exit", "3"});
            request.remove_on_exit = true;
            const auto id = MUST(engine.await(engine->create(std::move(request))));
            EXPECT_EQ(MUST(engine.await(engine->wait(id))).code, 3);
        }
        engine.run_until([&] { return known_to_the_keeper().empty() && container_folders() == 0; });
    };
    rounds(5);
    const auto keeper = engine.keeper_pid();
    const auto ours = descriptors(::getpid()), its = descriptors(keeper);
    rounds(60);
    EXPECT_TRUE(engine.run_until([&] { return descriptors(::getpid()) <= ours && descriptors(keeper) <= its; }))
        << "we: " << ours << " -> " << descriptors(::getpid()) << "; the keeper: " << its << " -> "
        << descriptors(keeper);
    EXPECT_EQ(container_folders(), 0U);
}

TEST_F(EngineTest, LogsAndAttachedStreams) {
    Driven engine;
    MUST_VOID(engine.open(paths_));
    const auto id = MUST(engine.await(engine->create(testbin({"lines", "3"}))));
    (void) MUST(engine.await(engine->wait(id)));
    const auto info = MUST(engine->inspect(id));
    EXPECT_FALSE(info.attached);
    EXPECT_EQ(test::read_file(info.stdout_log), "line 1\nline 2\nline 3\n");
    EXPECT_EQ(test::read_file(info.stderr_log), "");
    int out[2], in[2];
    ASSERT_EQ(::pipe2(out, O_CLOEXEC), 0);
    ASSERT_EQ(::pipe2(in, O_CLOEXEC), 0);
    const UniqueFd reader(out[0]);
    UniqueFd writer(in[1]);
    auto request = testbin({"stdin"});
    request.io.out = UniqueFd(out[1]);
    request.io.in = UniqueFd(in[0]);
    const auto attached = MUST(engine.await(engine->create(std::move(request))));
    ASSERT_EQ(::write(writer.get(), "through\n", 8), 8);
    writer.reset();
    EXPECT_EQ(MUST(os::read_all(reader.get())), "through\n") << "and the engine does not hold the pipe open";
    EXPECT_EQ(MUST(engine.await(engine->wait(attached))).code, 0);
    const auto half = MUST(engine->inspect(attached));
    EXPECT_TRUE(half.attached);
    EXPECT_EQ(half.stdout_log, "");
}

TEST_F(EngineTest, AnotherUserReadsWhatEverybodyMayRead) {
    const auto old = ::umask(077); // squishd's
    Driven engine;
    const auto opened = engine.open(paths_);
    auto request = testbin({"cat", "/etc/hosts", "/etc/hostname", "/etc/passwd"});
    request.file.run->user = UserSpec{1000, 1000};
    auto id = engine.await(engine->create(std::move(request)));
    ::umask(old);
    MUST_VOID(opened);
    if (!id && id.error().message.contains("only one id"))
        return; // no range of ids here
    ASSERT_TRUE(id) << id.error().text();
    EXPECT_EQ(MUST(engine.await(engine->wait(*id))).code, 0);
    const auto info = MUST(engine->inspect(*id));
    EXPECT_THAT(test::read_file(info.stdout_log),
                AllOf(HasSubstr("localhost"), HasSubstr(info.name + "\n"), HasSubstr("root:")));
    EXPECT_EQ(test::read_file(info.stderr_log), "");
}

TEST_F(EngineTest, ExecRunsInsideAndIsToldApart) {
    Driven engine;
    MUST_VOID(engine.open(paths_));
    const auto id = MUST(engine.await(
        engine->create(testbin({"sleep", "600"}, "[env]\nA = \"1\"\nB = \"2\"\n[network]\nmode = \"none\"\n"))));
    const auto exec = [&](ExecRequest request) { return engine.await(engine->exec(id, std::move(request))); };
    const auto command = [](std::vector<std::string> words) {
        ExecRequest request;
        request.command = std::move(words);
        return request;
    };
    int out[2];
    ASSERT_EQ(::pipe2(out, O_CLOEXEC), 0);
    const UniqueFd reader(out[0]);
    auto request = command({"/app/testbin", "env"});
    request.env = {{"B", "3"}, {"C", "4"}};
    request.io.out = UniqueFd(out[1]);
    const auto handle = MUST(exec(std::move(request)));
    EXPECT_EQ(MUST(engine.await(engine->wait_exec(handle))).code, 0);
    EXPECT_THAT(MUST(os::read_all(reader.get())),
                AllOf(HasSubstr("A=1\n"), HasSubstr("B=3\n"), HasSubstr("C=4\n"), Not(HasSubstr("B=2"))));
    for (const int code : {0, 9}) {
        const auto one = MUST(exec(command({"/app/testbin", "exit", std::to_string(code)})));
        EXPECT_EQ(MUST(engine.await(engine->wait_exec(one))).code, code);
        EXPECT_EQ(MUST(engine.await(engine->wait_exec(one))).code, code) << "asked again";
    }
    EXPECT_EQ(exec(command({"no-such-program"})).error().kind, ErrorKind::no_command);
    EXPECT_EQ(exec(command({"/etc"})).error().kind, ErrorKind::not_executable);
    EXPECT_EQ(exec(command({})).error().kind, ErrorKind::invalid);
    auto nowhere = command({"/app/testbin", "true"});
    nowhere.workdir = "/no/such/folder";
    EXPECT_THAT(exec(std::move(nowhere)).error().message, HasSubstr("/no/such/folder"));
    const auto sleeping = MUST(exec(command({"/app/testbin", "sleep", "600"})));
    MUST_VOID(engine.await(engine->kill_exec(sleeping, SIGINT)));
    EXPECT_EQ(MUST(engine.await(engine->wait_exec(sleeping))).code, 130);
    const auto last = MUST(exec(command({"/app/testbin", "sleep", "600"})));
    MUST_VOID(engine.await(engine->stop(id, 5s)));
    EXPECT_EQ(MUST(engine.await(engine->wait_exec(last))).code, 137) << "it ends with its container";
    EXPECT_EQ(exec(command({"/app/testbin", "true"})).error().kind, ErrorKind::conflict);
    EXPECT_EQ(engine.await(engine->wait_exec("nobody")).error().kind, ErrorKind::not_found);
    EXPECT_FALSE(engine.await(engine->kill_exec("nobody", SIGTERM)));
}

TEST_F(EngineTest, AKeeperThatDiesIsToldAndReplaced) {
    Driven engine;
    MUST_VOID(engine.open(paths_));
    const auto id = MUST(engine.await(engine->create(named(testbin({"sleep", "600"}), "web"))));
    const auto keeper = engine.keeper_pid();
    ASSERT_EQ(::kill(keeper, SIGKILL), 0);
    const auto exit = MUST(engine.await(engine->wait(id)));
    EXPECT_EQ(exit.reason, "keeper-lost");
    EXPECT_EQ(exit.code, 137);
    const auto next = MUST(engine.await(engine->create(testbin({"exit", "4"}))));
    EXPECT_EQ(MUST(engine.await(engine->wait(next))).code, 4);
    EXPECT_NE(engine.keeper_pid(), keeper);
    MUST_VOID(engine.await(engine->remove(id, false)));
}

TEST_F(EngineTest, AKeeperThatDiedWhileNobodyWasThereIsNoticed) {
    std::string id;
    {
        Driven engine;
        MUST_VOID(engine.open(paths_));
        id = MUST(engine.await(engine->create(testbin({"sleep", "600"}))));
        engine.run_for(100ms);
        ASSERT_EQ(::kill(engine.keeper_pid(), SIGKILL), 0);
    }
    Driven engine;
    MUST_VOID(engine.open(paths_));
    EXPECT_EQ(MUST(engine.await(engine->wait(id))).reason, "keeper-lost");
    EXPECT_TRUE(succeeded(engine.await(engine->create(testbin({"true"})))));
}

TEST_F(EngineTest, ALostConnectionIsNoLostKeeper) {
    Driven engine;
    MUST_VOID(engine.open(paths_));
    const auto id = MUST(engine.await(engine->create(testbin({"sleep", "600"}))));
    const auto pid = MUST(engine->inspect(id)).pid;
    // The engine's socket to the keeper breaks, as it does when the keeper hangs up on somebody who does not read.
    const auto keeper_socket = [&]() -> int {
        for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
            const int fd = std::atoi(entry.path().filename().c_str());
            sockaddr_un peer{};
            socklen_t length = sizeof peer;
            if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length) == 0 && peer.sun_family == AF_UNIX &&
                peer.sun_path == paths_.keeper_socket())
                return fd;
        }
        return -1;
    }();
    ASSERT_GE(keeper_socket, 0);
    ASSERT_EQ(::shutdown(keeper_socket, SHUT_RDWR), 0);
    engine.run_for(2s);
    const auto info = MUST(engine->inspect(id));
    EXPECT_EQ(info.state, ContainerState::running);
    EXPECT_FALSE(info.exit);
    EXPECT_EQ(info.pid, pid);
    EXPECT_EQ(::kill(pid, 0), 0);
    std::optional<Result<ExitInfo>> waited;
    asio::co_spawn(engine.loop(), engine->wait(id),
                   [&](const std::exception_ptr&, Result<ExitInfo> exit) { waited.emplace(std::move(exit)); });
    engine.run_for(200ms);
    EXPECT_FALSE(waited) << "it runs";
    MUST_VOID(engine.await(engine->kill(id, SIGTERM)));
    EXPECT_TRUE(engine.run_until([&] { return waited.has_value(); }));
    EXPECT_TRUE(waited && *waited && (*waited)->code == 143);
    EXPECT_TRUE(succeeded(engine.await(engine->create(testbin({"true"})))));
}

TEST_F(EngineTest, AStagerThatDiesIsReplaced) {
    Driven engine;
    MUST_VOID(engine.open(paths_));
    for (int round = 0; round < 3; ++round) {
        const auto id = MUST(engine.await(engine->create(testbin({"sleep", "600"}))));
        for (const auto& entry : fs::directory_iterator("/proc"))
            if (test::read_file(entry.path().string() + "/comm") == "squish-stager\n" &&
                test::read_file(entry.path().string() + "/status")
                    .contains("PPid:\t" + std::to_string(engine.keeper_pid()) + "\n"))
                ::kill(std::atoi(entry.path().filename().c_str()), SIGKILL);
        EXPECT_TRUE(succeeded(engine.await(engine->create(testbin({"true"}))))) << round;
        EXPECT_EQ(MUST(engine->inspect(id)).state, ContainerState::running);
    }
}

TEST_F(EngineTest, DamagedAndForeignStateIsCleanedUp) {
    {
        Driven engine;
        MUST_VOID(engine.open(paths_));
    }
    const auto put = [&](const std::string& id, const std::string& text) {
        fs::create_directories(paths_.containers() + "/" + id);
        std::ofstream(paths_.containers() + "/" + id + "/state.json") << text;
    };
    put("damaged", "{\"version\":1,");
    put("other-version", "{\"version\":99}");
    put("empty", "");
    fs::create_directories(paths_.containers() + "/without");
    std::ofstream(paths_.containers() + "/file") << "x";
    Driven engine;
    MUST_VOID(engine.open(paths_));
    EXPECT_THAT(engine->list(true), IsEmpty());
    EXPECT_EQ(container_folders(), 0U);
    EXPECT_TRUE(succeeded(engine.await(engine->create(testbin({"true"})))));
}

TEST_F(EngineTest, ShutsDownAllTogetherAndRemembersHow) {
    std::vector<std::string> ids;
    {
        Driven engine;
        MUST_VOID(engine.open(paths_));
        EXPECT_TRUE(succeeded(engine.await(engine->create(named(testbin({"exit", "6"}), "before")))));
        ids.push_back(MUST(engine.await(engine->create(testbin({"sleep", "600"})))));
        ids.push_back(MUST(engine.await(engine->create(testbin({"sleep", "600"})))));
        const auto keeper = MUST(os::open_pidfd(engine.keeper_pid()));
        const auto began = std::chrono::steady_clock::now();
        MUST_VOID(engine.await(engine->shut_down(true)));
        EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
        EXPECT_TRUE(os::wait_ended(keeper.get(), 5000));
        EXPECT_EQ(engine.await(engine->create(testbin({"true"}))).error().kind, ErrorKind::unavailable);
    } // the loop does not run any more
    Driven engine;
    MUST_VOID(engine.open(paths_));
    for (const auto& id : ids) {
        const auto exit = MUST(engine.await(engine->wait(id)));
        EXPECT_EQ(exit.code, 143);
        EXPECT_EQ(exit.reason, "signaled");
    }
    const auto before = MUST(engine->find("before"));
    EXPECT_EQ(MUST(engine.await(engine->wait(before))).code, 6);
}

TEST_F(EngineTest, TheEndOfAnEngineIsNotTheEndOfItsContainers) {
    std::string id;
    {
        Driven engine;
        MUST_VOID(engine.open(paths_));
        id = MUST(engine.await(engine->create(testbin({"sleep", "600"}))));
        MUST_VOID(engine.await(engine->shut_down(false)));
        EXPECT_FALSE(engine.await(engine->create(testbin({"true"}))));
    }
    Driven engine;
    MUST_VOID(engine.open(paths_));
    EXPECT_EQ(MUST(engine->inspect(id)).state, ContainerState::running);
    MUST_VOID(engine.await(engine->remove(id, true)));
    const auto keeper = MUST(os::open_pidfd(engine.keeper_pid()));
    MUST_VOID(engine.await(engine->shut_down(false)));
    EXPECT_TRUE(os::wait_ended(keeper.get(), 5000)) << "nothing runs: nothing is needed";
}

TEST_F(EngineTest, StubbornContainersShareOneDeadlineAtTheEnd) {
    Driven engine;
    MUST_VOID(engine.open(paths_));
    for (int i = 0; i < 3; ++i) {
        auto request = testbin({"ignore-term", "600"});
        int out[2];
        ASSERT_EQ(::pipe2(out, O_CLOEXEC), 0);
        const UniqueFd reader(out[0]);
        request.io.out = UniqueFd(out[1]);
        (void) MUST(engine.await(engine->create(std::move(request))));
        char ready[6] = {};
        ASSERT_EQ(::read(reader.get(), ready, sizeof ready), 6);
    }
    const auto began = std::chrono::steady_clock::now();
    MUST_VOID(engine.await(engine->shut_down(true)));
    EXPECT_LT(std::chrono::steady_clock::now() - began, 15s);
}

TEST_F(EngineTest, AnEngineWithMoreDescriptorsThanItsKeeperCanStartContainers) {
    in_child([&] { // a session with a low limit starts the keeper
        const rlimit low{4096, 4096};
        ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
        Driven engine;
        MUST_VOID(engine.open(paths_));
        EXPECT_TRUE(succeeded(engine.await(engine->create(testbin({"true"})))));
    });
    rlimit ours{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &ours), 0);
    ASSERT_GT(ours.rlim_max, 4096U);
    Driven engine;
    MUST_VOID(engine.open(paths_));
    const auto id = engine.await(engine->create(testbin({"true"})));
    EXPECT_TRUE(id) << id.error().text();
}

TEST_F(EngineTest, ASpoiltProcIsNamedWithTheRemedy) {
    in_child([&] {
        enter_user_namespace(CLONE_NEWNS);
        ASSERT_EQ(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
        ASSERT_EQ(::mount("none", "/proc/driver", "tmpfs", 0, nullptr), 0) << std::strerror(errno);
        Driven engine;
        MUST_VOID(engine.open(paths_));
        for (int i = 0; i < 3; ++i) {
            const auto id = engine.await(engine->create(testbin({"true"})));
            ASSERT_FALSE(id);
            EXPECT_THAT(id.error().message, HasSubstr("cannot mount proc: Operation not permitted"));
            EXPECT_THAT(id.error().remedy, HasSubstr("squish doctor"));
        }
    });
}

// --- with the network
// -------------------------------------------------------------------------------------------------

TEST_F(EngineTest, APortIsOpenUntilItsContainerEnds) {
    if (!have_network())
        GTEST_SKIP() << "no network";
    Driven engine;
    MUST_VOID(engine.open(paths_));
    const auto port = free_port();
    const auto id = MUST(engine.await(engine->create(testbin({"http", "80", "hello"}, one_port(port)))));
    EXPECT_FALSE(MUST(engine->inspect(id)).address.empty());
    EXPECT_TRUE(eventually([&] { return connect_tcp("127.0.0.1", port) == 0; }));
    MUST_VOID(engine.await(engine->stop(id, 5s)));
    EXPECT_TRUE(engine.run_until([&] { return connect_tcp("127.0.0.1", port) == ECONNREFUSED; }));
}

TEST_F(EngineTest, PortsOfAPayloadThatEndsAtOnceAreGivenBack) {
    if (!have_network())
        GTEST_SKIP() << "no network";
    Driven engine;
    MUST_VOID(engine.open(paths_));
    const std::uint16_t ports[] = {free_port(), free_port(), free_port()};
    for (int round = 0; round < 15; ++round) {
        std::string more;
        for (int i = 0; i <= round % 3; ++i)
            more += "[[ports]]\ncontainer = " + std::to_string(80 + i) + "\nhost = " + std::to_string(ports[i]) + "\n";
        const auto id = engine.await(engine->create(testbin({"exit", "9"}, more)));
        ASSERT_TRUE(id) << round << ": " << id.error().text() << ": it was started, and ended by itself";
        EXPECT_EQ(MUST(engine.await(engine->wait(*id))).code, 9);
        EXPECT_TRUE(engine.run_until([&] { return known_to_the_keeper().empty(); }));
    }
    EXPECT_TRUE(engine.run_until([&] {
        return std::ranges::all_of(ports, [](auto port) { return connect_tcp("127.0.0.1", port) == ECONNREFUSED; });
    })) << "somebody still listens";
}

TEST_F(EngineTest, PublishedPortsOutliveTheEngineAndTheForwarder) {
    if (!have_network())
        GTEST_SKIP() << "no network";
    const auto port = free_port();
    std::string id;
    {
        Driven engine;
        MUST_VOID(engine.open(paths_));
        id = MUST(engine.await(engine->create(testbin({"http", "80", "hello"}, one_port(port)))));
        EXPECT_TRUE(eventually([&] { return connect_tcp("127.0.0.1", port) == 0; }));
    }
    EXPECT_TRUE(eventually([&] { return connect_tcp("127.0.0.1", port) == 0; })) << "while no engine is there";
    Driven engine;
    MUST_VOID(engine.open(paths_));
    engine.run_for(300ms);
    EXPECT_TRUE(eventually([&] { return connect_tcp("127.0.0.1", port) == 0; }));
    const auto taken = engine.await(engine->create(testbin({"true"}, one_port(port))));
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().kind, ErrorKind::conflict);
    bool killed = false;
    for (const auto& entry : fs::directory_iterator("/proc"))
        if (test::read_file(entry.path().string() + "/comm") == "squish-forward\n" &&
            test::read_file(entry.path().string() + "/status")
                .contains("PPid:\t" + std::to_string(engine.keeper_pid()) + "\n"))
            killed = ::kill(std::atoi(entry.path().filename().c_str()), SIGKILL) == 0;
    ASSERT_TRUE(killed);
    engine.run_for(1s);
    EXPECT_TRUE(eventually([&] { return connect_tcp("127.0.0.1", port) == 0; }))
        << "the new forwarder has the old listener";
    MUST_VOID(engine.await(engine->remove(id, true)));
    EXPECT_TRUE(engine.run_until([&] { return connect_tcp("127.0.0.1", port) == ECONNREFUSED; }));
}

TEST_F(EngineTest, SpareCellsAreUsedAndReplaced) {
    if (!have_network())
        GTEST_SKIP() << "no network";
    Driven engine;
    EngineConfig config;
    config.spare_cells = 2;
    MUST_VOID(engine.open(paths_, config));
    engine.run_for(1s);
    std::set<std::string> addresses;
    std::vector<std::string> ids;
    for (int i = 0; i < 8; ++i) {
        ids.push_back(MUST(engine.await(engine->create(testbin({"sleep", "600"}, "")))));
        addresses.insert(MUST(engine->inspect(ids.back())).address);
    }
    EXPECT_EQ(addresses.size(), ids.size()) << "nobody shares an address";
    // Spare cells that were killed by somebody are not handed out.
    engine.run_for(500ms);
    const auto keeper = std::to_string(engine.keeper_pid());
    for (const auto& entry : fs::directory_iterator("/proc")) {
        const auto base = entry.path().string();
        if (test::read_file(base + "/comm") == "squish-init\n" &&
            test::read_file(base + "/status").contains("PPid:\t" + keeper + "\n") &&
            std::ranges::none_of(ids, [&](const auto& id) {
                return std::to_string(engine->inspect(id)->pid) == entry.path().filename().string();
            }))
            ::kill(std::atoi(entry.path().filename().c_str()), SIGKILL);
    }
    for (int i = 0; i < 3; ++i)
        EXPECT_TRUE(succeeded(engine.await(engine->create(testbin({"true"}, "")))));
}

} // namespace
} // namespace squish

#include "served.h"

#include <fcntl.h>
#include <fstream>
#include <gmock/gmock.h>
#include <sys/stat.h>

namespace squish::daemon {

namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using Routes = Served;

constexpr auto kFile = R"({"squishfile": {"name": "web", "layers": {"app": "/bin/true"}}})";

TEST_F(Routes, AnswersItsVersion) {
    const auto answer = ask("GET", "/v1/version");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(answer, HasSubstr(R"("api":"v1")"));
}

TEST_F(Routes, DescribesAnUnknownPathAsAnError) {
    const auto answer = ask("GET", "/v1/nonsense");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 404"));
    EXPECT_THAT(answer, HasSubstr(R"({"error":{"kind":"not_found","message":"no such route: '/v1/nonsense'")"));
}

TEST_F(Routes, NamesTheMethodsThatAPathAllows) {
    const auto answer = ask("PUT", "/v1/containers");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 405"));
    EXPECT_THAT(answer, HasSubstr("Allow: POST, GET\r\n"));
}

TEST_F(Routes, RefusesAnUnknownQueryParameter) {
    const auto answer = ask("GET", "/v1/containers?al=true");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 400"));
    EXPECT_THAT(answer, HasSubstr("did you mean 'all'?"));
}

TEST_F(Routes, CreatesAContainer) {
    const auto answer = ask("POST", "/v1/containers", kFile);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 201 Created"));
    EXPECT_THAT(answer, HasSubstr(R"({"id":"id0","name":"web","pid":4711,"state":"running","warnings":[]})"));
    on_loop([&] {
        EXPECT_EQ(fake_.last_create.file.name, "web");
        EXPECT_FALSE(fake_.last_create.io.out.valid());
    });
}

TEST_F(Routes, ShowsWhatIsolatesAContainer) {
    ask("POST", "/v1/containers", kFile);
    EXPECT_THAT(ask("GET", "/v1/containers/id0"), HasSubstr(R"("effective":null)"));
    on_loop([&] {
        IsolationInfo info;
        info.namespaces["user"] = 4026532000;
        info.uid_map = {{0, 1000, 1}};
        info.capabilities["effective"] = {"CAP_CHOWN"};
        info.mounts = {{"/proc/kcore", "tmpfs", {"ro"}, ""}};
        info.masked = {"/proc/kcore"};
        info.limits = {{"core file size", "0", "0", "bytes"}};
        fake_.isolated = info;
    });
    const auto answer = ask("GET", "/v1/containers/id0");
    for (const auto* part :
         {R"("namespaces":{"user":4026532000})", R"("uid_map":[{"inside":0,"outside":1000,"count":1}])",
          R"("capabilities":{"effective":["CAP_CHOWN"]})", R"("masked_paths":["/proc/kcore"])",
          R"({"target":"/proc/kcore","type":"tmpfs","options":["ro"],"propagation":"private"})",
          R"("limits":{"core file size":{"soft":"0","hard":"0","unit":"bytes"}})"})
        EXPECT_THAT(answer, HasSubstr(part));
    on_loop([&] { fake_.isolated = fail(ErrorKind::system, "no /proc"); });
    const auto without = ask("GET", "/v1/containers/id0");
    EXPECT_THAT(without, StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(without, HasSubstr(R"("effective":null)"));
    EXPECT_THAT(without, HasSubstr("no /proc"));
}

TEST_F(Routes, ChangesPorts) {
    ask("POST", "/v1/containers", kFile);
    auto answer = ask("POST", "/v1/containers/id0/ports", R"({"spec": "[::1]:8000-8001:80-81/udp"})");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 201"));
    EXPECT_THAT(answer, HasSubstr(R"([{"address":"::1","host":8000,"container":80,"protocol":"udp"},{)"));
    EXPECT_THAT(ask("GET", "/v1/containers/id0/ports"), HasSubstr(R"("host":8001)"));
    EXPECT_THAT(ask("DELETE", "/v1/containers/id0/ports?spec=%5B::1%5D:8000"), StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(ask("POST", "/v1/containers/id0/ports/rebind", R"({"old": "8080", "new": "9090:80"})"),
                HasSubstr(R"({"address":"127.0.0.1","host":9090,"container":80,"protocol":"tcp"})"));
    on_loop([&] {
        EXPECT_THAT(fake_.port_changes, ::testing::ElementsAre("rm id0 [::1]:8000", "rebind id0 8080 9090:80"));
    });
}

TEST_F(Routes, RefusesPortChangesThatSayNothing) {
    ask("POST", "/v1/containers", kFile);
    for (const auto* body : {"", "[]", "{}", R"({"spec": 80})", R"({"spec": "8080:80", "port": 1})"})
        EXPECT_THAT(ask("POST", "/v1/containers/id0/ports", body), StartsWith("HTTP/1.1 400")) << body;
    EXPECT_THAT(ask("POST", "/v1/containers/id0/ports", R"({"spec": "nonsense"})"),
                HasSubstr("is not a port specification"));
    EXPECT_THAT(ask("POST", "/v1/containers/id0/ports/rebind", R"({"old": "1"})"), StartsWith("HTTP/1.1 400"));
    EXPECT_THAT(ask("DELETE", "/v1/containers/id0/ports"), HasSubstr("'spec'"));
    EXPECT_THAT(ask("POST", "/v1/containers/nobody/ports", R"({"spec": "1:1"})"), StartsWith("HTTP/1.1 404"));
    on_loop([&] { EXPECT_TRUE(fake_.port_changes.empty()); });
}

TEST_F(Routes, HandsTheCallersDescriptorsToTheContainer) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const UniqueFd reader(ends[0]), writer(ends[1]);
    const std::array fds{writer.get(), writer.get()};
    const auto answer = ask("POST", "/v1/containers", kFile, "Squish-Fds: stdout, stderr\r\n", fds);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 201"));
    on_loop([&] {
        EXPECT_FALSE(fake_.last_create.io.in.valid());
        ASSERT_TRUE(fake_.last_create.io.out.valid());
        EXPECT_EQ(::fcntl(fake_.last_create.io.out.get(), F_GETFD), FD_CLOEXEC);
        EXPECT_EQ(::write(fake_.last_create.io.err.get(), "x", 1), 1);
    });
    char letter = 0;
    EXPECT_EQ(::read(reader.get(), &letter, 1), 1);
}

TEST_F(Routes, RefusesDescriptorsThatDoNotMatchTheirNames) {
    const std::array one{0};
    EXPECT_THAT(ask("POST", "/v1/containers", kFile, "Squish-Fds: stdin,stdout\r\n", one),
                HasSubstr("names 2 descriptors, but 1 came"));
    EXPECT_THAT(ask("POST", "/v1/containers", kFile, "Squish-Fds: stdout\r\n"),
                HasSubstr("names 1 descriptors, but 0 came"));
    EXPECT_THAT(ask("POST", "/v1/containers", kFile, "Squish-Fds: stderr,stdout\r\n", std::array{0, 1}),
                HasSubstr("unknown, repeated or out of order"));
    EXPECT_THAT(ask("POST", "/v1/containers", kFile, "Squish-Fds: socket\r\n", one), StartsWith("HTTP/1.1 400"));
    EXPECT_THAT(ask("POST", "/v1/containers", kFile, "Squish-Fds: console\r\n", one),
                HasSubstr("'console' is no socket"));
    EXPECT_EQ(on_loop([&] { return fake_.all.size(); }), 0U);
}

std::size_t open_fds() {
    const std::filesystem::directory_iterator entries("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

TEST_F(Routes, ClosesDescriptorsThatNobodyAskedFor) {
    ask("GET", "/v1/version");
    const auto before = open_fds();
    const std::vector<int> many(20, 0);
    EXPECT_THAT(ask("GET", "/v1/version", {}, {}, many), StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(ask("POST", "/v1/containers", kFile, "Squish-Fds: stdin\r\n", many), StartsWith("HTTP/1.1 400"));
    for (int i = 0; i < 100 && on_loop([&] { return open_fds(); }) > before; ++i)
        ::usleep(10'000);          // the server closes its side after we have read ours
    EXPECT_LE(open_fds(), before); // less by one, where the first connection was still being closed
}

TEST_F(Routes, RefusesRelativePathsAndUnknownKeys) {
    EXPECT_THAT(ask("POST", "/v1/containers", R"({"squishfile": {"layers": {"app": "./x"}}})"),
                HasSubstr("send absolute paths"));
    EXPECT_THAT(ask("POST", "/v1/containers", R"({"squishfiel": {}})"), HasSubstr("did you mean 'squishfile'?"));
    EXPECT_THAT(ask("POST", "/v1/containers", R"({"squishfile": {"layers": {"app": "/x"}}, "remove": 1})"),
                HasSubstr("'remove' must be"));
    EXPECT_THAT(ask("POST", "/v1/containers", "[]"), HasSubstr("no JSON object"));
    EXPECT_THAT(ask("POST", "/v1/containers", ""), StartsWith("HTTP/1.1 400"));
    EXPECT_THAT(ask("POST", "/v1/containers", R"({"squishfile": {"layers": {"app": "/x"}}, "terminal": {"rows": 1}})"),
                HasSubstr("needs the descriptor 'console'"));
}

TEST_F(Routes, AnswersWithTheStatusOfTheErrorsKind) {
    on_loop([&] { fake_.refuse_create = Error{ErrorKind::conflict, "port taken", "choose another", 0}; });
    const auto answer = ask("POST", "/v1/containers", kFile);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 409"));
    EXPECT_THAT(answer, HasSubstr(R"({"error":{"kind":"conflict","message":"port taken","remedy":"choose another"}})"));
}

TEST_F(Routes, StreamsTheEventsOfAContainer) {
    auto client = connect();
    client.send("POST /v1/containers?wait=exit HTTP/1.1\r\nContent-Length: " + std::to_string(std::strlen(kFile)) +
                "\r\n\r\n" + kFile);
    const auto first = client.read("}\n");
    EXPECT_THAT(first, HasSubstr("Transfer-Encoding: chunked"));
    EXPECT_THAT(first, HasSubstr(R"({"event":"started","id":"id0","name":"web","pid":4711)"));
    on_loop([&] { fake_.end("id0", {137, 9, "killed"}); });
    EXPECT_THAT(client.read("0\r\n\r\n"), HasSubstr(R"({"event":"exited","code":137,"signal":9,"reason":"killed"})"));
}

TEST_F(Routes, AsksTheEngineOnceHoweverManyWait) {
    on_loop([&] { fake_.add("a", "one"); });
    for (int i = 0; i < 20; ++i) { // these lose patience
        auto client = connect();
        client.send("GET /v1/containers/a/wait HTTP/1.1\r\n\r\n");
        EXPECT_EQ(client.read({}, 5), "");
    }
    auto client = connect();
    client.send("GET /v1/containers/one/wait HTTP/1.1\r\n\r\n");
    EXPECT_EQ(client.read({}, 50), "");
    on_loop([&] { fake_.end("a", {7, 0, "exited"}); });
    EXPECT_THAT(client.read("}\n"), HasSubstr(R"({"id":"a","code":7,"signal":0,"reason":"exited"})"));
    EXPECT_EQ(on_loop([&] { return fake_.all.at("a").questions; }), 1);
}

TEST_F(Routes, StopsKillsAndRemoves) {
    on_loop([&] { fake_.add("a", "one"); });
    EXPECT_THAT(ask("POST", "/v1/containers/a/kill?signal=usr1"), HasSubstr(R"({"id":"a"})"));
    EXPECT_THAT(ask("POST", "/v1/containers/a/kill?signal=NONSENSE"), StartsWith("HTTP/1.1 400"));
    EXPECT_EQ(on_loop([&] { return fake_.signals; }), (std::vector<std::pair<std::string, int>>{{"a", SIGUSR1}}));
    EXPECT_THAT(ask("DELETE", "/v1/containers/a"), StartsWith("HTTP/1.1 409"));
    EXPECT_THAT(ask("POST", "/v1/containers/%6fne/stop?timeout=3"), HasSubstr(R"({"id":"a"})"));
    EXPECT_EQ(on_loop([&] { return fake_.stop_timeout; }), std::chrono::seconds(3));
    EXPECT_THAT(ask("DELETE", "/v1/containers/a"), StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(ask("GET", "/v1/containers/a"), StartsWith("HTTP/1.1 404"));
}

TEST_F(Routes, ExecutesInAContainer) {
    on_loop([&] { fake_.add("a", "one"); });
    const auto answer = ask("POST", "/v1/containers/a/exec?wait=exit",
                            R"({"command": ["sh", "-c", "x"], "env": {"A": "b"}, "user": "5:6"})");
    EXPECT_THAT(answer, HasSubstr(R"({"event":"started","id":"exec0","container":"a"})"));
    EXPECT_THAT(answer, HasSubstr(R"({"event":"exited","code":3)"));
    on_loop([&] {
        EXPECT_EQ(fake_.last_exec.command, (std::vector<std::string>{"sh", "-c", "x"}));
        EXPECT_EQ(fake_.last_exec.user, (UserSpec{5, 6}));
    });
    for (const auto* body : {R"({"command": []})", R"({"command": [1]})", R"({"command": ["a\u0000b"]})",
                             R"({"command": ["x"], "user": "root"})", R"({"command": ["x"], "env": {"A=B": "c"}})",
                             R"({"command": ["x"], "workdir": "rel"})"})
        EXPECT_THAT(ask("POST", "/v1/containers/a/exec", body), StartsWith("HTTP/1.1 400")) << body;
}

TEST_F(Routes, ShowsAndFollowsLogs) {
    const auto log = folder_ + "/log";
    std::ofstream(log) << "one\ntwo\nthree\n";
    on_loop([&] { fake_.add("a", "one").stdout_log = log; });
    EXPECT_THAT(ask("GET", "/v1/containers/a/logs?tail=1"), HasSubstr("\r\n\r\n6\r\nthree\n\r\n0\r\n\r\n"));
    auto client = connect();
    client.send("GET /v1/containers/a/logs?follow=true HTTP/1.1\r\n\r\n");
    EXPECT_THAT(client.read("three\n"), HasSubstr("one\ntwo\nthree\n"));
    std::ofstream(log, std::ios::app) << "four\n";
    EXPECT_THAT(client.read("four\n"), HasSubstr("four\n"));
    std::ofstream(log, std::ios::app) << "five\n";
    on_loop([&] { fake_.end("a", {0, 0, "exited"}); });
    EXPECT_THAT(client.read("0\r\n\r\n"), HasSubstr("five\n"));
}

TEST_F(Routes, SaysWhyAnAttachedContainerHasNoLogs) {
    on_loop([&] { fake_.add("a", "one").attached = true; });
    EXPECT_THAT(ask("GET", "/v1/containers/a/logs"), HasSubstr("has no logs"));
}

TEST_F(Routes, KeepsTheRoutesOfTheFirstSquish) {
    EXPECT_THAT(ask("GET", "/status"), StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(ask("POST", "/containers/create", R"({"layers": {"app": "/bin/true"}})"),
                HasSubstr("\r\n\r\n[\"id0\"]\n"));
    EXPECT_THAT(ask("GET", "/containers/list"), HasSubstr(R"([{"id":"id0","name":"fake","pid":4711}])"));
    EXPECT_THAT(ask("POST", "/containers/stop/id0"), HasSubstr("\r\n\r\n[\"id0\"]\n"));
}

TEST_F(Routes, StopsTheDaemonAfterTheAnswer) {
    EXPECT_THAT(ask("POST", "/v1/daemon/stop"), StartsWith("HTTP/1.1 200"));
    EXPECT_TRUE(on_loop([&] { return fake_.was_shut_down && stopped_; }));
}

TEST_F(Routes, ListsTheLayersThatAreStored) {
    on_loop([&] {
        Engine::LayerUse use;
        use.layer.digest = std::string(64, 'c');
        use.refs.push_back({"python", "3.11.2", use.layer.digest, "ours", 0});
        use.containers = {"web"};
        fake_.fake_layers.stored.push_back(use);
    });
    const auto answer = ask("GET", "/v1/layers");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(answer, HasSubstr(R"("refs":[{"name":"python","version":"3.11.2","source":"ours"}])"));
    EXPECT_THAT(answer, HasSubstr(R"("containers":["web"])"));
}

TEST_F(Routes, TellsTheProgressOfAPullAndThenItsResult) {
    on_loop([&] {
        LayerProgress progress;
        progress.layer = "python";
        progress.stage = LayerProgress::Stage::downloading;
        progress.bytes = 10;
        progress.total = 20;
        fake_.fake_layers.told.push_back(progress);
    });
    const auto answer = ask("POST", "/v1/layers/pull?progress=true", R"({"name": "python", "version": "~3.11"})");
    EXPECT_THAT(answer, HasSubstr("Transfer-Encoding: chunked"));
    EXPECT_THAT(answer,
                HasSubstr(R"({"event":"progress","layer":"python","stage":"downloading","bytes":10,"total":20)"));
    EXPECT_THAT(answer, HasSubstr(R"({"event":"pulled","result":{"name":"python")"));
    // Without the parameter the same request has one answer.
    const auto plain = ask("POST", "/v1/layers/pull", R"({"name": "python", "version": "~3.11"})");
    EXPECT_THAT(plain, StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(plain, HasSubstr(R"({"name":"python")"));
}

TEST_F(Routes, APullThatFailsSaysSoInItsStream) {
    on_loop([&] {
        fake_.fake_layers.told.emplace_back();
        fake_.fake_layers.refuse = Error{ErrorKind::not_found, "no such version", "", 0};
    });
    const auto answer = ask("POST", "/v1/layers/pull?progress=true", R"({"name": "python", "version": "9"})");
    EXPECT_THAT(answer, HasSubstr(R"({"event":"failed","status":404,"error":{"kind":"not_found")"));
    EXPECT_THAT(ask("POST", "/v1/layers/pull", R"({"name": "python", "version": "9"})"), StartsWith("HTTP/1.1 404"));
}

TEST_F(Routes, RefusesLayerRequestsThatMakeNoSense) {
    EXPECT_THAT(ask("POST", "/v1/layers/pull", R"({"name": "../x", "version": "1"})"), StartsWith("HTTP/1.1 400"));
    EXPECT_THAT(ask("POST", "/v1/layers/pull", R"({"name": "python", "version": "one"})"), StartsWith("HTTP/1.1 400"));
    EXPECT_THAT(ask("POST", "/v1/layers/import", R"({"path": "x.zip"})"), HasSubstr("'path' must be absolute"));
    EXPECT_THAT(ask("POST", "/v1/layers/import", R"({"path": "/x", "url": "http://x"})"),
                HasSubstr("either 'path' or 'url'"));
    EXPECT_THAT(ask("POST", "/v1/layers/import", R"({"path": "/x", "sha256": "AB"})"), HasSubstr("'sha256' must be"));
    EXPECT_THAT(ask("POST", "/v1/layers/resolve", R"({"squishfile": {"layers": {"a": "/x"}}, "locked": true})"),
                HasSubstr("'locked' needs a 'lock'"));
    EXPECT_THAT(ask("POST", "/v1/layers/resolve", R"({"squishfile": {"layers": {"a": "/x"}}, "lock": "format = 9"})"),
                HasSubstr("squishfile.lock:"));
}

TEST_F(Routes, ResolvesASquishfileAndItsLock) {
    const auto answer = ask("POST", "/v1/layers/resolve", R"({"squishfile": {"layers": {"python": "~3.11"}}})");
    EXPECT_THAT(answer, HasSubstr(R"("digest":"aaaa)"));
    EXPECT_THAT(answer, HasSubstr("version = \\\"1.2.3\\\""));
}

TEST_F(Routes, VerifiesAndRemovesLayers) {
    EXPECT_THAT(ask("POST", "/v1/layers/python@3.11/verify"), HasSubstr(R"("findings":["'bin/sh': changed"])"));
    EXPECT_THAT(ask("DELETE", "/v1/layers/python%403.11"), HasSubstr(R"({"digest":"python@3.11"})"));
    on_loop([&] { fake_.fake_layers.refuse = Error{ErrorKind::conflict, "used by container web", "", 0}; });
    EXPECT_THAT(ask("DELETE", "/v1/layers/python%403.11"), StartsWith("HTTP/1.1 409"));
}

} // namespace

} // namespace squish::daemon

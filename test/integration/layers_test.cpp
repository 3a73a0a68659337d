// squish-layers: the real program, started by a real keeper, in the user's real namespace.
#include "keeper_harness.h"

#include "../support/archives.h"

#include <gmock/gmock.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

namespace squish::layers {
namespace {

using namespace squish::test;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using wire::Json;

class Layers : public ::testing::Test {
protected:
    explicit Layers(Kept::Ids ids = Kept::Ids::range) : kept_(ids) {}
    void SetUp() override {
        SKIP_AS_ROOT();
        auto keeper = kept_.greet();
        auto started = kept_.start_helper(keeper, "squish-layers", "layers.sock");
        ASSERT_TRUE(started) << started.error().text();
        socket_ = std::move(*started);
        fs::create_directory(kept_.at("target"));
        fs::create_directory(kept_.at("outside"));
        std::ofstream(kept_.at("outside/secret")) << "secret";
    }
    void TearDown() override {
        if (!socket_)
            return;
        for (const auto& entry : fs::directory_iterator(kept_.at(""))) { // what belongs to other ids only it can remove
            const auto name = entry.path().filename().string();
            if (name.starts_with("target")) {
                EXPECT_EQ(outcome(Json{{"op", "remove"}, {"name", name}}, {folder("").get()}), "done");
            }
        }
    }

    UniqueFd folder(const std::string& name) const {
        auto fd = os::open_file(kept_.at(name), O_RDONLY | O_DIRECTORY);
        EXPECT_TRUE(fd) << name;
        return fd ? std::move(*fd) : UniqueFd();
    }
    UniqueFd file(const std::string& name) const {
        auto fd = os::open_file(kept_.at(name), O_RDWR | O_CREAT, 0600);
        EXPECT_TRUE(fd) << name;
        return fd ? std::move(*fd) : UniqueFd();
    }
    std::uint32_t send(Json request, const std::vector<int>& fds, int socket = -1) {
        request["seq"] = ++last_;
        EXPECT_TRUE(wire::send_json(socket < 0 ? socket_.get() : socket, request, fds));
        return last_;
    }
    // The next message of any kind.
    std::optional<Json> receive(int timeout_ms = kPatienceMs) const {
        pollfd waiting{socket_.get(), POLLIN, 0};
        if (::poll(&waiting, 1, timeout_ms) != 1)
            return std::nullopt;
        auto message = wire::receive_json(socket_.get());
        if (!message || message->peer_closed)
            return std::nullopt;
        return std::move(message->body);
    }
    // Whosever it is, past what is told of progress.
    std::optional<Json> receive_answer() const {
        for (;;)
            if (auto body = receive(); !body || !body->contains("event"))
                return body;
    }
    Result<Json> answer(std::uint32_t sequence, std::vector<Json>* progress = nullptr) {
        for (;;) {
            auto body = receive();
            if (!body)
                return fail(ErrorKind::unavailable, "no answer: " + read_file(kept_.at("squish-layers.log")));
            if (body->contains("event")) {
                EXPECT_EQ((*body)["request"], sequence);
                if (progress)
                    progress->push_back(*body);
                continue;
            }
            EXPECT_EQ((*body)["seq"], sequence);
            TRY(wire::check_answer(*body));
            return std::move(*body);
        }
    }
    Result<Json> ask(Json request, const std::vector<int>& fds) { return answer(send(std::move(request), fds)); }
    std::string outcome(Json request, const std::vector<int>& fds) {
        const auto done = ask(std::move(request), fds);
        return done ? "done" : done.error().text();
    }
    Result<Json> unpack(std::string_view bytes, Json request = Json::object()) {
        request["op"] = "unpack";
        const auto input = file_of(bytes);
        return ask(std::move(request), {input.get(), folder("target").get(), file("manifest").get()});
    }
    Result<Json> verify() { return ask({{"op", "verify"}}, {folder("target").get(), file("manifest").get()}); }
    struct stat info(const std::string& path) const {
        struct stat out{};
        EXPECT_EQ(::lstat(kept_.at("target/" + path).c_str(), &out), 0) << path;
        return out;
    }
    // What the id `inside` of the user's namespace is outside.
    uid_t outside_id(uid_t inside) const {
        const auto map = split(uids_, ',');
        return inside == 0 ? ::getuid() : static_cast<uid_t>(*parse_number(map[4]) + inside - 1);
    }
    // The child of `parent` that is called squish-layers.
    static std::optional<pid_t> child_of(pid_t parent) {
        for (const auto& entry : fs::directory_iterator("/proc")) {
            const auto status = os::read_file(entry.path().string() + "/stat");
            if (!status || !status->contains(" (squish-layers) "))
                continue;
            const auto fields = split(std::string_view(*status).substr(status->rfind(") ") + 2), ' ');
            if (parse_number(fields[1]) == static_cast<std::uint64_t>(parent))
                return static_cast<pid_t>(*parse_number(entry.path().filename().string()));
        }
        return std::nullopt;
    }

    Kept kept_;
    UniqueFd socket_;
    std::uint32_t last_ = 0;
    std::string uids_ = id_map("/etc/subuid", ::getuid());
};

class LayersWithOneId : public Layers {
protected:
    LayersWithOneId() : Layers(Kept::Ids::one) {}
};

TEST_F(Layers, FilesBelongToTheIdsOfTheArchive) {
    const auto done = unpack(TarBytes()
                                 .add("etc/root", "0", {.mode = 0600})
                                 .add("home/user", "1000", {.mode = 0600, .uid = 1000, .gid = 1001})
                                 .add("home/link", "", {.type = '2', .link = "user", .uid = 1000, .gid = 1000})
                                 .add("home", "", {.type = '5', .mode = 0700, .uid = 1000, .gid = 1000})
                                 .add("unknown", "x", {.uid = 2'000'000, .gid = 5})
                                 .bytes());
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(info("etc/root").st_uid, ::getuid());
    EXPECT_EQ(info("home").st_uid, outside_id(1000));
    EXPECT_EQ((*done)["kind"], "tree");
    EXPECT_EQ((*done)["tamed"]["owners"], 1);
    EXPECT_EQ(info("unknown").st_uid, ::getuid());
    EXPECT_EQ(info("unknown").st_gid, outside_id(5));
    const auto manifest = read_file(kept_.at("manifest"));
    EXPECT_THAT(manifest, AllOf(HasSubstr("f 0600 1000 1001 4 "), HasSubstr("l 0777 1000 1000 ")));
    const auto verified = verify();
    ASSERT_TRUE(verified) << verified.error().text();
    EXPECT_EQ((*verified)["found"], 0) << (*verified)["findings"].dump();
    EXPECT_EQ((*verified)["tree_digest"], (*done)["tree_digest"]);
    EXPECT_EQ((*verified)["files"], 7);
}

TEST_F(LayersWithOneId, WithoutSubordinateIdsAllBelongsToTheUser) {
    const auto done = unpack(TarBytes().add("a", "x", {.mode = 0600, .uid = 1000, .gid = 1000}).bytes());
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(info("a").st_uid, ::getuid());
    EXPECT_EQ((*done)["tamed"]["owners"], 1);
}

TEST_F(Layers, NamesOfAllKindsArriveInTheCell) {
    const auto pax = TarBytes()
                         .pax({{"path", "\xc3\xbc"
                                        "e\xcc\x81"}})
                         .add("x", "1")
                         .add("b\xff", "2")
                         .bytes();
    const auto done = unpack(compressed(pax, ARCHIVE_FILTER_XZ));
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(read_file(kept_.at("target/\xc3\xbc"
                                 "e\xcc\x81")) +
                  read_file(kept_.at("target/b\xff")),
              "12");
    fs::remove_all(kept_.at("target"));
    fs::create_directory(kept_.at("target"));
    const auto zip = unpack(zipped({{"\xc3\xbc", "3", 0755}}, ZipSizes::behind));
    ASSERT_TRUE(zip) << zip.error().text();
    EXPECT_EQ(read_file(kept_.at("target/\xc3\xbc")), "3");
}

TEST_F(Layers, HostileArchivesEndInAnAnswer) {
    const std::vector<std::pair<std::string, const char*>> all = {
        {TarBytes().add("../x", "x").bytes(), "leads upwards"},
        {TarBytes().symlink("l", kept_.at("outside")).add("l/x", "x").bytes(), "links are not followed"},
        {TarBytes().hard_link("h", "../outside/secret").bytes(), "leads upwards"},
        {TarBytes().symlink("l", "../outside").hard_link("h", "l/secret").bytes(), "link"},
        {TarBytes().add("x", "y").unfinished(), "cut off"},
        {"plain", "no archive"},
    };
    for (const auto& [bytes, expected] : all) {
        const auto done = unpack(bytes);
        ASSERT_FALSE(done) << expected;
        EXPECT_THAT(done.error().text(), HasSubstr(expected));
        EXPECT_EQ(outcome({{"op", "remove"}, {"name", "target"}}, {folder("").get()}), "done");
        fs::create_directory(kept_.at("target"));
    }
    EXPECT_EQ(read_file(kept_.at("outside/secret")), "secret");
    EXPECT_EQ(std::distance(fs::directory_iterator(kept_.at("outside")), fs::directory_iterator()), 1);
}

TEST_F(Layers, DevicesAndSetuidAreTamed) {
    const auto done = unpack(TarBytes().add("dev/null", "", {.type = '3'}).add("su", "x", {.mode = 04755}).bytes());
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ((*done)["tamed"]["devices"], 1);
    EXPECT_EQ((*done)["tamed"]["setuid"], 1);
    EXPECT_EQ(info("su").st_mode & 07777, 0755U);
    EXPECT_FALSE(fs::exists(kept_.at("target/dev/null")));
}

TEST_F(Layers, LimitsCanBeSet) {
    const auto done = unpack(TarBytes().add("a", "12345").bytes(), {{"limits", {{"total_bytes", 4}}}});
    ASSERT_FALSE(done);
    EXPECT_THAT(done.error().text(), AllOf(HasSubstr("'a'"), HasSubstr("more than 4 bytes")));
    EXPECT_EQ(done.error().kind, ErrorKind::invalid);
}

TEST_F(Layers, APlainFileIsStoredUnderItsName) {
    const auto done = unpack("#!/bin/sh\n", {{"plain_name", "tool"}, {"input_digest", true}, {"sync", true}});
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ((*done)["kind"], "file");
    EXPECT_EQ(info("tool").st_mode & 07777, 0755U);
    EXPECT_EQ((*done)["input_sha256"].get<std::string>().size(), 64U);
}

TEST_F(Layers, AFlippedByteIsNamed) {
    ASSERT_TRUE(unpack(TarBytes().add("d/file", std::string(100'000, 'x')).add("e", "y").bytes()));
    {
        const auto before = info("d/file");
        const UniqueFd file(::open(kept_.at("target/d/file").c_str(), O_WRONLY | O_CLOEXEC));
        ASSERT_EQ(::pwrite(file.get(), "y", 1, 77'777), 1);
        const struct timespec times[2] = {before.st_mtim, before.st_mtim};
        ASSERT_EQ(::futimens(file.get(), times), 0);
    }
    const auto verified = verify();
    ASSERT_TRUE(verified) << verified.error().text();
    EXPECT_EQ((*verified)["findings"].dump(), R"([{"path":"d/file","what":"content differs"}])");
}

TEST_F(Layers, PacksAndHashes) {
    ASSERT_TRUE(unpack(TarBytes().add("b", "x", {.uid = 7, .mtime = 5}).add("a/b", "y").bytes()));
    const auto packed = ask({{"op", "pack"}}, {folder("target").get(), file("packed").get()});
    ASSERT_TRUE(packed) << packed.error().text();
    const auto hashed = ask({{"op", "hash"}}, {file("packed").get()});
    ASSERT_TRUE(hashed) << hashed.error().text();
    EXPECT_EQ((*packed)["sha256"], (*hashed)["sha256"]);
    EXPECT_EQ((*packed)["size"], (*hashed)["size"]);
    EXPECT_EQ((*packed)["size"], fs::file_size(kept_.at("packed")));
}

TEST_F(Layers, ImportsAFolder) {
    fs::create_directories(kept_.at("source/d"));
    std::ofstream(kept_.at("source/d/f")) << "content";
    ASSERT_EQ(::symlink(kept_.at("outside").c_str(), kept_.at("source/l").c_str()), 0);
    const auto done = ask({{"op", "import"}}, {folder("source").get(), folder("target").get(), file("manifest").get()});
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(read_file(kept_.at("target/d/f")), "content");
    EXPECT_TRUE(fs::is_symlink(kept_.at("target/l")));
    EXPECT_EQ((*verify())["found"], 0);
}

TEST_F(Layers, RemovesWhatBelongsToOthers) {
    ASSERT_TRUE(unpack(TarBytes()
                           .add("d/e/f", "x", {.uid = 500, .gid = 500})
                           .add("d/e", "", {.type = '5', .mode = 0500, .uid = 500, .gid = 500})
                           .add("d", "", {.type = '5', .mode = 0, .uid = 501, .gid = 501})
                           .bytes()));
    EXPECT_EQ(outcome({{"op", "remove"}, {"name", "target"}}, {folder("").get()}), "done");
    EXPECT_FALSE(fs::exists(kept_.at("target")));
    EXPECT_EQ(outcome({{"op", "remove"}, {"name", "target"}}, {folder("").get()}), "done") << "again is fine";
    EXPECT_THAT(outcome({{"op", "remove"}, {"name", "../x"}}, {folder("").get()}), HasSubstr("no name"));
}

TEST_F(Layers, ProgressIsToldWhileItWorks) {
    Pipe pipe;
    const auto sequence = send({{"op", "unpack"}}, {pipe.reader(), folder("target").get(), file("manifest").get()});
    // In pieces with a pause before each, so that there is a tenth of a second between two of them.
    TarBytes tar;
    for (int i = 0; i < 6; ++i)
        tar.add("f" + std::to_string(i), std::string(400'000, 'x'));
    const auto bytes = tar.bytes();
    std::vector<Json> progress;
    for (std::size_t at = 0; at < bytes.size(); at += 300'000) {
        const auto piece = std::string_view(bytes).substr(at, 300'000);
        ASSERT_TRUE(os::write_all(pipe.writer(), piece));
        if (auto told = receive(150); told && told->contains("event"))
            progress.push_back(*told);
    }
    pipe.close_writer();
    ASSERT_TRUE(answer(sequence, &progress));
    ASSERT_GE(progress.size(), 2U);
    EXPECT_EQ(progress[0]["event"], "progress");
    EXPECT_GT(progress.back()["read"], progress.front()["read"]);
    EXPECT_GT(progress.back()["entries"], 0);
}

TEST_F(Layers, SeveralAtOnceAndEachItsOwnAnswer) {
    std::vector<Pipe> pipes(4);
    std::map<std::uint32_t, std::size_t> expected;
    for (std::size_t i = 0; i < pipes.size(); ++i) {
        fs::create_directory(kept_.at("target" + std::to_string(i)));
        expected[send({{"op", "unpack"}}, {pipes[i].reader(), folder("target" + std::to_string(i)).get(),
                                           file("manifest" + std::to_string(i)).get()})] = i;
    }
    // The last first, while the others still wait for their bytes.
    for (std::size_t i = pipes.size(); i-- > 0;) {
        ASSERT_TRUE(os::write_all(pipes[i].writer(), TarBytes().add("f", std::to_string(i)).bytes()));
        pipes[i].close_writer();
        const auto told = receive_answer();
        ASSERT_TRUE(told);
        EXPECT_EQ(expected.at((*told)["seq"].get<std::uint32_t>()), i) << told->dump();
        EXPECT_EQ(read_file(kept_.at("target" + std::to_string(i) + "/f")), std::to_string(i));
    }
}

TEST_F(Layers, MoreThanRunAtOnceWaitForTheirTurn) {
    std::vector<Pipe> pipes(10);
    for (std::size_t i = 0; i < pipes.size(); ++i)
        send({{"op", "hash"}}, {pipes[i].reader()});
    for (auto& pipe : pipes)
        pipe.close_writer();
    std::set<std::uint32_t> answered;
    for (std::size_t i = 0; i < pipes.size(); ++i) {
        const auto told = receive_answer();
        ASSERT_TRUE(told);
        EXPECT_EQ((*told)["size"], 0);
        answered.insert((*told)["seq"].get<std::uint32_t>());
    }
    EXPECT_EQ(answered.size(), 10U);
}

TEST_F(Layers, ARequestCanBeCancelled) {
    Pipe pipe;
    const auto sequence = send({{"op", "unpack"}}, {pipe.reader(), folder("target").get(), file("manifest").get()});
    const auto cancelling = send({{"op", "cancel"}, {"request", sequence}}, {});
    std::map<std::uint32_t, Json> told;
    while (told.size() < 2) {
        auto body = receive_answer();
        ASSERT_TRUE(body);
        told[(*body)["seq"].get<std::uint32_t>()] = *body;
    }
    EXPECT_EQ(told[cancelling]["ok"], true);
    EXPECT_EQ(told[sequence]["error"]["message"], "cancelled");
    EXPECT_THAT(outcome({{"op", "cancel"}, {"request", 4711}}, {}), HasSubstr("no such request"));
}

TEST_F(Layers, AClientThatGoesTakesItsWorkWithIt) {
    auto other = os::connect_unix(kept_.at("layers.sock"), SOCK_SEQPACKET);
    ASSERT_TRUE(other);
    Pipe pipe;
    send({{"op", "unpack"}}, {pipe.reader(), folder("target").get(), file("manifest").get()}, other->get());
    // The job reads: its end of the pipe is the only one but ours.
    ASSERT_TRUE(os::write_all(pipe.writer(), TarBytes().add("f", "x").unfinished()));
    other->reset();
    Pipe probe;
    ASSERT_EQ(outcome({{"op", "hash"}}, {file("manifest").get()}), "done") << "others are served";
    ::signal(SIGPIPE, SIG_IGN);
    const int writer = ::dup(pipe.writer());
    const UniqueFd owned(writer);
    {
        const auto moved = std::move(pipe);
    } // closes our reading end
    pollfd waiting{writer, 0, 0}; // POLLERR: nobody reads any more
    EXPECT_EQ(::poll(&waiting, 1, kPatienceMs), 1);
    EXPECT_TRUE(waiting.revents & POLLERR);
}

TEST_F(Layers, MalformedRequestsGetAnAnswerAndNothingElse) {
    ASSERT_TRUE(os::send_message(socket_.get(), "this is no JSON"));
    EXPECT_EQ((*receive())["ok"], false);
    ASSERT_TRUE(os::send_message(socket_.get(), "[[[["));
    EXPECT_EQ((*receive())["ok"], false);
    const auto input = file_of("x");
    EXPECT_THAT(outcome({{"op", "explode"}}, {}), HasSubstr("unknown request 'explode'"));
    EXPECT_THAT(outcome(Json::object(), {}), HasSubstr("'op'"));
    EXPECT_THAT(outcome({{"op", 7}}, {}), HasSubstr("'op'"));
    EXPECT_THAT(outcome({{"op", "unpack"}}, {}), HasSubstr("0 descriptors instead of 3"));
    EXPECT_THAT(outcome({{"op", "hash"}}, {input.get(), input.get()}), HasSubstr("2 descriptors instead of 1"));
    EXPECT_THAT(outcome({{"op", "unpack"}, {"limits", 3}}, {input.get(), input.get(), input.get()}),
                HasSubstr("'limits'"));
    EXPECT_THAT(outcome({{"op", "unpack"}, {"limits", {{"entries", "many"}}}}, {input.get(), input.get(), input.get()}),
                HasSubstr("'entries'"));
    EXPECT_THAT(outcome({{"op", "unpack"}}, {input.get(), input.get(), input.get()}), HasSubstr("no folder"));
    EXPECT_THAT(outcome({{"op", "remove"}}, {folder("").get()}), HasSubstr("'name'"));
    EXPECT_THAT(outcome({{"op", "cancel"}}, {}), HasSubstr("'request'"));
    EXPECT_EQ(outcome({{"op", "hash"}}, {input.get()}), "done");
}

TEST_F(Layers, AKilledJobIsAnErrorAndNotTheEnd) {
    Pipe pipe;
    const auto sequence = send({{"op", "unpack"}}, {pipe.reader(), folder("target").get(), file("manifest").get()});
    ASSERT_EQ(outcome({{"op", "explode"}}, {}), "unknown request 'explode'"); // it has taken the one before
    const auto worker = child_of(kept_.pid());
    ASSERT_TRUE(worker);
    const auto job = child_of(*worker);
    ASSERT_TRUE(job) << "no job found";
    ASSERT_EQ(::kill(*job, SIGKILL), 0);
    const auto done = answer(sequence);
    ASSERT_FALSE(done);
    EXPECT_THAT(done.error().text(), HasSubstr("ended by signal 9"));
    EXPECT_EQ(outcome({{"op", "hash"}}, {file("manifest").get()}), "done");
}

TEST_F(Layers, EndsWithTheKeeper) {
    Pipe pipe;
    send({{"op", "unpack"}}, {pipe.reader(), folder("target").get(), file("manifest").get()});
    ASSERT_EQ(outcome({{"op", "explode"}}, {}), "unknown request 'explode'"); // it has taken the one before
    ASSERT_TRUE(os::send_signal(kept_.pidfd(), SIGKILL));
    pollfd waiting{socket_.get(), POLLIN, 0};
    ASSERT_EQ(::poll(&waiting, 1, kPatienceMs), 1);
    EXPECT_FALSE(receive().has_value());
    socket_.reset();
}

} // namespace
} // namespace squish::layers

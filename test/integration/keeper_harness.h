// A keeper for tests: the real program, started as the engine starts it, spoken to in its own protocol over a blocking
// socket; a stager beside it for mounts and networks; and containers made of few steps.
#pragma once

#include "base/text.h"
#include "launch/plan_builder.h"
#include "os/file.h"
#include "os/process.h"
#include "os/socket.h"
#include "user_network.h"
#include "wire/json_channel.h"
#include "wire/keeper_protocol.h"

#include <algorithm>
#include <array>
#include <deque>
#include <filesystem>
#include <fstream>
#include <linux/mount.h>
#include <optional>
#include <pwd.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>

namespace squish::test {

namespace fs = std::filesystem;
using wire::keeper_message;
using wire::KeeperKind;

inline constexpr auto kPatienceMs = 10'000;

inline std::string libexec(const std::string& program) {
    return std::string(SQUISH_BUILD_DIR) + "/libexec/squish/" + program;
}
inline std::string testbin_path() {
    return std::string(SQUISH_BUILD_DIR) + "/test/testbin";
}

// "0,UID,1,1,FIRST,COUNT", as newuidmap(1) takes it; "" where the user has no range.
inline std::string id_map(const char* file, std::uint64_t own_id) {
    const auto* entry = ::getpwuid(::getuid());
    const auto text = os::read_file(file);
    if (entry && text)
        for (const auto line : split(*text, '\n')) {
            const auto fields = split(line, ':');
            if (fields.size() == 3 && fields[0] == entry->pw_name)
                return "0," + std::to_string(own_id) + ",1,1," + std::string(fields[1]) + "," + std::string(fields[2]);
        }
    return {};
}

// One message of the keeper, taken apart.
struct Told {
    KeeperKind kind{};
    std::uint32_t sequence = 0;
    std::string body;
    std::vector<UniqueFd> fds;
    [[nodiscard]] wire::Reader in() const { return wire::Reader(body); }
};

// A connection to the keeper. Answers are waited for by their number; events that come meanwhile are kept.
class Client {
public:
    Client() = default;
    explicit Client(UniqueFd socket) : socket_(std::move(socket)) {}

    std::uint32_t send(
        KeeperKind kind, const std::function<void(wire::Writer&)>& fields = [](wire::Writer&) {},
        const std::vector<int>& fds = {}) {
        auto message = keeper_message(kind, ++last_);
        fields(message);
        sent_ = os::send_message(socket_.get(), message.bytes(), fds);
        return last_;
    }
    [[nodiscard]] bool was_sent() const { return sent_.has_value(); }
    // The next message; nothing where none comes in time or the connection has ended.
    std::optional<Told> receive(int timeout_ms = kPatienceMs) {
        pollfd waiting{socket_.get(), POLLIN, 0};
        if (::poll(&waiting, 1, timeout_ms) <= 0)
            return std::nullopt;
        auto message = os::receive_message(socket_.get(), wire::kMaxKeeperMessage);
        if (!message || message->peer_closed) {
            closed_ = true;
            return std::nullopt;
        }
        wire::Reader in(message->bytes);
        Told told;
        told.kind = static_cast<KeeperKind>(in.u32());
        told.sequence = in.u32();
        told.body = message->bytes.substr(std::min<std::size_t>(8, message->bytes.size()));
        told.fds = std::move(message->fds);
        return told;
    }
    std::optional<Told> answer(std::uint32_t sequence, int timeout_ms = kPatienceMs) {
        while (auto told = receive(timeout_ms)) {
            if (told->sequence == sequence && told->kind != KeeperKind::container)
                return told;
            kept_.push_back(std::move(*told));
        }
        return std::nullopt;
    }
    std::optional<Told> ask(
        KeeperKind kind, const std::function<void(wire::Writer&)>& fields = [](wire::Writer&) {},
        const std::vector<int>& fds = {}) {
        const auto sequence = send(kind, fields, fds);
        return was_sent() ? answer(sequence) : std::nullopt;
    }
    // "done", "error: what", "no answer": for expectations.
    std::string outcome(
        KeeperKind kind, const std::function<void(wire::Writer&)>& fields = [](wire::Writer&) {},
        const std::vector<int>& fds = {}) {
        const auto told = ask(kind, fields, fds);
        return told ? text_of(*told) : "no answer";
    }
    static std::string text_of(const Told& told) {
        auto in = told.in();
        switch (told.kind) {
        case KeeperKind::done:
            return "done";
        case KeeperKind::error: {
            const auto error = in.i32();
            return "error " + std::to_string(error) + ": " + in.text();
        }
        case KeeperKind::failed_step: {
            const auto step = in.u32();
            return "step " + std::to_string(step) + " failed: " + std::to_string(in.i32());
        }
        case KeeperKind::launched:
            return "launched";
        case KeeperKind::spawned:
            return "spawned";
        case KeeperKind::fds:
            return std::to_string(told.fds.size()) + " fds";
        default:
            return "kind " + std::to_string(std::to_underlying(told.kind));
        }
    }
    // The event `kind` about `name`; with its status.
    std::optional<std::int32_t> event(KeeperKind kind, const std::string& name, int timeout_ms = kPatienceMs) {
        const auto matches = [&](const Told& told) {
            return told.kind == kind && told.sequence == 0 && told.in().text() == name;
        };
        const auto status = [](const Told& told) {
            auto in = told.in();
            (void) in.text();
            return in.i32();
        };
        if (const auto found = std::ranges::find_if(kept_, matches); found != kept_.end()) {
            const auto value = status(*found);
            kept_.erase(found);
            return value;
        }
        while (auto told = receive(timeout_ms)) {
            if (matches(*told))
                return status(*told);
            kept_.push_back(std::move(*told));
        }
        return std::nullopt;
    }
    [[nodiscard]] bool closed() const { return closed_; }
    [[nodiscard]] int fd() const { return socket_.get(); }
    std::deque<Told>& kept() { return kept_; }
    void disconnect() { socket_.reset(); }

private:
    UniqueFd socket_;
    std::uint32_t last_ = 0;
    Result<void> sent_;
    std::deque<Told> kept_;
    bool closed_ = false;
};

inline std::function<void(wire::Writer&)> text(const std::string& a) {
    return [a](wire::Writer& out) { out.text(a); };
}
inline std::function<void(wire::Writer&)> text(const std::string& a, const std::string& b) {
    return [a, b](wire::Writer& out) { out.text(a).text(b); };
}

// A container's kept facts, from hello.
struct Listed {
    std::string id;
    wire::ContainerPhase phase;
    pid_t pid;
    int status;
    bool has_pidfd;
};

inline UniqueFd sealed(const launch::PlanBuilder& plan) {
    const auto bytes = plan.bytes();
    EXPECT_TRUE(bytes);
    auto memfd = os::sealed_memfd("plan", bytes ? *bytes : "", false);
    EXPECT_TRUE(memfd);
    return memfd ? std::move(*memfd) : UniqueFd();
}

// What a payload is to be: its arguments (testbin's), its streams, its user.
struct Payload {
    std::vector<std::string> arguments = {"true"};
    std::string command = "/testbin";
    int in = -1, out = -1, err = -1; // -1: /dev/null
    int console = -1;
    std::uint32_t uid = 0, gid = 0;
    std::string folder = "/";
    std::vector<std::string> environment = {"PATH=/", "HOME=/"};
    bool clock = true; // a time namespace of its own, as every container of squish has
};

inline void describe(launch::PlanBuilder& plan, const Payload& payload, std::uint32_t first_slot, bool groups_denied) {
    using launch::StepKind;
    plan.add(StepKind::argument, {.text1 = payload.command}, "argument");
    for (const auto& argument : payload.arguments)
        plan.add(StepKind::argument, {.text1 = argument}, "argument");
    for (const auto& variable : payload.environment)
        plan.add(StepKind::environment, {.text1 = variable}, "environment");
    plan.add(StepKind::work_folder, {.text1 = payload.folder}, "work folder");
    plan.add(StepKind::ids,
             {.flags = groups_denied ? launch::kKeepGroups : std::uint16_t{0}, .a = payload.uid, .b = payload.gid},
             "ids");
    if (payload.console >= 0)
        plan.add(StepKind::terminal, {.a = first_slot, .b = 40U << 16 | 100U}, "terminal");
    else
        plan.add(StepKind::standard_io, {.a = first_slot, .b = first_slot + 1, .c = first_slot + 2}, "stdio");
    plan.add(StepKind::capabilities, {.c = 0}, "capabilities");
}

// One state folder with a keeper in it, ended with the test.
class Kept {
public:
    enum class Ids { range, one };

    explicit Kept(Ids ids = Ids::range) {
        std::string pattern = (fs::temp_directory_path() / "sqk.XXXXXX").string();
        folder_ = ::mkdtemp(pattern.data()) ? pattern : std::string();
        if (folder_.empty()) {
            ADD_FAILURE() << "no folder for the test: " << std::strerror(errno);
            return;
        }
        fs::create_directory(folder_ + "/stage");
        auto started = start(ids);
        if (!started)
            ADD_FAILURE() << started.error().text();
    }
    Kept(const Kept&) = delete;
    Kept& operator=(const Kept&) = delete;
    ~Kept() {
        if (keeper_.pidfd) {
            (void) os::send_signal(keeper_.pidfd.get(), SIGKILL);
            EXPECT_TRUE(os::wait_ended(keeper_.pidfd.get(), kPatienceMs));
        }
        std::error_code ignored;
        fs::remove_all(folder_, ignored);
    }

    [[nodiscard]] std::string at(const std::string& name) const { return folder_ + "/" + name; }
    [[nodiscard]] int pidfd() const { return keeper_.pidfd.get(); }
    [[nodiscard]] pid_t pid() const { return keeper_.pid; }
    [[nodiscard]] bool single_id() const { return single_id_; }
    [[nodiscard]] bool lives() const { return keeper_.pidfd.valid() && !os::has_ended(keeper_.pidfd.get()); }

    Client connect() {
        auto socket = os::connect_unix(at("keeper.sock"), SOCK_SEQPACKET);
        EXPECT_TRUE(socket) << socket.error().text();
        return Client(socket ? std::move(*socket) : UniqueFd());
    }
    // Connects and says hello; what the keeper lists goes to `listed`.
    Client greet(std::vector<Listed>* listed = nullptr) {
        auto client = connect();
        const auto done = client.ask(KeeperKind::hello, [](wire::Writer& out) { out.u32(wire::kKeeperVersion); });
        EXPECT_TRUE(done && done->kind == KeeperKind::hello_done);
        for (const auto& told : client.kept()) {
            if (told.kind != KeeperKind::container)
                continue;
            auto in = told.in();
            Listed one;
            one.id = in.text();
            one.phase = static_cast<wire::ContainerPhase>(in.u32());
            one.pid = in.i32();
            one.status = in.i32();
            one.has_pidfd = told.fds.size() == 1;
            EXPECT_TRUE(in.finished());
            if (listed)
                listed->push_back(one);
        }
        client.kept().clear();
        return client;
    }

    // A helper of ours, started by the keeper as the engine does it.
    Result<UniqueFd> start_helper(Client& client, const std::string& program, const std::string& socket) {
        const auto listener = TRY(os::listen_unix(at(socket), SOCK_SEQPACKET));
        const auto binary = TRY(os::open_file(libexec(program), O_RDONLY));
        const auto log = TRY(os::open_file(at(program + ".log"), O_WRONLY | O_CREAT | O_APPEND, 0600));
        const auto outcome =
            client.outcome(KeeperKind::spawn, text(program), {binary.get(), listener.get(), log.get()});
        if (outcome != "spawned")
            return fail(ErrorKind::system, program + ": " + outcome);
        return os::connect_unix(at(socket), SOCK_SEQPACKET);
    }
    // The stager's answer to one request.
    Result<wire::JsonMessage> ask_stager(const wire::Json& request) {
        if (!stager_) {
            auto client = greet();
            stager_ = TRY(start_helper(client, "squish-stager", "stager.sock"));
        }
        TRY(wire::send_json(stager_.get(), request));
        auto message = TRY(wire::receive_json(stager_.get()));
        if (message.peer_closed)
            return fail(ErrorKind::unavailable, "squish-stager is gone: " + read_file(at("squish-stager.log")));
        TRY(wire::check_answer(message.body));
        return message;
    }
    void forget_stager() { stager_.reset(); }
    [[nodiscard]] int stager() const { return stager_.get(); }

    // A rootfs with testbin and empty folders for the kernel's filesystems.
    std::string make_rootfs(const std::string& name = "rootfs") {
        for (const auto* folder : {"", "/proc", "/dev", "/sys", "/tmp"})
            fs::create_directories(at(name) + folder);
        std::error_code error;
        fs::copy_file(testbin_path(), at(name) + "/testbin", error);
        EXPECT_FALSE(error) << testbin_path() << ": " << error.message();
        return at(name);
    }
    // A rootfs with busybox as "/sh", and links of these names to it.
    std::string make_shell_rootfs(std::initializer_list<const char*> applets = {}) {
        auto rootfs = make_rootfs();
        std::error_code error;
        fs::copy_file(std::string(SQUISH_BUILD_DIR) + "/share/squish/base/bin/busybox", rootfs + "/sh", error);
        EXPECT_FALSE(error) << "busybox: " << error.message();
        for (const auto* applet : applets)
            fs::create_symlink("sh", rootfs + "/" + applet);
        return rootfs;
    }
    UniqueFd root_mount() {
        if (!fs::exists(at("rootfs/testbin")))
            make_rootfs();
        auto staged = ask_stager({{"op", "stage"},
                                  {"rootfs", at("rootfs")},
                                  {"mounts", wire::Json::array()},
                                  {"folders", {"/dev", "/proc"}},
                                  {"files", wire::Json::array()}});
        EXPECT_TRUE(staged) << staged.error().text();
        return staged && staged->fds.size() == 1 ? std::move(staged->fds[0]) : UniqueFd();
    }
    // A folder of the host's, detached.
    UniqueFd folder_mount(const std::string& folder) {
        if (!fs::exists(at("rootfs/testbin")))
            make_rootfs();
        auto staged = ask_stager(
            {{"op", "stage"},
             {"rootfs", at("rootfs")},
             {"mounts",
              {{{"source", folder}, {"target", "/tmp"}, {"read_only", true}, {"nested", false}, {"label", "folder"}}}},
             {"folders", wire::Json::array()},
             {"files", wire::Json::array()}});
        EXPECT_TRUE(staged) << staged.error().text();
        return staged && staged->fds.size() == 2 ? std::move(staged->fds[1]) : UniqueFd();
    }
    int isolated_network() {
        if (!network_) {
            auto made = ask_stager({{"op", "network.isolated"}});
            EXPECT_TRUE(made) << made.error().text();
            if (made && made->fds.size() == 2)
                network_ = std::move(made->fds[0]);
        }
        return network_.get();
    }

    // The steps that come before the container is known.
    static launch::PlanBuilder prelude() {
        using launch::StepKind;
        launch::PlanBuilder plan;
        plan.add(StepKind::no_dump, {}, "no dump");
        plan.add(StepKind::new_proc, {.a = kProc}, "proc");
        plan.add(StepKind::new_tmpfs, {.a = kDev, .c = MOUNT_ATTR_NOSUID, .text1 = "mode=0755,size=64k"}, "dev");
        plan.add(StepKind::stage, {.a = kDev, .b = 0}, "dev");
        for (const auto& [device, major, minor] :
             {std::tuple{"null", 1U, 3U}, std::tuple{"zero", 1U, 5U}, std::tuple{"tty", 5U, 0U}})
            plan.add(StepKind::device, {.a = kDev, .c = launch::device_number(major, minor), .text1 = device},
                     "device");
        plan.add(StepKind::directory, {.a = kDev, .b = 0755, .text1 = "pts"}, "pts");
        plan.add(StepKind::symlink, {.a = kDev, .text1 = "pts/ptmx", .text2 = "ptmx"}, "ptmx");
        plan.add(StepKind::new_devpts, {.a = kPts, .text1 = "newinstance,ptmxmode=0666,mode=0620"}, "pts");
        plan.add(StepKind::attach_beneath, {.a = kDev, .b = kPts, .text1 = "pts"}, "pts");
        return plan;
    }
    static constexpr std::size_t kPreludeSteps = 11;
    static constexpr std::uint32_t kProc = launch::kOwnSlots, kDev = kProc + 1, kPts = kProc + 2;

    // A network namespace of a container's own, and the sysfs that shows it: a mount can be attached once.
    std::pair<UniqueFd, UniqueFd> new_network() {
        auto made = ask_stager({{"op", "network.isolated"}});
        EXPECT_TRUE(made) << made.error().text();
        if (!made || made->fds.size() != 2)
            return {};
        return {std::move(made->fds[0]), std::move(made->fds[1])};
    }
    // With a prelude that takes a sysfs: what is done in the containers of squish.
    std::string prepare(Client& client, const std::string& cell, const launch::PlanBuilder& prelude) {
        const auto [network, sysfs] = new_network();
        const auto plan = sealed(prelude);
        const auto outcome = client.outcome(KeeperKind::prepare, [&](wire::Writer& out) { out.text(cell).u32(0); },
                                            {plan.get(), sysfs.get(), network.get()});
        return outcome == "1 fds" ? "done" : outcome;
    }
    std::string prepare(Client& client, const std::string& cell, bool host = false, bool own_ids = false) {
        const auto plan = sealed(prelude());
        std::vector<int> fds{plan.get()};
        if (!host)
            fds.push_back(isolated_network());
        const auto outcome = client.outcome(
            KeeperKind::prepare, [&](wire::Writer& out) { out.text(cell).u32((host ? 1U : 0U) + (own_ids ? 2U : 0U)); },
            fds);
        return outcome == "1 fds" ? "done" : outcome; // the cell's pidfd
    }
    // `further` adds steps before the payload is run.
    [[nodiscard]] launch::PlanBuilder
    launch_plan(const Payload& payload, const std::function<void(launch::PlanBuilder&)>& further = [](auto&) {}) const {
        using launch::StepKind;
        launch::PlanBuilder plan;
        plan.add(StepKind::root, {.a = 0}, "root");
        plan.add(StepKind::attach, {.a = kDev, .text1 = "/dev"}, "attach /dev");
        plan.add(StepKind::attach, {.a = kProc, .text1 = "/proc"}, "attach /proc");
        plan.add(StepKind::pivot, {}, "pivot");
        plan.add(StepKind::hostname, {.text1 = "box"}, "hostname");
        if (payload.clock)
            plan.add(StepKind::time_offset, {.a = kProc}, "clock");
        describe(plan, payload, 1, single_id_);
        further(plan);
        plan.add(StepKind::run, {.text1 = payload.command}, "run");
        return plan;
    }
    std::vector<int> with_streams(int plan, int root, const Payload& payload) {
        if (!null_)
            null_ = UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC));
        std::vector<int> fds{plan};
        if (root >= 0)
            fds.push_back(root);
        if (payload.console >= 0) {
            fds.push_back(payload.console);
            return fds;
        }
        for (const int stream : {payload.in, payload.out, payload.err})
            fds.push_back(stream >= 0 ? stream : null_.get());
        return fds;
    }
    // A whole container, from nothing: "launched", or what went wrong.
    std::string launch(Client& client, const std::string& id, const Payload& payload = {}) {
        const auto cell = "cell-of-" + id;
        if (const auto prepared = prepare(client, cell); prepared != "done")
            return "prepare: " + prepared;
        return launch_in(client, cell, id, payload);
    }
    std::string launch_in(Client& client, const std::string& cell, const std::string& id, const Payload& payload = {}) {
        const auto root = root_mount();
        const auto plan = sealed(launch_plan(payload));
        return client.outcome(KeeperKind::launch, text(id, cell), with_streams(plan.get(), root.get(), payload));
    }
    std::string exec(Client& client, const std::string& container, const std::string& id, const Payload& payload) {
        launch::PlanBuilder plan;
        describe(plan, payload, 0, single_id_);
        plan.add(launch::StepKind::become, {.text1 = payload.command}, "become");
        const auto memfd = sealed(plan);
        return client.outcome(KeeperKind::exec, text(container, id), with_streams(memfd.get(), -1, payload));
    }

private:
    Result<void> start(Ids ids) {
        const auto uids = ids == Ids::range ? id_map("/etc/subuid", ::getuid()) : "";
        const auto gids = ids == Ids::range ? id_map("/etc/subgid", ::getgid()) : "";
        single_id_ = uids.empty() || gids.empty();
        const auto program = TRY(os::read_file(libexec("squish-init")));
        const auto init = TRY(os::sealed_memfd("squish-init", program, true));
        const auto listener = TRY(os::listen_unix(at("keeper.sock"), SOCK_SEQPACKET));
        const auto log = TRY(os::open_file(at("keeper.log"), O_WRONLY | O_CREAT | O_APPEND, 0600));
        int pipe_fds[2];
        if (::pipe2(pipe_fds, O_CLOEXEC) < 0)
            return fail_errno("pipe");
        const UniqueFd reader(pipe_fds[0]);
        UniqueFd writer(pipe_fds[1]);
        std::vector<std::string> environment = {"PATH=/usr/bin:/bin"};
        for (const auto* name : {"ASAN_OPTIONS", "UBSAN_OPTIONS"})
            if (const char* value = std::getenv(name))
                environment.push_back(std::string(name) + "=" + value);
        keeper_ = TRY(os::spawn_detached({.program = libexec("squish-keeper"),
                                          .args = {"squish-keeper", single_id_ ? "" : uids, single_id_ ? "" : gids},
                                          .environment = environment,
                                          .keep = {listener.get(), init.get(), writer.get()},
                                          .stdout_fd = log.get(),
                                          .stderr_fd = log.get()}));
        writer.reset();
        pollfd waiting{reader.get(), POLLIN, 0};
        std::array<char, 4096> answer{};
        if (::poll(&waiting, 1, kPatienceMs) != 1)
            return fail(ErrorKind::unavailable, "the keeper did not become ready");
        const auto got = ::read(reader.get(), answer.data(), answer.size());
        if (const std::string_view said(answer.data(), got > 0 ? static_cast<std::size_t>(got) : 0); said != "ok")
            return fail(ErrorKind::unavailable,
                        "the keeper said '" + std::string(said) + "': " + read_file(at("keeper.log")));
        return {};
    }

    std::string folder_;
    os::Child keeper_;
    bool single_id_ = false;
    UniqueFd stager_, network_, null_;
};

// What comes out of a pipe until its end, at most `limit` bytes.
class Pipe {
public:
    Pipe() {
        int fds[2] = {-1, -1};
        EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
        reader_ = UniqueFd(fds[0]);
        writer_ = UniqueFd(fds[1]);
    }
    [[nodiscard]] int writer() const { return writer_.get(); }
    [[nodiscard]] int reader() const { return reader_.get(); }
    void close_writer() { writer_.reset(); }
    // Until the end of file, which comes when the last writer has ended.
    std::string rest(int timeout_ms = kPatienceMs) {
        writer_.reset();
        std::string out;
        for (;;) {
            pollfd waiting{reader_.get(), POLLIN, 0};
            if (::poll(&waiting, 1, timeout_ms) != 1) {
                ADD_FAILURE() << "no end of file; so far: " << out;
                return out;
            }
            std::array<char, 65536> buffer;
            const auto got = ::read(reader_.get(), buffer.data(), buffer.size());
            if (got <= 0)
                return out;
            out.append(buffer.data(), static_cast<std::size_t>(got));
        }
    }
    // The next line, without its end.
    std::string line(int timeout_ms = kPatienceMs) {
        std::string out;
        for (char byte = 0;;) {
            pollfd waiting{reader_.get(), POLLIN, 0};
            if (::poll(&waiting, 1, timeout_ms) != 1 || ::read(reader_.get(), &byte, 1) != 1 || byte == '\n')
                return out;
            out += byte;
        }
    }

private:
    UniqueFd reader_, writer_;
};

// Wait statuses as init tells them.
inline std::int32_t exited(int code) {
    return code << 8;
}

} // namespace squish::test

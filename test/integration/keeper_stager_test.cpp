// The stager: the real program, started by a real keeper. What it mounts is looked at inside containers and by fd.
#include "keeper_harness.h"

#include <gmock/gmock.h>
#include <linux/openat2.h>
#include <random>
#include <set>
#include <sys/statvfs.h>
#include <sys/vfs.h>

namespace squish::stager {
namespace {

using namespace squish::test;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;
using wire::Json;

class Stager : public ::testing::Test {
protected:
    void SetUp() override {
        SKIP_AS_ROOT();
        for (const auto* folder : {"etc", "usr/lib", "opt"})
            fs::create_directories(root(folder));
        put("rootfs/etc/passwd", "root:x:0:0::/:/bin/sh\n");
        put("rootfs/usr/lib/library", "x");
        put("file", "of the user");
        fs::create_directories(kept_.at("folder/sub"));
        put("folder/inside", "inside");
    }
    [[nodiscard]] std::string root(const std::string& path = "") const {
        return kept_.at("rootfs") + (path.empty() ? "" : "/" + path);
    }
    void put(const std::string& name, const std::string& text) const { std::ofstream(kept_.at(name)) << text; }

    static Json mount(const std::string& source, const std::string& target, bool read_only = true) {
        return {{"source", source},
                {"target", target},
                {"read_only", read_only},
                {"nested", false},
                {"label", "[layers] it"}};
    }
    Result<wire::JsonMessage> stage(Json folders = Json::array(), Json mounts = Json::array(),
                                    Json files = Json::array(), const std::string& rootfs = {}) {
        Json request = Json::object();
        request["op"] = "stage";
        request["seq"] = 1;
        request["rootfs"] = rootfs.empty() ? root() : rootfs;
        request["folders"] = std::move(folders);
        request["mounts"] = std::move(mounts);
        request["files"] = std::move(files);
        return kept_.ask_stager(request);
    }
    static Json paths(std::initializer_list<const char*> list) {
        Json out = Json::array();
        for (const auto* path : list)
            out.push_back(path);
        return out;
    }
    static Json file(const std::string& path, const std::string& content) {
        Json out = Json::array();
        out.push_back({{"path", path}, {"content", content}});
        return out;
    }
    // A detached mount can be walked by its fd from anywhere.
    static UniqueFd within(int mount, const std::string& path, int flags = O_RDONLY) {
        auto fd = os::open_beneath(mount, path, static_cast<std::uint64_t>(flags), RESOLVE_IN_ROOT);
        return fd ? std::move(*fd) : UniqueFd();
    }
    static std::string text_of(int mount, const std::string& path) {
        const auto fd = within(mount, path);
        if (!fd)
            return "(" + std::string(std::strerror(errno)) + ")";
        auto text = os::read_all(fd.get());
        return text ? *text : "(unreadable)";
    }
    static struct stat status(int mount, const std::string& path = ".") {
        struct stat info{};
        const auto fd = within(mount, path, O_PATH);
        EXPECT_EQ(::fstat(fd.get(), &info), 0) << path;
        return info;
    }
    static bool read_only(int mount, const std::string& path = ".") {
        struct statvfs info{};
        const auto fd = within(mount, path, O_PATH);
        EXPECT_EQ(::fstatvfs(fd.get(), &info), 0) << path;
        return info.f_flag & ST_RDONLY;
    }
    // Everything that there is to see of a tree.
    static std::string fingerprint(const std::string& folder) {
        std::string out;
        std::vector<fs::path> all;
        for (const auto& entry : fs::recursive_directory_iterator(folder))
            all.push_back(entry.path());
        all.push_back(folder);
        std::ranges::sort(all);
        for (const auto& path : all) {
            struct stat info{};
            EXPECT_EQ(::lstat(path.c_str(), &info), 0);
            out += path.string() + " " + std::to_string(info.st_mode) + " " + std::to_string(info.st_uid) + " " +
                   std::to_string(info.st_size) + " " + std::to_string(info.st_ino) + " " +
                   std::to_string(info.st_mtim.tv_nsec) + " " + std::to_string(info.st_ctim.tv_nsec);
            if (S_ISREG(info.st_mode))
                out += " " + read_file(path);
            if (S_ISLNK(info.st_mode))
                out += " " + fs::read_symlink(path).string();
            out += "\n";
        }
        return out;
    }

    Kept kept_;
};

TEST_F(Stager, AWholeRootfsIsItselfReadOnly) {
    const auto staged = MUST(stage(paths({"/etc", "/usr/lib"})));
    ASSERT_EQ(staged.fds.size(), 1U);
    const int mount = staged.fds[0].get();
    struct stat original{};
    ASSERT_EQ(::stat(root().c_str(), &original), 0);
    EXPECT_EQ(status(mount).st_ino, original.st_ino);
    EXPECT_EQ(status(mount).st_dev, original.st_dev);
    EXPECT_TRUE(read_only(mount));
    EXPECT_EQ(text_of(mount, "etc/passwd"), "root:x:0:0::/:/bin/sh\n");
    EXPECT_FALSE(within(mount, "etc/new", O_WRONLY | O_CREAT).valid());
    EXPECT_EQ(staged.body["kinds"], Json::array());
    EXPECT_EQ(staged.body["seq"], 1);
}

TEST_F(Stager, MissingPointsAreAddedOnceAndShared) {
    const auto before = fingerprint(root());
    const auto one =
        MUST(stage(paths({"/dev", "/opt/app/data", "/etc"}),
                   Json::array({mount(kept_.at("file"), "/srv/one/file"), mount(kept_.at("folder"), "/usr/share")})));
    const auto two =
        MUST(stage(paths({"/dev", "/opt/app/data", "/etc"}),
                   Json::array({mount(kept_.at("file"), "/srv/one/file"), mount(kept_.at("folder"), "/usr/share")})));
    ASSERT_EQ(one.fds.size(), 3U);
    const int mount = one.fds[0].get();
    for (const auto* folder : {"dev", "opt/app/data", "usr/share", "etc"})
        EXPECT_TRUE(S_ISDIR(status(mount, folder).st_mode)) << folder;
    EXPECT_TRUE(S_ISREG(status(mount, "srv/one/file").st_mode));
    EXPECT_EQ(text_of(mount, "srv/one/file"), "");
    EXPECT_EQ(text_of(mount, "etc/passwd"), "root:x:0:0::/:/bin/sh\n") << "the rest is there as well";
    EXPECT_EQ(text_of(mount, "usr/lib/library"), "x");
    EXPECT_TRUE(read_only(mount));
    EXPECT_FALSE(within(mount, "opt/app/data/new", O_WRONLY | O_CREAT).valid());
    EXPECT_EQ(status(mount).st_dev, status(two.fds[0].get()).st_dev)
        << "one superblock for both: their caches are shared";
    struct stat original{};
    ASSERT_EQ(::stat(root().c_str(), &original), 0);
    EXPECT_NE(status(mount).st_dev, original.st_dev);
    const auto other = MUST(stage(paths({"/dev", "/somewhere-else"})));
    EXPECT_NE(status(other.fds[0].get()).st_dev, status(mount).st_dev);
    EXPECT_EQ(fingerprint(root()), before) << "nothing was written to the rootfs";
}

TEST_F(Stager, EverybodyMayEnterWhatEverybodyMayEnter) {
    // squishd has a umask of 077; a payload with another uid must get through the folders that were made.
    ::chmod(root().c_str(), 0755);
    const auto staged =
        MUST(stage(paths({"/dev", "/opt/app/data"}), Json::array({mount(kept_.at("file"), "/srv/one/file")}),
                   file("/etc/resolv.conf", "x")));
    const int mount = staged.fds[0].get();
    for (const auto* folder : {".", "dev", "opt", "opt/app", "opt/app/data", "srv", "srv/one", "etc"})
        EXPECT_EQ(status(mount, folder).st_mode & 0777, 0755U) << folder;
    EXPECT_EQ(status(mount, "etc/resolv.conf").st_mode & 0777, 0644U);
    EXPECT_EQ(status(mount, "srv/one/file").st_mode & 0777, 0644U);
}

TEST_F(Stager, FoldersThatAreCoveredKeepTheirLooks) {
    ::chmod(root("opt").c_str(), 01777);
    const timespec times[2] = {{1'000'000, 0}, {1'000'001, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, root("opt").c_str(), times, 0), 0);
    const auto staged = MUST(stage(paths({"/opt/app"})));
    EXPECT_EQ(status(staged.fds[0].get(), "opt").st_mode & 07777, 01777U);
    EXPECT_EQ(status(staged.fds[0].get(), "opt").st_mtim.tv_sec, 1'000'001);
    EXPECT_EQ(status(staged.fds[0].get(), "opt").st_uid, ::getuid());
}

TEST_F(Stager, GeneratedFilesAreSeenEvenWhereTheRootfsHasOne) {
    const auto before = fingerprint(root());
    const auto added = MUST(stage(paths({}), Json::array(), file("/etc/resolv.conf", "nameserver 1\n")));
    EXPECT_EQ(text_of(added.fds[0].get(), "etc/resolv.conf"), "nameserver 1\n");
    const auto replaced = MUST(stage(paths({}), Json::array(), file("/etc/passwd", "generated")));
    EXPECT_EQ(text_of(replaced.fds[0].get(), "etc/passwd"), "generated");
    const auto changed = MUST(stage(paths({}), Json::array(), file("/etc/resolv.conf", "nameserver 2\n")));
    EXPECT_EQ(text_of(changed.fds[0].get(), "etc/resolv.conf"), "nameserver 2\n") << "other content, another overlay";
    EXPECT_EQ(fingerprint(root()), before);
}

TEST_F(Stager, LinksInTheRootfsLeadNowhereElse) {
    fs::create_directories(kept_.at("outside/etc"));
    put("outside/secret", "secret");
    fs::create_symlink(kept_.at("outside"), root("absolute"));
    fs::create_symlink("../../../../../../../../../.." + kept_.at("outside"), root("upwards"));
    fs::create_symlink("/usr/lib", root("lib"));
    fs::create_symlink("../outside", root("near"));
    fs::create_symlink("/run/nowhere/resolv.conf", root("etc/resolv.conf"));
    const auto before = fingerprint(root());
    const auto before_outside = fingerprint(kept_.at("outside"));
    const auto staged = MUST(stage(paths({"/absolute/made", "/upwards/made", "/near/made", "/lib/made"}), Json::array(),
                                   file("/etc/resolv.conf", "ours")));
    const int mount = staged.fds[0].get();
    for (const auto* folder : {"absolute/made", "upwards/made", "near/made", "lib/made", "usr/lib/made"})
        EXPECT_TRUE(S_ISDIR(status(mount, folder).st_mode)) << folder;
    EXPECT_EQ(text_of(mount, "usr/lib/library"), "x");
    for (const auto* link : {"absolute/secret", "upwards/secret", "near/secret"})
        EXPECT_EQ(text_of(mount, link).find("secret"), std::string::npos) << link;
    EXPECT_EQ(text_of(mount, "etc/resolv.conf"), "ours");
    EXPECT_EQ(fingerprint(root()), before);
    EXPECT_EQ(fingerprint(kept_.at("outside")), before_outside);
}

TEST_F(Stager, ALoopOfLinksIsAnErrorThatNamesThePlace) {
    fs::create_symlink("b", root("a"));
    fs::create_symlink("a", root("b"));
    fs::create_symlink("loop", kept_.at("loop"));
    const auto point = stage(paths({"/a/x"}));
    ASSERT_FALSE(point);
    EXPECT_THAT(point.error().message, HasSubstr("/a/x"));
    EXPECT_EQ(point.error().sys_errno, ELOOP);
    const auto source = stage(paths({}), Json::array({mount(kept_.at("loop"), "/x")}));
    ASSERT_FALSE(source);
    EXPECT_THAT(source.error().message, HasSubstr("[layers] it"));
    EXPECT_EQ(source.error().sys_errno, ELOOP);
    EXPECT_FALSE(stage(paths({}), Json::array(), Json::array(), kept_.at("loop")));
}

TEST_F(Stager, ThingsOfTheOtherKindAreRefused) {
    const auto folder = stage(paths({"/etc/passwd"}));
    ASSERT_FALSE(folder);
    EXPECT_EQ(folder.error().kind, ErrorKind::invalid);
    EXPECT_THAT(folder.error().message,
                HasSubstr("'/etc/passwd' is a file in the rootfs, but a folder is to be mounted there"));
    EXPECT_FALSE(folder.error().remedy.empty());
    const auto over_folder = stage(paths({}), Json::array({mount(kept_.at("file"), "/etc")}));
    ASSERT_FALSE(over_folder);
    EXPECT_THAT(over_folder.error().message,
                HasSubstr("'/etc' is a folder in the rootfs, but a file is to be mounted there"));
    const auto below = stage(paths({"/etc/passwd/below"}));
    ASSERT_FALSE(below);
    EXPECT_THAT(below.error().message, HasSubstr("/etc/passwd"));
    const auto beneath_file = stage(paths({}), Json::array({mount(kept_.at("file"), "/etc/passwd/x/y")}));
    EXPECT_FALSE(beneath_file);
}

TEST_F(Stager, SourcesThatCannotBeMountedAreNamed) {
    const auto missing = stage(paths({}), Json::array({mount(kept_.at("missing"), "/x")}));
    ASSERT_FALSE(missing);
    EXPECT_THAT(missing.error().message, HasSubstr("[layers] it: "));
    EXPECT_THAT(missing.error().message, HasSubstr(kept_.at("missing")));
    EXPECT_THAT(missing.error().message, HasSubstr("No such file or directory"));
    for (const auto* source : {"/dev/null", "/dev/tty"}) {
        const auto device = stage(paths({}), Json::array({mount(source, "/x")}));
        ASSERT_FALSE(device) << source;
        EXPECT_THAT(device.error().message, HasSubstr("neither a file nor a folder"));
    }
    fs::create_directories(kept_.at("closed/inside"));
    ::chmod(kept_.at("closed").c_str(), 0);
    // The user's own folder: root of the namespace may pass, as its owner could after a chmod. Others' it may not.
    const auto others = stage(paths({}), Json::array({mount("/root/secret", "/x")}));
    ASSERT_FALSE(others);
    EXPECT_EQ(others.error().sys_errno, EACCES);
    ::chmod(kept_.at("closed").c_str(), 0700);
    for (const auto& rootfs : {kept_.at("missing"), kept_.at("file")}) {
        const auto staged = stage(paths({}), Json::array(), Json::array(), rootfs);
        ASSERT_FALSE(staged);
        EXPECT_THAT(staged.error().message, HasSubstr("rootfs '" + rootfs + "'"));
    }
}

// /proc/self is the stager itself: what it holds open, and where it is, is not the user's to mount.
TEST_F(Stager, NoPathLeadsThroughTheStagerItself) {
    std::vector<std::string> paths_of_its_own = {"/proc/self/root", "/proc/self/cwd/", "/proc/thread-self/root/etc",
                                                 "/proc/self/exe"};
    for (int fd = 0; fd < 16; ++fd)
        paths_of_its_own.push_back("/proc/self/fd/" + std::to_string(fd));
    for (const auto& path : paths_of_its_own) {
        std::error_code ignored;
        fs::remove(kept_.at("to"), ignored);
        fs::create_symlink(path, kept_.at("to"));
        for (const auto& source : {path, kept_.at("to")}) {
            const auto staged = stage(paths({}), Json::array({mount(source, "/x", false)}));
            ASSERT_FALSE(staged) << source;
            EXPECT_THAT(staged.error().sys_errno, ::testing::AnyOf(ELOOP, ENOENT)) << source;
            EXPECT_FALSE(stage(paths({}), Json::array(), Json::array(), source)) << source;
        }
    }
}

TEST_F(Stager, MountsAreOfTheKindOfTheirSource) {
    fs::create_symlink(kept_.at("folder"), kept_.at("link"));
    const auto listener = MUST(os::listen_unix(kept_.at("socket"), SOCK_STREAM));
    const auto staged =
        MUST(stage(paths({}), Json::array({mount(kept_.at("file"), "/a"), mount(kept_.at("folder"), "/b", false),
                                           mount(kept_.at("link"), "/c"), mount(kept_.at("socket"), "/d", false)})));
    EXPECT_EQ(staged.body["kinds"], Json::array({"file", "folder", "folder", "file"}));
    ASSERT_EQ(staged.fds.size(), 5U);
    EXPECT_EQ(text_of(staged.fds[2].get(), "inside"), "inside");
    EXPECT_TRUE(read_only(staged.fds[3].get()));
    EXPECT_FALSE(read_only(staged.fds[2].get()));
    EXPECT_FALSE(within(staged.fds[3].get(), "new", O_WRONLY | O_CREAT).valid());
    const auto written = os::open_beneath(staged.fds[2].get(), "new", O_WRONLY | O_CREAT, RESOLVE_IN_ROOT, 0600);
    EXPECT_TRUE(written);
    EXPECT_TRUE(fs::exists(kept_.at("folder/new")));
}

TEST_F(Stager, ReadOnlyHoldsForEverythingBelow) {
    // /dev and /sys of the host have mounts below them.
    std::set<std::string> below;
    const auto mounted = read_file("/proc/self/mounts");
    for (const auto line : split(mounted, '\n'))
        if (const auto fields = split(line, ' '); fields.size() > 1 && fields[1].starts_with("/dev/"))
            below.insert(std::string(fields[1]));
    const auto staged = MUST(stage(paths({}), Json::array({mount("/dev", "/x")})));
    ASSERT_EQ(staged.fds.size(), 2U);
    EXPECT_TRUE(read_only(staged.fds[1].get()));
    for (const auto& point : below) {
        if (::access(point.c_str(), X_OK) == 0) {
            EXPECT_TRUE(read_only(staged.fds[1].get(), point.substr(5))) << point;
        }
    }
    struct statvfs info{};
    ASSERT_EQ(::fstatvfs(staged.fds[1].get(), &info), 0);
    EXPECT_TRUE(info.f_flag & ST_NOSUID);
    EXPECT_TRUE(info.f_flag & ST_NODEV);
}

TEST_F(Stager, APointThatGoesAwayIsMadeAgain) {
    fs::create_directories(root("opt/deep/point"));
    (void) MUST(stage(paths({"/opt/deep/point"})));
    fs::remove(root("opt/deep/point")); // the folder at the top does not change by this
    const auto again = MUST(stage(paths({"/opt/deep/point"})));
    EXPECT_TRUE(S_ISDIR(status(again.fds[0].get(), "opt/deep/point").st_mode));
}

TEST_F(Stager, ARootfsThatChangedIsLookedAtAgain) {
    const auto one = MUST(stage(paths({"/new"})));
    fs::create_directories(root("new"));
    put("rootfs/new/file", "x");
    const auto two = MUST(stage(paths({"/new"})));
    EXPECT_EQ(text_of(two.fds[0].get(), "new/file"), "x");
}

TEST_F(Stager, ForgetsTheOldestOverlaysAndKeepsWorking) {
    const auto first = MUST(stage(paths({"/point-0"})));
    const auto device = status(first.fds[0].get()).st_dev;
    for (int i = 1; i < 150; ++i) {
        const auto name = "/point-" + std::to_string(i);
        const auto staged = MUST(stage(Json::array({name})));
        ASSERT_TRUE(S_ISDIR(status(staged.fds[0].get(), name.substr(1)).st_mode));
    }
    EXPECT_TRUE(S_ISDIR(status(first.fds[0].get(), "point-0").st_mode)) << "what is in use stays";
    const auto again = MUST(stage(paths({"/point-0"})));
    EXPECT_NE(status(again.fds[0].get()).st_dev, device) << "made anew";
    // A failure in between leaves nothing in the way.
    for (int i = 0; i < 100; ++i)
        EXPECT_FALSE(
            stage(paths({"/new", "/new/../etc/passwd/x"}),
                  Json::array({mount(kept_.at("file"), "/blocked"), mount(kept_.at("folder"), "/blocked/x")})));
    EXPECT_TRUE(stage(paths({"/fine"})));
}

TEST_F(Stager, ALayerOfANameWithAllThatSeparatesInAnOverlay) {
    const auto odd = kept_.at("root:fs,a=b\\c");
    fs::create_directories(odd + "/etc");
    const auto staged = MUST(stage(paths({"/dev"}), Json::array(), Json::array(), odd));
    EXPECT_TRUE(S_ISDIR(status(staged.fds[0].get(), "etc").st_mode));
    EXPECT_TRUE(S_ISDIR(status(staged.fds[0].get(), "dev").st_mode));
}

TEST_F(Stager, AContainerOnAnOverlayCannotWriteToIt) {
    kept_.make_rootfs();
    std::error_code error;
    fs::copy_file(std::string(SQUISH_BUILD_DIR) + "/share/squish/base/bin/busybox", root("sh"), error);
    fs::remove(root("dev"));
    const auto before = fingerprint(root());
    auto client = kept_.greet();
    Pipe out;
    ASSERT_EQ(
        kept_.launch(client, "one",
                     {.arguments = {"-c", "echo x > /etc/passwd; echo x > /new; busybox=/sh; $busybox mkdir /etc/new; "
                                          "$busybox rm /etc/passwd; $busybox chmod 777 /etc; echo done"},
                      .command = "/sh",
                      .out = out.writer()}),
        "launched");
    EXPECT_EQ(out.rest(), "done\n");
    EXPECT_EQ(client.event(KeeperKind::exited, "one"), exited(0));
    EXPECT_EQ(fingerprint(root()), before);
}

TEST_F(Stager, IsolatedNetworksAreDifferentAndComeWithTheirSysfs) {
    struct stat one{}, two{};
    const auto first = MUST(kept_.ask_stager({{"op", "network.isolated"}}));
    const auto second = MUST(kept_.ask_stager({{"op", "network.isolated"}}));
    ASSERT_EQ(first.fds.size(), 2U);
    ASSERT_EQ(::fstat(first.fds[0].get(), &one), 0);
    ASSERT_EQ(::fstat(second.fds[0].get(), &two), 0);
    EXPECT_NE(one.st_ino, two.st_ino);
    struct statfs kind{};
    ASSERT_EQ(::fstatfs(first.fds[1].get(), &kind), 0);
    EXPECT_EQ(kind.f_type, 0x62656572); // SYSFS_MAGIC
    EXPECT_TRUE(read_only(first.fds[1].get()));
}

TEST_F(Stager, MalformedRequestsAreAnsweredWithWhatIsMissing) {
    (void) MUST(stage(paths({"/dev"})));
    const std::pair<const char*, const char*> cases[] = {
        {R"({})", "'op'"},
        {R"({"op":1})", "'op'"},
        {R"({"op":"unheard-of"})", "unheard-of"},
        {R"({"op":"stage"})", "'mounts'"},
        {R"({"op":"stage","mounts":{},"folders":[],"files":[]})", "'mounts'"},
        {R"({"op":"stage","mounts":[1],"folders":[],"files":[]})", "mount"},
        {R"({"op":"stage","mounts":[{}],"folders":[],"files":[]})", "'source'"},
        {R"({"op":"stage","mounts":[],"folders":[1],"files":[]})", "folder"},
        {R"({"op":"stage","mounts":[],"folders":[],"files":[1]})", "'path'"},
        {R"({"op":"stage","mounts":[],"folders":[],"files":[],"rootfs":[]})", "'rootfs'"},
        {R"({"op":"network.slot"})", "not up"},
        {R"({"op":"network.up","mtu":"x","spares":0})", "'mtu'"},
        {R"({"op":"network.release","slot":-1})", "slot"},
        {R"({"op":"network.release","slot":99999999999999})", "slot"},
        {R"({"op":"network.retain","slots":{}})", "'slots'"},
    };
    for (const auto& [request, named] : cases) {
        const auto answer = kept_.ask_stager(Json::parse(request));
        ASSERT_FALSE(answer) << request;
        EXPECT_THAT(answer.error().message, HasSubstr(named)) << request;
    }
    // No object at all: still an answer, and still in step.
    for (const auto* raw : {"", "x", "[]", "{"}) {
        if (!*raw)
            continue;
        MUST_VOID(os::send_message(kept_.stager(), raw));
        const auto answer = MUST(wire::receive_json(kept_.stager()));
        EXPECT_FALSE(answer.peer_closed) << raw;
        EXPECT_FALSE(wire::check_answer(answer.body)) << raw;
    }
    EXPECT_TRUE(stage(paths({"/dev"})));
}

TEST_F(Stager, NoNestingEndsIt) {
    (void) MUST(stage(paths({"/dev"})));
    const std::string deep(50'000, '[');
    MUST_VOID(os::send_message(kept_.stager(), R"({"op":"stage","rootfs":"/","folders":[],"files":[],"mounts":[)" +
                                                   deep + std::string(50'000, ']') + "]}"));
    const auto answer = MUST(wire::receive_json(kept_.stager()));
    EXPECT_FALSE(answer.peer_closed);
    EXPECT_TRUE(stage(paths({"/dev"})));
}

TEST_F(Stager, NoRandomDamageEndsIt) {
    Json good = Json::object();
    good["op"] = "stage";
    good["seq"] = 7;
    good["rootfs"] = root();
    good["folders"] = paths({"/dev", "/opt/app"});
    good["mounts"] = Json::array({mount(kept_.at("file"), "/x/y"), mount(kept_.at("folder"), "/z", false)});
    good["files"] = file("/etc/resolv.conf", "text");
    (void) MUST(kept_.ask_stager(good));
    const auto before = fingerprint(root());
    const auto client = kept_.greet(); // the keeper, and the stager with it, end where nobody wants them for a while
    const auto text = good.dump();
    std::mt19937 random(4); // NOLINT: the same every time, on purpose
    int refused = 0;
    for (int round = 0; round < 10'000; ++round) {
        auto bytes = text;
        for (auto changes = 1 + random() % 4; changes > 0; --changes) {
            const auto at = random() % bytes.size();
            switch (random() % 5) {
            case 0:
                bytes[at] = static_cast<char>(random());
                break;
            case 1:
                bytes.erase(at, 1 + random() % 20);
                break;
            case 2:
                bytes.insert(at, std::string(1 + random() % 3, "/.{}[]\",:0"[random() % 10]));
                break;
            case 3:
                bytes.insert(at, bytes.substr(random() % bytes.size(), random() % 40));
                break;
            default:
                bytes.insert(at, "/..");
            }
            if (bytes.empty())
                bytes = "x";
        }
        MUST_VOID(os::send_message(kept_.stager(), bytes));
        const auto answer = MUST(wire::receive_json(kept_.stager()));
        ASSERT_FALSE(answer.peer_closed) << "round " << round << ": " << bytes;
        refused += !wire::check_answer(answer.body);
    }
    EXPECT_GT(refused, 1000);
    EXPECT_EQ(fingerprint(root()), before);
    EXPECT_TRUE(stage(paths({"/dev"})));
}

TEST_F(Stager, AClientThatDoesNotReadBlocksNobody) {
    (void) MUST(stage(paths({"/dev"})));
    const auto deaf = MUST(os::connect_unix(kept_.at("stager.sock"), SOCK_SEQPACKET));
    ASSERT_EQ(::fcntl(deaf.get(), F_SETFL, O_NONBLOCK), 0);
    Result<void> sent;
    for (int i = 0; i < 5000 && sent; ++i)
        sent = wire::send_json(deaf.get(), {{"op", "unheard-of"}});
    const auto other = MUST(os::connect_unix(kept_.at("stager.sock"), SOCK_SEQPACKET));
    MUST_VOID(wire::send_json(other.get(), {{"op", "unheard-of"}}));
    pollfd waiting{other.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&waiting, 1, 5000), 1) << "another client waits for one that does not read";
}

TEST_F(Stager, WorksAgainAfterItWasKilled) {
    const auto one = MUST(stage(paths({"/dev"})));
    auto client = kept_.greet();
    bool killed = false;
    for (const auto& entry : fs::directory_iterator("/proc")) {
        if (read_file(entry.path().string() + "/comm") != "squish-stager\n")
            continue;
        const auto status = read_file(entry.path().string() + "/status");
        if (status.contains("PPid:\t" + std::to_string(kept_.pid()) + "\n"))
            killed = ::kill(std::atoi(entry.path().filename().c_str()), SIGKILL) == 0;
    }
    ASSERT_TRUE(killed);
    EXPECT_EQ(client.event(KeeperKind::helper_exited, "squish-stager"), SIGKILL);
    EXPECT_TRUE(S_ISDIR(status(one.fds[0].get(), "dev").st_mode)) << "mounts that were given out live on";
    kept_.forget_stager();
    EXPECT_TRUE(stage(paths({"/dev"})));
}

} // namespace
} // namespace squish::stager

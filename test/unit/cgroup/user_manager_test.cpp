// The real sd-bus on both sides: a manager of our own at the other end of the user's bus.
#include "base/unique_fd.h"
#include "cgroup/user_manager.h"

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <gmock/gmock.h>
#include <mutex>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <thread>
#include <unistd.h>

namespace squish::cgroup {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kJob = "/org/freedesktop/systemd1/job/7";

// Speaks for the bus and for systemd. What a unit is called decides what becomes of it.
class FakeManager {
public:
    FakeManager() {
        char name[] = "/tmp/squish-bus-XXXXXX";
        folder_ = ::mkdtemp(name);
        const auto path = folder_ + "/bus";
        listener_ = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        EXPECT_EQ(::listen(listener_.get(), 4), 0);
        ::setenv("DBUS_SESSION_BUS_ADDRESS", ("unix:path=" + path).c_str(), 1);
        thread_ = std::thread([this] { serve(); });
    }
    FakeManager(const FakeManager&) = delete;
    FakeManager& operator=(const FakeManager&) = delete;
    ~FakeManager() {
        stopping_ = true;
        thread_.join();
        std::filesystem::remove_all(folder_);
    }
    std::vector<std::string> heard() {
        const std::lock_guard lock(mutex_);
        return heard_;
    }

private:
    void serve() {
        while (!stopping_) {
            pollfd waiting{listener_.get(), POLLIN, 0};
            if (::poll(&waiting, 1, 20) <= 0)
                continue;
            const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
            sd_bus* bus = nullptr;
            sd_bus_new(&bus);
            sd_bus_set_fd(bus, fd, fd);
            sd_bus_set_server(bus, 1, sd_id128_t{});
            sd_bus_start(bus);
            sd_bus_add_filter(bus, nullptr, on_message, this);
            hang_up_ = false;
            while (!stopping_ && !hang_up_) {
                const int processed = sd_bus_process(bus, nullptr);
                if (processed < 0)
                    break;
                if (processed == 0)
                    sd_bus_wait(bus, 20'000);
            }
            sd_bus_flush_close_unref(bus);
        }
    }

    static void answer(sd_bus_message* reply) {
        sd_bus_message_set_sender(reply, ":1.2");
        sd_bus_send(sd_bus_message_get_bus(reply), reply, nullptr);
        sd_bus_message_unref(reply);
    }
    static sd_bus_message* reply_to(sd_bus_message* call) {
        sd_bus_message* reply = nullptr;
        sd_bus_message_new_method_return(call, &reply);
        return reply;
    }
    static void refuse(sd_bus_message* call, const char* name, const char* text) {
        sd_bus_error error = SD_BUS_ERROR_MAKE_CONST(name, text);
        sd_bus_message* reply = nullptr;
        sd_bus_message_new_method_error(call, &reply, &error);
        answer(reply);
    }
    static void announce(sd_bus* bus, const char* unit, const char* result) {
        sd_bus_message* signal = nullptr;
        sd_bus_message_new_signal(bus, &signal, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
                                  "JobRemoved");
        sd_bus_message_append(signal, "uoss", 7U, kJob, unit, result);
        answer(signal);
    }

    static std::string value_text(sd_bus_message* message) {
        const char* contents = nullptr;
        char type = 0;
        sd_bus_message_peek_type(message, &type, &contents);
        const std::string signature = contents;
        sd_bus_message_enter_container(message, SD_BUS_TYPE_VARIANT, contents);
        std::string text = signature + ":";
        if (signature == "t") {
            std::uint64_t value = 0;
            sd_bus_message_read(message, "t", &value);
            text += std::to_string(value);
        } else if (signature == "b") {
            int value = 0;
            sd_bus_message_read(message, "b", &value);
            text += std::to_string(value);
        } else if (signature == "s") {
            const char* value = nullptr;
            sd_bus_message_read(message, "s", &value);
            text += value;
        } else if (signature == "ay" || signature == "au") {
            const void* data = nullptr;
            std::size_t size = 0;
            sd_bus_message_read_array(message, signature[1], &data, &size);
            text += std::to_string(size);
        } else { // a(st)
            sd_bus_message_enter_container(message, SD_BUS_TYPE_ARRAY, "(st)");
            const char* path = nullptr;
            std::uint64_t rate = 0;
            while (sd_bus_message_read(message, "(st)", &path, &rate) > 0)
                text += std::string(path) + "=" + std::to_string(rate) + ";";
            sd_bus_message_exit_container(message);
        }
        sd_bus_message_exit_container(message);
        return text;
    }
    void note_properties(sd_bus_message* message) {
        sd_bus_message_enter_container(message, SD_BUS_TYPE_ARRAY, "(sv)");
        while (sd_bus_message_enter_container(message, SD_BUS_TYPE_STRUCT, "sv") > 0) {
            const char* name = nullptr;
            sd_bus_message_read(message, "s", &name);
            const auto text = std::string(name) + "=" + value_text(message);
            sd_bus_message_exit_container(message);
            const std::lock_guard lock(mutex_);
            heard_.push_back(text);
        }
        sd_bus_message_exit_container(message);
    }

    static int on_message(sd_bus_message* message, void* self, sd_bus_error*) {
        return static_cast<FakeManager*>(self)->handle(message);
    }
    int handle(sd_bus_message* message) {
        const char* raw = sd_bus_message_get_member(message);
        const std::string member = raw ? raw : "";
        auto* bus = sd_bus_message_get_bus(message);
        if (member == "Get") {
            const char *interface = nullptr, *name = nullptr;
            sd_bus_message_read(message, "ss", &interface, &name);
            auto* reply = reply_to(message);
            sd_bus_message_append(reply, "v", "s", std::string(name) == "Version" ? "252" : "/user@1000.service");
            answer(reply);
        } else if (member == "Hello") {
            auto* reply = reply_to(message);
            sd_bus_message_append(reply, "s", ":1.1");
            answer(reply);
        } else if (member == "StartTransientUnit" || member == "StopUnit") {
            const char *unit = nullptr, *mode = nullptr;
            sd_bus_message_read(message, "ss", &unit, &mode);
            const std::string name = unit;
            if (member == "StartTransientUnit")
                note_properties(message);
            if (name == "exists.scope") {
                refuse(message, "org.freedesktop.systemd1.UnitExists", "Unit exists.scope already exists.");
            } else if (name == "gone.scope") {
                refuse(message, "org.freedesktop.systemd1.NoSuchUnit", "Unit gone.scope not loaded.");
            } else if (name == "lost.scope") {
                hang_up_ = true;
            } else {
                auto* reply = reply_to(message);
                sd_bus_message_append(reply, "o", kJob);
                answer(reply);
                announce(bus, "other.scope", "failed");
                announce(bus, unit, name == "bad.scope" ? "failed" : "done");
            }
        } else if (member == "SetUnitProperties") {
            const char* unit = nullptr;
            int runtime = 0;
            sd_bus_message_read(message, "sb", &unit, &runtime);
            note_properties(message);
            answer(reply_to(message));
        } else { // AddMatch, Subscribe, AttachProcessesToUnit
            answer(reply_to(message));
        }
        return 1;
    }

    std::string folder_;
    UniqueFd listener_;
    std::atomic<bool> stopping_ = false, hang_up_ = false;
    std::mutex mutex_;
    std::vector<std::string> heard_;
    std::thread thread_;
};

class UserManagerTest : public ::testing::Test {
protected:
    void SetUp() override {
        auto connected = UserManager::connect();
        ASSERT_TRUE(connected.has_value()) << connected.error().text();
        manager = std::move(*connected);
    }
    // Starts a request and runs its event loop until it is done.
    template <class Start> Result<void> run(Start start) {
        std::optional<Result<void>> result;
        start([&](Result<void> done) { result = std::move(done); });
        const auto end = UserManager::Clock::now() + std::chrono::seconds(20);
        while (!result && UserManager::Clock::now() < end) {
            pollfd waiting{manager->fd(), manager->wanted_events(), 0};
            (void) ::poll(&waiting, 1, 20);
            manager->on_ready();
        }
        return result ? std::move(*result) : Result<void>(fail(ErrorKind::system, "never called back"));
    }
    Result<void> start_scope(const std::string& unit, const std::vector<Property>& properties = {}) {
        return run([&](auto done) { manager->start_scope(unit, properties, done); });
    }
    FakeManager fake;
    std::unique_ptr<UserManager> manager;
};

TEST_F(UserManagerTest, TellsWhereItIs) {
    EXPECT_EQ(manager->version(), "252");
    EXPECT_EQ(manager->cgroup(), "/user@1000.service");
    manager->on_ready(); // what came meanwhile: a deadline that has passed says so, the descriptor need not
    EXPECT_EQ(manager->deadline(), std::nullopt) << "nothing is open";
}

TEST_F(UserManagerTest, AScopeIsStartedWhenItsJobIsDone) {
    const auto started = start_scope("a.scope", {{"Slice", std::string("squish.slice")},
                                                 {"Delegate", true},
                                                 {"MemoryMax", std::uint64_t{4096}},
                                                 {"PIDs", std::vector<std::uint32_t>{42}},
                                                 {"AllowedCPUs", std::vector<std::uint8_t>{3, 1}},
                                                 {"IOReadBandwidthMax", Property::Devices{{"/dev/sda", 5}}}});
    ASSERT_TRUE(started.has_value()) << started.error().text();
    EXPECT_THAT(fake.heard(), ElementsAre("Slice=s:squish.slice", "Delegate=b:1", "MemoryMax=t:4096", "PIDs=au:4",
                                          "AllowedCPUs=ay:2", "IOReadBandwidthMax=a(st):/dev/sda=5;"));
}

TEST_F(UserManagerTest, AJobThatFailsSaysWhereToLook) {
    const auto started = start_scope("bad.scope");
    ASSERT_FALSE(started.has_value());
    EXPECT_THAT(started.error().text(), HasSubstr("'bad.scope' ended as 'failed'"));
    EXPECT_THAT(started.error().remedy, HasSubstr("journalctl --user -u bad.scope"));
}

TEST_F(UserManagerTest, WhatIsThereAlreadyIsAConflict) {
    EXPECT_EQ(start_scope("exists.scope").error().kind, ErrorKind::conflict);
}

TEST_F(UserManagerTest, StoppingWhatIsGoneIsFine) {
    EXPECT_TRUE(run([&](auto done) { manager->stop("gone.scope", done); }).has_value());
    EXPECT_TRUE(run([&](auto done) { manager->stop("a.scope", done); }).has_value());
}

TEST_F(UserManagerTest, PropertiesAreChangedAndProcessesAttached) {
    EXPECT_TRUE(run([&](auto done) {
                    manager->set_properties("a.scope", {{"TasksMax", std::uint64_t{9}}}, done);
                }).has_value());
    EXPECT_THAT(fake.heard(), Contains("TasksMax=t:9"));
    EXPECT_TRUE(run([&](auto done) { manager->attach("a.scope", 42, done); }).has_value());
}

TEST_F(UserManagerTest, ALostConnectionIsToldAndMadeAgain) {
    const auto lost = start_scope("lost.scope");
    ASSERT_FALSE(lost.has_value());
    EXPECT_EQ(lost.error().kind, ErrorKind::unavailable) << lost.error().text();
    EXPECT_TRUE(start_scope("a.scope").has_value());
}

TEST_F(UserManagerTest, WhatIsOpenAtItsEndIsTold) {
    std::optional<Result<void>> result;
    manager->start_scope("a.scope", {}, [&](Result<void> done) { result = std::move(done); });
    EXPECT_TRUE(manager->deadline().has_value());
    std::optional<Result<void>> second;
    manager->stop("a.scope", [&](Result<void> done) { second = std::move(done); });
    ASSERT_TRUE(second.has_value()) << "one job for each unit";
    EXPECT_EQ(second->error().kind, ErrorKind::conflict);
    manager.reset();
    ASSERT_TRUE(result.has_value());
    EXPECT_EQ(result->error().kind, ErrorKind::unavailable);
}

TEST(NoUserManager, IsSaidWithWhatToDo) {
    ::setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/bus", 1);
    const auto connected = UserManager::connect();
    ASSERT_FALSE(connected.has_value());
    EXPECT_EQ(connected.error().kind, ErrorKind::unavailable);
    EXPECT_THAT(connected.error().remedy, HasSubstr("loginctl enable-linger"));
}

} // namespace
} // namespace squish::cgroup

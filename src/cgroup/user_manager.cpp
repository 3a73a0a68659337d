#include "cgroup/user_manager.h"

#include "base/text.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <systemd/sd-bus.h>
#include <type_traits>
#include <utility>

namespace squish::cgroup {

namespace {

constexpr const char* kService = "org.freedesktop.systemd1";
constexpr const char* kPath = "/org/freedesktop/systemd1";
constexpr const char* kManager = "org.freedesktop.systemd1.Manager";
constexpr std::uint64_t kCallMicroseconds = 10'000'000;
constexpr std::uint64_t kConnectMicroseconds = 2'000'000;
constexpr std::chrono::seconds kJobLimit{30};
constexpr const char* kGoneRemedy =
    "see 'systemctl --user status'; without a user manager, as root: loginctl enable-linger USER";

struct Unref {
    void operator()(sd_bus_message* message) const noexcept { sd_bus_message_unref(message); }
    void operator()(sd_bus_slot* slot) const noexcept { sd_bus_slot_unref(slot); }
};
struct Free {
    void operator()(char* text) const noexcept { std::free(text); }
};
using Message = std::unique_ptr<sd_bus_message, Unref>;
using Slot = std::unique_ptr<sd_bus_slot, Unref>;

std::unexpected<Error> fail_bus(const std::string& what, int negative_errno) {
    auto failed = fail_errno("user manager: " + what, -negative_errno, kGoneRemedy);
    failed.error().kind = ErrorKind::unavailable;
    return failed;
}

// What the manager said no with.
Error to_error(const std::string& what, const sd_bus_error& error) {
    const std::string_view name = error.name ? error.name : "";
    auto kind = ErrorKind::system;
    if (name == "org.freedesktop.systemd1.UnitExists")
        kind = ErrorKind::conflict;
    else if (name == "org.freedesktop.systemd1.NoSuchUnit")
        kind = ErrorKind::not_found;
    else if (name == SD_BUS_ERROR_ACCESS_DENIED ||
             name == "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired")
        kind = ErrorKind::denied;
    else if (name == SD_BUS_ERROR_NO_REPLY || name == SD_BUS_ERROR_DISCONNECTED || name == SD_BUS_ERROR_TIMEOUT ||
             name == SD_BUS_ERROR_SERVICE_UNKNOWN)
        kind = ErrorKind::unavailable;
    return {kind, what + ": " + printable(error.message ? error.message : name),
            kind == ErrorKind::unavailable ? kGoneRemedy : "", sd_bus_error_get_errno(&error)};
}

int append_value(sd_bus_message* message, const Property::Value& value) {
    return std::visit(
        [&](const auto& held) -> int {
            using T = std::decay_t<decltype(held)>;
            if constexpr (std::is_same_v<T, bool>) {
                return sd_bus_message_append(message, "v", "b", held ? 1 : 0);
            } else if constexpr (std::is_same_v<T, std::uint64_t>) {
                return sd_bus_message_append(message, "v", "t", held);
            } else if constexpr (std::is_same_v<T, std::string>) {
                return sd_bus_message_append(message, "v", "s", held.c_str());
            } else if constexpr (std::is_same_v<T, Property::Devices>) {
                if (const int opened = sd_bus_message_open_container(message, SD_BUS_TYPE_VARIANT, "a(st)"); opened < 0)
                    return opened;
                if (const int opened = sd_bus_message_open_container(message, SD_BUS_TYPE_ARRAY, "(st)"); opened < 0)
                    return opened;
                for (const auto& [path, rate] : held)
                    if (const int added = sd_bus_message_append(message, "(st)", path.c_str(), rate); added < 0)
                        return added;
                if (const int closed = sd_bus_message_close_container(message); closed < 0)
                    return closed;
                return sd_bus_message_close_container(message);
            } else {
                constexpr bool kBytes = std::is_same_v<T, std::vector<std::uint8_t>>;
                const int opened = sd_bus_message_open_container(message, SD_BUS_TYPE_VARIANT, kBytes ? "ay" : "au");
                if (opened < 0)
                    return opened;
                const int added = sd_bus_message_append_array(message, kBytes ? SD_BUS_TYPE_BYTE : SD_BUS_TYPE_UINT32,
                                                              held.data(), held.size() * sizeof held[0]);
                return added < 0 ? added : sd_bus_message_close_container(message);
            }
        },
        value);
}

// a(sv)
int append_properties(sd_bus_message* message, const std::vector<Property>& properties) {
    int done = sd_bus_message_open_container(message, SD_BUS_TYPE_ARRAY, "(sv)");
    for (const auto& property : properties) {
        if (done >= 0)
            done = sd_bus_message_open_container(message, SD_BUS_TYPE_STRUCT, "sv");
        if (done >= 0)
            done = sd_bus_message_append(message, "s", property.name.c_str());
        if (done >= 0)
            done = append_value(message, property.value);
        if (done >= 0)
            done = sd_bus_message_close_container(message);
    }
    return done < 0 ? done : sd_bus_message_close_container(message);
}

Result<Message> manager_call(sd_bus* bus, const char* method) {
    sd_bus_message* raw = nullptr;
    if (const int made = sd_bus_message_new_method_call(bus, &raw, kService, kPath, kManager, method); made < 0)
        return fail_bus(method, made);
    return Message(raw);
}

Result<std::string> get_property(sd_bus* bus, const char* name) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    char* text = nullptr;
    const int got = sd_bus_get_property_string(bus, kService, kPath, kManager, name, &error, &text);
    const std::unique_ptr<char, Free> owner(text);
    if (got < 0) {
        auto failed = to_error("the user manager does not answer", error);
        sd_bus_error_free(&error);
        failed.kind = ErrorKind::unavailable;
        failed.remedy = kGoneRemedy;
        return std::unexpected(std::move(failed));
    }
    return std::string(text);
}

} // namespace

struct UserManager::Call {
    UserManager* manager = nullptr;
    std::uint64_t number = 0;
    std::function<void(sd_bus_message*)> on_reply; // null: the connection was lost
    Slot slot;
};

void UserManager::CloseBus::operator()(sd_bus* bus) const noexcept {
    sd_bus_close_unref(bus); // nothing of ours may wait in it: flushing could block
}

// What sd-bus calls; they may not throw and have sd-bus's signature.
struct Callbacks {
    static int reply(sd_bus_message* message, void* data, sd_bus_error*) noexcept {
        return UserManager::handle_reply(message, data, nullptr);
    }
    static int job_removed(sd_bus_message* message, void* data, sd_bus_error*) noexcept {
        return UserManager::handle_job_removed(message, data, nullptr);
    }
};

Result<std::unique_ptr<UserManager>> UserManager::connect() {
    std::unique_ptr<UserManager> manager(new UserManager);
    TRY(manager->open());
    manager->version_ = TRY(get_property(manager->bus_.get(), "Version"));
    manager->cgroup_ = TRY(get_property(manager->bus_.get(), "ControlGroup"));
    if (manager->cgroup_.empty() || manager->cgroup_.front() != '/')
        return fail(ErrorKind::unavailable, "the user manager has no cgroup of its own",
                    "boot with the kernel parameter systemd.unified_cgroup_hierarchy=1");
    return manager;
}

UserManager::~UserManager() {
    lose(ECANCELED);
}

Result<void> UserManager::open() {
    sd_bus* raw = nullptr;
    if (const int opened = sd_bus_open_user(&raw); opened < 0)
        return fail_bus("cannot be reached", opened);
    bus_.reset(raw);
    sd_bus_set_method_call_timeout(raw, kConnectMicroseconds);
    // Signals are only sent while somebody has subscribed.
    const int matched = sd_bus_match_signal_async(raw, nullptr, kService, kPath, kManager, "JobRemoved",
                                                  Callbacks::job_removed, nullptr, this);
    const int subscribed = matched < 0 ? matched
                                       : sd_bus_call_method_async(raw, nullptr, kService, kPath, kManager, "Subscribe",
                                                                  nullptr, nullptr, "");
    if (subscribed < 0) {
        bus_.reset();
        return fail_bus("cannot be listened to", subscribed);
    }
    return {};
}

Result<void> UserManager::need() {
    if (bus_ && sd_bus_is_open(bus_.get()) > 0)
        return {};
    lose(ENOTCONN); // what was asked through the old one
    return open();
}

void UserManager::send(sd_bus_message* request, std::function<void(sd_bus_message*)> on_reply) {
    auto call = std::make_unique<Call>();
    call->manager = this;
    call->number = ++last_call_;
    call->on_reply = std::move(on_reply);
    sd_bus_slot* slot = nullptr;
    const int sent = sd_bus_call_async(bus_.get(), &slot, request, Callbacks::reply, call.get(), kCallMicroseconds);
    if (sent < 0)
        return call->on_reply(nullptr);
    call->slot.reset(slot);
    calls_[call->number] = std::move(call);
}

int UserManager::handle_reply(sd_bus_message* reply, void* data, void*) noexcept {
    auto* call = static_cast<Call*>(data);
    auto& calls = call->manager->calls_;
    const auto owner = calls.extract(call->number);
    if (owner)
        owner.mapped()->on_reply(reply);
    return 1;
}

int UserManager::handle_job_removed(sd_bus_message* signal, void* self, void*) noexcept {
    std::uint32_t id = 0;
    const char *job = nullptr, *unit = nullptr, *result = nullptr;
    if (sd_bus_message_read(signal, "uoss", &id, &job, &unit, &result) >= 0)
        static_cast<UserManager*>(self)->on_job_removed(unit, result);
    return 0;
}

void UserManager::on_job_removed(const std::string& unit, const std::string& result) {
    if (!jobs_.contains(unit))
        return;
    if (result == "done" || result == "skipped")
        return finish(unit, {});
    finish(unit, fail(ErrorKind::unavailable,
                      "the user manager's job for '" + printable(unit) + "' ended as '" + printable(result) + "'",
                      "see: journalctl --user -u " + printable(unit)));
}

void UserManager::finish(const std::string& unit, const Result<void>& result) {
    if (const auto job = jobs_.extract(unit))
        job.mapped().done(result);
}

void UserManager::send_for_job(sd_bus_message* request, const std::string& unit, OnDone done) {
    if (jobs_.contains(unit))
        return done(fail(ErrorKind::conflict, "another change of '" + printable(unit) + "' is under way", "try again"));
    jobs_[unit] = Job{std::move(done), Clock::now() + kJobLimit};
    send(request, [this, unit](sd_bus_message* reply) {
        if (!reply)
            return finish(unit, fail_bus("the request could not be sent", -ECONNRESET));
        if (const auto* error = sd_bus_message_get_error(reply)) {
            auto failed = to_error("the user manager refuses '" + unit + "'", *error);
            finish(unit, std::unexpected(std::move(failed)));
        } // else the job does it
    });
}

void UserManager::start_scope(const std::string& unit, const std::vector<Property>& properties, OnDone done) {
    const auto request = [&]() -> Result<Message> {
        TRY(need());
        auto message = TRY(manager_call(bus_.get(), "StartTransientUnit"));
        int built = sd_bus_message_append(message.get(), "ss", unit.c_str(), "fail");
        if (built >= 0)
            built = append_properties(message.get(), properties);
        if (built >= 0)
            built = sd_bus_message_append(message.get(), "a(sa(sv))", 0);
        if (built < 0)
            return fail_bus("StartTransientUnit", built);
        return message;
    }();
    if (!request)
        return done(std::unexpected(request.error()));
    send_for_job(request->get(), unit, std::move(done));
}

void UserManager::stop(const std::string& unit, OnDone done) {
    const auto request = [&]() -> Result<Message> {
        TRY(need());
        auto message = TRY(manager_call(bus_.get(), "StopUnit"));
        if (const int built = sd_bus_message_append(message.get(), "ss", unit.c_str(), "replace"); built < 0)
            return fail_bus("StopUnit", built);
        return message;
    }();
    if (!request)
        return done(std::unexpected(request.error()));
    send_for_job(request->get(), unit, [done = std::move(done)](Result<void> result) {
        done(!result && result.error().kind == ErrorKind::not_found ? Result<void>() : std::move(result));
    });
}

void UserManager::set_properties(const std::string& unit, const std::vector<Property>& properties, OnDone done) {
    const auto request = [&]() -> Result<Message> {
        TRY(need());
        auto message = TRY(manager_call(bus_.get(), "SetUnitProperties"));
        int built = sd_bus_message_append(message.get(), "sb", unit.c_str(), 1); // for as long as it runs
        if (built >= 0)
            built = append_properties(message.get(), properties);
        if (built < 0)
            return fail_bus("SetUnitProperties", built);
        return message;
    }();
    if (!request)
        return done(std::unexpected(request.error()));
    send(request->get(), [unit, done = std::move(done)](sd_bus_message* reply) {
        if (!reply)
            return done(fail_bus("the request could not be sent", -ECONNRESET));
        if (const auto* error = sd_bus_message_get_error(reply))
            return done(std::unexpected(to_error("the user manager refuses to change '" + unit + "'", *error)));
        done({});
    });
}

void UserManager::attach(const std::string& unit, pid_t process, OnDone done) {
    const auto request = [&]() -> Result<Message> {
        TRY(need());
        auto message = TRY(manager_call(bus_.get(), "AttachProcessesToUnit"));
        if (const int built =
                sd_bus_message_append(message.get(), "ssau", unit.c_str(), "", 1, static_cast<std::uint32_t>(process));
            built < 0)
            return fail_bus("AttachProcessesToUnit", built);
        return message;
    }();
    if (!request)
        return done(std::unexpected(request.error()));
    send(request->get(), [unit, done = std::move(done)](sd_bus_message* reply) {
        if (!reply)
            return done(fail_bus("the request could not be sent", -ECONNRESET));
        if (const auto* error = sd_bus_message_get_error(reply))
            return done(
                std::unexpected(to_error("the user manager does not take a process into '" + unit + "'", *error)));
        done({});
    });
}

int UserManager::fd() const {
    return bus_ ? sd_bus_get_fd(bus_.get()) : -1;
}

short UserManager::wanted_events() const {
    const int events = bus_ ? sd_bus_get_events(bus_.get()) : 0;
    return static_cast<short>(events > 0 ? events : 0);
}

std::optional<UserManager::Clock::time_point> UserManager::deadline() const {
    std::optional<Clock::time_point> earliest;
    for (const auto& [unit, job] : jobs_)
        earliest = earliest ? std::min(*earliest, job.deadline) : job.deadline;
    std::uint64_t microseconds = 0; // of CLOCK_MONOTONIC, which is what steady_clock reads
    if (bus_ && sd_bus_get_timeout(bus_.get(), &microseconds) >= 0 && microseconds != ~std::uint64_t{0}) {
        const Clock::time_point at{std::chrono::microseconds(static_cast<std::int64_t>(microseconds))};
        earliest = earliest ? std::min(*earliest, at) : at;
    }
    return earliest;
}

void UserManager::on_ready() {
    int processed = 1;
    while (bus_ && processed > 0)
        processed = sd_bus_process(bus_.get(), nullptr);
    if (processed < 0)
        return lose(-processed);
    const auto now = Clock::now();
    std::vector<std::string> late;
    for (const auto& [unit, job] : jobs_)
        if (job.deadline <= now)
            late.push_back(unit);
    for (const auto& unit : late)
        finish(unit, fail(ErrorKind::unavailable,
                          "the user manager did not finish '" + printable(unit) + "' within " +
                              std::to_string(kJobLimit.count()) + " s",
                          kGoneRemedy));
}

// All that is open ends with an error; the next request connects again.
void UserManager::lose(int error) {
    auto calls = std::exchange(calls_, {});
    auto jobs = std::exchange(jobs_, {});
    for (auto& [number, call] : calls)
        call->slot.reset(); // before the bus: no reply comes any more
    bus_.reset();
    for (auto& [unit, job] : jobs)
        job.done(fail_bus("the connection was lost", -error));
    for (auto& [number, call] : calls)
        call->on_reply(nullptr);
}

} // namespace squish::cgroup

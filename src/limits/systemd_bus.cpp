#include "limits/systemd_bus.h"

#include "base/text.h"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <fcntl.h>
#include <list>
#include <poll.h>
#include <set>
#include <systemd/sd-bus.h>
#include <unistd.h>

namespace squish::limits {

namespace {

constexpr const char* kService = "org.freedesktop.systemd1";
constexpr const char* kPath = "/org/freedesktop/systemd1";
constexpr const char* kManager = "org.freedesktop.systemd1.Manager";
constexpr std::size_t kMaxUnits = 65'536;

template <auto Unref> struct Unreferer {
    template <class T> void operator()(T* object) const noexcept { (void) Unref(object); }
};
using Message = std::unique_ptr<sd_bus_message, Unreferer<sd_bus_message_unref>>;
using Slot = std::unique_ptr<sd_bus_slot, Unreferer<sd_bus_slot_unref>>;
using Bus = std::unique_ptr<sd_bus, Unreferer<sd_bus_close_unref>>;

std::unexpected<Error> fail_bus(const char* what, int negative_errno) {
    return fail_errno(std::string("systemd: ") + what, -negative_errno);
}

std::unexpected<Error> gone() {
    return fail(ErrorKind::unavailable, "the connection to the user's systemd was lost", "try again");
}

// What a peer's error means to us (bus-common-errors.h of systemd; the D-Bus specification).
std::unexpected<Error> fail_answer(const char* call, const sd_bus_error* error) {
    const std::string_view name = error && error->name ? error->name : "";
    const std::string text = error && error->message ? printable(error->message) : printable(name);
    const auto message = std::string("systemd: ") + call + ": " + text;
    const auto is = [&](std::string_view last) { return name.ends_with(last); };
    if (is(".NoSuchUnit"))
        return fail(ErrorKind::not_found, message);
    if (is(".UnitExists"))
        return fail(ErrorKind::conflict, message);
    if (is(".AccessDenied") || is(".InteractiveAuthorizationRequired"))
        return fail(ErrorKind::denied, message);
    if (is(".UnknownProperty") || is(".PropertyReadOnly") || is(".UnknownMethod"))
        return fail(ErrorKind::unsupported, message);
    if (is(".NoReply") || is(".Disconnected") || is(".Timeout"))
        return gone();
    if (is(".ServiceUnknown") || is(".NameHasNoOwner") || name.contains(".Spawn."))
        return fail(ErrorKind::unavailable, message, "try again");
    return fail(ErrorKind::system, message);
}

struct Appender {
    sd_bus_message* message;
    int operator()(bool value) const { return sd_bus_message_append(message, "v", "b", value ? 1 : 0); }
    int operator()(std::uint64_t value) const { return sd_bus_message_append(message, "v", "t", value); }
    int operator()(const std::string& value) const { return sd_bus_message_append(message, "v", "s", value.c_str()); }
    template <class Number> int operator()(const std::vector<Number>& values) const {
        constexpr char kType = sizeof(Number) == 1 ? 'y' : 'u';
        const char array[] = {'a', kType, '\0'};
        if (const int r = sd_bus_message_open_container(message, 'v', array); r < 0)
            return r;
        if (const int r = sd_bus_message_append_array(message, kType, values.data(), values.size() * sizeof(Number));
            r < 0)
            return r;
        return sd_bus_message_close_container(message);
    }
    int operator()(const DeviceRates& rates) const {
        if (const int r = sd_bus_message_open_container(message, 'v', "a(st)"); r < 0)
            return r;
        if (const int r = sd_bus_message_open_container(message, 'a', "(st)"); r < 0)
            return r;
        for (const auto& [device, rate] : rates)
            if (const int r = sd_bus_message_append(message, "(st)", device.c_str(), rate); r < 0)
                return r;
        if (const int r = sd_bus_message_close_container(message); r < 0)
            return r;
        return sd_bus_message_close_container(message);
    }
};

int append_properties(sd_bus_message* message, const std::vector<Property>& properties) {
    if (const int r = sd_bus_message_open_container(message, 'a', "(sv)"); r < 0)
        return r;
    for (const auto& property : properties) {
        if (const int r = sd_bus_message_open_container(message, 'r', "sv"); r < 0)
            return r;
        if (const int r = sd_bus_message_append(message, "s", property.name.c_str()); r < 0)
            return r;
        if (const int r = std::visit(Appender{message}, property.value); r < 0)
            return r;
        if (const int r = sd_bus_message_close_container(message); r < 0)
            return r;
    }
    return sd_bus_message_close_container(message);
}

} // namespace

// One connection; when it is lost it stays so.
class BusConnection : public std::enable_shared_from_this<BusConnection> {
public:
    // Who waits for a job: from before the call that starts it, since its end may be told before the call's answer.
    struct JobWait {
        JobWait(const asio::any_io_executor& executor, std::string of) : unit(std::move(of)), done(executor) {}
        std::string unit, job, result;
        std::vector<std::pair<std::string, std::string>> ended; // jobs of that unit, and how
        Latch done;
        void look() {
            for (const auto& [path, how] : ended)
                if (path == job && !job.empty()) {
                    result = how;
                    done.open();
                }
        }
    };

    [[nodiscard]] static Result<std::shared_ptr<BusConnection>> open(const asio::any_io_executor& executor,
                                                                     const BusAddress& address) {
        sd_bus* raw = nullptr;
        if (const int r = sd_bus_new(&raw); r < 0)
            return fail_bus("sd_bus_new", r);
        Bus bus(raw);
        if (const int r = sd_bus_set_address(raw, address.address.c_str()); r < 0)
            return fail_bus("address of the bus", r);
        if (const int r = sd_bus_set_bus_client(raw, address.message_bus ? 1 : 0); r < 0)
            return fail_bus("sd_bus_set_bus_client", r);
        if (const int r = sd_bus_start(raw); r < 0)
            return fail_errno("connect to '" + printable(address.address) + "'", -r);
        const int fd = ::fcntl(sd_bus_get_fd(raw), F_DUPFD_CLOEXEC, 3); // the loop's own: sd-bus closes its as it likes
        if (fd < 0)
            return fail_errno("connect to '" + printable(address.address) + "'");
        std::shared_ptr<BusConnection> connection(new BusConnection(executor, std::move(bus), fd));
        sd_bus_slot* match = nullptr;
        const char* const sender = address.message_bus ? kService : nullptr; // without a bus nobody fills it in
        if (const int r = sd_bus_match_signal_async(raw, &match, sender, kPath, kManager, "JobRemoved", on_job_removed,
                                                    nullptr, connection.get());
            r < 0)
            return fail_bus("match of JobRemoved", r);
        connection->match_.reset(match);
        connection->arm();
        return connection;
    }

    [[nodiscard]] const asio::any_io_executor& executor() const { return executor_; }

    // A call of `member`; append_arguments(message) fills it and returns a negative errno where it cannot.
    template <class Append>
    [[nodiscard]] Task<Message> call(const char* path, const char* interface, const char* member,
                                     Append append_arguments, std::chrono::milliseconds limit) {
        const auto self = shared_from_this();
        if (!open_)
            co_return gone();
        sd_bus_message* raw = nullptr;
        if (const int r = sd_bus_message_new_method_call(bus_.get(), &raw, kService, path, interface, member); r < 0)
            co_return fail_bus(member, r);
        const Message message(raw);
        if (const int r = append_arguments(raw); r < 0)
            co_return fail_bus(member, r);
        const auto waiting = std::make_shared<Waiting>(executor_);
        sd_bus_slot* raw_slot = nullptr;
        if (const int r = sd_bus_call_async(bus_.get(), &raw_slot, raw, on_reply, waiting.get(), UINT64_MAX); r < 0) {
            lose(); // nothing is wrong with the message: the socket is
            co_return gone();
        }
        Slot slot(raw_slot);
        waiting_.insert(waiting);
        arm();
        const bool answered = co_await waiting->done.wait_for(limit);
        waiting_.erase(waiting);
        slot.reset();
        if (!answered)
            co_return fail(ErrorKind::unavailable, std::string("systemd: ") + member + ": no answer within " +
                                                       std::to_string(limit.count() / 1000) + " s");
        if (!waiting->reply)
            co_return gone();
        if (sd_bus_message_is_method_error(waiting->reply.get(), nullptr) > 0) {
            auto error = fail_answer(member, sd_bus_message_get_error(waiting->reply.get()));
            if (error.error().kind == ErrorKind::unavailable)
                lose(); // a bus that systemd has left: the next call looks for it elsewhere
            co_return error;
        }
        co_return std::move(waiting->reply);
    }

    [[nodiscard]] std::shared_ptr<JobWait> expect_job(const std::string& unit) {
        auto wait = std::make_shared<JobWait>(executor_, unit);
        jobs_.push_back(wait);
        return wait;
    }
    // `reply` names the job.
    [[nodiscard]] Task<void> wait_job(std::shared_ptr<JobWait> wait, Message reply, std::chrono::milliseconds limit) {
        const char* job = nullptr;
        if (const int r = sd_bus_message_read(reply.get(), "o", &job); r < 0)
            co_return fail_bus("the answer names no job", r);
        wait->job = job;
        wait->look();
        const auto self = shared_from_this();
        if (!open_)
            wait->done.open();
        if (!co_await wait->done.wait_for(limit))
            co_return fail(ErrorKind::unavailable, "systemd: the job for '" + wait->unit + "' takes longer than " +
                                                       std::to_string(limit.count() / 1000) + " s");
        if (wait->result.empty())
            co_return gone();
        if (wait->result != "done")
            co_return fail(ErrorKind::system,
                           "systemd: the job for '" + wait->unit + "' ended as '" + printable(wait->result) + "'");
        co_return Result<void>();
    }

    // Whether it is still there: an end that has come is seen here, not by the call that would be made.
    [[nodiscard]] bool look() {
        if (open_)
            step();
        return open_;
    }
    void close() { lose(); }

private:
    struct Waiting {
        explicit Waiting(const asio::any_io_executor& executor) : done(executor) {}
        Latch done;
        Message reply;
    };

    BusConnection(const asio::any_io_executor& executor, Bus bus, int fd)
        : executor_(executor), bus_(std::move(bus)), descriptor_(executor, fd) {}

    static int on_reply(sd_bus_message* reply, void* waiting, sd_bus_error*) noexcept {
        auto* const one = static_cast<Waiting*>(waiting);
        one->reply.reset(sd_bus_message_ref(reply));
        one->done.open();
        return 1;
    }

    static int on_job_removed(sd_bus_message* signal, void* connection, sd_bus_error*) noexcept {
        const char *job = nullptr, *unit = nullptr, *result = nullptr;
        std::uint32_t number = 0;
        if (sd_bus_message_read(signal, "uoss", &number, &job, &unit, &result) < 0)
            return 0;
        auto& jobs = static_cast<BusConnection*>(connection)->jobs_;
        for (auto one = jobs.begin(); one != jobs.end();) {
            const auto wait = one->lock();
            if (!wait) {
                one = jobs.erase(one);
                continue;
            }
            if (wait->unit == unit) {
                wait->ended.emplace_back(job, result);
                wait->look();
            }
            ++one;
        }
        return 0;
    }

    // Lets sd-bus do what can be done, then watches for what it waits for.
    void step() {
        int r = 0;
        do
            r = open_ ? sd_bus_process(bus_.get(), nullptr) : 0;
        while (r > 0);
        if (r < 0 || (open_ && sd_bus_is_open(bus_.get()) <= 0))
            return lose();
        arm();
    }

    void arm() {
        if (!open_)
            return;
        const int events = sd_bus_get_events(bus_.get());
        if (events < 0)
            return lose();
        const auto watch = [this](bool& watched, asio::posix::stream_descriptor::wait_type what) {
            if (std::exchange(watched, true))
                return;
            descriptor_.async_wait(what, [self = shared_from_this(), &watched](boost::system::error_code error) {
                watched = false;
                if (!error)
                    self->step();
            });
        };
        if (events & POLLIN)
            watch(reading_, asio::posix::stream_descriptor::wait_read);
        if (events & POLLOUT)
            watch(writing_, asio::posix::stream_descriptor::wait_write);
    }

    void lose() {
        if (!std::exchange(open_, false))
            return;
        boost::system::error_code ignored;
        (void) descriptor_.close(ignored);
        sd_bus_close(bus_.get()); // never from within sd_bus_process()
        for (const auto& one : std::exchange(waiting_, {}))
            one->done.open();
        for (const auto& one : std::exchange(jobs_, {}))
            if (const auto wait = one.lock())
                wait->done.open();
    }

    asio::any_io_executor executor_;
    Bus bus_;
    Slot match_;
    asio::posix::stream_descriptor descriptor_;
    bool open_ = true, reading_ = false, writing_ = false;
    std::set<std::shared_ptr<Waiting>> waiting_;
    std::list<std::weak_ptr<JobWait>> jobs_;
};

namespace {

constexpr auto kNoArguments = [](sd_bus_message*) { return 0; };

} // namespace

UserManager::UserManager(asio::any_io_executor executor, std::vector<BusAddress> addresses,
                         std::chrono::milliseconds limit)
    : executor_(std::move(executor)), addresses_(std::move(addresses)), limit_(limit) {}

UserManager::~UserManager() {
    if (connection_)
        connection_->close();
}

Task<std::shared_ptr<BusConnection>> UserManager::connect() {
    std::vector<std::string> reasons;
    for (const auto& address : addresses_) {
        auto opened = BusConnection::open(executor_, address);
        if (!opened) {
            reasons.push_back(opened.error().message);
            continue;
        }
        const auto connection = *std::move(opened);
        // Jobs are told of only to who asked (org.freedesktop.systemd1(5)). A bus without a systemd behind it, and one
        // whose systemd has not come back to it yet, answer with an error.
        const auto subscribed = co_await connection->call(kPath, kManager, "Subscribe", kNoArguments, limit_);
        if (subscribed)
            co_return connection;
        connection->close();
        reasons.push_back("'" + printable(address.address) + "': " + subscribed.error().message);
    }
    co_return fail(ErrorKind::unavailable,
                   "the user's systemd does not answer: " + (reasons.empty() ? "no address" : join(reasons, "; ")),
                   "log in, or have it started without a session: loginctl enable-linger");
}

Task<std::shared_ptr<BusConnection>> UserManager::connected() {
    while (connecting_) {
        const auto others = connecting_;
        co_await others->wait();
    }
    if (connection_ && connection_->look())
        co_return connection_;
    const auto ours = std::make_shared<Latch>(executor_);
    connecting_ = ours;
    auto connection = co_await connect();
    connecting_.reset();
    ours->open();
    if (connection)
        connection_ = *connection;
    co_return connection;
}

Task<std::string> UserManager::control_group() {
    CO_TRY_TO(const auto connection, co_await connected());
    const auto names = [](sd_bus_message* message) {
        return sd_bus_message_append(message, "ss", kManager, "ControlGroup");
    };
    CO_TRY_TO(const auto reply,
              co_await connection->call(kPath, "org.freedesktop.DBus.Properties", "Get", names, limit_));
    const char* path = nullptr;
    if (const int r = sd_bus_message_read(reply.get(), "v", "s", &path); r < 0)
        co_return fail_bus("ControlGroup", r);
    co_return std::string(path);
}

Task<void> UserManager::start_scope(std::string name, std::vector<Property> properties) {
    CO_TRY_TO(const auto connection, co_await connected());
    const auto arguments = [&](sd_bus_message* message) {
        if (const int r = sd_bus_message_append(message, "ss", name.c_str(), "fail"); r < 0)
            return r;
        if (const int r = append_properties(message, properties); r < 0)
            return r;
        return sd_bus_message_append(message, "a(sa(sv))", 0);
    };
    const auto job = connection->expect_job(name);
    CO_TRY_TO(auto reply, co_await connection->call(kPath, kManager, "StartTransientUnit", arguments, limit_));
    co_return co_await connection->wait_job(job, std::move(reply), limit_);
}

Task<void> UserManager::set_properties(std::string unit, std::vector<Property> properties) {
    if (properties.empty())
        co_return Result<void>();
    CO_TRY_TO(const auto connection, co_await connected());
    const auto arguments = [&](sd_bus_message* message) {
        if (const int r = sd_bus_message_append(message, "sb", unit.c_str(), 1); r < 0) // 1: not written to disk
            return r;
        return append_properties(message, properties);
    };
    CO_TRY(co_await connection->call(kPath, kManager, "SetUnitProperties", arguments, limit_));
    co_return Result<void>();
}

Task<void> UserManager::stop(std::string unit) {
    CO_TRY_TO(const auto connection, co_await connected());
    const auto job = connection->expect_job(unit);
    const auto name_and_mode = [&](sd_bus_message* message) {
        return sd_bus_message_append(message, "ss", unit.c_str(), "replace");
    };
    auto reply = co_await connection->call(kPath, kManager, "StopUnit", name_and_mode, limit_);
    if (!reply && reply.error().kind == ErrorKind::not_found)
        co_return Result<void>();
    if (!reply)
        co_return std::unexpected(std::move(reply).error());
    CO_TRY(co_await connection->wait_job(job, *std::move(reply), limit_));
    const auto name = [&](sd_bus_message* message) { return sd_bus_message_append(message, "s", unit.c_str()); };
    // One that failed would keep its name; as a rule it is gone by now.
    (void) co_await connection->call(kPath, kManager, "ResetFailedUnit", name, limit_);
    co_return Result<void>();
}

Task<std::vector<std::string>> UserManager::units(std::string pattern) {
    CO_TRY_TO(const auto connection, co_await connected());
    const auto arguments = [&](sd_bus_message* message) {
        return sd_bus_message_append(message, "asas", 0, 1, pattern.c_str());
    };
    CO_TRY_TO(const auto reply, co_await connection->call(kPath, kManager, "ListUnitsByPatterns", arguments, limit_));
    std::vector<std::string> names;
    int r = sd_bus_message_enter_container(reply.get(), 'a', "(ssssssouso)");
    const char* name = nullptr;
    while (r >= 0 && names.size() < kMaxUnits &&
           (r = sd_bus_message_read(reply.get(), "(ssssssouso)", &name, nullptr, nullptr, nullptr, nullptr, nullptr,
                                    nullptr, nullptr, nullptr, nullptr)) > 0)
        names.emplace_back(name);
    if (r < 0)
        co_return fail_bus("the list of units", r);
    co_return names;
}

} // namespace squish::limits

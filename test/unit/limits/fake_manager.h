// A user's systemd as far as the systemd driver sees it: a socket, and answers to the calls that it makes. It runs in a
// thread, keeps what it was asked in words, and misbehaves as it is told to.
#pragma once

#include "base/unique_fd.h"

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>
#include <poll.h>
#include <string>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <thread>
#include <utility>
#include <vector>

namespace squish::limits {

class FakeManager {
public:
    enum class Mood { answers, hangs_up, is_silent };

    explicit FakeManager(const std::string& socket) : stop_(::eventfd(0, EFD_CLOEXEC)) {
        listener_ = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        socket.copy(address.sun_path, sizeof address.sun_path - 1);
        if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
            ::listen(listener_.get(), 8) == 0)
            thread_ = std::thread([this] { serve(); });
    }
    FakeManager(const FakeManager&) = delete;
    FakeManager& operator=(const FakeManager&) = delete;
    ~FakeManager() {
        const std::uint64_t one = 1;
        (void) !::write(stop_.get(), &one, sizeof one);
        if (thread_.joinable())
            thread_.join();
    }

    // What to do about calls of `member`, once or always.
    void be(const std::string& member, Mood mood, int times = 1'000'000) {
        locked([&] { moods_[member] = {mood, times}; });
    }
    // Answers calls of `member` with this error, so often.
    void refuse(const std::string& member, const std::string& error, int times = 1'000'000) {
        locked([&] { errors_[member] = {error, times}; });
    }
    void job_result(const std::string& result) {
        locked([&] { job_result_ = result; });
    }
    void signal_before_answer() {
        locked([&] { early_signal_ = true; });
    }
    void have_units(std::vector<std::string> names) {
        locked([&] { units_ = std::move(names); });
    }
    // What starting and stopping a unit does; called in the thread.
    std::function<void(const std::string&)> on_start, on_stop;

    // "StartTransientUnit a.scope MemoryMax=4096 …", without the calls that are always made.
    std::vector<std::string> calls() {
        const std::lock_guard lock(mutex_);
        return calls_;
    }
    int connections() {
        const std::lock_guard lock(mutex_);
        return connections_;
    }

private:
    template <class Change> void locked(Change change) {
        const std::lock_guard lock(mutex_);
        change();
    }

    void serve() {
        for (;;) {
            pollfd waiting[] = {{stop_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
            if (::poll(waiting, 2, -1) < 0 || waiting[0].revents)
                return;
            serve_one(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        }
    }

    void serve_one(int fd) {
        locked([&] { ++connections_; });
        sd_bus* bus = nullptr;
        sd_id128_t id{};
        sd_id128_randomize(&id);
        sd_bus_new(&bus);
        sd_bus_set_fd(bus, fd, fd);
        sd_bus_set_server(bus, 1, id);
        sd_bus_set_anonymous(bus, 1);
        sd_bus_start(bus);
        sd_bus_add_filter(bus, nullptr, on_message, this);
        hang_up_ = false;
        while (!hang_up_) {
            const int r = sd_bus_process(bus, nullptr);
            if (r < 0)
                break;
            if (r > 0)
                continue;
            pollfd waiting[] = {{stop_.get(), POLLIN, 0},
                                {sd_bus_get_fd(bus), static_cast<short>(sd_bus_get_events(bus)), 0}};
            if (::poll(waiting, 2, -1) < 0 || waiting[0].revents)
                break;
        }
        sd_bus_flush(bus);
        sd_bus_close(bus);
        sd_bus_unref(bus);
    }

    static int on_message(sd_bus_message* message, void* self, sd_bus_error*) {
        if (!sd_bus_message_is_method_call(message, nullptr, nullptr))
            return 0;
        static_cast<FakeManager*>(self)->on_call(message, sd_bus_message_get_member(message));
        return 1;
    }

    void on_call(sd_bus_message* message, const std::string& member) {
        auto mood = Mood::answers;
        std::string error, result;
        locked([&] {
            if (auto found = moods_.find(member); found != moods_.end() && found->second.second-- > 0)
                mood = found->second.first;
            if (auto found = errors_.find(member); found != errors_.end() && found->second.second-- > 0)
                error = found->second.first;
            result = job_result_;
        });
        if (mood == Mood::hangs_up)
            hang_up_ = true;
        if (mood != Mood::answers)
            return;
        if (member == "Subscribe") {
            answer(message, error, "");
        } else if (member == "Get") {
            answer(message, error, "v", "s", "/manager");
        } else if (member == "ListUnitsByPatterns") {
            list(message);
        } else {
            const char *unit = nullptr, *mode = nullptr;
            const bool properties = member == "SetUnitProperties";
            int runtime = 0;
            if (properties)
                sd_bus_message_read(message, "sb", &unit, &runtime);
            else if (member == "ResetFailedUnit")
                sd_bus_message_read(message, "s", &unit);
            else
                sd_bus_message_read(message, "ss", &unit, &mode);
            auto words = member + " " + unit;
            if (properties || member == "StartTransientUnit")
                words += read_properties(message);
            locked([&] { calls_.push_back(words); });
            if (!error.empty() || properties || member == "ResetFailedUnit")
                return answer(message, error, "");
            const auto& effect = member == "StopUnit" ? on_stop : on_start;
            if (effect)
                effect(unit);
            const auto job = "/org/freedesktop/systemd1/job/" + std::to_string(++jobs_);
            if (early_signal_)
                tell(message, job, unit, result);
            answer(message, "", "o", job.c_str());
            if (!early_signal_)
                tell(message, job, unit, result);
        }
    }

    template <class... Values>
    static void answer(sd_bus_message* call, const std::string& error, const char* types, Values... values) {
        if (!error.empty())
            sd_bus_reply_method_errorf(call, error.c_str(), "%s", "as it was told to");
        else
            sd_bus_reply_method_return(call, types, values...);
    }

    void tell(sd_bus_message* call, const std::string& job, const char* unit, const std::string& result) const {
        // Jobs of others end, too.
        for (const auto& [path, of] : {std::pair(std::string("/org/freedesktop/systemd1/job/99999"), std::string(unit)),
                                       std::pair(job, std::string("other.scope")), std::pair(job, std::string(unit))})
            sd_bus_emit_signal(sd_bus_message_get_bus(call), "/org/freedesktop/systemd1",
                               "org.freedesktop.systemd1.Manager", "JobRemoved", "uoss", 1U, path.c_str(), of.c_str(),
                               of == unit && path == job ? result.c_str() : "canceled");
    }

    void list(sd_bus_message* call) {
        sd_bus_message* reply = nullptr;
        sd_bus_message_new_method_return(call, &reply);
        sd_bus_message_open_container(reply, 'a', "(ssssssouso)");
        for (const auto& name : units_)
            sd_bus_message_append(reply, "(ssssssouso)", name.c_str(), "", "loaded", "active", "running", "", "/u", 0U,
                                  "", "/");
        sd_bus_message_close_container(reply);
        sd_bus_send(nullptr, reply, nullptr);
        sd_bus_message_unref(reply);
    }

    static std::string read_properties(sd_bus_message* message) {
        std::string words;
        const char *name = nullptr, *type = nullptr;
        char kind = 0;
        sd_bus_message_enter_container(message, 'a', "(sv)");
        while (sd_bus_message_enter_container(message, 'r', "sv") > 0) {
            sd_bus_message_read(message, "s", &name);
            sd_bus_message_peek_type(message, &kind, &type);
            const std::string is = type;
            sd_bus_message_enter_container(message, 'v', is.c_str());
            words += std::string(" ") + name + "=" + read_value(message, is);
            sd_bus_message_exit_container(message);
            sd_bus_message_exit_container(message);
        }
        sd_bus_message_exit_container(message);
        return words;
    }

    static std::string read_value(sd_bus_message* message, const std::string& type) {
        std::string words;
        if (type == "s") {
            const char* text = nullptr;
            sd_bus_message_read(message, "s", &text);
            words = text;
        } else if (type == "b") {
            int truth = 0;
            sd_bus_message_read(message, "b", &truth);
            words = truth ? "yes" : "no";
        } else if (type == "t") {
            std::uint64_t number = 0;
            sd_bus_message_read(message, "t", &number);
            words = number == UINT64_MAX ? "infinity" : std::to_string(number);
        } else if (type == "ay" || type == "au") {
            const void* bytes = nullptr;
            std::size_t size = 0;
            sd_bus_message_read_array(message, type[1], &bytes, &size);
            for (std::size_t i = 0; i < size / (type[1] == 'y' ? 1 : 4); ++i)
                words += (i ? "," : "") + std::to_string(type[1] == 'y' ? static_cast<const std::uint8_t*>(bytes)[i]
                                                                        : static_cast<const std::uint32_t*>(bytes)[i]);
        } else if (type == "a(st)") {
            const char* device = nullptr;
            std::uint64_t rate = 0;
            sd_bus_message_enter_container(message, 'a', "(st)");
            while (sd_bus_message_read(message, "(st)", &device, &rate) > 0)
                words += (words.empty() ? "" : ",") + std::string(device) + ":" + std::to_string(rate);
            sd_bus_message_exit_container(message);
        }
        return words;
    }

    UniqueFd stop_, listener_;
    std::mutex mutex_;
    std::map<std::string, std::pair<Mood, int>> moods_;
    std::map<std::string, std::pair<std::string, int>> errors_;
    std::vector<std::string> calls_, units_;
    std::string job_result_ = "done";
    int connections_ = 0, jobs_ = 0;
    bool hang_up_ = false, early_signal_ = false;
    std::thread thread_; // the last: it uses all of these
};

} // namespace squish::limits

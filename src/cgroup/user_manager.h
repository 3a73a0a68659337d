// Talks to the systemd user manager over the user's bus (sd-bus): the one file that knows D-Bus is user_manager.cpp.
//
// How this works
//   One connection, opened when it is first needed and again after it was lost. A request that starts or stops a unit
//   is answered at once with a job; it is done when the manager announces that the job was removed. Whatever is open
//   when the connection goes, or does not end in time, ends with an error: no callback is ever forgotten.
//   Interface: org.freedesktop.systemd1(5).
#pragma once

#include "base/result.h"
#include "cgroup/systemd_properties.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

struct sd_bus;
struct sd_bus_message;

namespace squish::cgroup {

class UserManager {
public:
    using OnDone = std::function<void(Result<void>)>;
    using Clock = std::chrono::steady_clock;

    // Connects and asks for the manager's own cgroup: waits for that, at most two seconds.
    // ErrorKind::unavailable where there is no user manager.
    [[nodiscard]] static Result<std::unique_ptr<UserManager>> connect();
    UserManager(const UserManager&) = delete;
    UserManager& operator=(const UserManager&) = delete;
    ~UserManager();

    // "/user.slice/user-1000.slice/user@1000.service"
    [[nodiscard]] const std::string& cgroup() const { return cgroup_; }
    [[nodiscard]] const std::string& version() const { return version_; } // "252.39-1~deb12u2"

    // A transient scope around these processes. conflict: there is a unit of that name.
    void start_scope(const std::string& unit, const std::vector<Property>& properties, OnDone done);
    void set_properties(const std::string& unit, const std::vector<Property>& properties, OnDone done);
    void attach(const std::string& unit, pid_t process, OnDone done);
    // One that is not there is fine.
    void stop(const std::string& unit, OnDone done);

    [[nodiscard]] int fd() const;
    [[nodiscard]] short wanted_events() const;
    [[nodiscard]] std::optional<Clock::time_point> deadline() const;
    void on_ready();

private:
    struct Call;
    struct Job {
        OnDone done;
        Clock::time_point deadline;
    };
    UserManager() = default;
    [[nodiscard]] Result<void> open();
    [[nodiscard]] Result<void> need();
    void send(sd_bus_message* request, std::function<void(sd_bus_message* reply)> on_reply);
    // Starts a request whose success is a job on `unit`.
    void send_for_job(sd_bus_message* request, const std::string& unit, OnDone done);
    void on_job_removed(const std::string& unit, const std::string& result);
    void finish(const std::string& unit, const Result<void>& result);
    void lose(int error);
    static int handle_reply(sd_bus_message* reply, void* call, void* error) noexcept;
    static int handle_job_removed(sd_bus_message* signal, void* self, void* error) noexcept;
    friend struct Callbacks;

    struct CloseBus {
        void operator()(sd_bus* bus) const noexcept;
    };
    std::unique_ptr<sd_bus, CloseBus> bus_;
    std::map<std::uint64_t, std::unique_ptr<Call>> calls_;
    std::map<std::string, Job> jobs_; // by unit
    std::uint64_t last_call_ = 0;
    std::string cgroup_, version_;
};

} // namespace squish::cgroup

// What happens to containers, in order, with a backlog that outlives squishd.
//
// Ownership: the Engine owns the log; a reader holds a Subscription, and is told of what comes on the event loop's
// thread.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace squish {

struct Event {
    std::uint64_t number = 0; // 1, 2, 3, …; goes on over restarts of squishd, while its state folder is there
    std::int64_t time = 0;    // microseconds since the epoch
    // "start", "exit", "oom", "restart", "pause", "unpause", "update", "health", "port-add", "port-remove",
    // "port-rebind", "remove"
    std::string type;
    std::string id, name;                                        // of the container
    std::vector<std::pair<std::string, std::string>> attributes; // {"code", "137"}, {"reason", "oom"}, {"port", …}
    bool operator==(const Event&) const = default;
};

// One line of JSON, without a newline, and back.
[[nodiscard]] std::string to_json(const Event& event);
[[nodiscard]] Result<Event> parse_event(std::string_view line);

inline constexpr std::size_t kMaxBacklog = 1024; // events

class EventLog {
public:
    using Listener = std::function<void(const Event&)>;
    class Subscription { // ends with its owner
    public:
        Subscription(Subscription&&) noexcept = default;
        Subscription& operator=(Subscription&&) noexcept = default;
        ~Subscription();

    private:
        friend class EventLog;
        struct Entry;
        explicit Subscription(std::shared_ptr<Entry> entry) : entry_(std::move(entry)) {}
        std::shared_ptr<Entry> entry_;
    };

    // `file`: where the backlog is kept, a line each; empty: nowhere. What is damaged in it is skipped.
    explicit EventLog(std::string file);
    EventLog(const EventLog&) = delete;
    EventLog& operator=(const EventLog&) = delete;
    ~EventLog();

    // Numbers and dates it, keeps it, and tells all listeners.
    void add(std::string type, std::string id, std::string name,
             std::vector<std::pair<std::string, std::string>> attributes = {});
    [[nodiscard]] const std::deque<Event>& backlog() const { return backlog_; } // oldest first
    // A listener may end its own subscription, or others', while it is called.
    [[nodiscard]] Subscription subscribe(Listener listener);

private:
    void keep(const Event& event);
    std::string file_;
    std::size_t lines_ = 0; // in the file, which is written anew when it has twice the backlog
    std::deque<Event> backlog_;
    std::uint64_t last_ = 0;
    std::list<std::weak_ptr<Subscription::Entry>> listeners_;
};

} // namespace squish

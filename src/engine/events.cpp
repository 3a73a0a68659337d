#include "engine/events.h"

#include "base/text.h"
#include "os/file.h"
#include "wire/json_channel.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <fcntl.h>
#include <limits>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

namespace squish {

using Json = nlohmann::ordered_json; // attributes keep their order

namespace {

constexpr std::size_t kMostLines = 2 * kMaxBacklog;
constexpr std::size_t kMostFileBytes = 64 << 20; // far more than so many lines have
constexpr int kMaxDepth = 4;                     // a line has two levels
constexpr std::uint64_t kMaxNumber = std::numeric_limits<std::int64_t>::max();

std::string time_text(std::int64_t microseconds) {
    const std::time_t seconds = microseconds / 1'000'000;
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char date[32], text[48];
    std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    std::snprintf(text, sizeof text, "%s.%06dZ", date, static_cast<int>(microseconds % 1'000'000));
    return text;
}

Result<std::int64_t> parse_time(const std::string& text) {
    std::tm parts{};
    const char* rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
    const auto fraction = rest ? std::string_view(rest) : std::string_view();
    const auto microseconds = fraction.size() == 8 ? parse_number(fraction.substr(1, 6)) : std::nullopt;
    if (microseconds) {
        const auto time = static_cast<std::int64_t>(::timegm(&parts)) * 1'000'000 + static_cast<int>(*microseconds);
        if (time >= 0 && time_text(time) == text) // strptime(3) takes more than we write, such as a 31st of June
            return time;
    }
    return fail(ErrorKind::invalid, "'" + printable(text.substr(0, 64)) + "' is no time");
}

std::unexpected<Error> no_event() {
    return fail(ErrorKind::invalid, "the line is no event");
}

std::int64_t now_in_microseconds() {
    using std::chrono::system_clock;
    return std::chrono::duration_cast<std::chrono::microseconds>(system_clock::now().time_since_epoch()).count();
}

Result<void> append(const std::string& file, const Event& event) {
    const auto fd = TRY(os::open_file(file, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0600));
    return os::write_all(fd.get(), to_json(event) + "\n");
}

Result<void> write_anew(const std::string& file, const std::deque<Event>& events) {
    const auto slash = file.rfind('/');
    const auto folder = slash == std::string::npos ? "." : slash == 0 ? "/" : file.substr(0, slash);
    const auto dir = TRY(os::open_file(folder, O_RDONLY | O_DIRECTORY));
    std::string text;
    for (const auto& event : events)
        text += to_json(event) + "\n";
    return os::write_atomically(dir.get(), file.substr(slash + 1), text);
}

} // namespace

std::string to_json(const Event& event) {
    Json attributes = Json::object();
    for (const auto& [key, value] : event.attributes)
        attributes[key] = value;
    const Json line{{"number", event.number}, {"time", time_text(event.time)},
                    {"type", event.type},     {"id", event.id},
                    {"name", event.name},     {"attributes", std::move(attributes)}};
    return line.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<Event> parse_event(std::string_view line) {
    if (!wire::is_shallow(line, kMaxDepth))
        return no_event();
    const auto json = Json::parse(line, nullptr, false);
    if (!json.is_object())
        return no_event();
    Event event;
    const auto number = json.find("number");
    if (number == json.end() || !number->is_number_unsigned())
        return no_event();
    event.number = number->get<std::uint64_t>();
    if (event.number == 0 || event.number > kMaxNumber)
        return no_event();
    std::string time;
    for (const auto& [key, text] : {std::pair("time", &time), std::pair("type", &event.type),
                                    std::pair("id", &event.id), std::pair("name", &event.name)}) {
        const auto found = json.find(key);
        if (found == json.end() || !found->is_string())
            return no_event();
        *text = found->get<std::string>();
    }
    event.time = TRY(parse_time(time));
    const auto attributes = json.find("attributes");
    if (attributes == json.end() || !attributes->is_object())
        return no_event();
    for (const auto& [key, value] : attributes->items()) {
        if (!value.is_string())
            return no_event();
        event.attributes.emplace_back(key, value.get<std::string>());
    }
    return event;
}

struct EventLog::Subscription::Entry {
    Listener listener;
};

EventLog::Subscription::~Subscription() = default;

EventLog::EventLog(std::string file) : file_(std::move(file)) {
    if (file_.empty())
        return;
    const auto text = os::read_file(file_, kMostFileBytes);
    if (!text) {
        if (text.error().sys_errno != ENOENT) {
            spdlog::warn("the events so far are lost: {}", text.error().text());
            lines_ = kMostLines;
        }
        return;
    }
    auto lines = split(*text, '\n');
    // Behind the last newline there is nothing, or a line that was broken off.
    bool damaged = !lines.back().empty();
    lines.pop_back();
    for (const auto line : lines) {
        auto event = parse_event(line);
        damaged |= !event || event->number <= last_;
        if (!event || event->number <= last_)
            continue;
        last_ = event->number;
        backlog_.push_back(*std::move(event));
        if (backlog_.size() > kMaxBacklog)
            backlog_.pop_front();
    }
    lines_ = damaged ? kMostLines : lines.size(); // what comes next has the file written anew
}

EventLog::~EventLog() = default;

void EventLog::add(std::string type, std::string id, std::string name,
                   std::vector<std::pair<std::string, std::string>> attributes) {
    const Event event{++last_,       now_in_microseconds(), std::move(type),
                      std::move(id), std::move(name),       std::move(attributes)};
    backlog_.push_back(event);
    if (backlog_.size() > kMaxBacklog)
        backlog_.pop_front();
    keep(event);
    // Of a copy: listeners come and go while they are told. One that is being told is held until it returns.
    const std::vector<std::weak_ptr<Subscription::Entry>> listeners(listeners_.begin(), listeners_.end());
    for (const auto& weak : listeners)
        if (const auto entry = weak.lock())
            entry->listener(event);
}

EventLog::Subscription EventLog::subscribe(Listener listener) {
    listeners_.remove_if([](const auto& weak) { return weak.expired(); });
    auto entry = std::make_shared<Subscription::Entry>(std::move(listener));
    listeners_.push_back(entry);
    return Subscription(std::move(entry));
}

void EventLog::keep(const Event& event) {
    if (file_.empty())
        return;
    const bool anew = lines_ >= kMostLines;
    const auto kept = anew ? write_anew(file_, backlog_) : append(file_, event);
    if (!kept) {
        spdlog::warn("an event is not kept: {}", kept.error().text());
        lines_ = kMostLines; // part of it may be there
        return;
    }
    lines_ = anew ? backlog_.size() : lines_ + 1;
}

} // namespace squish

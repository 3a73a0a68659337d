// squish events: what happens to containers, as it happens.
#include "base/text.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/event_line.h"
#include "cli/exit_code.h"
#include "cli/options.h"

#include <cerrno>

namespace squish::cli {

namespace {

constexpr std::uint64_t kUsualBacklog = 10; // events that are shown before the first new one
constexpr int kMaxReconnects = 3;           // without an event in between

struct Wanted {
    std::optional<std::uint64_t> since, backlog;
    bool follow = true, json = false;
};

class Reader {
public:
    Reader(const Paths& paths, Wanted wanted) : paths_(paths), wanted_(wanted) {
        if (wanted_.follow && !wanted_.since && !wanted_.backlog)
            wanted_.backlog = kUsualBacklog;
    }

    // False where nobody reads what we print.
    Result<bool> run() {
        for (;;) {
            auto client = TRY(Client::connect(paths_));
            TRY(client.send({"GET", target()}));
            const auto end = TRY(read_all(client));
            if (end != End::cut)
                return end == End::whole;
            if (++reconnects_ > kMaxReconnects)
                return fail(ErrorKind::unavailable, "squishd ends again and again", "see its log");
        }
    }

private:
    enum class End { whole, cut, unread };

    [[nodiscard]] std::string target() const {
        std::string out = wanted_.follow ? "/v1/events?follow=true" : "/v1/events?follow=false";
        if (wanted_.since)
            out += "&since=" + std::to_string(*wanted_.since);
        if (wanted_.backlog)
            out += "&backlog=" + std::to_string(*wanted_.backlog);
        return out;
    }

    Result<End> read_all(Client& client) {
        auto& response = client.response();
        for (;;) {
            const auto more = client.receive();
            if (!more && !was_not_served(more.error()))
                return std::unexpected(more.error());
            if (response.has_head() && response.status() >= 400) {
                if (response.complete() || !more || !*more)
                    return std::unexpected(error_of(response.status(), response.take_body()));
                continue;
            }
            while (const auto line = response.take_line())
                if (!TRY(show(*line)))
                    return End::unread;
            if (response.complete())
                return wanted_.follow ? End::cut : End::whole; // a daemon that ends lets go of those that follow
            if (!more || !*more)
                return End::cut;
        }
    }

    Result<bool> show(const std::string& line) {
        const auto event = TRY(json_of(line));
        if (!event.is_object())
            return true;
        if (const auto number = number_of(event, "number"); number > 0)
            remember(static_cast<std::uint64_t>(number));
        return print((wanted_.json ? line : event_line(event)) + "\n");
    }

    // The next daemon is asked for what comes after it only.
    void remember(std::uint64_t number) {
        wanted_.since = number;
        wanted_.backlog.reset();
        reconnects_ = 0;
    }

    const Paths& paths_;
    Wanted wanted_;
    int reconnects_ = 0;
};

} // namespace

int events_command(Words words) {
    Wanted wanted;
    bool no_follow = false;
    Options options("events [OPTIONS]", "Follows what happens to containers, one line for each event.");
    options.flag("--no-follow", no_follow, "show what has happened so far, and end")
        .number("--since", "NUMBER", wanted.since, "only events after the one with this number")
        .number("--backlog", "N", wanted.backlog, "at most the last N of what has happened so far")
        .flag("--json", wanted.json, "as JSON, an object on each line")
        .note("Of what has happened before, the last 10 events are shown; with --no-follow or --since, all that are "
              "kept.");
    if (const auto code = options.parse(words))
        return *code;
    wanted.follow = !no_follow;
    const auto paths = find_paths();
    if (!paths)
        return give_up(paths.error());
    const auto read = Reader(*paths, wanted).run();
    return read ? (*read ? 0 : 1) : give_up(read.error());
}

} // namespace squish::cli

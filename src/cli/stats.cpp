// squish stats: what containers use, once or every second.
#include "cli/stats_table.h"

#include "base/text.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/terminal.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>
#include <unistd.h>

namespace squish::cli {

namespace {

using namespace std::chrono_literals;

constexpr auto kInterval = 1s;
constexpr auto kFirstInterval = 500ms; // between the first two readings, before which nothing can be shown

struct Wanted {
    std::vector<std::string> references; // as they were given
    std::vector<std::string> ids;        // of those that are still there
};

Result<Wanted> look_up(Client& client, std::vector<std::string> references) {
    Wanted wanted{std::move(references), {}};
    for (const auto& reference : wanted.references) {
        const auto info = TRY(client.call({"GET", "/v1/containers/" + percent_encode(reference)}));
        if (text_of(info, "state") == "exited")
            return fail(ErrorKind::conflict, "container '" + printable(text_of(info, "name")) + "' does not run",
                        "see 'squish ps'");
        if (auto id = text_of(info, "id"); std::ranges::find(wanted.ids, id) == wanted.ids.end())
            wanted.ids.push_back(std::move(id));
    }
    return wanted;
}

// Forgets those that were removed meanwhile.
Result<void> drop_removed(Client& client, Wanted& wanted) {
    const auto all = TRY(client.call({"GET", "/v1/containers?all=true"}));
    std::set<std::string> there;
    for (const auto& container : all)
        there.insert(text_of(container, "id"));
    std::erase_if(wanted.ids, [&](const std::string& id) { return !there.contains(id); });
    return {};
}

Result<Json> read(Client& client, Wanted& wanted) {
    const bool named = !wanted.references.empty();
    for (;;) {
        if (named && wanted.ids.empty())
            return Json{{"containers", Json::array()}};
        auto stats = client.call({"GET", named ? "/v1/stats?containers=" + join(wanted.ids, ",") : "/v1/stats"});
        if (stats || !named || stats.error().kind != ErrorKind::not_found)
            return stats;
        const auto count = wanted.ids.size();
        TRY(drop_removed(client, wanted));
        if (wanted.ids.size() == count)
            return stats;
    }
}

class View {
public:
    View(bool json, bool stream)
        : json_(json), stream_(stream), redraws_(!json && stream && is_terminal(STDOUT_FILENO)) {}

    [[nodiscard]] bool show(const Json& before, const Json& now) {
        const auto notes = notes_about(now);
        if (!redraws_)
            for (const auto& note : notes)
                warn(note);
        if (json_)
            return print(stats_json(before, now).dump(stream_ ? -1 : 2, ' ', false, Json::error_handler_t::replace) +
                         "\n");
        const auto table = stats_table(before, now);
        if (!redraws_)
            return print(table + (stream_ ? "\n" : ""));
        const auto size = window_size();
        return print((std::exchange(cleared_, true) ? "" : "\033[2J") +
                     stats_screen(table + join(notes, "\n"), size.rows, size.columns));
    }

private:
    // Once for each container; every time on a screen that is drawn again.
    std::vector<std::string> notes_about(const Json& now) {
        std::vector<std::string> notes;
        for (const auto& [id, usage] : read_usages(now))
            if (usage.from_proc && (told_.insert(id).second || redraws_))
                notes.push_back(usage.name +
                                " has no cgroup: figures are sums over its processes (/proc); memory counts "
                                "shared pages once for each process");
        return notes;
    }

    bool json_, stream_, redraws_, cleared_ = false;
    std::set<std::string> told_;
};

Result<bool> watch(std::vector<std::string> references, bool json, bool stream) {
    const auto paths = TRY(find_paths());
    auto client = TRY(Client::connect(paths));
    auto wanted = TRY(look_up(client, std::move(references)));
    const bool named = !wanted.ids.empty();
    View view(json, stream);
    auto before = TRY(read(client, wanted));
    auto next = std::chrono::steady_clock::now() + kFirstInterval;
    for (;;) {
        std::this_thread::sleep_until(next); // a clock's tick; Ctrl-C ends us
        next = std::max(next, std::chrono::steady_clock::now() - kInterval) + kInterval;
        auto now = TRY(read(client, wanted));
        if (!view.show(before, now))
            return false; // nobody reads it any more
        if (!stream || (named && wanted.ids.empty()))
            return true;
        before = std::move(now);
    }
}

} // namespace

int stats_command(Words words) {
    bool json = false, once = false;
    std::vector<std::string> ids;
    Options options("stats [OPTIONS] [ID…]",
                    "Shows what containers use, every second: all that run, or those that are named.");
    options.flag("--no-stream", once, "once only")
        .flag("--json", json, "as JSON: an array for each reading, on one line unless there is only one")
        .optional_positionals("ID", ids)
        .note("CPU% is of one processor; MEM USED is without page cache, which CACHE is.");
    if (const auto code = options.parse(words))
        return *code;
    const auto shown = watch(std::move(ids), json, !once);
    return shown ? (*shown ? 0 : 1) : give_up(shown.error());
}

} // namespace squish::cli

// squish logs: reads the log files themselves; the daemon says only where they are and when the container has ended.
#include "base/text.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "logs/log_reader.h"
#include "logs/log_watch.h"
#include "os/file.h"

#include <array>
#include <cerrno>
#include <poll.h>
#include <unistd.h>

namespace squish::cli {

namespace {

struct Stream {
    LogReader reader;
    int to;
};

// Everything that is there now. Should: end when nobody reads it any more.
Result<void> copy_present(std::vector<Stream>& streams) {
    for (auto& stream : streams)
        for (;;) {
            const auto bytes = TRY(stream.reader.read());
            if (bytes.empty())
                break;
            TRY(os::write_all(stream.to, bytes));
        }
    return {};
}

Result<Client> ask_for_end(const Paths& paths, const std::string& id) {
    auto client = TRY(Client::connect(paths));
    TRY(client.send({"GET", "/v1/containers/" + id + "/wait"}));
    return client;
}

// Until the container has ended. A daemon that ends meanwhile is replaced by another; should that fail, so do we.
Result<void> follow(const Paths& paths, const std::string& id, LogWatch& watch, std::vector<Stream>& streams) {
    auto client = TRY(ask_for_end(paths, id));
    while (!client.response().complete()) {
        TRY(copy_present(streams));
        std::array<pollfd, 2> waiting{pollfd{watch.fd(), POLLIN, 0}, pollfd{client.fd(), POLLIN, 0}};
        if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR)
            return fail_errno("poll");
        watch.clear();
        if (!waiting[1].revents)
            continue;
        if (const auto more = client.receive(); !more || !*more) // the daemon is gone: the next one knows, too
            client = TRY(ask_for_end(paths, id));
    }
    // Removed while it was followed (404): whatever it wrote was in files that we still hold open.
    return copy_present(streams);
}

Result<void> show(const std::string& reference, std::optional<std::uint64_t> tail, bool follows) {
    const auto paths = TRY(find_paths());
    auto client = TRY(Client::connect(paths));
    const auto info = TRY(client.call({"GET", "/v1/containers/" + percent_encode(reference)}));
    if (info.value("attached", false)) {
        warn("container '" + text_of(info, "name") +
             "' has no logs: its output went to the terminal or pipes of 'squish run'");
        return {};
    }
    const std::array files{text_of(info, "stdout_log"), text_of(info, "stderr_log")};
    auto watch = TRY(LogWatch::open(files));
    std::vector<Stream> streams;
    const auto lines = tail ? std::optional(static_cast<std::size_t>(*tail)) : std::nullopt;
    auto out = TRY(LogReader::open(files[0], lines));
    auto err = TRY(LogReader::open(files[1], lines));
    streams.push_back({std::move(out), STDOUT_FILENO});
    streams.push_back({std::move(err), STDERR_FILENO});
    if (follows && text_of(info, "state") != "exited")
        return follow(paths, text_of(info, "id"), watch, streams);
    return copy_present(streams);
}

} // namespace

int logs_command(Words words) {
    bool follows = false;
    std::optional<std::uint64_t> tail;
    std::string id;
    Options options("logs [OPTIONS] ID", "Shows what a container has written: its stdout on ours, its stderr on ours.");
    options.flag("-f,--follow", follows, "go on until it has ended")
        .number("-n,--tail", "N", tail, "the last N lines of each only")
        .positional("ID", id);
    if (const auto code = options.parse(words))
        return *code;
    const auto shown = show(id, tail, follows);
    return shown ? 0 : give_up(shown.error());
}

} // namespace squish::cli

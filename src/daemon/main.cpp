// squishd(8).
#include "account/account.h"
#include "base/paths.h"
#include "base/text.h"
#include "daemon/config.h"
#include "daemon/daemon.h"
#include "daemon/engine_containers.h"
#include "daemon/log.h"
#include "os/file.h"
#include "start/start.h"
#include "version.h"

#include <fcntl.h>
#include <span>
#include <sys/stat.h>
#include <unistd.h>

namespace squish::daemon {

namespace {

constexpr std::string_view kHelp = R"(Usage: squishd [OPTIONS]

Serves the containers of one user on a unix socket. `squish` starts it on demand.
Without options it goes to the background and returns once it serves.

Options:
  --foreground        stay in the foreground and log to stderr
  --ready-fd N        write "ready" or the error to this descriptor (used by squish)
  -h, --help          print this help
  --version           print the version
)";

struct Arguments {
    bool foreground = false, help = false, version = false;
    int ready_fd = -1;
};

Result<Arguments> read_arguments(std::span<char*> words) {
    Arguments arguments;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string_view word = words[i];
        if (word == "--foreground") {
            arguments.foreground = true;
        } else if (word == "--help" || word == "-h") {
            arguments.help = true;
        } else if (word == "--version") {
            arguments.version = true;
        } else if (word == "--ready-fd") {
            const auto number = i + 1 < words.size() ? parse_number(words[++i]) : std::nullopt;
            if (!number || *number < 3 || *number > 65535 ||
                ::fcntl(static_cast<int>(*number), F_SETFD, FD_CLOEXEC) < 0)
                return fail(ErrorKind::invalid, "--ready-fd needs the number of an open descriptor");
            arguments.ready_fd = static_cast<int>(*number);
        } else {
            return fail(ErrorKind::invalid, "unknown argument '" + printable(word) + "'", "see squishd --help");
        }
    }
    return arguments;
}

Result<void> run(const Arguments& arguments, ReadyPipe& ready) {
    const auto paths = TRY(find_paths());
    TRY(secure_state_folder(paths));
    if (arguments.foreground)
        log_to_stderr();
    else
        TRY(log_to_file(paths.state + "/squishd.log"));
    const auto config = TRY(read_config(paths.config + "/squishd.toml"));
    return serve(
        paths,
        [&](boost::asio::io_context& loop) -> Task<std::unique_ptr<Containers>> {
            auto engine = co_await Engine::open(loop, paths, config);
            if (!engine)
                co_return std::unexpected(std::move(engine).error());
            co_return engine_containers(std::move(*engine));
        },
        ready);
}

int complain(const Error& error) {
    (void) os::write_all(STDERR_FILENO, "squishd: " + error.text() + "\n");
    return error.kind == ErrorKind::invalid ? 2 : error.kind == ErrorKind::unsupported ? 125 : 1;
}

int main(std::span<char*> words) {
    ::umask(077);
    const auto arguments = read_arguments(words.subspan(1));
    if (!arguments)
        return complain(arguments.error());
    if (arguments->help || arguments->version) {
        const auto text = arguments->help ? std::string(kHelp) : "squishd " SQUISH_VERSION "\n";
        return os::write_all(STDOUT_FILENO, text) ? 0 : 1;
    }
    if (const auto left = account::leave_root("squishd"); !left)
        return complain(left.error());
    if (!arguments->foreground && arguments->ready_fd < 0) {
        const auto paths = find_paths();
        const auto started = paths ? start_in_background(*paths) : Result<void>(std::unexpected(paths.error()));
        return started ? 0 : complain(started.error());
    }
    ReadyPipe ready{UniqueFd(arguments->ready_fd)};
    const auto served = run(*arguments, ready);
    if (served)
        return 0;
    log_error(served.error().text());
    log_flush();
    ready.failed(served.error());
    return complain(served.error());
}

} // namespace

} // namespace squish::daemon

int main(int argc, char** argv) {
    return squish::daemon::main({argv, static_cast<std::size_t>(argc)});
}

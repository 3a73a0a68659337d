#include "daemon/daemon.h"

#include "base/text.h"
#include "daemon/log.h"
#include "daemon/server.h"
#include "os/process.h"
#include "os/socket.h"
#include "version.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/signal_set.hpp>
#include <chrono>
#include <csignal>
#include <sys/socket.h>
#include <unistd.h>

namespace squish::daemon {

namespace asio = boost::asio;

namespace {

std::int64_t now_in_microseconds() {
    using std::chrono::system_clock;
    return std::chrono::duration_cast<std::chrono::microseconds>(system_clock::now().time_since_epoch()).count();
}

// The containers, opened on the loop; runs the loop for as long as that takes.
Result<std::unique_ptr<Containers>> open_on(asio::io_context& loop, const OpenContainers& open) {
    std::optional<Result<std::unique_ptr<Containers>>> opened;
    asio::co_spawn(loop, open(loop), [&](std::exception_ptr broken, Result<std::unique_ptr<Containers>> result) {
        opened = broken
                     ? Result<std::unique_ptr<Containers>>(fail(ErrorKind::system, "opening the engine was broken off"))
                     : std::move(result);
        loop.stop();
    });
    loop.run();
    loop.restart();
    if (!opened) // a signal
        return fail(ErrorKind::unavailable, "squishd was told to end while it started");
    return std::move(*opened);
}

} // namespace

Result<void> serve(const Paths& paths, OpenContainers open, ReadyPipe& ready) {
    auto instance = TRY(Instance::claim(paths));
    if (!instance) { // somebody else serves: that is what was wanted
        ready.ready();
        return fail(ErrorKind::conflict, "squishd is running already, on '" + printable(paths.socket) + "'");
    }
    // A pidfd and a connection for each container: the usual soft limit of 1024 is soon used up.
    (void) os::raise_descriptor_limit();
    ::signal(SIGPIPE, SIG_IGN);
    asio::io_context loop(1);
    // Before the engine opens: whoever connects now waits in the queue instead of starting a second daemon.
    auto listener = TRY(os::listen_unix(paths.socket, SOCK_STREAM));
    asio::signal_set signals(loop, SIGTERM, SIGINT);
    signals.async_wait([&](boost::system::error_code error, int number) {
        if (error)
            return;
        log_info("signal " + std::to_string(number) + ": ending; containers run on");
        loop.stop();
    });
    auto containers = open_on(loop, open);
    if (!containers) {
        instance->remove_socket(paths);
        return std::unexpected(std::move(containers).error());
    }
    Service service{**containers, {}, [&loop] { loop.stop(); }, now_in_microseconds()};
    Server server(loop, std::move(listener), service);
    service.stop_accepting = [&] {
        instance->remove_socket(paths);
        server.stop();
    };
    server.serve();
    log_info("squishd " SQUISH_VERSION " serves '" + paths.socket + "', pid " + std::to_string(::getpid()));
    ready.ready();
    loop.run();
    service.stop_accepting();
    log_info("squishd has ended");
    log_flush();
    return {};
}

} // namespace squish::daemon

#include "pull/fetch_job.h"

#include "os/socket.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <csignal>
#include <cstdlib>
#include <unistd.h>

namespace squish {

namespace {

constexpr std::chrono::hours kLongest{24};

// What a program that talks to servers may know of our environment: proxies (curl(1), ENVIRONMENT) and certificates.
std::vector<std::string> environment() {
    std::vector<std::string> kept{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"};
    for (const char* name : {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy",
                             "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"})
        if (const char* value = std::getenv(name))
            kept.push_back(std::string(name) + "=" + value);
    return kept;
}

// It was killed or has ended: it only has to be reaped.
asio::awaitable<void> reap(Pidfd pidfd) {
    asio::posix::stream_descriptor watch(co_await asio::this_coro::executor, ::dup(pidfd.get()));
    co_await watch.async_wait(asio::posix::stream_descriptor::wait_read, kAwait);
    (void) os::reap(pidfd.get());
}

} // namespace

Result<std::unique_ptr<FetchJob>> FetchJob::start(const asio::any_io_executor& executor, const std::string& program) {
    auto ends = TRY(os::socket_pair());
    std::unique_ptr<FetchJob> job(new FetchJob);
    os::Spawn spawn;
    spawn.program = program;
    spawn.args = {"squish-fetch"};
    spawn.environment = environment();
    spawn.keep = {ends.second.get()};
    spawn.stderr_fd = STDERR_FILENO;
    job->child_ = TRY(os::spawn_child(spawn));
    job->client_ = std::make_unique<HelperClient>(executor, "squish-fetch", std::move(ends.first), [] {});
    return job;
}

FetchJob::~FetchJob() {
    if (!client_)
        return;
    const auto executor = client_->executor();
    client_.reset();
    (void) os::send_signal(child_.pidfd.get(), SIGKILL); // what it wrote is complete up to where it is
    asio::co_spawn(executor, reap(std::move(child_.pidfd)), asio::detached);
}

Task<wire::JsonMessage> FetchJob::ask(wire::Json request, std::vector<int> fds, HelperClient::OnProgress on_progress) {
    return client_->ask(std::move(request), std::move(fds), kLongest, std::move(on_progress));
}

} // namespace squish

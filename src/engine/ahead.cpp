// A cgroup made ahead for the next container with limits.
//
// How this works
//   A scope of systemd takes a job of the user's manager, longer than all the rest of a start. So once a container with
//   limits has started, a scope without limits is made for the next one, with the id that it will have. Who takes it
//   sets its limits while the mounts are made, and waits for that before the payload is executed. One that nobody takes
//   within kKeep is removed: a user without such containers has nothing lying about.

#include "engine/impl.h"

#include "base/text.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <spdlog/spdlog.h>

namespace squish {

namespace {

constexpr std::chrono::seconds kKeep{20};

} // namespace

// The id of a cgroup that is ready, which is the caller's from then on; a new one where there is none.
std::string Engine::Impl::take_id(const CreateRequest& request) {
    if (!ahead_ || !request.file.resources.any() || adopted_keeper_ != ground_->facts().pid)
        return random_hex(16);
    ahead_pause_.cancel();
    auto taken = std::exchange(ahead_, std::nullopt);
    made_ahead_[taken->id] = std::move(taken->cgroup);
    return taken->id;
}

void Engine::Impl::schedule_ahead(std::chrono::milliseconds pause) {
    if (ahead_ || making_ahead_ || shutting_down_ || !driver_ || !driver_->needs_anchor() || config_.spare_cells == 0)
        return;
    ahead_pause_.expires_after(pause);
    ahead_pause_.async_wait([this](const boost::system::error_code& error) {
        if (!error && !ahead_ && !making_ahead_ && !shutting_down_)
            asio::co_spawn(executor_, make_ahead(), asio::detached);
    });
}

asio::awaitable<void> Engine::Impl::make_ahead() {
    making_ahead_ = true;
    Ahead ahead;
    ahead.id = random_hex(16);
    auto made = co_await open_cgroup(ahead.id, ResourceSpec{});
    making_ahead_ = false;
    if (!made) { // the next start says why
        spdlog::debug("no cgroup ahead: {}", made.error().text());
        co_return;
    }
    ahead.cgroup = std::move(*made);
    ahead_ = std::move(ahead);
    if (shutting_down_)
        co_return;
    ahead_pause_.expires_after(kKeep);
    ahead_pause_.async_wait([this](const boost::system::error_code& error) {
        if (!error)
            asio::co_spawn(executor_, dismiss_ahead(), asio::detached);
    });
}

asio::awaitable<void> Engine::Impl::dismiss_ahead() {
    ahead_pause_.cancel();
    const auto left = std::exchange(ahead_, std::nullopt);
    if (!left || !driver_)
        co_return;
    if (auto removed = co_await driver_->remove(left->id); !removed)
        spdlog::warn("a cgroup that was made ahead is left: {}", removed.error().text());
    if (auto* keeper = ground_->keeper())
        keeper->forget(left->id);
}

} // namespace squish

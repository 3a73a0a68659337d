#include "daemon/exit_hub.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace squish::daemon {

namespace asio = boost::asio;

std::shared_ptr<void> ExitHub::listen(const asio::any_io_executor& loop, std::string id, Question question,
                                      std::function<void(const Result<ExitInfo>&)> when_ended) {
    auto listener = std::make_shared<Listener>(std::move(when_ended));
    auto& listeners = waiting_[id];
    const bool asked = !listeners.empty();
    std::erase_if(listeners, [](const auto& weak) { return weak.expired(); });
    listeners.push_back(listener);
    if (asked)
        return listener;
    asio::co_spawn(loop, question(), [this, id](std::exception_ptr broken, Result<ExitInfo> result) {
        if (broken)
            result = fail(ErrorKind::system, "waiting for '" + id + "' was broken off");
        const auto found = waiting_.extract(id);
        for (const auto& weak : found.mapped())
            if (const auto waiter = weak.lock())
                waiter->tell(result);
    });
    return listener;
}

asio::awaitable<std::optional<Result<ExitInfo>>> ExitHub::wait(Exchange& exchange, std::string id, Question question) {
    const auto loop = co_await asio::this_coro::executor;
    asio::steady_timer event(loop, asio::steady_timer::time_point::max());
    std::optional<Result<ExitInfo>> outcome;
    const auto listener = listen(loop, std::move(id), std::move(question), [&](const Result<ExitInfo>& result) {
        outcome = result;
        event.cancel();
    });
    bool gone = false;
    exchange.watch([&] {
        gone = true;
        event.cancel();
    });
    if (!outcome && !gone)
        co_await event.async_wait(asio::as_tuple(asio::use_awaitable));
    exchange.leave_watch();
    co_return outcome;
}

} // namespace squish::daemon

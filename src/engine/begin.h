// Something that is done while the caller goes on.
#pragma once

#include "async/latch.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <memory>

namespace squish {

// Begins `work` (a function that returns a Task<void>) and returns a function that waits for its result; nobody need.
template <class Add> auto begin(const asio::any_io_executor& executor, Add add) {
    struct State {
        explicit State(const asio::any_io_executor& executor) : done(executor) {}
        Latch done;
        Result<void> result;
    };
    const auto state = std::make_shared<State>(executor);
    asio::co_spawn(
        executor,
        [state, add = std::move(add)]() -> asio::awaitable<void> {
            state->result = co_await add();
            state->done.open();
        },
        asio::detached);
    return [state]() -> Task<void> {
        co_await state->done.wait();
        co_return state->result;
    };
}

} // namespace squish

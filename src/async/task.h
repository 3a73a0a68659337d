// What a coroutine of ours returns: a result, once the event loop has brought it.
#pragma once

#include "base/result.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace squish {

namespace asio = boost::asio;

template <class T> using Task = asio::awaitable<Result<T>>;
// co_await something(…, kAwait): errors come as values.
inline constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

} // namespace squish

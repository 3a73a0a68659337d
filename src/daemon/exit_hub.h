// Lets any number of requests wait for the end of the same container (or exec), and give up when their clients go.
//
// The engine is asked once per id, however many wait: a client that hangs up leaves nothing behind but that one
// question, which ends with the container.
#pragma once

#include "daemon/containers.h"
#include "daemon/http.h"

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <map>
#include <memory>

namespace squish::daemon {

class ExitHub {
public:
    using Question = std::function<Task<ExitInfo>()>;

    // Nothing where the client hung up first.
    boost::asio::awaitable<std::optional<Result<ExitInfo>>> wait(Exchange& exchange, std::string id, Question question);
    // Calls `when_ended` when `id` has ended; for those that wait for something else besides. Destroy the handle to
    // take that back.
    [[nodiscard]] std::shared_ptr<void> listen(const boost::asio::any_io_executor& loop, std::string id,
                                               Question question,
                                               std::function<void(const Result<ExitInfo>&)> when_ended);

private:
    struct Listener {
        std::function<void(const Result<ExitInfo>&)> tell;
    };
    std::map<std::string, std::vector<std::weak_ptr<Listener>>> waiting_;
};

} // namespace squish::daemon

// One run of squish-fetch: it asks servers and reads what they send, so that squishd does not.
#pragma once

#include "async/helper_client.h"
#include "os/process.h"

#include <memory>
#include <string>

namespace squish {

class FetchJob {
public:
    // Starts the program. It ends with this object, whatever it is doing.
    [[nodiscard]] static Result<std::unique_ptr<FetchJob>> start(const asio::any_io_executor& executor,
                                                                 const std::string& program);
    FetchJob(const FetchJob&) = delete;
    FetchJob& operator=(const FetchJob&) = delete;
    ~FetchJob();

    // A job asks once. It has its own deadlines for servers that stall; there is none for a download that moves.
    [[nodiscard]] Task<wire::JsonMessage> ask(wire::Json request, std::vector<int> fds = {},
                                              HelperClient::OnProgress on_progress = {});

private:
    FetchJob() = default;
    os::Child child_;
    std::unique_ptr<HelperClient> client_;
};

} // namespace squish

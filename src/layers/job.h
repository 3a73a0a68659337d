// One operation in a process of its own, which ends with it.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "layers/operations.h"
#include "wire/json_channel.h"

#include <optional>
#include <string>

namespace squish::layers {

// The id maps of a job's user namespace: those of our own.
struct IdMaps {
    std::string uids, gids;
};

class Job {
public:
    // Forks. The caller must have one thread. An Error where the order is malformed.
    [[nodiscard]] static Result<Job> start(Order order);

    [[nodiscard]] int socket() const { return socket_.get(); }
    [[nodiscard]] int pidfd() const { return pidfd_.get(); }
    [[nodiscard]] const wire::Json& request() const { return request_; }

    // What it has to say: a progress event or its answer, for the client. Nothing where there is nothing (yet). What
    // comes from a job is not trusted: it has read what a stranger wrote.
    [[nodiscard]] std::optional<wire::Json> hear(const IdMaps& maps);
    // SIGKILL; it may have answered just before.
    void cancel();
    // To be called when the pidfd is readable: reaps, and gives the answer where none was heard.
    [[nodiscard]] std::optional<wire::Json> ended();

private:
    Job() = default;
    [[nodiscard]] Result<void> map_ids(const IdMaps& maps);

    wire::Json request_;
    pid_t pid_ = 0;
    Pidfd pidfd_;
    UniqueFd socket_;
    bool mapped_ = false;
    bool answered_ = false;
    bool cancelled_ = false;
};

} // namespace squish::layers

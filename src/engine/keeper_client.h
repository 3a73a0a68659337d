// Asks the keeper (wire/keeper_protocol.h), and starts it where there is none.
#pragma once

#include "async/link.h"
#include "base/paths.h"
#include "wire/keeper_messages.h"

#include <functional>
#include <string>
#include <vector>

namespace squish {

struct KeeperFacts {
    pid_t pid = 0;
    bool single_id = false;
    std::uint32_t slices = 0; // of ids, for containers with ids of their own
    std::string uid_map, gid_map;
};

// A container that the keeper knows.
struct KeptContainer {
    std::string id;
    wire::ContainerPhase phase;
    pid_t pid;
    int wait_status;
    Pidfd pidfd;
};

struct Launched {
    pid_t pid = 0;
    Pidfd pidfd;
    std::uint64_t received_ns = 0, rooted_ns = 0, executed_ns = 0, cloned_ns = 0;
};

class KeeperClient {
public:
    struct Events {
        std::function<void(std::string id, int wait_status)> exited;
        std::function<void(std::string helper, int wait_status)> helper_exited;
        std::function<void(std::string cell)> cell_lost;
        std::function<void(std::string helper, pid_t pid)> guarded = {}; // it had ended, and runs again
        std::function<void()> closed;
    };
    KeeperClient(const asio::any_io_executor& executor, UniqueFd socket, Events events);
    KeeperClient(const KeeperClient&) = delete;
    KeeperClient& operator=(const KeeperClient&) = delete;
    ~KeeperClient() { link_->close(); }

    // First of all: the keeper's facts and what it keeps.
    [[nodiscard]] Task<KeeperFacts> hello(std::vector<KeptContainer>& containers);
    // Its pidfd says whether it still waits. `kind`: wire::cell_kind. EUSERS where no ids of its own are left.
    [[nodiscard]] Task<Pidfd> prepare(std::string cell, std::uint32_t kind, std::vector<int> fds);
    // A step that failed comes back as FailedStep in `failed`, with an Error of no meaning of its own.
    struct FailedStep {
        bool happened = false;
        std::uint32_t step = 0;
        int error = 0;
    };
    [[nodiscard]] Task<Launched> launch(std::string id, std::string cell, std::vector<int> fds, FailedStep& failed);
    [[nodiscard]] Task<Launched> exec(std::string container, std::string id, std::vector<int> fds, FailedStep& failed);
    [[nodiscard]] Task<void> signal(std::string id, int number);
    [[nodiscard]] Task<void> put(std::string name, std::vector<int> fds);
    [[nodiscard]] Task<std::vector<UniqueFd>> take(std::string name);
    [[nodiscard]] Task<void> watch_log(std::string id, std::uint64_t limit, std::vector<int> fds);
    [[nodiscard]] Task<pid_t> spawn(std::string helper, std::vector<int> fds);
    // A helper that the keeper starts again whenever it ends. `fds`: program, log, what it gets as 3, 4, …; for
    // wire::kSysinfoServer from 4 on. Replaces the one of that name.
    [[nodiscard]] Task<pid_t> guard(std::string name, std::vector<int> fds);
    // On which CPUs everything in the container's cgroup may run (launch::StepKind::affinity). Errors: ENOENT where it
    // has no cgroup, EINVAL where none of these CPUs may be used.
    [[nodiscard]] Task<void> affinity(std::string id, std::string mask);
    // A process that sleeps until `forget(id)`: keeps a scope open.
    [[nodiscard]] Task<pid_t> anchor(std::string id);
    [[nodiscard]] Task<void> shut_down();
    void drop(const std::string& name);
    // The same, and waits until it is done: from then on the keeper holds no copy.
    [[nodiscard]] Task<void> drop_now(std::string name);
    void forget(const std::string& id);
    void discard(const std::string& cell);
    [[nodiscard]] bool is_open() const { return link_->is_open(); }

private:
    struct Answer {
        wire::KeeperReply reply;
        std::vector<UniqueFd> fds;
    };
    // Of what is sound, and no error.
    [[nodiscard]] Task<Answer> ask(std::uint32_t number, const wire::Writer& request, std::vector<int> fds = {});
    [[nodiscard]] Task<void> ask_done(std::uint32_t number, wire::Writer request, std::vector<int> fds = {});
    [[nodiscard]] Task<Launched> start(std::uint32_t number, wire::Writer request, std::vector<int> fds,
                                       FailedStep& failed);
    std::uint32_t classify(const os::Message& message);
    void on_event(os::Message message);

    Events events_;
    std::vector<KeptContainer>* listing_ = nullptr; // where `container` messages go until hello is done
    std::shared_ptr<Link> link_;
};

// Starts the keeper process and waits until it is ready. Blocks for a few milliseconds (newuidmap).
// ErrorKind::unsupported with a remedy where the machine forbids what it needs.
[[nodiscard]] Result<void> start_keeper(const Paths& paths);

// What a user without subordinate ids loses, and how to get them.
[[nodiscard]] std::string single_id_warning();

} // namespace squish

// The keeper's event loop: clones cells, hands plans over, keeps exit statuses and descriptors, tells squishd.
//
// How this works
//   One epoll instance, one thread, no call that waits for anybody but the kernel. Every descriptor has a handler; a
//   client that does not read what we tell it is disconnected (it asks again after connecting). What a request makes
//   us hold is bounded: containers, cells, stored descriptors, message sizes.
//   A container is known by its id from `launch` until `forget`; an exec likewise by its own id.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "keeper/bootstrap.h"
#include "keeper/cell.h"
#include "keeper/guards.h"
#include "keeper/listeners.h"
#include "keeper/log_cap.h"
#include "keeper/loop.h"
#include "keeper/slices.h"
#include "launch/format.h"
#include "os/process.h"
#include "os/socket.h"
#include "wire/keeper_protocol.h"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace squish::keeper {

class Server {
public:
    [[nodiscard]] static Result<std::unique_ptr<Server>> make(Home home, UniqueFd init, UniqueFd listener);
    // Serves until shut_down; returns the exit code of the process.
    int run();

private:
    struct Process { // a container or an exec
        std::string id;
        std::string container; // of an exec: the container; else empty
        Cell cell;
        std::optional<Slices::Lease> ids; // those of its own
        wire::ContainerPhase phase = wire::ContainerPhase::starting;
        int status = 0; // wait status; the payload's own where init told it
        bool told_status = false;
        int client = -1; // who waits for the answer to `launch`
        std::uint32_t sequence = 0;
        std::uint64_t cloned_ns = 0;
        [[nodiscard]] bool is_exec() const { return !container.empty(); }
    };
    struct Spare {
        Cell cell;
        int client;       // who had it prepared, and is the only one to know of it
        UniqueFd network; // its network namespace; none where that is the host's
        UniqueFd cgroup;  // its cgroup; none where it has none of its own
        std::optional<Slices::Lease> ids;
    };
    struct Helper {
        std::string name;
        pid_t pid;
        Pidfd pidfd;
    };
    struct Anchor { // of a cgroup (wire::KeeperKind::anchor)
        os::Child child;
        int client; // who asked for it
    };
    // Somebody who asks. What they do not read at once waits here, up to a limit.
    struct Client {
        UniqueFd socket;
        std::deque<os::Message> queue;
    };
    struct PreludeFailure {
        std::uint32_t step;
        int error;
    };
    // What init said on its socket.
    struct Word {
        bool closed = false;
        std::optional<launch::Report> report; // none: nothing that is not done already
    };

    explicit Server(Loop loop) : loop_(std::move(loop)) {}

    void accept_client();
    void on_client(int fd, std::uint32_t events);
    void flush(int fd);
    void disconnect(int fd);
    void tell(int client, const wire::Writer& message, std::span<const int> fds = {});
    void tell_all(const wire::Writer& message, std::span<const int> fds = {});
    void answer(int client, std::uint32_t sequence, const Result<void>& result);

    void handle(int client, os::Message message);
    void hello(int client, std::uint32_t sequence);
    [[nodiscard]] Result<void> prepare(int client, const std::string& name, std::uint32_t kind,
                                       std::vector<UniqueFd> fds);
    [[nodiscard]] Result<void> start(int client, std::uint32_t sequence, std::string id, std::string container,
                                     Spare spare, std::vector<UniqueFd> fds, std::uint64_t cloned_ns);
    [[nodiscard]] Result<void> launch(int client, std::uint32_t sequence, const std::string& id,
                                      const std::string& cell, std::vector<UniqueFd> fds);
    [[nodiscard]] Result<void> exec(int client, std::uint32_t sequence, const std::string& container,
                                    const std::string& id, std::vector<UniqueFd> fds);
    [[nodiscard]] Result<void> signal(const std::string& id, int number);
    [[nodiscard]] Result<void> forget(const std::string& id);
    void drop_stored(const std::string& id);
    [[nodiscard]] Result<void> make_anchor(int client, const std::string& id);
    void end_anchor(const std::string& id);
    void on_anchor_ended(const std::string& id, int fd);
    [[nodiscard]] Result<pid_t> spawn(const std::string& name, std::vector<UniqueFd> fds);
    [[nodiscard]] Result<void> change_affinity(const std::string& id, const std::string& mask);

    [[nodiscard]] Word hear(int control);
    void on_report(const std::string& id);
    void on_ended(const std::string& id);
    void on_cell_report(const std::string& name);
    void on_cell_ended(const std::string& name);
    void discard(const Spare& spare);
    void on_helper_ended(int fd);
    void started(Process& process, std::uint64_t received_ns, std::uint64_t rooted_ns, std::uint64_t executed_ns);
    void start_failed(Process& process, std::uint32_t step, int error);

    Loop loop_;
    Home home_;
    UniqueFd init_, listener_;
    Cloner cloner_;
    Slices slices_;
    LogCap logs_;
    std::map<int, Client> clients_;
    std::map<std::string, Spare> cells_;
    std::map<std::string, PreludeFailure> failed_cells_; // why a cell is gone, until somebody asks for it
    std::map<std::string, Process> processes_;
    std::map<std::string, std::vector<UniqueFd>> store_;
    std::map<int, Helper> helpers_;         // by pidfd
    std::map<std::string, Anchor> anchors_; // by container
    Listeners listeners_{loop_};
    std::optional<Guards> guards_; // always there once made
};

} // namespace squish::keeper

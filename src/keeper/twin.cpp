#include "keeper/twin.h"

#include "os/process.h"
#include "os/socket.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <sys/prctl.h>
#include <unistd.h>

namespace squish::keeper {

namespace {

[[noreturn]] void serve(int socket, const Cloner& cloner) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::prctl(PR_SET_NAME, "squish-hostnet");
    for (;;) {
        auto request = os::receive_message(socket, 16);
        if (!request || request->peer_closed)
            ::_exit(0);
        auto cell = clone_cell(cloner, -1, true);
        const std::int32_t answer = cell ? cell->pid : -(cell.error().sys_errno ? cell.error().sys_errno : EIO);
        const std::string_view bytes(reinterpret_cast<const char*>(&answer), sizeof answer);
        if (cell) {
            const int fds[] = {cell->pidfd.get(), cell->control.get()};
            (void) os::send_message(socket, bytes, fds);
        } else {
            (void) os::send_message(socket, bytes);
        }
    }
}

} // namespace

Result<UniqueFd> start_twin(const Cloner& cloner) {
    auto [ours, theirs] = TRY(os::socket_pair());
    auto child = TRY(os::clone_process(0));
    if (child.pid == 0) {
        ours.reset();
        serve(theirs.get(), cloner);
    }
    return std::move(ours);
}

Result<Cell> clone_cell_in_host_network(int twin) {
    TRY(os::send_message(twin, "clone"));
    auto answer = TRY(os::receive_message(twin, 64));
    std::int32_t pid = 0;
    if (answer.bytes.size() != sizeof pid)
        return fail(ErrorKind::unavailable, "the host-network twin is gone",
                    "stop all containers and run 'squish daemon stop'");
    std::memcpy(&pid, answer.bytes.data(), sizeof pid);
    if (answer.fds.size() != 2)
        return fail_errno("clone into the host's network", -pid);
    return Cell{pid, Pidfd(std::move(answer.fds[0])), std::move(answer.fds[1])};
}

} // namespace squish::keeper

#include "keeper/twin.h"

#include "os/process.h"
#include "os/socket.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <sys/prctl.h>
#include <unistd.h>

namespace squish::keeper {

namespace {

constexpr std::size_t kMaxRequest = 16 * 1024; // two id maps of at most 340 lines, as a rule of two

[[noreturn]] void serve(int socket, Cloner cloner) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::prctl(PR_SET_NAME, "squish-hostnet");
    for (;;) {
        auto request = os::receive_message(socket, kMaxRequest);
        if (!request || request->peer_closed)
            ::_exit(0);
        const auto cut = std::min(request->bytes.find('\0'), request->bytes.size() - 1);
        cloner.uid_map = request->bytes.substr(0, cut);
        cloner.gid_map = request->bytes.substr(cut + 1);
        const int cgroup = request->fds.empty() ? -1 : request->fds.front().get();
        auto cell = clone_cell(cloner, {.cgroup = cgroup, .as_sibling = true});
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

Result<Cell> clone_cell_in_host_network(int twin, const Cloner& cloner, int cgroup) {
    const auto maps = cloner.uid_map + '\0' + cloner.gid_map;
    TRY(os::send_message(twin, maps, std::span<const int>(&cgroup, cgroup >= 0 ? 1 : 0)));
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

// squish-forward: published TCP ports. Started by the keeper inside the user's own namespaces, with fd 3 = a listening
// non-blocking SEQPACKET unix socket for control requests. Ends with its keeper, or on SIGTERM.

#include "forward/hardening.h"
#include "forward/pipe_pool.h"
#include "forward/service.h"
#include "os/process.h"

#include <cstdio>
#include <fcntl.h>
#include <malloc.h>
#include <sys/socket.h>

namespace {

constexpr int kControlFd = 3;

squish::Result<squish::UniqueFd> control_listener() {
    int type = 0, listening = 0;
    socklen_t size = sizeof type;
    if (::getsockopt(kControlFd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
        ::getsockopt(kControlFd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0 || type != SOCK_SEQPACKET ||
        listening == 0)
        return squish::fail(squish::ErrorKind::invalid, "descriptor 3 is no listening control socket",
                            "this program is started by squish, not by hand");
    if (::fcntl(kControlFd, F_SETFD, FD_CLOEXEC) < 0 || ::fcntl(kControlFd, F_SETFL, O_NONBLOCK) < 0)
        return squish::fail_errno("fcntl");
    return squish::UniqueFd(kControlFd);
}

squish::Result<void> forward() {
    auto control = TRY(control_listener());
    // A received message needs 128 KiB for a moment: back to the kernel each time instead of into the heap for good.
    ::mallopt(M_MMAP_THRESHOLD, 64 * 1024);
    TRY(squish::os::raise_descriptor_limit());
    TRY(squish::forward::harden());
    return squish::forward::serve(std::move(control), squish::forward::PipePool::machine_limits());
}

} // namespace

int main() {
    const auto result = forward();
    if (result)
        return 0;
    std::fprintf(stderr, "squish-forward: %s\n", result.error().text().c_str());
    return 1;
}

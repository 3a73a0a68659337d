// Unix sockets that carry file descriptors (unix(7), SCM_RIGHTS).
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace squish::os {

inline constexpr std::size_t kMaxFdsPerMessage = 253; // SCM_MAX_FD, unix(7)

// A datagram with the descriptors that came with it. `peer_closed`: the other end is gone.
struct Message {
    std::string bytes;
    std::vector<UniqueFd> fds;
    bool peer_closed = false;
};

// SOCK_SEQPACKET pair, close-on-exec.
[[nodiscard]] Result<std::pair<UniqueFd, UniqueFd>> socket_pair();

// Binds and listens at `path` (at most 107 bytes) with mode 0600; a stale socket file there is replaced.
// `type` is SOCK_STREAM or SOCK_SEQPACKET. The socket is non-blocking.
[[nodiscard]] Result<UniqueFd> listen_unix(const std::string& path, int type, int backlog = 128);
[[nodiscard]] Result<UniqueFd> connect_unix(const std::string& path, int type);

// Sends one message with descriptors; blocks unless the socket is non-blocking. MSG_NOSIGNAL always.
[[nodiscard]] Result<void> send_message(int socket, std::string_view bytes, std::span<const int> fds = {});
// Adds the descriptors that came with a message of recvmsg(2) to `fds`: from here they are closed by somebody.
void take_descriptors(const msghdr& message, std::vector<UniqueFd>& fds);

// Receives one message of at most `limit` bytes; a longer one, or one with more descriptors than the kernel
// would deliver whole, is an error (never a silently shortened message). Received fds are close-on-exec.
// EAGAIN comes back as an Error with sys_errno == EAGAIN.
[[nodiscard]] Result<Message> receive_message(int socket, std::size_t limit);

struct PeerCredentials {
    pid_t pid;
    uid_t uid;
    gid_t gid;
};
// SO_PEERCRED: who connected, as the kernel recorded it.
[[nodiscard]] Result<PeerCredentials> peer_credentials(int socket);

} // namespace squish::os

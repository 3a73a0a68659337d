#include "os/socket.h"

#include "base/text.h"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace squish::os {

namespace {

Result<sockaddr_un> unix_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path)
        return fail(ErrorKind::invalid, "socket path '" + printable(path) + "' is longer than 107 bytes",
                    "set XDG_RUNTIME_DIR or SQUISH_SOCKET to a shorter path");
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

union ControlBuffer {
    cmsghdr header;
    char bytes[CMSG_SPACE(kMaxFdsPerMessage * sizeof(int))];
};

} // namespace

Result<std::pair<UniqueFd, UniqueFd>> socket_pair() {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        return fail_errno("socketpair");
    return std::pair(UniqueFd(fds[0]), UniqueFd(fds[1]));
}

Result<UniqueFd> listen_unix(const std::string& path, int type, int backlog) {
    const auto address = TRY(unix_address(path));
    UniqueFd socket(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket)
        return fail_errno("socket");
    if (::unlink(path.c_str()) < 0 && errno != ENOENT)
        return fail_errno("remove the old socket '" + printable(path) + "'");
    // The mode is set on the socket before bind, so there is no moment in which others could connect.
    if (::fchmod(socket.get(), 0600) < 0)
        return fail_errno("chmod socket");
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
        return fail_errno("bind '" + printable(path) + "'");
    if (::chmod(path.c_str(), 0600) < 0)
        return fail_errno("chmod '" + printable(path) + "'");
    if (::listen(socket.get(), backlog) < 0)
        return fail_errno("listen '" + printable(path) + "'");
    return socket;
}

Result<UniqueFd> connect_unix(const std::string& path, int type) {
    const auto address = TRY(unix_address(path));
    UniqueFd socket(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    if (!socket)
        return fail_errno("socket");
    while (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
        if (errno != EINTR)
            return fail_errno("connect to '" + printable(path) + "'");
    return socket;
}

Result<void> send_message(int socket, std::string_view bytes, std::span<const int> fds) {
    if (fds.size() > kMaxFdsPerMessage)
        return fail(ErrorKind::system, "more than 253 descriptors in one message");
    iovec data{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    ControlBuffer control;
    if (!fds.empty()) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(fds.size_bytes());
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(fds.size_bytes());
        std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
    }
    for (;;) {
        const auto sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
        if (sent >= 0) {
            if (static_cast<std::size_t>(sent) != bytes.size())
                return fail_errno("sendmsg: message cut short", EMSGSIZE);
            return {};
        }
        if (errno != EINTR)
            return fail_errno("sendmsg");
    }
}

void take_descriptors(const msghdr& message, std::vector<UniqueFd>& fds) {
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header;
         header = CMSG_NXTHDR(const_cast<msghdr*>(&message), header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        const auto count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
            fds.emplace_back(fd);
        }
    }
}

Result<Message> receive_message(int socket, std::size_t limit) {
    // One buffer for all: making and zeroing one of the limit's size per message cost more than the message.
    thread_local std::vector<char> buffer;
    if (buffer.size() < limit)
        buffer.resize(limit);
    Message out;
    iovec data{buffer.data(), limit};
    ControlBuffer control;
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    ssize_t got = 0;
    while ((got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) < 0)
        if (errno != EINTR)
            return fail_errno("recvmsg");
    take_descriptors(message, out.fds);
    if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
        return fail_errno("recvmsg: message or descriptors cut short", EMSGSIZE);
    out.bytes.assign(buffer.data(), static_cast<std::size_t>(got));
    out.peer_closed = got == 0;
    return out;
}

Result<PeerCredentials> peer_credentials(int socket) {
    ucred credentials{};
    socklen_t length = sizeof credentials;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0)
        return fail_errno("SO_PEERCRED");
    return PeerCredentials{credentials.pid, credentials.uid, credentials.gid};
}

} // namespace squish::os

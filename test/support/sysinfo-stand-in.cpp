// sysinfo-stand-in: what integration tests have the keeper guard in place of squish-sysinfo (wire/keeper_protocol.h).
//
// Takes listeners from fd 3, answers every sysinfo(2) of them with the key of its view as the result, and tells on fd 4
// what happens, one line each: "up PID", "got KEY", "answered KEY", "gone KEY".
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <linux/seccomp.h>
#include <map>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace {

constexpr int kKeeper = 3, kTold = 4;

void tell(const char* what, unsigned long long number) {
    dprintf(kTold, "%s %llu\n", what, number);
}

// The listener; -1 where the keeper has gone.
int take(std::uint64_t& key) {
    iovec data{&key, sizeof key};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (recvmsg(kKeeper, &message, MSG_CMSG_CLOEXEC) != sizeof key || !CMSG_FIRSTHDR(&message))
        return -1;
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return fd;
}

bool answer(int listener, std::uint64_t key) {
    seccomp_notif asked{};
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) < 0)
        return false;
    seccomp_notif_resp response{};
    response.id = asked.id;
    response.val = static_cast<std::int64_t>(key);
    return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response) == 0;
}

} // namespace

int main() {
    tell("up", static_cast<unsigned long long>(getpid()));
    std::map<int, std::uint64_t> keys; // by listener
    for (;;) {
        std::vector<pollfd> waiting{{kKeeper, POLLIN, 0}};
        for (const auto& [fd, key] : keys)
            waiting.push_back({fd, POLLIN, 0});
        if (poll(waiting.data(), waiting.size(), -1) < 0)
            return 1;
        for (const auto& one : waiting) {
            if (!one.revents)
                continue;
            if (one.fd == kKeeper) {
                std::uint64_t key = 0;
                const int listener = take(key);
                if (listener < 0)
                    return 0;
                keys[listener] = key;
                tell("got", key);
            } else if (one.revents & POLLIN) {
                if (answer(one.fd, keys[one.fd]))
                    tell("answered", keys[one.fd]);
            } else {
                tell("gone", keys[one.fd]);
                keys.erase(one.fd);
                close(one.fd);
            }
        }
    }
}

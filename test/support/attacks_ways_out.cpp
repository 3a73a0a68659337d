// Ways out that need no race: the caller's terminal, other containers' addresses, control groups, core dumps, set-id
// bits, working folders and signals. See attacks.h for what is printed.
#include "attacks.h"

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace attacks {

namespace {

// terminal TEXT: types it into stdin, stdout and the controlling terminal, and tries to make those its own.
int terminal(const Args& args) {
    const auto type = [&](int fd) {
        errno = 0;
        for (const char letter : args.at(0) + "\n")
            if (ioctl(fd, TIOCSTI, &letter) < 0)
                return false;
        return true;
    };
    tell("stdin", type(STDIN_FILENO));
    tell("stdout", type(STDOUT_FILENO));
    const int controlling = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    tell("controlling", controlling >= 0 && type(controlling));
    char byte = 0;
    std::memcpy(&byte, args.at(0).data(), 1);
    std::array<char, 2> console{2, byte}; // TIOCLINUX: paste
    errno = 0;
    tell("console", ioctl(STDOUT_FILENO, TIOCLINUX, console.data()) == 0);
    // A session of its own that takes the caller's terminal over.
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        setsid();
        errno = 0;
        _exit(ioctl(STDOUT_FILENO, TIOCSCTTY, 0) == 0 ? 0 : errno);
    }
    int status = 0;
    waitpid(child, &status, 0);
    errno = WEXITSTATUS(status);
    tell("take-over", WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return 0;
}

// --- the network

struct Request {
    nlmsghdr header;
    union {
        ifaddrmsg address;
        ifinfomsg link;
        ndmsg neighbour;
        rtmsg route;
    };
    std::array<char, 128> attributes;
};

void add_attribute(Request& request, unsigned short type, const void* data, std::size_t size) {
    auto* at = reinterpret_cast<rtattr*>(reinterpret_cast<char*>(&request) + NLMSG_ALIGN(request.header.nlmsg_len));
    at->rta_type = type;
    at->rta_len = static_cast<unsigned short>(RTA_LENGTH(size));
    std::memcpy(RTA_DATA(at), data, size);
    request.header.nlmsg_len = NLMSG_ALIGN(request.header.nlmsg_len) + RTA_ALIGN(at->rta_len);
}

Request make_request(unsigned short type, unsigned short flags, std::size_t body) {
    Request request{};
    request.header.nlmsg_type = type;
    request.header.nlmsg_flags = static_cast<unsigned short>(NLM_F_REQUEST | NLM_F_ACK | flags);
    request.header.nlmsg_len = static_cast<unsigned>(NLMSG_LENGTH(body));
    return request;
}

bool ask_kernel(Request& request) {
    errno = 0;
    const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    bool done = false;
    std::array<char, 4096> answer{};
    if (fd >= 0 && send(fd, &request, request.header.nlmsg_len, 0) > 0 &&
        recv(fd, answer.data(), answer.size(), 0) > 0) {
        const auto* header = reinterpret_cast<const nlmsghdr*>(answer.data());
        const auto* error = static_cast<const nlmsgerr*>(NLMSG_DATA(header));
        done = header->nlmsg_type == NLMSG_ERROR && error->error == 0;
        errno = done ? 0 : -error->error;
    }
    const int why = errno;
    if (fd >= 0)
        close(fd);
    errno = why;
    return done;
}

// A numeric address of either family.
struct Numeric {
    sockaddr_storage address{};
    socklen_t size = 0;
    [[nodiscard]] const sockaddr* data() const { return reinterpret_cast<const sockaddr*>(&address); }
};

Numeric numeric(const std::string& text, std::uint16_t port) {
    Numeric made;
    if (text.contains(':')) {
        auto& six = reinterpret_cast<sockaddr_in6&>(made.address);
        six.sin6_family = AF_INET6;
        six.sin6_port = htons(port);
        inet_pton(AF_INET6, text.c_str(), &six.sin6_addr);
        made.size = sizeof six;
    } else {
        auto& four = reinterpret_cast<sockaddr_in&>(made.address);
        four.sin_family = AF_INET;
        four.sin_port = htons(port);
        inet_pton(AF_INET, text.c_str(), &four.sin_addr);
        made.size = sizeof four;
    }
    return made;
}

// Sends a datagram from `source`, which may not be ours: bound to it, with an option that lets us bind.
bool send_from(const std::string& source, const std::string& to, int level, int option) {
    const auto from = numeric(source, 0), peer = numeric(to, 9);
    const int fd = socket(from.address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    errno = 0;
    const bool sent = fd >= 0 && setsockopt(fd, level, option, &on, sizeof on) == 0 &&
                      bind(fd, from.data(), from.size) == 0 && sendto(fd, "spoofed", 7, 0, peer.data(), peer.size) == 7;
    const int why = errno;
    if (fd >= 0)
        close(fd);
    errno = why;
    return sent;
}

// network INTERFACE ADDRESS: raw sockets; other addresses, routes and neighbours for the interface; its own link layer.
int network(const Args& args) {
    const auto index = static_cast<int>(if_nametoindex(args.at(0).c_str()));
    in_addr foreign{};
    inet_pton(AF_INET, args.at(1).c_str(), &foreign);
    const std::array<unsigned char, 6> mac{2, 0, 0, 0, 0, 9};
    const auto can_make = [](int family, int type, int protocol) {
        errno = 0;
        const int fd = socket(family, type | SOCK_CLOEXEC, protocol);
        if (fd >= 0)
            close(fd);
        return fd >= 0;
    };
    tell("raw", can_make(AF_INET, SOCK_RAW, IPPROTO_UDP));
    tell("raw6", can_make(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6));
    tell("packet", can_make(AF_PACKET, SOCK_RAW, htons(3)));
    tell("packet-datagram", can_make(AF_PACKET, SOCK_DGRAM, htons(0x0806)));

    auto address = make_request(RTM_NEWADDR, NLM_F_CREATE, sizeof(ifaddrmsg));
    address.address.ifa_family = AF_INET;
    address.address.ifa_prefixlen = 32;
    address.address.ifa_index = static_cast<unsigned>(index);
    add_attribute(address, IFA_LOCAL, &foreign, sizeof foreign);
    tell("address", ask_kernel(address));

    auto neighbour = make_request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, sizeof(ndmsg));
    neighbour.neighbour.ndm_family = AF_INET;
    neighbour.neighbour.ndm_ifindex = index;
    neighbour.neighbour.ndm_state = NUD_PERMANENT;
    add_attribute(neighbour, NDA_DST, &foreign, sizeof foreign);
    add_attribute(neighbour, NDA_LLADDR, mac.data(), mac.size());
    tell("neighbour", ask_kernel(neighbour));

    auto route = make_request(RTM_NEWROUTE, NLM_F_CREATE, sizeof(rtmsg));
    route.route.rtm_family = AF_INET;
    route.route.rtm_dst_len = 32;
    route.route.rtm_table = RT_TABLE_MAIN;
    route.route.rtm_protocol = RTPROT_STATIC;
    route.route.rtm_scope = RT_SCOPE_LINK;
    route.route.rtm_type = RTN_UNICAST;
    add_attribute(route, RTA_DST, &foreign, sizeof foreign);
    add_attribute(route, RTA_OIF, &index, sizeof index);
    tell("route", ask_kernel(route));

    auto link = make_request(RTM_NEWLINK, 0, sizeof(ifinfomsg));
    link.link.ifi_index = index;
    const unsigned mtu = 1400;
    add_attribute(link, IFLA_MTU, &mtu, sizeof mtu);
    tell("link", ask_kernel(link));

    ifreq request{};
    args[0].copy(request.ifr_name, sizeof request.ifr_name - 1);
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    errno = 0;
    request.ifr_flags = IFF_UP | IFF_PROMISC;
    tell("promiscuous", ioctl(fd, SIOCSIFFLAGS, &request) == 0);
    close(fd);
    return 0;
}

// spoof SOURCE TO: a datagram to TO from SOURCE, of either family.
int spoof(const Args& args) {
    const bool six = args.at(0).contains(':');
    const int level = six ? static_cast<int>(IPPROTO_IPV6) : static_cast<int>(IPPROTO_IP);
    tell("free", send_from(args[0], args.at(1), level, six ? IPV6_FREEBIND : IP_FREEBIND));
    tell("transparent", send_from(args[0], args[1], level, six ? IPV6_TRANSPARENT : IP_TRANSPARENT));
    return 0;
}

// --- control groups

int cgroup(const Args&) {
    const auto call = [](const std::string& what, const std::function<bool()>& attempt) {
        errno = 0;
        tell(what, attempt());
    };
    const auto can_write = [](const char* path) {
        const int fd = open(path, O_WRONLY | O_CLOEXEC);
        const bool wrote = fd >= 0 && write(fd, "0", 1) == 1;
        const int why = errno;
        if (fd >= 0)
            close(fd);
        errno = why;
        return wrote;
    };
    call("procs", [&] { return can_write("/sys/fs/cgroup/cgroup.procs"); });
    call("subtree", [&] { return can_write("/sys/fs/cgroup/cgroup.subtree_control"); });
    call("release-agent", [&] { return can_write("/sys/fs/cgroup/memory/release_agent"); });
    call("make", [] { return mkdir("/sys/fs/cgroup/squish-attack", 0755) == 0; });
    const char* place = "/tmp/cgroup";
    mkdir(place, 0755);
    call("mount-2", [&] { return mount("none", place, "cgroup2", 0, nullptr) == 0; });
    call("mount-1", [&] { return mount("none", place, "cgroup", 0, "memory") == 0; });
    call("open-2", [] { return syscall(SYS_fsopen, "cgroup2", 0) >= 0; });
    call("namespace", [] { return unshare(CLONE_NEWCGROUP) == 0; });
    return 0;
}

// --- cores and set-id bits

// core: raises the limit, and looks whether a crash is dumped.
int core(const Args&) {
    rlimit all{RLIM_INFINITY, RLIM_INFINITY};
    errno = 0;
    tell("limit", setrlimit(RLIMIT_CORE, &all) == 0);
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        std::signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
        _exit(1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    errno = ENOENT;
    tell("dumped", WIFSIGNALED(status) && WCOREDUMP(status));
    return 0;
}

// setid [PATH]: executes PATH, a set-id copy of this program, which then tells whether its ids became others.
int setid(const Args& args) {
    if (!args.empty()) {
        execl(args[0].c_str(), args[0].c_str(), "attack", "setid", nullptr);
        errno = ENOEXEC;
        tell("executed", false);
        return 1;
    }
    errno = EPERM;
    tell("user", geteuid() != getuid());
    errno = EPERM;
    tell("group", getegid() != getgid());
    return 0;
}

// --- the working folder, descriptors and signals

// Whether going up from `start` ends elsewhere than at our root.
bool leads_outside(int start) {
    struct stat root{}, here{}, above{};
    if (start < 0 || stat("/", &root) < 0)
        return false;
    int at = dup(start);
    if (fstat(at, &here) < 0 || !S_ISDIR(here.st_mode)) {
        close(at);
        return false;
    }
    for (int steps = 0; steps < 64; ++steps) {
        const int up = openat(at, "..", O_PATH | O_CLOEXEC);
        if (up < 0 || fstat(up, &above) < 0)
            break;
        close(at);
        at = up;
        const bool top = above.st_dev == here.st_dev && above.st_ino == here.st_ino;
        here = above;
        if (top)
            break;
    }
    close(at);
    return here.st_dev != root.st_dev || here.st_ino != root.st_ino;
}

// outside: whether the working folder, or any descriptor that we were given, leads out of our root.
int outside(const Args&) {
    errno = ENOENT;
    tell("cwd", leads_outside(open(".", O_PATH | O_CLOEXEC)));
    bool any = false;
    for (int fd = 0; fd < 256; ++fd)
        any |= fcntl(fd, F_GETFD) >= 0 && leads_outside(fd);
    errno = ENOENT;
    tell("descriptor", any);
    return 0;
}

// signals PID: every signal there is, to that process; whether it still runs after them all.
int signals(const Args& args) {
    const auto victim = static_cast<pid_t>(std::stol(args.at(0)));
    const std::uint64_t all = ~std::uint64_t{0}; // what comes back to us; sigprocmask(3) spares two of them
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, nullptr, sizeof all);
    for (int number = 1; number < 65; ++number)
        kill(victim, number);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    char state = '?';
    if (FILE* file = std::fopen(("/proc/" + args[0] + "/stat").c_str(), "re")) {
        if (std::fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
            state = '?';
        std::fclose(file);
    }
    errno = EPERM;
    tell("ended", (kill(victim, 0) < 0 && errno == ESRCH) || state == 'Z');
    errno = EPERM;
    tell("stopped", state == 'T' || state == 't');
    return 0;
}

} // namespace

const Table& ways_out() {
    static const Table table = {{"terminal", terminal}, {"network", network}, {"spoof", spoof},
                                {"cgroup", cgroup},     {"core", core},       {"setid", setid},
                                {"outside", outside},   {"signals", signals}};
    return table;
}

} // namespace attacks

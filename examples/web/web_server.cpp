// web-server PORT FOLDER: serves the files of a folder over HTTP/1.1. An example payload: static, no dependencies.
//
// How this works
//   One thread per connection, at most kMaxConnections of them; a connection carries requests one after another until
//   the peer closes it, asks for it, or is silent for kIdleSeconds. Only GET and HEAD exist. A name is resolved by
//   openat2 beneath the folder's own descriptor, so neither `..` nor a symbolic link leads out of it. Bodies are sent
//   by sendfile(2) and never pass through this program. Each request gives one line on stdout. SIGTERM ends it with 0.
#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <optional>
#include <string>
#include <string_view>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace {

using namespace std::literals;

constexpr int kMaxConnections = 256;
constexpr int kIdleSeconds = 15;
constexpr std::size_t kMaxRequestBytes = 16 * 1024;

std::atomic<int> connections = 0;

class Fd {
public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Fd() {
        if (fd_ >= 0)
            close(fd_);
    }
    [[nodiscard]] int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }

private:
    int fd_ = -1;
};

struct Request {
    std::string method, path;
    bool keep_alive = true;
};

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
    return out;
}

// "/a%20b?q" -> "a b": relative to the folder; nothing where it is malformed.
std::optional<std::string> decode(std::string_view target) {
    if (!target.starts_with('/'))
        return std::nullopt;
    target = target.substr(0, target.find_first_of("?#"));
    std::string path;
    for (std::size_t i = 0; i < target.size(); ++i) {
        char c = target[i];
        if (c == '%') {
            unsigned value = 0;
            if (i + 2 >= target.size() ||
                std::from_chars(&target[i] + 1, &target[i] + 3, value, 16).ptr != &target[i] + 3 || value == 0)
                return std::nullopt;
            c = static_cast<char>(value);
            i += 2;
        }
        path += c;
    }
    path.erase(0, path.find_first_not_of('/'));
    return path.empty() ? "." : path;
}

// The other way round, for a Location header.
std::string encode(std::string_view path) {
    std::string out;
    for (unsigned char c : path) {
        if (std::isalnum(c) || "-._~/"sv.contains(static_cast<char>(c))) {
            out += static_cast<char>(c);
        } else {
            std::array<char, 4> escaped;
            std::snprintf(escaped.data(), escaped.size(), "%%%02X", c);
            out += escaped.data();
        }
    }
    return out;
}

std::string_view content_type(std::string_view path) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kTypes{{
        {".html", "text/html; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".txt", "text/plain; charset=utf-8"},
        {".json", "application/json"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".jpg", "image/jpeg"},
        {".ico", "image/x-icon"},
        {".wasm", "application/wasm"},
        {".pdf", "application/pdf"},
        {".xml", "application/xml"},
    }};
    for (const auto& [ending, type] : kTypes)
        if (path.ends_with(ending))
            return type;
    return "application/octet-stream";
}

struct Found {
    Fd file;
    off_t size = 0;
    std::string path;      // of the file, so of index.html where a folder was asked for
    bool redirect = false; // a folder asked for without its slash: relative links of its page would go astray
};

// Opens beneath `folder` and nowhere else. Whatever goes wrong (ELOOP, EXDEV, EACCES, …) is "not found".
Found find(int folder, std::string path) {
    struct open_how how = {};
    how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    struct stat info;
    Fd file(static_cast<int>(syscall(SYS_openat2, folder, path.c_str(), &how, sizeof how)));
    if (!file || fstat(file.get(), &info) != 0)
        return {};
    if (S_ISREG(info.st_mode))
        return {std::move(file), info.st_size, std::move(path), false};
    if (!S_ISDIR(info.st_mode))
        return {};
    if (path != "." && !path.ends_with('/'))
        return {Fd(), 0, std::move(path), true};
    return find(folder, path + "/index.html");
}

bool send_all(int fd, std::string_view data) {
    while (!data.empty()) {
        ssize_t sent = send(fd, data.data(), data.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        data.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
}

bool send_file(int fd, int file, off_t size) {
    for (off_t offset = 0; offset < size;) {
        ssize_t sent = sendfile(fd, file, &offset, static_cast<std::size_t>(std::min<off_t>(size - offset, 1 << 30)));
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false; // the peer went away, or the file shrank: the promised length cannot be kept
    }
    return true;
}

std::string head(std::string_view status, std::string_view type, off_t length, bool keep_alive) {
    std::string out = "HTTP/1.1 ";
    out.append(status).append("\r\nServer: squish-example\r\nContent-Type: ").append(type);
    out.append("\r\nContent-Length: ").append(std::to_string(length));
    out.append(keep_alive ? "\r\nConnection: keep-alive\r\n\r\n" : "\r\nConnection: close\r\n\r\n");
    return out;
}

bool send_error(int fd, const Request& request, std::string_view status) {
    std::string body = std::string(status) + "\n";
    std::string answer = head(status, "text/plain; charset=utf-8", static_cast<off_t>(body.size()), request.keep_alive);
    return send_all(fd, request.method == "HEAD" ? answer : answer + body) && request.keep_alive;
}

void log(const Request& request, std::string_view status) {
    std::string line = request.method + " " + request.path + " " + std::string(status.substr(0, 3)) + "\n";
    std::replace_if(line.begin(), line.end() - 1, [](unsigned char c) { return c < 0x20 || c >= 0x7f; }, '?');
    [[maybe_unused]] ssize_t written = write(STDOUT_FILENO, line.data(), line.size());
}

// Answers one request; true where the connection goes on.
bool answer(int fd, int folder, const Request& request) {
    if (request.method != "GET" && request.method != "HEAD") {
        log(request, "405");
        Request closing = request;
        closing.keep_alive = false; // it may have a body that we do not read
        return send_error(fd, closing, "405 Method Not Allowed");
    }
    auto path = decode(request.path);
    Found found = path ? find(folder, *path) : Found();
    if (found.redirect) {
        log(request, "301");
        auto answer = head("301 Moved Permanently", "text/plain", 0, request.keep_alive);
        return send_all(fd, answer.insert(answer.size() - 2, "Location: /" + encode(found.path) + "/\r\n")) &&
               request.keep_alive;
    }
    log(request, found.file ? "200" : "404");
    if (!found.file)
        return send_error(fd, request, "404 Not Found");
    if (!send_all(fd, head("200 OK", content_type(found.path), found.size, request.keep_alive)))
        return false;
    return (request.method == "HEAD" || send_file(fd, found.file.get(), found.size)) && request.keep_alive;
}

// "GET /x HTTP/1.1\r\nHeader: value\r\n…", without the empty line at its end.
std::optional<Request> parse(std::string_view text) {
    auto line = text.substr(0, text.find("\r\n"));
    auto first = line.find(' '), last = line.rfind(' ');
    if (first == std::string_view::npos || first == last || !line.substr(last + 1).starts_with("HTTP/1."))
        return std::nullopt;
    Request request{std::string(line.substr(0, first)), std::string(line.substr(first + 1, last - first - 1)), true};
    auto headers = lower(text.substr(line.size()));
    bool old = line.substr(last + 1) == "HTTP/1.0";
    bool says_close = headers.find("\r\nconnection: close") != std::string::npos;
    bool says_keep = headers.find("\r\nconnection: keep-alive") != std::string::npos;
    request.keep_alive = old ? says_keep : !says_close;
    return request;
}

void serve(Fd client, int folder) {
    timeval idle{.tv_sec = kIdleSeconds, .tv_usec = 0};
    setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &idle, sizeof idle);
    setsockopt(client.get(), SOL_SOCKET, SO_SNDTIMEO, &idle, sizeof idle);
    int on = 1;
    setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    std::string buffer;
    std::array<char, 4096> chunk;
    for (;;) {
        for (std::size_t end; (end = buffer.find("\r\n\r\n")) != std::string::npos; buffer.erase(0, end + 4)) {
            auto request = parse(std::string_view(buffer).substr(0, end));
            if (!request) {
                send_error(client.get(), Request{"GET", "", false}, "400 Bad Request");
                return;
            }
            if (!answer(client.get(), folder, *request))
                return;
        }
        if (buffer.size() > kMaxRequestBytes) {
            send_error(client.get(), Request{"GET", "", false}, "431 Request Header Fields Too Large");
            return;
        }
        ssize_t got = recv(client.get(), chunk.data(), chunk.size(), 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return;
        buffer.append(chunk.data(), static_cast<std::size_t>(got));
    }
}

// On all addresses: both families through one socket where the machine has IPv6, else IPv4.
Fd listen_on(std::uint16_t port) {
    int on = 1, off = 0;
    Fd six(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (six) {
        sockaddr_in6 any{};
        any.sin6_family = AF_INET6;
        any.sin6_port = htons(port);
        setsockopt(six.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        setsockopt(six.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
        if (bind(six.get(), reinterpret_cast<sockaddr*>(&any), sizeof any) == 0 && listen(six.get(), 128) == 0)
            return six;
    }
    Fd four(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_port = htons(port);
    setsockopt(four.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(four.get(), reinterpret_cast<sockaddr*>(&any), sizeof any) != 0 || listen(four.get(), 128) != 0)
        return Fd();
    return four;
}

int complain(const char* what) {
    std::fprintf(stderr, "web-server: %s: %s\n", what, std::strerror(errno));
    return 1;
}

} // namespace

int main(int argc, char** argv) {
    std::uint16_t port = 0;
    if (argc != 3 || std::from_chars(argv[1], argv[1] + std::strlen(argv[1]), port).ec != std::errc() || port == 0) {
        std::fputs("usage: web-server PORT FOLDER\n", stderr);
        return 2;
    }
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGTERM, [](int) { _exit(0); });
    Fd folder(open(argv[2], O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!folder)
        return complain(argv[2]);
    Fd listener = listen_on(port);
    if (!listener)
        return complain("listen");
    std::fprintf(stderr, "web-server: serving %s on port %u\n", argv[2], port);
    for (;;) {
        Fd client(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!client) {
            if (errno == EINTR || errno == ECONNABORTED)
                continue;
            return complain("accept");
        }
        if (connections >= kMaxConnections)
            continue; // closed at once: the peer tries again
        ++connections;
        std::thread([client = std::move(client), root = folder.get()]() mutable {
            serve(std::move(client), root);
            --connections;
        }).detach();
    }
}

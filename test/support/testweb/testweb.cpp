#include "testweb/testweb.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace squish::test {

namespace {

[[noreturn]] void die(const char* what) {
    std::perror(what);
    std::abort();
}

std::optional<std::uint64_t> number(std::string_view text) {
    std::uint64_t out = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc() && end == text.data() + text.size() ? std::optional(out) : std::nullopt;
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

// The same contents have the same tag.
std::string tag_of(std::string_view contents) {
    return "\"" + std::to_string(contents.size()) + "-" + std::to_string(std::hash<std::string_view>()(contents)) +
           "\"";
}

constexpr std::pair<const char*, Fault::Kind> kKinds[] = {
    {"slow", Fault::Kind::slow},
    {"break_off", Fault::Kind::break_off},
    {"break_at_tenth", Fault::Kind::break_at_tenth},
    {"longer", Fault::Kind::longer},
    {"shorter", Fault::Kind::shorter},
    {"endless", Fault::Kind::endless},
    {"wrong_byte", Fault::Kind::wrong_byte},
    {"redirect_loop", Fault::Kind::redirect_loop},
    {"redirect", Fault::Kind::redirect},
    {"status", Fault::Kind::status},
    {"html", Fault::Kind::html},
    {"silent", Fault::Kind::silent},
    {"silent_body", Fault::Kind::silent_body},
    {"no_range", Fault::Kind::no_range},
    {"new_etag", Fault::Kind::new_etag},
    {"no_validators", Fault::Kind::no_validators},
    {"wrong_range", Fault::Kind::wrong_range},
    {"unframed", Fault::Kind::unframed},
    {"reset", Fault::Kind::reset},
    {"cut_headers", Fault::Kind::cut_headers},
};

} // namespace

std::optional<Fault> parse_fault(std::string_view text) {
    Fault out;
    bool named = false;
    while (!text.empty()) {
        const auto part = text.substr(0, text.find(','));
        text.remove_prefix(std::min(text.size(), part.size() + 1));
        const auto equals = part.find('=');
        const auto key = part.substr(0, equals);
        const auto value = equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1);
        if (key == "only") {
            out.only = value;
        } else if (key == "times") {
            const auto times = number(value);
            if (!times)
                return std::nullopt;
            out.times = static_cast<int>(*times);
        } else if (key == "skip") {
            const auto skip = number(value);
            if (!skip)
                return std::nullopt;
            out.skip = static_cast<int>(*skip);
        } else {
            const auto* const kind = std::ranges::find(kKinds, key, &std::pair<const char*, Fault::Kind>::first);
            if (named || kind == std::end(kKinds))
                return std::nullopt;
            named = true;
            out.kind = kind->second;
            out.amount = number(value).value_or(0);
            out.text = value;
        }
    }
    return named ? std::optional(out) : std::nullopt;
}

struct TestWeb::Request {
    std::string method, path;
    std::map<std::string, std::string> headers;
    [[nodiscard]] std::string header(const char* name) const {
        const auto found = headers.find(name);
        return found == headers.end() ? std::string() : found->second;
    }
};

TestWeb::TestWeb(std::string folder, std::uint16_t port) : folder_(std::move(folder)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int on = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (listener_ < 0 || ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 ||
        ::listen(listener_, 64) < 0)
        die("testweb: listen");
    socklen_t size = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept_loop(); });
}

TestWeb::~TestWeb() {
    stopping_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    {
        const std::lock_guard lock(mutex_);
        for (const int socket : open_)
            ::shutdown(socket, SHUT_RDWR);
    }
    for (auto& thread : threads_)
        thread.join();
    ::close(listener_);
}

std::string TestWeb::url(const std::string& path) const {
    return "http://127.0.0.1:" + std::to_string(port_) + (path.starts_with('/') ? "" : "/") + path;
}

void TestWeb::add(const std::string& path, std::string contents) {
    const std::lock_guard lock(mutex_);
    files_[path.starts_with('/') ? path : "/" + path] = std::move(contents);
}

void TestWeb::remove(const std::string& path) {
    const std::lock_guard lock(mutex_);
    files_.erase(path.starts_with('/') ? path : "/" + path);
}

void TestWeb::spoil(Fault fault) {
    const std::lock_guard lock(mutex_);
    faults_.push_back(std::move(fault));
}

void TestWeb::heal() {
    const std::lock_guard lock(mutex_);
    faults_.clear();
}

std::vector<Seen> TestWeb::seen() const {
    std::unique_lock lock(mutex_);
    answered_.wait_for(lock, std::chrono::seconds(10), [this] { return answering_ == 0; });
    return seen_;
}

void TestWeb::forget_seen() {
    const std::lock_guard lock(mutex_);
    seen_.clear();
}

void TestWeb::on_seen(std::function<void(const Seen&)> callback) {
    const std::lock_guard lock(mutex_);
    on_seen_ = std::move(callback);
}

void TestWeb::record(Seen seen) {
    const std::lock_guard lock(mutex_);
    if (on_seen_)
        on_seen_(seen);
    seen_.push_back(std::move(seen));
    --answering_;
    answered_.notify_all();
}

void TestWeb::accept_loop() {
    while (!stopping_) {
        const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (socket < 0)
            continue;
        const int on = 1;
        ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        const std::lock_guard lock(mutex_);
        open_.insert(socket);
        threads_.emplace_back([this, socket] {
            serve(socket);
            const std::lock_guard closing(mutex_);
            open_.erase(socket);
            ::close(socket);
        });
    }
}

void TestWeb::serve(int socket) {
    std::string buffer;
    while (!stopping_) {
        auto end = buffer.find("\r\n\r\n");
        while (end == std::string::npos) {
            char bytes[4096];
            const auto got = ::recv(socket, bytes, sizeof bytes, 0);
            if (got <= 0 || buffer.size() > 65536)
                return;
            buffer.append(bytes, static_cast<std::size_t>(got));
            end = buffer.find("\r\n\r\n");
        }
        Request request;
        std::string_view head(buffer.data(), end + 2);
        for (bool first = true; !head.empty(); first = false) {
            const auto line = head.substr(0, head.find("\r\n"));
            head.remove_prefix(line.size() + 2);
            if (first) {
                const auto blank = line.find(' '), second = line.find(' ', blank + 1);
                if (second == std::string_view::npos)
                    return;
                request.method = line.substr(0, blank);
                request.path = line.substr(blank + 1, second - blank - 1);
            } else if (const auto colon = line.find(':'); colon != std::string_view::npos) {
                auto value = line.substr(colon + 1);
                value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
                request.headers[lower(line.substr(0, colon))] = value;
            }
        }
        buffer.erase(0, end + 4);
        Seen seen{request.method,
                  request.path,
                  request.header("range"),
                  request.header("if-range"),
                  request.header("if-none-match"),
                  request.header("host"),
                  request.header("authorization"),
                  request.header("user-agent"),
                  0,
                  0};
        {
            const std::lock_guard lock(mutex_);
            ++answering_;
        }
        const bool go_on = answer(socket, request, seen);
        record(std::move(seen));
        if (!go_on)
            return;
    }
}

std::optional<std::uint64_t> TestWeb::spoiled(Fault::Kind kind, const std::string& path, std::string* text) {
    const std::lock_guard lock(mutex_);
    for (auto& fault : faults_) {
        if (fault.kind != kind || !path.contains(fault.only) || (fault.times && *fault.times == 0))
            continue;
        if (fault.skip > 0) {
            --fault.skip;
            continue;
        }
        if (fault.times)
            --*fault.times;
        if (text != nullptr)
            *text = fault.text;
        return fault.amount;
    }
    return std::nullopt;
}

std::optional<TestWeb::File> TestWeb::find(const std::string& path) const {
    const auto name = path.substr(0, path.find('?'));
    {
        const std::lock_guard lock(mutex_);
        if (const auto found = files_.find(name); found != files_.end())
            return File{found->second, tag_of(found->second)};
    }
    if (folder_.empty() || name.contains(".."))
        return std::nullopt;
    const auto file = std::filesystem::path(folder_ + name);
    std::error_code error;
    if (!std::filesystem::is_regular_file(file, error))
        return std::nullopt;
    std::ifstream in(file, std::ios::binary);
    std::string contents{std::istreambuf_iterator<char>(in), {}};
    auto tag = tag_of(contents);
    return File{std::move(contents), std::move(tag)};
}

bool TestWeb::send_text(int socket, std::string_view text) {
    while (!text.empty()) {
        const auto put = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
        if (put <= 0)
            return false;
        text.remove_prefix(static_cast<std::size_t>(put));
    }
    return true;
}

// Keeps the connection and says nothing, until the other side or we go.
void TestWeb::hold(int socket) {
    pollfd waiting{socket, POLLIN | POLLRDHUP, 0};
    char byte = 0;
    while (!stopping_ && ::poll(&waiting, 1, 50) >= 0)
        if ((waiting.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0 ||
            ((waiting.revents & POLLIN) != 0 && ::recv(socket, &byte, 1, MSG_PEEK) <= 0))
            return;
}

bool TestWeb::send_body(int socket, std::string_view body, Seen& seen, std::uint64_t bytes_per_second) {
    const std::size_t step = bytes_per_second == 0 ? body.size() : std::max<std::size_t>(1, bytes_per_second / 20);
    while (!body.empty()) {
        const auto part = body.substr(0, step);
        if (stopping_ || !send_text(socket, part))
            return false;
        seen.body_bytes += part.size();
        body.remove_prefix(part.size());
        if (bytes_per_second != 0 && !body.empty()) {
            pollfd gone{socket, POLLRDHUP, 0};
            if (::poll(&gone, 1, 50) != 0) // this is what makes it slow
                return false;
        }
    }
    return true;
}

bool TestWeb::answer(int socket, const Request& request, Seen& seen) {
    const auto& path = request.path;
    std::string text;
    if (spoiled(Fault::Kind::reset, path))
        return false;
    if (spoiled(Fault::Kind::silent, path)) {
        hold(socket);
        return false;
    }
    if (spoiled(Fault::Kind::cut_headers, path)) {
        send_text(socket, "HTTP/1.1 200 OK\r\nContent-Le");
        return false;
    }
    if (spoiled(Fault::Kind::redirect_loop, path)) {
        seen.status = 302;
        return send_text(socket, "HTTP/1.1 302 Found\r\nLocation: " + path + "\r\nContent-Length: 0\r\n\r\n");
    }
    if (spoiled(Fault::Kind::redirect, path, &text)) {
        seen.status = 302;
        return send_text(socket, "HTTP/1.1 302 Found\r\nLocation: " + text + "\r\nContent-Length: 0\r\n\r\n");
    }
    const auto status = [&](std::uint64_t code, const std::string& page) {
        seen.status = static_cast<int>(code);
        return send_text(socket, "HTTP/1.1 " + std::to_string(code) + " Status\r\nContent-Type: text/html\r\n" +
                                     "Content-Length: " + std::to_string(page.size()) + "\r\n\r\n" + page);
    };
    if (const auto code = spoiled(Fault::Kind::status, path))
        return status(*code, "<html>no</html>");
    if (spoiled(Fault::Kind::html, path))
        return status(200, "<html><body>Please accept our terms</body></html>");
    auto file = find(path);
    if (!file)
        return status(404, "<html>not here</html>");
    return send_file(socket, request, *std::move(file), seen);
}

bool TestWeb::send_file(int socket, const Request& request, File file, Seen& seen) {
    const auto& path = request.path;
    if (const auto at = spoiled(Fault::Kind::wrong_byte, path); at && *at < file.contents.size())
        file.contents[*at] = static_cast<char>(file.contents[*at] ^ 1);
    if (spoiled(Fault::Kind::new_etag, path))
        file.etag = "\"changing-" + std::to_string(++etags_) + "\"";
    const bool validators = !spoiled(Fault::Kind::no_validators, path);
    if (validators && request.header("if-none-match") == file.etag) {
        seen.status = 304;
        return send_text(socket, "HTTP/1.1 304 Not Modified\r\nETag: " + file.etag + "\r\n\r\n");
    }
    std::uint64_t from = 0;
    const auto range = request.header("range");
    const auto if_range = request.header("if-range");
    if (range.starts_with("bytes=") && range.ends_with("-") && !spoiled(Fault::Kind::no_range, path) &&
        (if_range.empty() || if_range == file.etag))
        from = number(std::string_view(range).substr(6, range.size() - 7)).value_or(0);
    if (from > 0 && from >= file.contents.size()) {
        seen.status = 416;
        return send_text(socket, "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */" +
                                     std::to_string(file.contents.size()) + "\r\nContent-Length: 0\r\n\r\n");
    }
    auto body = std::string_view(file.contents).substr(from);
    auto told = body.size();
    bool close = false;
    if (const auto more = spoiled(Fault::Kind::longer, path))
        told += *more, close = true;
    if (const auto fewer = spoiled(Fault::Kind::shorter, path))
        told -= std::min<std::uint64_t>(told, *fewer), body = body.substr(0, told);
    const bool endless = spoiled(Fault::Kind::endless, path).has_value();
    const bool unframed = spoiled(Fault::Kind::unframed, path).has_value();
    if (const auto tenths = spoiled(Fault::Kind::break_at_tenth, path))
        body = body.substr(0, body.size() * *tenths / 10), close = true;
    if (const auto most = spoiled(Fault::Kind::break_off, path); most && *most < body.size())
        body = body.substr(0, *most), close = true;

    seen.status = from > 0 ? 206 : 200;
    std::string head = from > 0 ? "HTTP/1.1 206 Partial Content\r\n" : "HTTP/1.1 200 OK\r\n";
    head += "Content-Type: application/octet-stream\r\nAccept-Ranges: bytes\r\n";
    if (validators)
        head += "ETag: " + file.etag + "\r\n";
    if (from > 0) {
        const auto first = spoiled(Fault::Kind::wrong_range, path) ? from / 2 : from;
        head += "Content-Range: bytes " + std::to_string(first) + "-" + std::to_string(file.contents.size() - 1) + "/" +
                std::to_string(file.contents.size()) + "\r\n";
    }
    if (endless)
        head += "Transfer-Encoding: chunked\r\n\r\n";
    else if (unframed)
        head += "Connection: close\r\n\r\n";
    else
        head += "Content-Length: " + std::to_string(told) + "\r\n\r\n";
    if (!send_text(socket, head))
        return false;
    if (spoiled(Fault::Kind::silent_body, path)) {
        hold(socket);
        return false;
    }
    if (endless) {
        const std::string chunk = "10000\r\n" + std::string(65536, 'x') + "\r\n";
        while (!stopping_ && send_text(socket, chunk))
            seen.body_bytes += 65536;
        return false;
    }
    const auto speed = spoiled(Fault::Kind::slow, path).value_or(0);
    return request.method != "GET" || (send_body(socket, body, seen, speed) && !close && !unframed);
}

} // namespace squish::test

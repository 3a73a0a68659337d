// Feeds arbitrary bytes to the API socket: what is read of a connection, the routes, what they answer, over containers
// that are no more than records.
//
// An input is what a client sends; or, where its first byte is the number of a route, the query (up to the first line
// end) and the body of a request for that route: nobody guesses a path and a length.
//
// What must hold: no handler throws; what is sent back is HTTP, and of JSON where it says so; once the client and
// its container are gone the connection ends; no descriptor is left.
#include "../unit/daemon/fake_containers.h"
#include "base/text.h"
#include "daemon/connection.h"
#include "daemon/router.h"
#include "os/socket.h"
#include "require.h"

#include <boost/asio/co_spawn.hpp>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using squish::test::require;

using namespace squish;
using namespace squish::daemon;

// What there is to read of a container's output; as long as the process.
class LogFile {
public:
    LogFile() {
        const int fd = ::mkstemp(path_.data());
        require(fd >= 0 && ::write(fd, "one\ntwo\n", 8) == 8, "a log file can be made");
        ::close(fd);
    }
    ~LogFile() { ::unlink(path_.c_str()); }
    LogFile(const LogFile&) = delete;
    LogFile& operator=(const LogFile&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    std::string path_ = "/tmp/squish-fuzz-log.XXXXXX";
};

void fill(FakeContainers& fake) {
    static const LogFile log;
    auto& running = fake.add("id0", "web");
    running.stdout_log = running.stderr_log = log.path();
    auto& ended = fake.add("id1", "done");
    ended.state = ContainerState::exited;
    ended.exit = ExitInfo{3, 0, "exited"};
    ended.stdout_log = ended.stderr_log = log.path();
    fake.fake_networks.all["net"].name = "net";
    running.resources.memory = 64 << 20;
    running.health.emplace();
    fake.figures.emplace_back();
    fake.figures[0].id = "id0";
    fake.figures[0].network.emplace();
    fake.figures[0].figures.cpu_pressure.emplace();
    fake.log.add("start", "id0", "web");
    fake.log.add("exit", "id1", "done", {{"code", "3"}});
}

void end_all(FakeContainers& fake) {
    for (const auto& [id, one] : fake.all)
        if (!one.info.exit)
            fake.end(id, {0, 0, "exited"});
}

std::string request_for(const Route& route, std::string_view input) {
    std::string path;
    for (const auto part : split(route.pattern.substr(1), '/'))
        path.append("/").append(!part.starts_with('{')   ? part
                                : part == "{name}"       ? "net"
                                : input.size() % 4 == 0U ? "id1"
                                                         : "id0");
    const auto end = input.find('\n');
    const auto body = end == std::string_view::npos ? std::string_view() : input.substr(end + 1);
    return std::string(route.method) + " " + path + "?" + std::string(input.substr(0, end)) +
           " HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

std::string what_is_sent(std::string_view input) {
    const auto table = routes();
    if (const auto number = static_cast<unsigned char>(input[0]); number < table.size())
        return request_for(table[number], input.substr(1));
    return std::string(input);
}

// Takes what has come; true where there was something.
bool drain(int socket, std::string& out) {
    const auto before = out.size();
    char buffer[8192];
    for (;;) {
        const auto got = ::recv(socket, buffer, sizeof buffer, MSG_DONTWAIT);
        if (got <= 0)
            return out.size() > before;
        out.append(buffer, static_cast<std::size_t>(got));
    }
}

void check(std::string_view answer) {
    if (answer.empty())
        return;
    require(answer.starts_with("HTTP/1.1 ") && answer.size() > 12, "an answer is HTTP", answer);
    require(!(answer.starts_with("HTTP/1.1 500 ") && answer.contains("internal error")), "no handler throws", answer);
    const auto head = answer.find("\r\n\r\n");
    require(head != std::string_view::npos, "a head has an end", answer);
    // The first answer alone is looked at more closely.
    constexpr std::string_view kLength = "Content-Length: ";
    const auto length = answer.substr(0, head).find(kLength);
    if (length == std::string_view::npos)
        return;
    const auto size = std::strtoull(answer.data() + length + kLength.size(), nullptr, 10);
    require(answer.size() >= head + 4 + size, "the body is as long as was said", answer);
    if (answer.substr(0, head).contains("application/json"))
        require(Json::accept(answer.substr(head + 4, size)), "JSON is JSON", answer);
}

int lowest_free_descriptor() {
    const int fd = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    ::close(fd);
    return fd;
}

void serve(std::string_view input) {
    FakeContainers fake;
    fill(fake);
    Service service{fake, [] {}, [] {}};
    boost::asio::io_context loop{1};
    int ends[2];
    require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "there are sockets");
    UniqueFd ours(ends[0]);

    Limits limits;
    limits.header_bytes = 1024; // within what an input reaches
    limits.body_bytes = 2048;
    bool done = false;
    auto connection = std::make_shared<Connection>(
        Connection::Socket(loop, boost::asio::local::stream_protocol(), ends[1]), limits, std::make_shared<Load>());
    boost::asio::co_spawn(loop, connection->run([&service](Exchange& exchange) { return dispatch(service, exchange); }),
                          [&done](const std::exception_ptr& broken) {
                              require(!broken, "nothing is thrown out of a connection");
                              done = true;
                          });
    connection.reset(); // as in the product: it holds itself

    // Some with descriptors: as many as the last byte says.
    std::vector<int> fds(
        static_cast<unsigned char>(input.back()) % 8U < 5U ? static_cast<unsigned char>(input.back()) % 8U : 0U,
        ours.get());
    (void) os::send_message(ours.get(), what_is_sent(input), fds);
    ::shutdown(ours.get(), SHUT_WR);

    std::string answer;
    int quiet = 0;
    while (!done) {
        loop.restart();
        bool moved = loop.poll() > 0;
        if (ours)
            moved |= drain(ours.get(), answer);
        if (moved || done)
            continue;
        loop.restart();
        if (loop.run_one_for(std::chrono::milliseconds(5)) > 0) // a fake that takes its time
            continue;
        if (ours)
            ours.reset();       // it waits for a container: the client goes
        else if (++quiet == 20) // one that said nothing more at its beginning is waited for as long as its container
            end_all(fake);
        else
            require(quiet < 400, "a connection without a client ends", answer);
    }
    if (ours)
        drain(ours.get(), answer);
    check(answer);
    fake.last_create = {}; // what these hold is the loop's
    fake.last_exec = {};
    fake.all.clear();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0)
        return 0;
    static const bool warm = (serve(std::string_view("GET /v1/containers/id0/logs HTTP/1.1\r\n\r\n")), true);
    (void) warm; // what is opened once, is
    const int before = lowest_free_descriptor();
    serve(std::string_view(reinterpret_cast<const char*>(data), size));
    require(lowest_free_descriptor() == before, "no descriptor is left");
    return 0;
}

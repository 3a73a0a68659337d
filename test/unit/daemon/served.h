// A server with fake containers on a real socket, in a thread of its own, and a raw client for it.
#pragma once

#include "daemon/server.h"
#include "fake_containers.h"
#include "os/socket.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace squish::daemon {

class Client {
public:
    explicit Client(const std::string& path) : socket_(std::move(*os::connect_unix(path, SOCK_STREAM))) {}

    // False where the other side has closed already.
    bool send(std::string_view bytes, std::span<const int> fds = {}) {
        return os::send_message(socket_.get(), bytes, fds).has_value();
    }
    // Everything up to the end of the connection, or until `until` has been seen, or nothing comes for `quiet_ms`.
    std::string read(std::string_view until = {}, int quiet_ms = 5000) {
        std::string out;
        for (;;) {
            pollfd waiting{socket_.get(), POLLIN, 0};
            if (::poll(&waiting, 1, quiet_ms) <= 0)
                return out;
            char buffer[8192];
            const auto got = ::recv(socket_.get(), buffer, sizeof buffer, 0);
            if (got <= 0) {
                closed = true;
                return out;
            }
            out.append(buffer, static_cast<std::size_t>(got));
            if (!until.empty() && out.contains(until))
                return out;
        }
    }
    void finish_sending() { ::shutdown(socket_.get(), SHUT_WR); }
    void hang_up() { socket_.reset(); }
    int fd() const { return socket_.get(); }
    bool closed = false;

private:
    UniqueFd socket_;
};

class Served : public ::testing::Test {
protected:
    explicit Served(Limits limits = {}) {
        auto folder = (std::filesystem::temp_directory_path() / "squish-daemon-test-XXXXXX").string();
        folder_ = ::mkdtemp(folder.data());
        server_.emplace(loop_, std::move(*os::listen_unix(socket(), SOCK_STREAM)), service_, limits);
        server_->serve();
        thread_ = std::thread([this] { loop_.run(); });
    }
    ~Served() override {
        loop_.stop();
        thread_.join();
        fake_.last_create = {}; // what it would tell, it tells through the loop
        server_.reset();
        std::filesystem::remove_all(folder_);
    }
    std::string socket() const { return folder_ + "/s"; }
    Client connect() const { return Client(socket()); }
    // Runs `work` on the loop's thread, where the fake may be touched.
    template <class Work> auto on_loop(Work work) {
        std::promise<decltype(work())> done;
        boost::asio::post(loop_, [&] {
            if constexpr (std::is_void_v<decltype(work())>) {
                work();
                done.set_value();
            } else {
                done.set_value(work());
            }
        });
        return done.get_future().get();
    }
    // One request on a connection of its own; the answer whole.
    std::string ask(std::string_view method, std::string_view target, std::string_view body = {},
                    std::string headers = {}, std::span<const int> fds = {}) {
        auto client = connect();
        std::string request =
            std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nConnection: close\r\n" + headers;
        request += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
        client.send(request, fds);
        return client.read();
    }

    std::string folder_;
    FakeContainers fake_;
    bool stopped_ = false;
    Service service_{fake_, [this] { server_->stop(); }, [this] { stopped_ = true; }};
    boost::asio::io_context loop_{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
        loop_.get_executor()}; // also once it serves nobody
    std::optional<Server> server_;
    std::thread thread_;
};

} // namespace squish::daemon

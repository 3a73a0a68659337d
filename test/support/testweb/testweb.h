// A web server for tests that serves a folder or files in memory, and misbehaves on demand: in a thread of the test, or
// as the program `testweb`.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace squish::test {

// What is wrong with the answers. Each may be limited to the first `times` requests that it applies to.
struct Fault {
    enum class Kind {
        slow,           // `amount` bytes a second
        break_off,      // closes after `amount` bytes of a body
        break_at_tenth, // closes after `amount` tenths of the body that was asked for
        longer,         // says that the file has `amount` bytes more, and closes after what there is
        shorter,        // says that the file has `amount` bytes fewer, and sends those
        endless,        // sends chunks for ever
        wrong_byte,     // the byte at `amount` of the file is another one
        redirect_loop,  // to itself
        redirect,       // to `text`
        status,         // answers with status `amount`
        html,           // 200 with a page
        silent,         // never answers
        silent_body,    // sends the head and then nothing
        no_range,       // answers 200 with everything, whatever was asked
        new_etag,       // each answer has another ETag
        no_validators,  // neither ETag nor Last-Modified
        wrong_range,    // a Content-Range that was not asked for
        unframed,       // no length: the end of the connection is the end of the file
        reset,          // closes without an answer
        cut_headers,    // closes in the middle of the head
    };
    Kind kind = Kind::status;
    std::uint64_t amount = 0;
    std::string text = {};
    std::string only = {};         // paths that contain this; all where it is empty
    std::optional<int> times = {}; // how many requests are left to spoil
    int skip = 0;                  // how many are left alone first
};

// "break_at_tenth=3", "status=404", "redirect=http://…", with ",only=PART", ",times=N" and ",skip=N" behind it.
[[nodiscard]] std::optional<Fault> parse_fault(std::string_view text);

struct Seen {
    std::string method, path, range, if_range, if_none_match, host, authorization, user_agent;
    int status = 0;               // that was answered; 0 where nothing was
    std::uint64_t body_bytes = 0; // that were sent
};

class TestWeb {
public:
    // Listens on 127.0.0.1, on any free port where `port` is 0. Serves what is below `folder`; empty: only add().
    explicit TestWeb(std::string folder = {}, std::uint16_t port = 0);
    TestWeb(const TestWeb&) = delete;
    TestWeb& operator=(const TestWeb&) = delete;
    ~TestWeb();

    [[nodiscard]] std::uint16_t port() const { return port_; }
    [[nodiscard]] std::string url(const std::string& path) const; // "http://127.0.0.1:PORT/PATH"
    void add(const std::string& path, std::string contents);
    void remove(const std::string& path);
    void spoil(Fault fault);
    void heal();
    // Of all requests whose answer has ended; waits (2 s at most) for those that are being answered.
    [[nodiscard]] std::vector<Seen> seen() const;
    void forget_seen();
    // Called once per request, when its answer has ended.
    void on_seen(std::function<void(const Seen&)> callback);

private:
    struct Request;
    struct File {
        std::string contents, etag;
    };
    void accept_loop();
    void serve(int socket);
    bool answer(int socket, const Request& request, Seen& seen);
    bool send_file(int socket, const Request& request, File file, Seen& seen);
    bool send_text(int socket, std::string_view text);
    bool send_body(int socket, std::string_view body, Seen& seen, std::uint64_t bytes_per_second);
    void hold(int socket);
    [[nodiscard]] std::optional<File> find(const std::string& path) const;
    [[nodiscard]] std::optional<std::uint64_t> spoiled(Fault::Kind kind, const std::string& path,
                                                       std::string* text = nullptr);
    void record(Seen seen);

    std::string folder_;
    int listener_ = -1;
    std::uint16_t port_ = 0;
    mutable std::mutex mutex_;
    mutable std::condition_variable answered_;
    int answering_ = 0;
    std::map<std::string, std::string> files_;
    std::vector<Fault> faults_;
    std::vector<Seen> seen_;
    std::function<void(const Seen&)> on_seen_;
    std::set<int> open_;
    std::atomic<bool> stopping_ = false;
    std::atomic<int> etags_ = 0;
    std::vector<std::thread> threads_;
    std::thread acceptor_;
};

} // namespace squish::test

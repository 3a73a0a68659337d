// The bytes of an archive as they come: from a pipe, a socket or a file, read once and in order.
//
// Until commit(), what was read is kept, so that rewind() can give it again: whether a file is an archive shows only
// after its start was read (and decompressed), and a file that is none is stored from its first byte.
#pragma once

#include "archive/sha256.h"
#include "base/result.h"
#include "base/unique_fd.h"

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace squish::archive {

class Input {
public:
    // The fd is borrowed. With `Digest::wanted`, sha256 of all that was read.
    enum class Hash { none, wanted };
    Input(int fd, Hash hash);

    // The next bytes, valid until the call after; empty at the end.
    [[nodiscard]] Result<std::string_view> next();
    // The first bytes, at most one block; what next() gives begins with them.
    [[nodiscard]] Result<std::string_view> peek();
    void rewind();
    void commit();
    // From another thread: a read that waits, and every later one, fails with ECANCELED.
    void stop() noexcept;
    // Reads what is left, so that whoever writes into the other end can end, and the digest is of all.
    [[nodiscard]] Result<void> drain();

    [[nodiscard]] int fd() const { return fd_; }
    [[nodiscard]] std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); } // from any thread
    [[nodiscard]] bool remembers_too_much() const { return kept_bytes_ > kMaxKept; }
    [[nodiscard]] std::optional<squish::archive::Digest> digest(); // after drain(), once

    // bzip2 gives its first byte only after a whole block of 900,000; others earlier.
    static constexpr std::size_t kMaxKept = 8 << 20;

private:
    [[nodiscard]] Result<void> fill(std::string& block);

    static constexpr std::size_t kBlock = 128 * 1024;
    int fd_;
    UniqueFd stopped_; // an eventfd
    std::optional<Sha256> hash_;
    std::atomic<std::uint64_t> bytes_ = 0;
    std::vector<std::string> kept_;
    std::size_t replayed_ = 0;
    std::size_t kept_bytes_ = 0;
    bool keeping_ = true;
    bool ended_ = false;
    std::string block_;
};

} // namespace squish::archive

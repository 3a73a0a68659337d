// From the bytes of a compressed tar to the bytes of the tar, in a thread of its own.
//
// How this works
//   Input ──▶ libarchive's filter ──▶ Block ──queue of 8──▶ whoever parses the tar
//   Decompressing and writing files take about the same time, so two processors halve it. The first block is made by
//   open() itself, since it decides whether there is a tar at all; start() hands the rest to the thread.
//   gzip is undone by zlib itself: libarchive does not look at its checksum (3.6, "TODO: Verify the length and CRC").
//   Exactly one filter is used, the one that was recognised: an archive compressed twice is no tar, it is a file.
#pragma once

#include "archive/input.h"
#include "archive/limits.h"
#include "archive/reader.h"
#include "base/archive_kind.h"
#include "base/result.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace squish::archive {

class Decoder {
public:
    // `input` is borrowed, and used by nobody else until the decoder is gone.
    Decoder(Input& input, Kind kind, const Limits& limits);
    Decoder(const Decoder&) = delete;
    Decoder& operator=(const Decoder&) = delete;
    ~Decoder(); // ends the thread

    // Decodes until the first 512 bytes are there (or all, where it is less) and returns them.
    [[nodiscard]] Result<std::string_view> open();
    void start();
    // The next block, valid until the call after; empty at the end.
    [[nodiscard]] Result<std::string_view> next();
    // What next() gave last, to be kept for longer.
    [[nodiscard]] const std::shared_ptr<std::string>& current() const { return current_; }
    // Decodes the rest and throws it away: checksums stand at the end.
    [[nodiscard]] Result<void> drain();

    struct Callbacks; // for libarchive
    class Gunzip;

private:
    [[nodiscard]] Result<void> open_filter();
    [[nodiscard]] Result<bool> decode(std::string& block); // false at the end; appends
    [[nodiscard]] Result<std::string_view> piece();        // the next decoded bytes; empty at the end
    [[nodiscard]] Result<void> check_ratio() const;
    void run() noexcept;

    static constexpr std::size_t kBlock = 256 * 1024;
    static constexpr std::size_t kQueue = 8;

    Input& input_;
    Kind kind_;
    Limits limits_;
    Reader reader_;
    std::unique_ptr<Gunzip> gunzip_;
    std::uint64_t decoded_ = 0;
    Error input_error_; // of a read, which libarchive only knows as a failure

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::shared_ptr<std::string>> ready_;
    std::deque<std::shared_ptr<std::string>> spare_;
    std::optional<Result<void>> outcome_; // once the end is reached, or an error
    bool abandoned_ = false;
    std::shared_ptr<std::string> current_ = std::make_shared<std::string>();
    std::thread thread_;
};

} // namespace squish::archive

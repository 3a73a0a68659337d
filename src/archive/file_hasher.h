// Hashes files in a thread of its own, beside whoever writes them: decompressing, writing and hashing take about the
// same time, and a machine with two processors can do two of them at once.
//
// Bytes are shared where their block can be (it then lives until they were hashed), else copied. What waits is limited.
#pragma once

#include "archive/sha256.h"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <thread>
#include <unordered_map>
#include <vector>

namespace squish::archive {

class FileHasher {
public:
    using Block = std::shared_ptr<const std::string>;
    using Digests = std::unordered_map<ino_t, Digest>;

    FileHasher() = default;
    FileHasher(const FileHasher&) = delete;
    FileHasher& operator=(const FileHasher&) = delete;
    ~FileHasher();

    // The next bytes of the file at hand. `block` may be null, or another than the one that `bytes` lie in.
    void add(const Block& block, std::string_view bytes);
    void add_zeros(std::uint64_t count);
    // The file at hand is whole; the next begins. An inode that comes again (its file was replaced) has the last
    // digest.
    void end(ino_t inode);
    // Waits for all.
    [[nodiscard]] Digests take();

private:
    struct Item {
        enum class Kind { bytes, zeros, end } kind = Kind::bytes;
        Block block; // holds `bytes`
        std::string_view bytes;
        std::uint64_t number = 0; // of zeros; the inode
    };
    using Batch = std::vector<Item>;

    void put(Item item);
    void flush();
    void run() noexcept;

    static constexpr std::size_t kBatchBytes = 512 * 1024, kBatchItems = 256, kQueue = 8;

    Batch batch_; // the producer's
    std::size_t batch_bytes_ = 0;

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Batch> queue_;
    bool ending_ = false;
    std::thread thread_;
    Digests digests_; // the thread's until it was joined
};

} // namespace squish::archive

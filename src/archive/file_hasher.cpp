#include "archive/file_hasher.h"

#include <functional>
#include <utility>

namespace squish::archive {

FileHasher::~FileHasher() {
    if (!thread_.joinable())
        return;
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
        queue_.clear();
    }
    changed_.notify_all();
    thread_.join();
}

void FileHasher::add(const Block& block, std::string_view bytes) {
    if (bytes.empty())
        return;
    // std::less orders pointers that have nothing to do with each other, which `<` need not.
    const std::less<const char*> before;
    if (block && !before(bytes.data(), block->data()) &&
        !before(block->data() + block->size(), bytes.data() + bytes.size()))
        return put({Item::Kind::bytes, block, bytes, 0});
    auto copy = std::make_shared<const std::string>(bytes);
    const std::string_view copied(*copy);
    put({Item::Kind::bytes, std::move(copy), copied, 0});
}

void FileHasher::add_zeros(std::uint64_t count) {
    put({Item::Kind::zeros, nullptr, {}, count});
}

void FileHasher::end(ino_t inode) {
    put({Item::Kind::end, nullptr, {}, inode});
}

void FileHasher::put(Item item) {
    batch_bytes_ += item.bytes.size();
    batch_.push_back(std::move(item));
    if (batch_bytes_ >= kBatchBytes || batch_.size() >= kBatchItems)
        flush();
}

void FileHasher::flush() {
    batch_bytes_ = 0;
    if (batch_.empty())
        return;
    if (!thread_.joinable())
        thread_ = std::thread([this] { run(); });
    {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return queue_.size() < kQueue; });
        queue_.push_back(std::exchange(batch_, {}));
    }
    changed_.notify_all();
}

FileHasher::Digests FileHasher::take() {
    flush();
    if (thread_.joinable()) {
        {
            const std::lock_guard lock(mutex_);
            ending_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }
    return std::move(digests_);
}

void FileHasher::run() noexcept {
    Sha256 hash;
    for (;;) {
        Batch batch;
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [&] { return ending_ || !queue_.empty(); });
            if (queue_.empty())
                return;
            batch = std::move(queue_.front());
            queue_.pop_front();
        }
        changed_.notify_all();
        for (const auto& item : batch)
            switch (item.kind) {
            case Item::Kind::bytes:
                hash.update(item.bytes);
                break;
            case Item::Kind::zeros:
                hash.update_zeros(item.number);
                break;
            case Item::Kind::end:
                digests_[item.number] = hash.finish();
                break;
            }
    }
}

} // namespace squish::archive

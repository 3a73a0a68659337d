#include "archive/decoder.h"

#include <archive.h>
#include <archive_entry.h>
#include <atomic>
#include <utility>
#include <vector>
#include <zlib.h>

namespace squish::archive {

struct Decoder::Callbacks {
    static la_ssize_t read(::archive* reader, void* self, const void** bytes) noexcept {
        auto& decoder = *static_cast<Decoder*>(self);
        auto got = decoder.input_.next();
        if (!got) {
            decoder.input_error_ = std::move(got).error();
            ::archive_set_error(reader, decoder.input_error_.sys_errno, "%s", decoder.input_error_.message.c_str());
            return ARCHIVE_FATAL;
        }
        *bytes = got->data();
        return static_cast<la_ssize_t>(got->size());
    }
};

// RFC 1952: members one after the other, each with its checksum, which zlib compares. What stands behind the last and
// is no member is ignored, as gzip(1) does: tapes and block devices pad.
class Decoder::Gunzip {
public:
    explicit Gunzip(Input& input) : input_(input) { good_ = ::inflateInit2(&stream_, 15 + 16) == Z_OK; }
    Gunzip(const Gunzip&) = delete;
    Gunzip& operator=(const Gunzip&) = delete;
    ~Gunzip() { ::inflateEnd(&stream_); }

    Result<std::string_view> next() {
        if (!good_)
            return fail_errno("prepare to read gzip", ENOMEM);
        stream_.next_out = out_.data();
        stream_.avail_out = static_cast<uInt>(out_.size());
        while (!ended_ && stream_.avail_out > 0) {
            if (stream_.avail_in == 0 && !TRY(refill())) {
                if (!between_)
                    return fail(ErrorKind::invalid, "its gzip data is cut off");
                ended_ = true;
                break;
            }
            if (between_ && !TRY(begin_member()))
                break;
            const int done = ::inflate(&stream_, Z_NO_FLUSH);
            if (done == Z_STREAM_END)
                between_ = true;
            else if (done != Z_OK && done != Z_BUF_ERROR)
                return fail(ErrorKind::invalid,
                            std::string("its gzip data is damaged: ") + (stream_.msg ? stream_.msg : "inflate failed"));
        }
        return std::string_view(reinterpret_cast<const char*>(out_.data()), out_.size() - stream_.avail_out);
    }

private:
    Result<bool> refill() {
        const auto bytes = TRY(input_.next());
        // zlib's interface is older than const
        stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
        stream_.avail_in = static_cast<uInt>(bytes.size());
        return !bytes.empty();
    }
    Result<bool> begin_member() {
        if (first_) {
            first_ = between_ = false;
            return true;
        }
        if (*stream_.next_in != 0x1f) {
            ended_ = true;
            return false;
        }
        between_ = false;
        if (::inflateReset(&stream_) != Z_OK)
            return fail(ErrorKind::invalid, "its gzip data is damaged");
        return true;
    }

    Input& input_;
    z_stream stream_{};
    std::vector<Bytef> out_ = std::vector<Bytef>(128 * 1024);
    bool good_ = false;
    bool first_ = true;
    bool between_ = true; // members
    bool ended_ = false;
};

namespace {

int filter_code(Kind kind) {
    switch (kind) {
    case Kind::bzip2:
        return ARCHIVE_FILTER_BZIP2;
    case Kind::xz:
        return ARCHIVE_FILTER_XZ;
    case Kind::zstd:
        return ARCHIVE_FILTER_ZSTD;
    case Kind::gzip: // by zlib
    case Kind::plain:
    case Kind::tar:
    case Kind::zip:
        return ARCHIVE_FILTER_NONE;
    }
    std::unreachable();
}

} // namespace

Decoder::Decoder(Input& input, Kind kind, const Limits& limits) : input_(input), kind_(kind), limits_(limits) {}

Decoder::~Decoder() {
    if (!thread_.joinable())
        return;
    {
        const std::lock_guard lock(mutex_);
        abandoned_ = true;
    }
    changed_.notify_all();
    input_.stop();
    thread_.join();
}

Result<void> Decoder::open_filter() {
    if (kind_ == Kind::gzip)
        gunzip_ = std::make_unique<Gunzip>(input_);
    const int filter = filter_code(kind_);
    if (filter == ARCHIVE_FILTER_NONE)
        return {};
    reader_.reset(::archive_read_new());
    if (!reader_)
        return fail_errno("archive_read_new", ENOMEM);
    // append_filter takes the filter as given and asks none whether it would like to have the data.
    if (::archive_read_append_filter(reader_.get(), filter) != ARCHIVE_OK ||
        ::archive_read_support_format_raw(reader_.get()) != ARCHIVE_OK)
        return fail(ErrorKind::unsupported,
                    std::string("this libarchive cannot read ") + to_string(kind_) + ": " + message_of(reader_.get()),
                    "install Debian's libarchive13");
    ::archive_entry* entry = nullptr;
    if (::archive_read_open(reader_.get(), this, nullptr, &Callbacks::read, nullptr) != ARCHIVE_OK)
        return fail(ErrorKind::invalid,
                    std::string("its ") + to_string(kind_) + " data is damaged: " + message_of(reader_.get()));
    const int header = ::archive_read_next_header(reader_.get(), &entry);
    if (header == ARCHIVE_EOF)
        outcome_ = Result<void>{};
    else if (header < ARCHIVE_WARN)
        return fail(ErrorKind::invalid,
                    std::string("its ") + to_string(kind_) + " data is damaged: " + message_of(reader_.get()));
    return {};
}

Result<std::string_view> Decoder::open() {
    TRY(open_filter());
    while (!outcome_ && current_->size() < kRecogniseBytes && !input_.remembers_too_much())
        if (!TRY(decode(*current_)))
            outcome_ = Result<void>{};
    return std::string_view(*current_);
}

Result<std::string_view> Decoder::piece() {
    if (gunzip_)
        return gunzip_->next();
    if (!reader_)
        return input_.next();
    for (;;) {
        const void* data = nullptr;
        std::size_t size = 0;
        la_int64_t offset = 0;
        const int got = ::archive_read_data_block(reader_.get(), &data, &size, &offset);
        if (got == ARCHIVE_EOF)
            return std::string_view();
        if (got != ARCHIVE_OK) {
            if (!input_error_.message.empty())
                return std::unexpected(input_error_);
            return fail(ErrorKind::invalid, std::string("its ") + to_string(kind_) +
                                                " data is damaged or cut off: " + message_of(reader_.get()));
        }
        if (size > 0) // an empty piece would be taken for the end
            return std::string_view(static_cast<const char*>(data), size);
    }
}

Result<bool> Decoder::decode(std::string& block) {
    const auto bytes = TRY(piece());
    if (bytes.empty())
        return false;
    decoded_ += bytes.size();
    TRY(check_ratio());
    block.append(bytes);
    return true;
}

Result<void> Decoder::check_ratio() const {
    if (decoded_ > limits_.ratio_floor && decoded_ / limits_.ratio > input_.bytes())
        return fail(ErrorKind::invalid,
                    "it unpacks to more than " + std::to_string(limits_.ratio) + " times its size (limit 'ratio')");
    return {};
}

void Decoder::start() {
    ready_.push_back(std::exchange(current_, nullptr)); // before the others, and before anybody else sees the queue
    if (!outcome_)
        thread_ = std::thread([this] { run(); });
}

void Decoder::run() noexcept {
    for (;;) {
        std::shared_ptr<std::string> block;
        {
            const std::lock_guard lock(mutex_);
            if (!spare_.empty()) {
                block = std::move(spare_.front());
                spare_.pop_front();
            }
        }
        if (block)
            block->clear();
        else
            block = std::make_shared<std::string>();
        Result<bool> more = true;
        while (more && *more && block->size() < kBlock)
            more = decode(*block);
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return abandoned_ || ready_.size() < kQueue; });
        if (abandoned_)
            return;
        if (!block->empty())
            ready_.push_back(std::move(block));
        if (!more)
            outcome_ = std::unexpected(std::move(more).error());
        else if (!*more)
            outcome_ = Result<void>{};
        const bool ended = outcome_.has_value();
        lock.unlock();
        changed_.notify_all();
        if (ended)
            return;
    }
}

Result<std::string_view> Decoder::next() {
    std::unique_lock lock(mutex_);
    if (current_ && current_.use_count() == 1) {             // nobody else holds it, nor will: only we give it away
        std::atomic_thread_fence(std::memory_order_acquire); // whoever did has read it
        spare_.push_back(std::move(current_));
    }
    current_.reset();
    do {
        changed_.wait(lock, [&] { return !ready_.empty() || outcome_; });
        if (ready_.empty()) {
            if (!*outcome_)
                return std::unexpected((*outcome_).error());
            return std::string_view();
        }
        current_ = std::move(ready_.front());
        ready_.pop_front();
    } while (current_->empty()); // an empty block would be taken for the end
    lock.unlock();
    changed_.notify_all();
    return std::string_view(*current_);
}

Result<void> Decoder::drain() {
    while (!TRY(next()).empty()) {
    }
    return {};
}

} // namespace squish::archive

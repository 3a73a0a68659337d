#include "archive/pack.h"

#include "archive/describe.h"
#include "archive/tar_writer.h"
#include "archive/walk.h"
#include "os/file.h"

#include <archive.h>
#include <archive_entry.h>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <thread>
#include <unistd.h>
#include <unordered_map>
#include <vector>

namespace squish::archive {

namespace {

constexpr const char* kZstdLevel = "9"; // 60 MB/s on one processor; above it hardly smaller

enum class Facts { normalized, as_they_are };

class Packer : public Visitor {
public:
    Packer(TarWriter& tar, Facts facts, const PackOptions& options)
        : tar_(tar), facts_(facts), options_(options), buffer_(256 * 1024) {}

    Result<void> enter(const Node& node, int fd) override {
        auto header = header_of(node, '5');
        header.xattrs = TRY(kept(fd));
        if (node.path.empty()) {
            if (facts_ == Facts::normalized)
                return {}; // the folder itself is the target's
            header.path = ".";
        }
        return put(header);
    }
    Result<void> leave(const Node& node, int fd) override {
        (void) node;
        (void) fd;
        return {};
    }
    Result<void> leaf(const Node& node) override {
        auto done = pack_leaf(node);
        return done ? std::move(done) : problem(node.path, std::move(done).error());
    }
    Result<void> problem(const std::string& path, Error error) override {
        return std::unexpected(std::move(error).within(quoted(path)));
    }

    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;

private:
    Result<void> pack_leaf(const Node& node) {
        if (!S_ISREG(node.info.st_mode) && !S_ISLNK(node.info.st_mode))
            return fail(ErrorKind::invalid, "it is a socket, a pipe or a device, which a layer cannot hold",
                        "remove it from the folder");
        if (node.info.st_nlink > 1) {
            const auto [first, is_first] = first_.try_emplace({node.info.st_dev, node.info.st_ino}, node.path);
            if (!is_first) {
                auto header = header_of(node, '1');
                header.target = first->second;
                return put(header);
            }
        }
        if (S_ISLNK(node.info.st_mode)) {
            auto header = header_of(node, '2');
            header.target = TRY(read_link(node));
            return put(header);
        }
        return file(node);
    }

    Result<void> file(const Node& node) {
        const auto fd = TRY(os::open_at(node.folder, node.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
        auto header = header_of(node, '0');
        header.size = static_cast<std::uint64_t>(node.info.st_size);
        header.xattrs = TRY(kept(fd.get()));
        TRY(put(header));
        std::uint64_t left = header.size;
        for (;;) {
            const auto got = ::read(fd.get(), buffer_.data(), buffer_.size());
            if (got < 0 && errno == EINTR)
                continue;
            if (got < 0)
                return fail_errno("read it");
            if (static_cast<std::uint64_t>(got) > left || (got == 0 && left > 0))
                return fail(ErrorKind::conflict, "it changed while it was read");
            if (got == 0)
                return tar_.pad();
            left -= static_cast<std::uint64_t>(got);
            bytes += static_cast<std::uint64_t>(got);
            TRY(tar_.write({buffer_.data(), static_cast<std::size_t>(got)}));
            TRY(report());
        }
    }

    [[nodiscard]] TarHeader header_of(const Node& node, char type) const {
        TarHeader header;
        header.path = node.path;
        header.type = type;
        if (facts_ == Facts::as_they_are) {
            header.mode = node.info.st_mode & 07777;
            header.uid = node.info.st_uid;
            header.gid = node.info.st_gid;
            header.seconds = node.info.st_mtim.tv_sec;
            header.nanoseconds = node.info.st_mtim.tv_nsec;
        } else {
            const bool executable = (node.info.st_mode & 0111) != 0;
            header.mode = type == '2' ? 0777 : type == '5' || executable ? 0755 : 0644;
            header.seconds = options_.time;
        }
        return header;
    }

    static Result<Xattrs> kept(int fd) {
        auto xattrs = TRY(read_xattrs(fd));
        std::erase_if(xattrs, [](const auto& one) { return !is_kept_xattr(one.first); });
        return xattrs;
    }

    Result<void> put(const TarHeader& header) {
        ++entries;
        TRY(tar_.header(header));
        return report();
    }

    Result<void> report() {
        if (!options_.on_progress(bytes, entries))
            return fail(ErrorKind::conflict, "cancelled");
        return {};
    }

    TarWriter& tar_;
    Facts facts_;
    const PackOptions& options_;
    std::vector<char> buffer_;
    std::map<std::pair<dev_t, ino_t>, std::string> first_;
};

constexpr std::size_t kMaxDepth = 128; // what is unpacked again

// libarchive's zstd, given raw bytes.
class Compressor {
public:
    using Sink = std::function<Result<void>(std::string_view)>;
    explicit Compressor(Sink sink) : sink_(std::move(sink)) {}

    Result<void> open() {
        writer_.reset(::archive_write_new());
        if (!writer_)
            return fail_errno("archive_write_new", ENOMEM);
        auto* writer = writer_.get();
        if (::archive_write_add_filter_zstd(writer) != ARCHIVE_OK ||
            ::archive_write_set_format_raw(writer) != ARCHIVE_OK ||
            ::archive_write_set_filter_option(writer, "zstd", "compression-level", kZstdLevel) != ARCHIVE_OK ||
            ::archive_write_set_bytes_per_block(writer, 0) != ARCHIVE_OK ||
            ::archive_write_set_bytes_in_last_block(writer, 1) != ARCHIVE_OK)
            return fail(ErrorKind::unsupported, "this libarchive cannot write zstd", "install Debian's libarchive13");
        const auto done = ::archive_write_open(writer, this, nullptr, &Compressor::on_write, nullptr);
        if (done != ARCHIVE_OK)
            return failed();
        const std::unique_ptr<::archive_entry, void (*)(::archive_entry*)> entry(::archive_entry_new(),
                                                                                 &::archive_entry_free);
        ::archive_entry_set_pathname(entry.get(), "data");
        ::archive_entry_set_filetype(entry.get(), AE_IFREG);
        if (::archive_write_header(writer, entry.get()) != ARCHIVE_OK)
            return failed();
        return {};
    }
    Result<void> write(std::string_view bytes) {
        while (!bytes.empty()) {
            const auto put = ::archive_write_data(writer_.get(), bytes.data(), bytes.size());
            if (put <= 0)
                return failed();
            bytes.remove_prefix(static_cast<std::size_t>(put));
        }
        return {};
    }
    Result<void> close() {
        if (::archive_write_close(writer_.get()) != ARCHIVE_OK)
            return failed();
        return {};
    }

private:
    struct Free {
        void operator()(::archive* writer) const noexcept { ::archive_write_free(writer); }
    };
    static la_ssize_t on_write(::archive* writer, void* self, const void* bytes, std::size_t size) noexcept {
        auto& compressor = *static_cast<Compressor*>(self);
        auto done = compressor.sink_({static_cast<const char*>(bytes), size});
        if (done)
            return static_cast<la_ssize_t>(size);
        compressor.error_ = std::move(done).error();
        ::archive_set_error(writer, EIO, "write");
        return -1;
    }
    Result<void> failed() {
        if (!error_.message.empty())
            return std::unexpected(error_);
        const char* text = ::archive_error_string(writer_.get());
        return fail(ErrorKind::system, std::string("compress: ") + (text ? text : "unknown error"));
    }

    Sink sink_;
    Error error_;
    std::unique_ptr<::archive, Free> writer_;
};

} // namespace

Result<Packed> pack(int folder, int output, const PackOptions& options) {
    Packed out;
    Sha256 hash;
    Compressor compressor([&](std::string_view bytes) -> Result<void> {
        hash.update(bytes);
        out.size += bytes.size();
        return os::write_all(output, bytes);
    });
    TRY(compressor.open());
    TarWriter tar([&](std::string_view bytes) { return compressor.write(bytes); });
    Packer packer(tar, Facts::normalized, options);
    TRY(walk(folder, kMaxDepth, packer));
    TRY(tar.finish());
    TRY(compressor.close());
    out.sha256 = hash.finish();
    out.entries = packer.entries;
    out.bytes = packer.bytes;
    return out;
}

Result<Unpacked> copy_tree(int folder, int target, const UnpackOptions& options) {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) < 0)
        return fail_errno("pipe");
    UniqueFd reader(fds[0]), writer(fds[1]);
    (void) ::fcntl(reader.get(), F_SETPIPE_SZ, 1 << 20);
    Result<void> packed;
    std::thread packing([&] {
        // A reader that gave up is an error of write(2) here, not the end of the process.
        sigset_t broken;
        sigemptyset(&broken);
        sigaddset(&broken, SIGPIPE);
        ::pthread_sigmask(SIG_BLOCK, &broken, nullptr);
        std::string pending;
        const auto flush = [&]() -> Result<void> {
            auto done = os::write_all(writer.get(), pending);
            pending.clear();
            return done;
        };
        TarWriter tar([&](std::string_view bytes) -> Result<void> {
            pending.append(bytes);
            return pending.size() >= 256 * 1024 ? flush() : Result<void>{};
        });
        const PackOptions pack_options;
        Packer packer(tar, Facts::as_they_are, pack_options);
        packed = walk(folder, kMaxDepth, packer);
        if (packed)
            packed = tar.finish();
        if (packed)
            packed = flush();
        writer.reset(); // without the mark at its end where something failed: the other side will not take it for whole
    });
    auto unpacked = unpack(reader.get(), target, options);
    reader.reset();
    packing.join();
    if (!packed && packed.error().sys_errno != EPIPE)
        return std::unexpected(std::move(packed).error());
    return unpacked;
}

} // namespace squish::archive

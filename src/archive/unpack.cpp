#include "archive/unpack.h"

#include "archive/decoder.h"
#include "archive/file_hasher.h"
#include "archive/input.h"
#include "archive/reader.h"
#include "archive/walk.h"
#include "base/text.h"
#include "os/file.h"

#include <algorithm>
#include <archive.h>
#include <archive_entry.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

namespace squish::archive {

namespace {

Error about(Error error, std::string_view name) {
    return std::move(error).within("entry '" + printable(name) + "'");
}

// Reads a zip at any place: its list of files stands at the end.
struct ZipFile {
    int fd;
    std::int64_t size;
    std::int64_t at = 0;
    std::vector<char> block = std::vector<char>(128 * 1024);

    static la_ssize_t read(::archive* reader, void* self, const void** bytes) noexcept {
        auto& zip = *static_cast<ZipFile*>(self);
        ssize_t got = 0;
        while ((got = ::pread(zip.fd, zip.block.data(), zip.block.size(), zip.at)) < 0 && errno == EINTR) {
        }
        if (got < 0) {
            ::archive_set_error(reader, errno, "read the archive");
            return ARCHIVE_FATAL;
        }
        zip.at += got;
        *bytes = zip.block.data();
        return got;
    }
    static la_int64_t skip(::archive* /*reader*/, void* self, la_int64_t count) noexcept {
        auto& zip = *static_cast<ZipFile*>(self);
        count = std::clamp<la_int64_t>(count, 0, zip.size - zip.at);
        zip.at += count;
        return count;
    }
    static la_int64_t seek(::archive* /*reader*/, void* self, la_int64_t offset, int whence) noexcept {
        auto& zip = *static_cast<ZipFile*>(self);
        const la_int64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? zip.at : zip.size;
        zip.at = std::clamp<la_int64_t>(base + offset, 0, zip.size);
        return zip.at;
    }
};

struct TarStream {
    Decoder& decoder;
    bool ended = false; // the stream ended before the archive said that it does
    std::optional<Error> error;

    static la_ssize_t read(::archive* reader, void* self, const void** bytes) noexcept {
        auto& stream = *static_cast<TarStream*>(self);
        auto got = stream.decoder.next();
        if (!got) {
            stream.error = std::move(got).error();
            ::archive_set_error(reader, EIO, "%s", stream.error->message.c_str());
            return ARCHIVE_FATAL;
        }
        stream.ended = got->empty();
        *bytes = got->data();
        return static_cast<la_ssize_t>(got->size());
    }
};

class Unpacker {
public:
    Unpacker(Input& input, TreeWriter writer, const UnpackOptions& options)
        : input_(input), writer_(std::move(writer)), options_(options), limits_(options.limits) {}

    Result<Unpacked> run(int target) {
        const auto start = TRY(input_.peek());
        if (start.empty())
            return fail(ErrorKind::invalid, "it is empty: neither an archive nor a file to store");
        out_.kind = recognise(start);
        if (out_.kind == Kind::zip)
            TRY(zip(target));
        else if (out_.kind == Kind::plain || !TRY(tar()))
            TRY(plain());
        return finish();
    }

private:
    // --- formats

    // False where what is compressed is no tar; nothing is lost then.
    Result<bool> tar() {
        Decoder decoder(input_, out_.kind, limits_);
        if (!is_tar_header(TRY(decoder.open()))) {
            input_.rewind();
            out_.kind = Kind::plain;
            return false;
        }
        input_.commit();
        decoder.start();
        const auto locale = TRY(NameLocale::enter(NameLocale::Names::bytes));
        const Reader reader(::archive_read_new());
        TarStream stream{decoder, false, std::nullopt};
        if (!reader || ::archive_read_support_format_tar(reader.get()) != ARCHIVE_OK)
            return fail_errno("prepare to read a tar", ENOMEM);
        if (::archive_read_open(reader.get(), &stream, nullptr, &TarStream::read, nullptr) != ARCHIVE_OK)
            return std::unexpected(stream.error.value_or(Error{ErrorKind::invalid, message_of(reader.get()), "", 0}));
        decoder_ = &decoder;
        auto done = entries(reader.get());
        decoder_ = nullptr;
        if (!done)
            return std::unexpected(stream.error.value_or(std::move(done).error()));
        if (stream.ended)
            return fail(ErrorKind::invalid, "it is cut off: it ends without the mark that ends a tar");
        TRY(decoder.drain());
        TRY(input_.drain());
        return true;
    }

    Result<void> zip(int target) {
        struct stat info{};
        UniqueFd spool;
        int fd = input_.fd();
        if (::fstat(fd, &info) < 0)
            return fail_errno("look at the archive");
        if (!S_ISREG(info.st_mode)) {
            spool = TRY(spool_into(target));
            fd = spool.get();
            if (::fstat(fd, &info) < 0)
                return fail_errno("look at the archive");
        } else {
            TRY(input_.drain());
        }
        const auto locale = TRY(NameLocale::enter(NameLocale::Names::utf8));
        const Reader reader(::archive_read_new());
        ZipFile file{.fd = fd, .size = info.st_size};
        if (!reader || ::archive_read_support_format_zip_seekable(reader.get()) != ARCHIVE_OK ||
            ::archive_read_set_read_callback(reader.get(), &ZipFile::read) != ARCHIVE_OK ||
            ::archive_read_set_seek_callback(reader.get(), &ZipFile::seek) != ARCHIVE_OK ||
            ::archive_read_set_skip_callback(reader.get(), &ZipFile::skip) != ARCHIVE_OK ||
            ::archive_read_set_callback_data(reader.get(), &file) != ARCHIVE_OK)
            return fail_errno("prepare to read a zip", ENOMEM);
        if (::archive_read_open1(reader.get()) != ARCHIVE_OK)
            return fail(ErrorKind::invalid, "the zip is damaged or cut off: " + message_of(reader.get()));
        return entries(reader.get());
    }

    // Only the list at the end of a zip says what is a link and what may be executed, so that a zip that comes through
    // a pipe is laid down first: in the target, where there is space and nobody else can reach it.
    Result<UniqueFd> spool_into(int target) {
        constexpr const char* kName = ".squish-spool";
        auto spool = TRY(os::open_at(target, kName, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
        if (::unlinkat(target, kName, 0) < 0)
            return fail_errno("prepare to store the zip");
        input_.commit();
        for (std::uint64_t size = 0;;) {
            const auto block = TRY(input_.next());
            if (block.empty())
                return spool;
            size += block.size();
            if (size > limits_.total_bytes)
                return fail(ErrorKind::invalid, "the zip itself is larger than " + std::to_string(limits_.total_bytes) +
                                                    " bytes (limit 'total_bytes')");
            TRY(os::write_all(spool.get(), block));
            TRY(report());
        }
    }

    Result<void> plain() {
        if (!options_.plain_name)
            return fail(ErrorKind::not_found, "it is no archive that squish knows",
                        "use tar, tar.gz, tar.bz2, tar.xz, tar.zst or zip");
        const auto name = TRY(parse_name(*options_.plain_name, limits_));
        if (name.path.empty() || name.path.contains('/'))
            return fail(ErrorKind::invalid, "'" + printable(*options_.plain_name) + "' is no name for a file");
        input_.commit();
        const auto file = TRY(writer_.file(name));
        ++out_.progress.entries;
        std::uint64_t size = 0;
        for (;;) {
            const auto block = TRY(input_.next());
            if (block.empty())
                break;
            TRY(count(block.size(), size += block.size(), name.path));
            hasher_.add(nullptr, block);
            TRY(os::write_all(file.get(), block));
            TRY(report());
        }
        hasher_.end(TRY(writer_.seal(file.get(), Metadata{})));
        return {};
    }

    // --- entries

    Result<void> entries(::archive* reader) {
        for (;;) {
            ::archive_entry* entry = nullptr;
            const int got = ::archive_read_next_header(reader, &entry);
            if (got == ARCHIVE_EOF)
                return {};
            if (got != ARCHIVE_OK && got != ARCHIVE_WARN)
                return fail(ErrorKind::invalid,
                            "after " + std::to_string(out_.progress.entries) + " entries: " + message_of(reader));
            const char* name = ::archive_entry_pathname(entry);
            if (++out_.progress.entries > limits_.entries)
                return std::unexpected(about(
                    Error{ErrorKind::invalid,
                          "the archive has more than " + std::to_string(limits_.entries) + " entries (limit 'entries')",
                          "", 0},
                    name ? name : ""));
            for (const char* text : {name, ::archive_entry_hardlink(entry), ::archive_entry_symlink(entry)})
                name_bytes_ += text ? std::strlen(text) : 0;
            if (name_bytes_ > limits_.name_bytes)
                return std::unexpected(about(Error{ErrorKind::invalid,
                                                   "the archive has more than " + std::to_string(limits_.name_bytes) +
                                                       " bytes of names (limit 'name_bytes')",
                                                   "", 0},
                                             name ? name : ""));
            if (!name)
                return fail(ErrorKind::invalid,
                            "entry " + std::to_string(out_.progress.entries) + ": its name is not valid UTF-8");
            const std::string kept(name); // libarchive's own lives until the next entry at most
            if (auto done = one(reader, entry, kept); !done)
                return std::unexpected(about(std::move(done).error(), kept));
            TRY(report());
        }
    }

    Result<void> one(::archive* reader, ::archive_entry* entry, const std::string& raw_name) {
        const auto name = TRY(parse_name(raw_name, limits_));
        out_.tamed.absolute_names += name.absolute ? 1 : 0;
        if (const char* link = ::archive_entry_hardlink(entry))
            return hard_link(reader, entry, name, link);
        const auto type = ::archive_entry_filetype(entry);
        if (type == AE_IFBLK || type == AE_IFCHR || type == AE_IFIFO || type == AE_IFSOCK) {
            ++(type == AE_IFBLK || type == AE_IFCHR ? out_.tamed.devices : out_.tamed.fifos);
            skipped_.insert(name.path);
            return {};
        }
        if (name.path.empty() && type != AE_IFDIR)
            return fail(ErrorKind::invalid, "it stands for the layer itself and is no folder");
        auto metadata = metadata_of(entry);
        if (type == AE_IFDIR)
            return writer_.folder(name, metadata);
        metadata.mode &= 0777; // the sticky bit means something for folders only
        if (type == AE_IFLNK)
            return symlink(entry, name, metadata);
        if (type != AE_IFREG && type != 0)
            return fail(ErrorKind::invalid, "it is of a kind that squish does not know");
        TRY(check_size(entry));
        const auto file = TRY(writer_.file(name));
        return content(reader, entry, name, file.get(), metadata);
    }

    Result<void> symlink(::archive_entry* entry, const EntryName& name, const Metadata& metadata) {
        const char* target = ::archive_entry_symlink(entry);
        if (!target || !*target)
            return fail(ErrorKind::invalid, "it is a link to nowhere");
        const std::string text(target);
        if (text.size() >= limits_.path_bytes)
            return fail(ErrorKind::invalid,
                        "it is a link to a path longer than " + std::to_string(limits_.path_bytes - 1) + " bytes");
        return writer_.symlink(name, text, metadata); // as it stands: it is resolved in the container
    }

    Result<void> hard_link(::archive* reader, ::archive_entry* entry, const EntryName& name, const char* link) {
        if (name.path.empty())
            return fail(ErrorKind::invalid, "it stands for the layer itself and is no folder");
        auto to = parse_name(link, limits_);
        if (!to)
            return std::unexpected(
                std::move(to).error().within("it is a hard link to '" + printable(std::string_view(link)) + "'"));
        if (skipped_.contains(to->path)) {
            ++out_.tamed.devices;
            skipped_.insert(name.path);
            return {};
        }
        TRY(writer_.hard_link(name, *to));
        if (!::archive_entry_size_is_set(entry) || ::archive_entry_size(entry) <= 0)
            return {};
        TRY(check_size(entry)); // the bytes stand behind the link instead of the first file
        auto metadata = metadata_of(entry);
        metadata.mode &= 0777;
        const auto file = TRY(writer_.reopen(name));
        return content(reader, entry, name, file.get(), metadata);
    }

    Result<void> content(::archive* reader, ::archive_entry* entry, const EntryName& name, int file,
                         const Metadata& metadata) {
        std::uint64_t at = 0;
        bool hole_at_end = false;
        for (;;) {
            const void* data = nullptr;
            std::size_t size = 0;
            la_int64_t offset = 0;
            const int got = ::archive_read_data_block(reader, &data, &size, &offset);
            if (got == ARCHIVE_EOF)
                break;
            if (got != ARCHIVE_OK)
                return fail(ErrorKind::invalid, "its data is damaged or cut off: " + message_of(reader));
            if (offset < 0 || static_cast<std::uint64_t>(offset) < at)
                return fail(ErrorKind::invalid, "its data is damaged: pieces overlap");
            const auto hole = static_cast<std::uint64_t>(offset) - at;
            TRY(count(hole + size, static_cast<std::uint64_t>(offset) + size, name.path));
            if (hole > 0)
                hasher_.add_zeros(hole);
            const std::string_view bytes(static_cast<const char*>(data), size);
            hasher_.add(decoder_ ? decoder_->current() : nullptr, bytes);
            TRY(write_at(file, bytes, offset));
            hole_at_end = size == 0 && hole > 0;
            at = static_cast<std::uint64_t>(offset) + size;
            TRY(report());
        }
        const auto whole =
            ::archive_entry_size_is_set(entry) ? std::max<la_int64_t>(0, ::archive_entry_size(entry)) : 0;
        if (static_cast<std::uint64_t>(whole) > at) {
            TRY(count(static_cast<std::uint64_t>(whole) - at, static_cast<std::uint64_t>(whole), name.path));
            hasher_.add_zeros(static_cast<std::uint64_t>(whole) - at);
            at = static_cast<std::uint64_t>(whole);
            hole_at_end = true;
        }
        if (hole_at_end && ::ftruncate(file, static_cast<off_t>(at)) < 0)
            return fail_errno("set its length");
        hasher_.end(TRY(writer_.seal(file, metadata)));
        return {};
    }

    static Result<void> write_at(int file, std::string_view bytes, std::int64_t offset) {
        while (!bytes.empty()) {
            const auto put = ::pwrite(file, bytes.data(), bytes.size(), offset);
            if (put < 0 && errno == EINTR)
                continue;
            if (put < 0)
                return fail_errno("write it");
            bytes.remove_prefix(static_cast<std::size_t>(put));
            offset += put;
        }
        return {};
    }

    // --- what an entry says of itself

    Metadata metadata_of(::archive_entry* entry) {
        Metadata out;
        const auto mode = ::archive_entry_perm(entry);
        const bool folder = ::archive_entry_filetype(entry) == AE_IFDIR;
        out.mode = mode & (folder ? 01777 : 0777);
        out_.tamed.setuid += (mode & 07777) != out.mode ? 1 : 0;
        if (out_.kind != Kind::zip) { // a zip tells the ids of whoever made it, on another machine
            out.uid = ::archive_entry_uid(entry);
            out.gid = ::archive_entry_gid(entry);
        }
        if (::archive_entry_mtime_is_set(entry)) {
            out.mtime.tv_sec = ::archive_entry_mtime(entry);
            out.mtime.tv_nsec = std::clamp(::archive_entry_mtime_nsec(entry), 0L, 999'999'999L);
        }
        ::archive_entry_xattr_reset(entry);
        const char* name = nullptr;
        const void* value = nullptr;
        std::size_t size = 0;
        while (::archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
            if (name && is_kept_xattr(name) && size <= kMaxXattrBytes && out.xattrs.size() < kMaxXattrsPerEntry &&
                ::archive_entry_filetype(entry) != AE_IFLNK)
                out.xattrs[name].assign(static_cast<const char*>(value), size);
            else
                ++out_.tamed.xattrs;
        }
        out_.tamed.xattrs += ::archive_entry_acl_types(entry) != 0 ? 1 : 0;
        return out;
    }

    // --- limits

    // What the header promises is refused before a byte of it is written.
    Result<void> check_size(::archive_entry* entry) {
        if (!::archive_entry_size_is_set(entry))
            return {};
        const auto size = ::archive_entry_size(entry);
        if (size < 0)
            return fail(ErrorKind::invalid, "its size is negative");
        return check(out_.progress.written + static_cast<std::uint64_t>(size), static_cast<std::uint64_t>(size));
    }

    Result<void> check(std::uint64_t total, std::uint64_t file) {
        if (file > limits_.file_bytes)
            return fail(ErrorKind::invalid,
                        "it is larger than " + std::to_string(limits_.file_bytes) + " bytes (limit 'file_bytes')");
        if (total > limits_.total_bytes)
            return fail(ErrorKind::invalid, "with it the archive unpacks to more than " +
                                                std::to_string(limits_.total_bytes) + " bytes (limit 'total_bytes')");
        return {};
    }

    Result<void> count(std::uint64_t more, std::uint64_t file_size, const std::string&) {
        out_.progress.written += more;
        TRY(check(out_.progress.written, file_size));
        if (out_.progress.written > limits_.ratio_floor && out_.progress.written / limits_.ratio > input_.bytes())
            return fail(ErrorKind::invalid, "the archive unpacks to more than " + std::to_string(limits_.ratio) +
                                                " times its size (limit 'ratio')");
        return {};
    }

    Result<void> report() {
        out_.progress.read = input_.bytes();
        if (!options_.on_progress(out_.progress))
            return fail(ErrorKind::conflict, "cancelled");
        return {};
    }

    Result<Unpacked> finish() {
        out_.progress.read = input_.bytes();
        const auto records = TRY(writer_.finish(hasher_.take()));
        out_.closed = static_cast<std::uint64_t>(std::ranges::count_if(records, is_closed));
        out_.manifest = write_manifest(records);
        out_.tree_digest = sha256_of(out_.manifest);
        out_.input_digest = input_.digest();
        out_.tamed.owners = writer_.tamed_owners();
        out_.tamed.xattrs += writer_.tamed_xattrs();
        out_.tamed.duplicates = writer_.replaced();
        TRY(report());
        return std::move(out_);
    }

    Input& input_;
    TreeWriter writer_;
    const UnpackOptions& options_;
    const Limits& limits_;
    Unpacked out_;
    FileHasher hasher_;
    const Decoder* decoder_ = nullptr; // while a tar is read
    std::uint64_t name_bytes_ = 0;
    std::set<std::string, std::less<>> skipped_;
};

} // namespace

Result<Unpacked> unpack(int input, int target, const UnpackOptions& options) {
    Input bytes(input, options.input_digest ? Input::Hash::wanted : Input::Hash::none);
    auto writer = TRY(TreeWriter::open(target, options.limits, options.owners));
    return Unpacker(bytes, std::move(writer), options).run(target);
}

} // namespace squish::archive

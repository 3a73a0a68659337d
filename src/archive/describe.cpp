#include "archive/describe.h"

#include "os/file.h"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace squish::archive {

Result<std::string> read_link(const Node& node) {
    std::string text(static_cast<std::size_t>(node.info.st_size) + 1, '\0');
    const auto got = ::readlinkat(node.folder, node.name, text.data(), text.size());
    if (got != node.info.st_size)
        return fail_errno("read the link", got < 0 ? errno : EIO);
    text.resize(static_cast<std::size_t>(got));
    return text;
}

Result<Record> Describer::folder(const Node& node, int fd) {
    auto record = record_of(node.path, node.info);
    record.xattrs = TRY(read_xattrs(fd));
    return record;
}

Result<Record> Describer::leaf(const Node& node) {
    auto record = record_of(node.path, node.info);
    if (!S_ISREG(node.info.st_mode) && !S_ISLNK(node.info.st_mode))
        return fail(ErrorKind::invalid, "it is neither a file nor a folder nor a link");
    if (node.info.st_nlink > 1) {
        const auto [first, is_first] = first_.try_emplace(node.info.st_ino, node.path);
        if (!is_first) {
            record.type = Type::hard_link;
            record.target = first->second;
            return record;
        }
    }
    if (record.type == Type::symlink) {
        record.target = TRY(read_link(node));
        return record;
    }
    // O_NONBLOCK: what was a file when it was looked at may be a pipe by now.
    const auto file = TRY(os::open_at(node.folder, node.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
    record.xattrs = TRY(read_xattrs(file.get()));
    for (;;) {
        const auto got = ::read(file.get(), buffer_.data(), buffer_.size());
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_errno("read it");
        if (got == 0)
            break;
        hash_.update(buffer_.data(), static_cast<std::size_t>(got));
        TRY(on_read_(static_cast<std::uint64_t>(got)));
    }
    record.digest = hash_.finish();
    return record;
}

} // namespace squish::archive

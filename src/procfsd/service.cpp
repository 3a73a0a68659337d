#include "procfsd/service.h"

#include "procfsd/connection.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>

namespace squish::procfsd {

namespace {

// The tree of a view never changes but for its cpuN, and a file's attributes never do.
constexpr double kLong = 24 * 3600.0;
constexpr double kMayChange = 1.0;

// What files say of themselves, as those of sysfs do, whatever their texts: sendfile(2) and its like take a file of
// size 0 to be at its end at once (Linux 6.5 and later), and then `cat` of busybox prints nothing.
constexpr off_t kSize = 4096;

Service& service_of(fuse_req_t request) {
    return *static_cast<Service*>(::fuse_req_userdata(request));
}

struct stat attributes_of(const Found& found) {
    struct stat attributes{};
    attributes.st_ino = found.node;
    attributes.st_mode = found.is_folder ? S_IFDIR | 0555 : S_IFREG | 0444;
    attributes.st_nlink = found.is_folder ? 2 : 1;
    attributes.st_size = found.is_folder ? 0 : kSize;
    attributes.st_blksize = 1024; // what procfs says
    attributes.st_atim.tv_sec = attributes.st_mtim.tv_sec = attributes.st_ctim.tv_sec = found.time;
    return attributes;
}

// The answer to INIT holds for as long as the tree is mounted, whatever version answers later requests: change nothing
// here without thinking of a server that takes over, and of one that is taken over.
void init(void*, fuse_conn_info* connection) noexcept {
    connection->want = connection->capable & FUSE_CAP_PARALLEL_DIROPS;
    connection->max_write = 4096; // the least
    connection->max_readahead = 0;
}

void look_up(fuse_req_t request, fuse_ino_t parent, const char* name) noexcept {
    const auto found = service_of(request).views.look_up(parent, name);
    fuse_entry_param entry{};
    entry.attr_timeout = kLong;
    if (found) {
        entry.ino = found->node;
        entry.attr = attributes_of(*found);
        // A view is asked for by its name once, and is gone when its container is.
        entry.entry_timeout = parent == kRoot ? 0 : found->may_change ? kMayChange : kLong;
    } else if (parent == kRoot) {
        ::fuse_reply_err(request, ENOENT);
        return;
    } else { // an entry without a number: the kernel remembers that there is none
        entry.entry_timeout = kMayChange;
    }
    ::fuse_reply_entry(request, &entry);
}

void get_attributes(fuse_req_t request, fuse_ino_t node, fuse_file_info*) noexcept {
    const auto found = service_of(request).views.find(node);
    if (!found) {
        ::fuse_reply_err(request, ENOENT);
        return;
    }
    const auto attributes = attributes_of(*found);
    ::fuse_reply_attr(request, &attributes, kLong);
}

void open(fuse_req_t request, fuse_ino_t node, fuse_file_info* info) noexcept {
    auto& [views, book] = service_of(request);
    if ((info->flags & O_ACCMODE) != O_RDONLY) {
        ::fuse_reply_err(request, EACCES);
        return;
    }
    auto& shelf = book.shelf();
    const auto [unique, begun] = in_hand(book);
    // An earlier server may have answered this: whoever opened the file reads what it put on the shelf.
    std::optional<procshare::Shelf::Handle> handle;
    if (begun > 1)
        handle = shelf.find_request(unique);
    const bool again = handle.has_value();
    if (!again) {
        const auto text = views.text(node, begun >= kLastAttempt ? Views::Effort::least : Views::Effort::all);
        if (!text) {
            ::fuse_reply_err(request, ENOENT);
            return;
        }
        handle = shelf.put(key_of(node), unique, *text);
    }
    info->fh = *handle;
    info->direct_io = 1; // sizes are not known before, as in procfs
    info->noflush = 1;   // so that nobody who closes a file waits for us, not even the first time (Linux 5.16)
    if (::fuse_reply_open(request, info) != 0 && !again)
        shelf.drop(*handle); // nobody waits for it
}

void read(fuse_req_t request, fuse_ino_t node, std::size_t size, off_t offset, fuse_file_info* info) noexcept {
    auto& [views, book] = service_of(request);
    // Into the page cache, where it would be kept for others: only for sendfile(2), whose callers read(2) then, and
    // mmap(2). A read has the owner of its locks with it (fuse_send_read() of the kernel), a page has none.
    if (info->lock_owner == 0) {
        ::fuse_reply_err(request, EINVAL);
        return;
    }
    procshare::Shelf::Pieces pieces;
    if (const auto count = book.shelf().read(info->fh, static_cast<std::uint64_t>(offset), size, pieces)) {
        if (*count == 1) // needs no memory
            ::fuse_reply_buf(request, static_cast<const char*>(pieces[0].iov_base), pieces[0].iov_len);
        else
            ::fuse_reply_iov(request, pieces.data(), static_cast<int>(*count));
        return;
    }
    // Its view has more files open than the shelf holds for one.
    const auto begun = in_hand(book).begun;
    const auto text = views.text(node, begun >= kLastAttempt ? Views::Effort::least : Views::Effort::all);
    if (!text) {
        ::fuse_reply_err(request, ENOENT);
        return;
    }
    const auto from = std::min(static_cast<std::size_t>(offset), text->size());
    ::fuse_reply_buf(request, text->data() + from, std::min(size, text->size() - from));
}

void release(fuse_req_t request, fuse_ino_t, fuse_file_info* info) noexcept {
    service_of(request).book.shelf().drop(info->fh);
    ::fuse_reply_err(request, 0);
}

void read_folder(fuse_req_t request, fuse_ino_t node, std::size_t size, off_t offset, fuse_file_info*) noexcept {
    const auto names = service_of(request).views.list(node);
    if (!names) {
        ::fuse_reply_err(request, ENOTDIR);
        return;
    }
    std::string answer(std::min<std::size_t>(size, 32 << 10), '\0');
    std::size_t used = 0;
    const auto add = [&](off_t place, const char* name, const Found& found) {
        if (place < offset)
            return true;
        const auto attributes = attributes_of(found);
        const auto taken =
            ::fuse_add_direntry(request, answer.data() + used, answer.size() - used, name, &attributes, place + 1);
        if (taken > answer.size() - used)
            return false;
        used += taken;
        return true;
    };
    const Found folder{.node = node, .is_folder = true, .time = 0, .may_change = false};
    bool fits = add(0, ".", folder) && add(1, "..", folder);
    off_t place = 2;
    for (auto name = names->begin(); fits && name != names->end(); ++name, ++place)
        fits = add(place, name->name.c_str(), name->found);
    ::fuse_reply_buf(request, answer.data(), used);
}

} // namespace

const fuse_lowlevel_ops& operations() {
    static const fuse_lowlevel_ops all = [] {
        fuse_lowlevel_ops ops{};
        ops.init = init;
        ops.lookup = look_up;
        ops.getattr = get_attributes;
        ops.open = open;
        ops.read = read;
        ops.release = release;
        ops.readdir = read_folder;
        return ops; // all others, and FLUSH, are answered with ENOSYS, after which the kernel asks no more
    }();
    return all;
}

} // namespace squish::procfsd

#include "fetch/part_file.h"

#include "base/text.h"
#include "os/file.h"

#include <algorithm>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace squish::fetch {

namespace {

constexpr std::size_t kMaxOriginBytes = 256 * 1024;
constexpr std::size_t kReplayBytes = 1 << 20;

std::string text_of(const nlohmann::json& object, const char* member) {
    const auto found = object.find(member);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

} // namespace

std::string PartOrigin::validator() const {
    if (!etag.empty() && !etag.starts_with("W/")) // a weak one does not promise the same bytes (RFC 9110, 13.1.5)
        return etag;
    return last_modified;
}

Result<PartFile> PartFile::open(const std::string& path) {
    PartFile out;
    out.path_ = path;
    const auto slash = path.rfind('/');
    if (!path.starts_with('/') || slash + 1 == path.size())
        return fail(ErrorKind::invalid, "'" + printable(path) + "' is no absolute path of a file");
    out.folder_ = DirFd(TRY(os::open_file(slash == 0 ? "/" : path.substr(0, slash), O_DIRECTORY | O_PATH)));
    out.fd_ = TRY(os::open_file(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
    struct stat info{};
    if (::fstat(out.fd_.get(), &info) < 0)
        return fail_errno("fstat '" + printable(path) + "'");
    if (!S_ISREG(info.st_mode))
        return fail(ErrorKind::invalid, "'" + printable(path) + "' is no ordinary file");
    if (::flock(out.fd_.get(), LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return fail(ErrorKind::conflict, "'" + printable(path) + "' is being downloaded by another process");
        return fail_errno("flock '" + printable(path) + "'");
    }
    out.size_ = static_cast<std::uint64_t>(info.st_size);
    out.load_origin();
    return out;
}

void PartFile::load_origin() {
    const auto text = os::read_file(origin_path(), kMaxOriginBytes);
    if (!text)
        return;
    const auto json = nlohmann::json::parse(*text, nullptr, false);
    if (!json.is_object())
        return; // written by nobody we know: as if it were not there
    origin_.url = text_of(json, "url");
    origin_.etag = text_of(json, "etag");
    origin_.last_modified = text_of(json, "last_modified");
    origin_.sha256 = text_of(json, "sha256");
    if (const auto rejected = json.find("rejected"); rejected != json.end() && rejected->is_array())
        for (const auto& url : *rejected)
            if (url.is_string())
                origin_.rejected.push_back(url.get<std::string>());
    if (const auto restarts = json.find("restarts"); restarts != json.end() && restarts->is_number_unsigned())
        origin_.restarts = restarts->get<std::uint64_t>();
}

Result<void> PartFile::save_origin() const {
    nlohmann::json json = nlohmann::json::object();
    json["url"] = origin_.url;
    json["etag"] = origin_.etag;
    json["last_modified"] = origin_.last_modified;
    json["sha256"] = origin_.sha256;
    json["rejected"] = origin_.rejected;
    json["restarts"] = origin_.restarts;
    json["size"] = size_;
    const auto name = origin_path().substr(origin_path().rfind('/') + 1);
    const auto folder = TRY(os::open_at(folder_.get(), ".", O_DIRECTORY | O_RDONLY));
    return os::write_atomically(folder.get(), name,
                                json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

Result<void> PartFile::append(std::string_view bytes) {
    while (!bytes.empty()) {
        const auto put = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(size_));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return fail_errno("write '" + printable(path_) + "'", errno,
                              errno == ENOSPC || errno == EDQUOT ? "free some space" : "");
        size_ += static_cast<std::uint64_t>(put);
        bytes.remove_prefix(static_cast<std::size_t>(put));
    }
    return {};
}

Result<void> PartFile::clear() {
    if (::ftruncate(fd_.get(), 0) < 0)
        return fail_errno("ftruncate '" + printable(path_) + "'");
    size_ = 0;
    origin_.url.clear();
    origin_.etag.clear();
    origin_.last_modified.clear();
    return {};
}

Result<void> PartFile::replay(const std::function<Result<void>(std::string_view)>& take) const {
    std::string buffer(static_cast<std::size_t>(std::min<std::uint64_t>(size_, kReplayBytes)), '\0');
    for (std::uint64_t at = 0; at < size_;) {
        const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), size_ - at));
        const auto got = ::pread(fd_.get(), buffer.data(), want, static_cast<off_t>(at));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return fail_errno("read '" + printable(path_) + "'", got == 0 ? EIO : errno);
        TRY(take({buffer.data(), static_cast<std::size_t>(got)}));
        at += static_cast<std::uint64_t>(got);
    }
    return {};
}

void PartFile::complete() const {
    ::unlink(origin_path().c_str());
}

void PartFile::remove() const {
    ::unlink(path_.c_str());
    ::unlink(origin_path().c_str());
}

} // namespace squish::fetch

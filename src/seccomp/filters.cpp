#include "seccomp/filters.h"

#include "base/text.h"
#include "os/file.h"
#include "seccomp/compile.h"
#include "seccomp/names.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sodium.h>

namespace squish::seccomp {

namespace {

constexpr std::string_view kMagic = "SQSF0001"; // before the flags and the instructions
constexpr std::size_t kHeaderBytes = kMagic.size() + sizeof(std::uint32_t);
constexpr std::size_t kMaxFileBytes = kHeaderBytes + BPF_MAXINSNS * sizeof(sock_filter);
constexpr std::size_t kMaxKept = 64; // in memory: profiles of containers long gone must not pile up
constexpr std::size_t kDigestDigits = std::size_t{2} * crypto_hash_sha256_BYTES;

std::string sha256(std::string_view bytes) {
    std::array<unsigned char, crypto_hash_sha256_BYTES> digest{};
    crypto_hash_sha256(digest.data(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    std::array<char, kDigestDigits + 1> hex{};
    sodium_bin2hex(hex.data(), hex.size(), digest.data(), digest.size());
    return hex.data();
}

bool is_digest(std::string_view text) {
    return text.size() == kDigestDigits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string file_of(const Program& program, std::uint32_t flags) {
    std::string out(kMagic);
    out.append(reinterpret_cast<const char*>(&flags), sizeof flags);
    out.append(reinterpret_cast<const char*>(program.data()), program.size() * sizeof(sock_filter));
    return out;
}

// `bytes` are what file_of() made.
Result<FilterPtr> filter_of(const std::string& bytes, std::vector<std::string> warnings) {
    auto filter = std::make_shared<Filter>();
    filter->digest = sha256(bytes);
    std::memcpy(&filter->flags, bytes.data() + kMagic.size(), sizeof filter->flags);
    const auto program = std::string_view(bytes).substr(kHeaderBytes);
    filter->instructions = program.size() / sizeof(sock_filter);
    filter->program = TRY(os::sealed_memfd("squish-seccomp", program, false));
    filter->warnings = std::move(warnings);
    return filter;
}

Result<void> keep(const std::string& folder, const std::string& digest, const std::string& bytes) {
    TRY(os::make_dirs(folder));
    const auto dir = TRY(os::open_file(folder, O_PATH | O_DIRECTORY));
    if (const auto there = os::read_file_at(dir.get(), digest, kMaxFileBytes); there && *there == bytes)
        return {};
    return os::write_atomically(dir.get(), digest, bytes);
}

// A FIFO or a device would keep us waiting, or never end.
Result<std::string> read_profile(const std::string& path) {
    const auto file = TRY(os::open_file(path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
    struct stat info{};
    if (::fstat(file.get(), &info) < 0)
        return fail_errno("look at '" + printable(path) + "'");
    if (!S_ISREG(info.st_mode))
        return fail(ErrorKind::invalid, "'" + printable(path) + "' is not a regular file");
    return os::read_all(file.get(), kMaxProfileBytes);
}

} // namespace

Result<FilterPtr> Filters::standard(IoUring io_uring) {
    const std::string key = io_uring == IoUring::allowed ? "default, io_uring" : "default";
    if (const auto known = by_key_.find(key); known != by_key_.end())
        return known->second;
    return add(key, default_profile(io_uring), {});
}

Result<FilterPtr> Filters::custom(const std::string& path, const std::vector<std::string>& capabilities) {
    const auto named = [&](Error error) {
        return std::unexpected(std::move(error).within("[security] seccomp = '" + printable(path) + "'"));
    };
    const auto text = read_profile(path);
    if (!text) {
        auto error = text.error();
        if (error.sys_errno == ENOENT)
            error.kind = ErrorKind::not_found;
        return named(std::move(error));
    }
    const auto key = sha256(*text + '\0' + join(capabilities, " "));
    if (const auto known = by_key_.find(key); known != by_key_.end())
        return known->second;
    auto parsed = parse_oci_profile(*text, {capabilities, running_kernel()});
    if (!parsed)
        return named(std::move(parsed).error());
    for (auto& warning : parsed->warnings)
        warning.insert(0, "[security] seccomp: ");
    auto added = add(key, parsed->profile, std::move(parsed->warnings));
    if (!added)
        return named(std::move(added).error());
    return added;
}

Result<FilterPtr> Filters::add(const std::string& key, const Profile& profile, std::vector<std::string> warnings) {
    const auto bytes = file_of(TRY(compile(profile)), profile.flags);
    auto filter = TRY(filter_of(bytes, std::move(warnings)));
    TRY(keep(folder_, filter->digest, bytes));
    if (by_key_.size() >= kMaxKept)
        by_key_.clear(); // containers hold theirs
    by_key_[key] = filter;
    return filter;
}

Result<FilterPtr> Filters::kept(const std::string& digest) {
    const auto known = std::ranges::find_if(by_key_, [&](const auto& entry) { return entry.second->digest == digest; });
    if (known != by_key_.end())
        return known->second;
    if (!is_digest(digest))
        return fail(ErrorKind::invalid, "'" + printable(digest) + "' is not the digest of a seccomp filter");
    const auto path = folder_ + "/" + digest;
    const auto bytes = os::read_file(path, kMaxFileBytes);
    if (!bytes)
        return fail(bytes.error().sys_errno == ENOENT ? ErrorKind::not_found : ErrorKind::system,
                    "the container's seccomp filter is gone: " + bytes.error().text(), "restart the container");
    if (bytes->size() <= kHeaderBytes || !bytes->starts_with(kMagic) || sha256(*bytes) != digest ||
        (bytes->size() - kHeaderBytes) % sizeof(sock_filter) != 0)
        return fail(ErrorKind::invalid, "the container's seccomp filter '" + path + "' is damaged",
                    "restart the container");
    auto filter = TRY(filter_of(*bytes, {}));
    by_key_[digest] = filter;
    return filter;
}

void Filters::retain(const std::set<std::string>& digests) {
    std::error_code error;
    std::vector<std::filesystem::path> stale;
    for (auto entry = std::filesystem::directory_iterator(folder_, error);
         !error && entry != std::filesystem::directory_iterator(); entry.increment(error))
        if (!digests.contains(entry->path().filename().string()))
            stale.push_back(entry->path());
    for (const auto& path : stale)
        std::filesystem::remove(path, error);
}

} // namespace squish::seccomp

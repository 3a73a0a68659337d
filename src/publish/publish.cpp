#include "publish/publish.h"

#include "base/text.h"
#include "os/file.h"

#include <algorithm>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <unistd.h>

namespace squish::publish {

namespace {

constexpr const char* kIndex = "index.json";
constexpr const char* kSignature = "index.json.minisig";
constexpr mode_t kForAll = 0644; // a web server reads it as somebody else

Result<void> sync(int fd, const char* what) {
    if (::fsync(fd) < 0)
        return fail_errno(std::string("fsync ") + what);
    return {};
}

bool exists(int folder, const char* name) {
    return ::faccessat(folder, name, F_OK, 0) == 0;
}

Result<void> copy_archive(int folder, const Publication& what, const std::string& name) {
    const auto temporary = "." + name + "." + random_hex(4) + ".tmp";
    const auto copied = [&]() -> Result<void> {
        const auto out = TRY(os::open_at(folder, temporary, O_WRONLY | O_CREAT | O_EXCL, kForAll));
        off_t at = 0;
        while (static_cast<std::uint64_t>(at) < what.size) {
            const auto put = ::sendfile(out.get(), what.archive, &at, what.size - static_cast<std::uint64_t>(at));
            if (put < 0 && errno == EINTR)
                continue;
            if (put <= 0)
                return fail_errno("copy the archive", put == 0 ? EIO : errno);
        }
        TRY(sync(out.get(), "the archive"));
        if (::renameat(folder, temporary.c_str(), folder, name.c_str()) < 0)
            return fail_errno("rename to '" + name + "'");
        return {};
    }();
    if (!copied)
        ::unlinkat(folder, temporary.c_str(), 0);
    return copied;
}

Result<catalog::SourceIndex> read_index(int folder, const Publication& what) {
    if (!exists(folder, kIndex))
        return catalog::SourceIndex{what.name, {}};
    const auto text = TRY(os::read_file_at(folder, kIndex, catalog::kMaxIndexBytes));
    return catalog::parse_index(text, what.name);
}

Result<void> check_existing(const catalog::SourceIndex& index, const Publication& what) {
    if (what.existing == Publication::Existing::replace)
        return {};
    for (const auto& version : index.versions)
        for (const auto& archive : version.archives)
            if (version.version == what.version && archive.arch == what.arch &&
                (archive.sha256 != what.sha256 || version.requires_ != what.requires_))
                return fail(ErrorKind::conflict,
                            "version " + what.version.text() + " of '" + what.name + "' for " + what.arch +
                                " is published with other contents, and somebody may have locked it",
                            "publish a new version");
    return {};
}

} // namespace

Result<Published> publish(const Publication& what) {
    if (!catalog::is_layer_name(what.name))
        return fail(ErrorKind::invalid, "'" + printable(what.name.substr(0, 64)) + "' is no layer name");
    const auto path = what.source + "/" + what.name;
    TRY(os::make_dirs(path, 0755));
    const auto folder = TRY(os::open_file(path, O_DIRECTORY | O_RDONLY));
    if (::flock(folder.get(), LOCK_EX) < 0)
        return fail_errno("flock '" + printable(path) + "'");

    auto index = TRY(read_index(folder.get(), what));
    TRY(check_existing(index, what));
    if (!what.key && exists(folder.get(), kSignature))
        return fail(ErrorKind::conflict, "the index of '" + what.name + "' is signed, and no key was given",
                    "give the secret key, or remove '" + printable(path) + "/" + kSignature + "'");
    const auto file = what.name + "-" + what.version.text() + "-" + what.arch + what.suffix;
    TRY(catalog::add_to_index(index, what.version, what.requires_, {what.arch, file, what.size, what.sha256}));
    const auto text = catalog::write_index(index);
    TRY(copy_archive(folder.get(), what, file));
    if (what.key)
        TRY(os::write_atomically(folder.get(), kSignature,
                                 what.key->sign(text, "the index of " + what.name + " in a squish layer source"),
                                 kForAll));
    TRY(os::write_atomically(folder.get(), kIndex, text, kForAll));
    TRY(sync(folder.get(), "the source"));
    return Published{path + "/" + file, path + "/" + kIndex};
}

} // namespace squish::publish

#include "builder/build.h"

#include "archive/pack.h"
#include "base/text.h"
#include "catalog/manifest.h"
#include "os/file.h"
#include "publish/publish.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace squish::builder {

namespace {

constexpr std::size_t kMaxKeyFile = 4096;

Result<catalog::LayerManifest> read_manifest(int folder, const std::string& path) {
    const auto file = os::open_beneath(folder, std::string(catalog::kManifestPath), O_RDONLY | O_NONBLOCK,
                                       RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    if (!file) {
        if (file.error().sys_errno == ENOENT || file.error().sys_errno == ENOTDIR)
            return catalog::LayerManifest();
        return std::unexpected(file.error());
    }
    auto manifest = catalog::parse_manifest(TRY(os::read_all(file->get(), catalog::kMaxManifestBytes)));
    if (manifest)
        return *std::move(manifest);
    auto lines = render(path + "/" + std::string(catalog::kManifestPath), manifest.error());
    while (lines.ends_with('\n'))
        lines.pop_back();
    return fail(ErrorKind::invalid, std::move(lines));
}

std::string this_arch() {
    utsname system{};
    ::uname(&system);
    return system.machine;
}

// What the order says, else what the manifest says; both must agree where both do.
Result<std::string> agreed(const char* what, const std::string& ordered, const std::optional<std::string>& written) {
    if (ordered.empty() && !written)
        return fail(ErrorKind::invalid, std::string("the layer has no ") + what,
                    std::string("give --") + what + ", or write it into .squish/layer.toml");
    if (!ordered.empty() && written && ordered != *written)
        return fail(ErrorKind::conflict, std::string("--") + what + " '" + printable(ordered) +
                                             "' is not what .squish/layer.toml says: '" + printable(*written) + "'");
    return ordered.empty() ? *written : ordered;
}

} // namespace

Result<Built> build(const Order& order, const std::function<void(std::uint64_t bytes)>& on_progress) {
    const auto folder = TRY(os::open_file(order.folder, O_RDONLY | O_DIRECTORY));
    const auto manifest = TRY(read_manifest(folder.get(), order.folder));
    Built built;
    built.name = TRY(agreed("name", order.name, manifest.name));
    if (!catalog::is_layer_name(built.name))
        return fail(ErrorKind::invalid, "'" + printable(built.name) + "' is no layer name",
                    "letters, digits, '.', '_' and '-', the first a letter or digit, 63 at most");
    std::optional<std::string> written;
    if (manifest.version)
        written = manifest.version->text();
    const auto version = TRY(catalog::Version::parse(TRY(agreed("version", order.version, written))));
    built.version = version.text();
    built.arch = order.arch.empty() ? this_arch() : order.arch;
    if (!catalog::is_arch_name(built.arch))
        return fail(ErrorKind::invalid, "'" + printable(built.arch) + "' is no architecture",
                    "for example x86_64, or any");

    publish::Publication publication;
    if (!order.key_file.empty()) {
        const auto text = TRY(os::read_file(order.key_file, kMaxKeyFile));
        publication.key = TRY(catalog::SecretKey::parse(text));
    }
    const auto target =
        !order.output.empty() ? order.output : built.name + "-" + built.version + "-" + built.arch + ".tar.zst";
    // Without a name, so that whatever ends us leaves nothing.
    const auto beside = order.source.empty() ? target.substr(0, target.find_last_of('/') + 1) : std::string("/tmp/");
    const auto archive = TRY(os::open_file(beside.empty() ? "." : beside, O_TMPFILE | O_RDWR, 0644));
    archive::PackOptions options;
    options.time = order.time;
    options.on_progress = [&](std::uint64_t bytes, std::uint64_t) {
        on_progress(bytes);
        return true;
    };
    const auto packed = TRY(archive::pack(folder.get(), archive.get(), options));
    built.sha256 = archive::to_hex(packed.sha256);
    built.size = packed.size;
    built.entries = packed.entries;
    built.bytes = packed.bytes;
    if (!order.source.empty()) {
        publication.source = order.source;
        publication.name = built.name;
        publication.version = version;
        publication.requires_ = manifest.requires_;
        publication.arch = built.arch;
        publication.suffix = ".tar.zst";
        publication.archive = archive.get();
        publication.size = built.size;
        publication.sha256 = built.sha256;
        if (order.replace)
            publication.existing = publish::Publication::Existing::replace;
        const auto published = TRY(publish::publish(publication));
        built.archive = published.archive;
        built.index = published.index;
        return built;
    }
    if (::fsync(archive.get()) < 0)
        return fail_errno("write '" + target + "'");
    const auto fresh = target + "." + random_hex(4);
    if (::linkat(AT_FDCWD, os::fd_path(archive.get()).c_str(), AT_FDCWD, fresh.c_str(), AT_SYMLINK_FOLLOW) < 0)
        return fail_errno("make '" + target + "'");
    if (::rename(fresh.c_str(), target.c_str()) < 0) {
        const auto failed = fail_errno("rename to '" + target + "'");
        ::unlink(fresh.c_str());
        return failed;
    }
    built.archive = target;
    return built;
}

} // namespace squish::builder

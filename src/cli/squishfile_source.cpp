#include "cli/squishfile_source.h"

#include "account/account.h"
#include "base/archive_kind.h"
#include "base/text.h"
#include "cli/client.h"
#include "cli/progress_view.h"
#include "os/file.h"

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <fcntl.h>
#include <linux/openat2.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

namespace squish::cli {

namespace {

// Root's folders are closed to the account that squish goes on as: say so where it matters.
Error named(Error error) {
    const auto& account = account::went_on_as();
    if (account && error.sys_errno == EACCES && error.remedy.empty())
        error.remedy =
            "squish runs as '" + account->name + "', not as root: put the file where that account can read it";
    if (error.kind == ErrorKind::system)
        error.kind = ErrorKind::invalid; // a wrong argument
    return error;
}

std::unexpected<Error> wrong(const SquishfileSource& source, const std::vector<Diagnostic>& diagnostics) {
    auto text = render(source.path, diagnostics);
    while (text.ends_with('\n'))
        text.pop_back();
    return fail(ErrorKind::invalid, std::move(text));
}

bool is_archive(int file) {
    char start[archive::kRecogniseBytes];
    const auto got = ::pread(file, start, sizeof start, 0);
    return got > 0 && archive::recognise({start, static_cast<std::size_t>(got)}) != archive::Kind::plain;
}

std::string working_folder() {
    char buffer[PATH_MAX];
    return ::getcwd(buffer, sizeof buffer) ? buffer : "/";
}

std::string absolute(const std::string& path) {
    return path.starts_with('/') ? path : working_folder() + "/" + path;
}

// The tree that squishd made of it; the squishfile in it is read without following any link of the archive's.
Result<SquishfileSource> read_bundle(const std::string& file) {
    const auto paths = TRY(find_paths());
    auto client = TRY(Client::connect(paths));
    const Json body{{"path", absolute(file)}, {"bundle", true}};
    const auto stored = TRY(call_with_progress(client, {"POST", "/v1/layers/import?progress=true",
                                                        body.dump(-1, ' ', false, Json::error_handler_t::replace)}));
    SquishfileSource source;
    source.path = file + "/squishfile.toml";
    source.folder = text_of(stored, "tree");
    source.bundle = true;
    const auto tree = TRY(os::open_file(source.folder, O_PATH | O_DIRECTORY));
    const auto opened = os::open_beneath(tree.get(), "squishfile.toml", O_RDONLY | O_NONBLOCK,
                                         RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
    if (!opened)
        return fail(ErrorKind::invalid, "'" + printable(file) +
                                            "' is an archive without a squishfile.toml at its root: " +
                                            errno_text(opened.error().sys_errno));
    source.text = TRY(os::read_all(opened->get(), kMaxSquishfileBytes));
    return source;
}

// A path of a bundle's squishfile, as it lies in the unpacked tree: links are resolved as if the tree were all there
// is.
Result<std::string> within(const SquishfileSource& source, const std::string& path) {
    const auto tree = TRY(os::open_file(source.folder, O_PATH | O_DIRECTORY));
    const auto relative = path.substr(source.folder.size() + 1);
    const auto found = TRY(os::open_beneath(tree.get(), relative, O_PATH, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS));
    char buffer[PATH_MAX];
    const auto got = ::readlink(os::fd_path(found.get()).c_str(), buffer, sizeof buffer);
    if (got < 0 || got == static_cast<ssize_t>(sizeof buffer))
        return fail_errno("find '" + path + "'");
    return std::string(buffer, static_cast<std::size_t>(got));
}

} // namespace

Result<SquishfileSource> read_source(const std::string& file) {
    SquishfileSource source;
    source.path = file;
    struct stat info{};
    if (::stat(file.c_str(), &info) == 0 && S_ISDIR(info.st_mode))
        source.path += file.ends_with('/') ? "squishfile.toml" : "/squishfile.toml";
    // Not blocking: a FIFO in the place of a file must not hang us.
    const auto opened = os::open_file(source.path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!opened)
        return std::unexpected(named(opened.error()));
    if (::fstat(opened->get(), &info) < 0 || !S_ISREG(info.st_mode))
        return fail(ErrorKind::invalid, "'" + printable(source.path) + "' is no regular file");
    if (is_archive(opened->get()))
        return read_bundle(file);
    if (info.st_size > static_cast<off_t>(kMaxSquishfileBytes))
        return fail(ErrorKind::invalid, printable(source.path) + ":1:1: the file is larger than " +
                                            std::to_string(kMaxSquishfileBytes >> 10) + " KiB, so it is no squishfile");
    auto text = os::read_all(opened->get(), kMaxSquishfileBytes);
    if (!text)
        return std::unexpected(named(std::move(text).error().within("read '" + printable(source.path) + "'")));
    source.text = std::move(*text);
    const auto whole = absolute(source.path);
    source.folder = whole.substr(0, std::max<std::size_t>(whole.rfind('/'), 1));
    return source;
}

Result<Squishfile> parse_source(const SquishfileSource& source) {
    auto parsed = parse_toml(source.text);
    if (!parsed)
        return wrong(source, parsed.error());
    std::vector<std::string> written;
    for (const auto& layer : parsed->layers)
        written.push_back(layer.path);
    const auto written_profile = parsed->security.seccomp;
    resolve_paths(*parsed, source.folder, source.bundle ? source.folder : working_folder());
    if (!source.bundle)
        return std::move(*parsed);
    std::vector<Diagnostic> wrong_paths;
    for (std::size_t i = 0; i < parsed->layers.size(); ++i) {
        auto& layer = parsed->layers[i];
        if (layer.source != LayerSpec::Source::path || written[i].starts_with('/') || written[i].starts_with('~'))
            continue; // an absolute path is the host's, as in every squishfile
        if (!layer.path.starts_with(source.folder + "/")) {
            wrong_paths.push_back({layer.at, "layer '" + printable(layer.name) + "': '" + printable(written[i]) +
                                                 "' leads out of the archive"});
            continue;
        }
        if (auto path = within(source, layer.path))
            layer.path = *std::move(path);
        else
            wrong_paths.push_back({layer.at, "layer '" + printable(layer.name) +
                                                 "': not in the archive: " + errno_text(path.error().sys_errno)});
    }
    auto& profile = parsed->security.seccomp;
    if (profile.starts_with('/') && !written_profile.starts_with('/') && !written_profile.starts_with('~')) {
        const bool inside = profile.starts_with(source.folder + "/");
        auto path = inside ? within(source, profile) : Result<std::string>(profile);
        if (!inside || !path)
            wrong_paths.push_back(
                {parsed->security.at, "security.seccomp: '" + printable(written_profile) + "' " +
                                          (inside ? "is not in the archive" : "leads out of the archive")});
        else
            profile = *std::move(path);
    }
    if (!wrong_paths.empty())
        return wrong(source, wrong_paths);
    return std::move(*parsed);
}

Result<void> check_paths(const SquishfileSource& source, const Squishfile& file) {
    std::vector<Diagnostic> missing;
    struct stat info{};
    for (const auto& layer : file.layers)
        if (layer.source == LayerSpec::Source::path && ::stat(layer.path.c_str(), &info) < 0)
            missing.push_back({layer.at, "layer '" + printable(layer.name) + "': '" + printable(layer.path) +
                                             "': " + errno_text(errno)});
    const auto& profile = file.security.seccomp;
    if (profile.starts_with('/') && ::stat(profile.c_str(), &info) < 0)
        missing.push_back({file.security.at, "security.seccomp: '" + printable(profile) + "': " + errno_text(errno)});
    return missing.empty() ? Result<void>() : Result<void>(wrong(source, missing));
}

} // namespace squish::cli

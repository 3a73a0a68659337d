#include "cli/squishfile_source.h"

#include "account/account.h"
#include "base/text.h"
#include "os/file.h"

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <fcntl.h>
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

std::string working_folder() {
    char buffer[PATH_MAX];
    return ::getcwd(buffer, sizeof buffer) ? buffer : "/";
}

std::string absolute(const std::string& path) {
    return path.starts_with('/') ? path : working_folder() + "/" + path;
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
    resolve_paths(*parsed, source.folder, working_folder());
    return std::move(*parsed);
}

Result<void> check_layers(const SquishfileSource& source, const Squishfile& file) {
    std::vector<Diagnostic> missing;
    struct stat info{};
    for (const auto& layer : file.layers)
        if (layer.source == LayerSpec::Source::path && ::stat(layer.path.c_str(), &info) < 0)
            missing.push_back({layer.at, "layer '" + printable(layer.name) + "': '" + printable(layer.path) +
                                             "': " + errno_text(errno)});
    return missing.empty() ? Result<void>() : Result<void>(wrong(source, missing));
}

} // namespace squish::cli

// Where the layers come from and where they go: relative paths, default targets, targets that overlap.
#include "base/text.h"
#include "squishfile/layer_rules.h"
#include "squishfile/squishfile.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace squish {

namespace fs = std::filesystem;

namespace {

// "a/b" for "./a//b/", "../../a" for "../.././a"; without a trailing slash.
std::string normalise(std::string_view path) {
    auto text = fs::path(path).lexically_normal().string();
    while (text.size() > 1 && text.ends_with('/'))
        text.pop_back();
    return text;
}

bool is_home_relative(std::string_view path) {
    return path == "~" || path.starts_with("~/");
}

// The part of a path that says what the thing is called and not where it lies: without leading '/', '~/', './', '../'.
std::string below_root(std::string_view path) {
    if (is_home_relative(path))
        path.remove_prefix(1);
    auto text = normalise(path);
    std::string_view rest = text;
    for (;;) {
        if (rest.starts_with('/'))
            rest.remove_prefix(1);
        else if (rest.starts_with("../"))
            rest.remove_prefix(3);
        else
            break;
    }
    return rest == "." || rest == ".." ? std::string() : std::string(rest);
}

std::string default_path_target(const LayerSpec& layer) {
    auto rest = below_root(layer.path);
    if (rest.empty()) // ".", "..", "/" or "~": nothing to be called after but the layer
        rest = layer.name;
    if (layer.name == "app")
        rest = rest.substr(rest.rfind('/') + 1);
    return "/app/" + rest;
}

bool exists(const fs::path& path) {
    std::error_code error;
    const auto status = fs::symlink_status(path, error);
    return status.type() != fs::file_type::not_found && status.type() != fs::file_type::none;
}

std::string resolve(std::string_view path, const std::string& folder, const std::string& working_folder) {
    if (is_home_relative(path)) {
        if (const char* home = std::getenv("HOME"); home != nullptr && home[0] == '/') // NOLINT(concurrency-mt-unsafe)
            return normalise(home + std::string(path.substr(1)));
    }
    if (path.starts_with('/'))
        return normalise(path);
    const auto beside = normalise(folder + "/" + std::string(path));
    const auto here = normalise(working_folder + "/" + std::string(path));
    return !exists(beside) && exists(here) ? here : beside;
}

// "/data" lies within "/data" and "/data/sub" does, "/database" does not.
bool lies_within(std::string_view path, std::string_view folder) {
    return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

} // namespace

std::optional<std::string> target_problem(std::string_view target) {
    if (!target.starts_with('/'))
        return "must be absolute: \"/" + printable(target.substr(0, 64)) + "\"";
    if (target.size() > kMaxPathBytes)
        return "is too long: at most " + std::to_string(kMaxPathBytes) + " bytes";
    for (const auto part : split(target.substr(1), '/'))
        if (part == "..")
            return "must not contain '..'";
    if (const auto normal = normalise(target); normal != target)
        return "must be written without '.', '//' and a trailing '/': \"" + printable(normal.substr(0, 64)) + "\"";
    for (const std::string_view kernel : {"/proc", "/sys", "/dev"})
        if (lies_within(target, kernel))
            return "must not lie in " + std::string(kernel) + ", which belongs to the kernel";
    return std::nullopt;
}

bool is_rootfs_by_name(const LayerSpec& layer) {
    return layer.source == LayerSpec::Source::version && (layer.name == "alpine" || layer.name == "base");
}

std::optional<std::string> mount_target(const LayerSpec& layer) {
    if (layer.target)
        return layer.target;
    if (layer.rootfs)
        return "/";
    switch (layer.source) {
    case LayerSpec::Source::version:
        return "/sdk/" + layer.name;
    case LayerSpec::Source::path:
        return default_path_target(layer);
    case LayerSpec::Source::url:
        return std::nullopt;
    }
    std::unreachable();
}

std::vector<Diagnostic> check_targets(const Squishfile& file) {
    struct Placed {
        const LayerSpec* layer;
        std::string target;
    };
    std::vector<Placed> placed;
    std::vector<Diagnostic> out;
    for (const auto& layer : file.layers) {
        if (layer.rootfs)
            continue;
        auto target = mount_target(layer);
        if (!target)
            continue;
        const auto other = std::ranges::find_if(placed, [&](const Placed& earlier) {
            return lies_within(*target, earlier.target) || lies_within(earlier.target, *target);
        });
        if (other != placed.end()) {
            const auto shown = printable(other->target);
            auto message = "layer '" + printable(layer.name) + "' would be mounted at " + printable(*target);
            if (*target == other->target)
                message += ", where layer '" + printable(other->layer->name) + "' is mounted already";
            else if (lies_within(*target, other->target))
                message += ", inside of layer '" + printable(other->layer->name) + "' at " + shown;
            else
                message += ", which hides layer '" + printable(other->layer->name) + "' at " + shown;
            out.push_back({layer.at, message + "; give one of them another target"});
        }
        placed.push_back({&layer, *std::move(target)});
    }
    return out;
}

void resolve_paths(Squishfile& file, const std::string& folder, const std::string& working_folder) {
    for (auto& layer : file.layers) {
        if (layer.source != LayerSpec::Source::path)
            continue;
        if (!layer.target && !layer.rootfs)
            layer.target = mount_target(layer); // from the path as it was written
        layer.path = resolve(layer.path, folder, working_folder);
    }
    if (auto& seccomp = file.security.seccomp; seccomp != "default" && seccomp != "unconfined")
        seccomp = resolve(seccomp, folder, working_folder);
}

} // namespace squish

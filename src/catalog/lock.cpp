#include "catalog/lock.h"

#include "base/text.h"
#include "catalog/read_common.h"

namespace squish::catalog {

namespace {

using reader::Node;

LockedLayer read_locked(const Node& node) {
    LockedLayer out;
    const auto table = node.table({"version", "sha256", "source"});
    if (const auto version = table.get("version"))
        out.version = read_version(*version);
    if (const auto digest = table.need("sha256", "which archive it is"))
        out.sha256 = read_sha256(*digest).value_or("");
    if (const auto source = table.get("source"))
        out.source = source->string().value_or("");
    return out;
}

Lock read_lock(const Node& root) {
    Lock out;
    const auto table = root.table({"format", "arch", "layers"});
    if (const auto format = table.need("format", "the version of this file's form"))
        if (const auto number = format->integer(0, 1'000'000); number && *number != kLockFormat)
            format->fail("must be " + std::to_string(kLockFormat) + ": this squish knows no other");
    if (const auto arch = table.need("arch", "which machines the digests are for"))
        if (const auto text = arch->string()) {
            if (!is_arch_name(*text))
                arch->fail("must be an architecture such as \"x86_64\"");
            out.arch = *text;
        }
    if (const auto layers = table.get("layers"))
        for (const auto& member : layers->members(2 * kMaxLayers)) {
            if (!is_layer_name(member.key()))
                root.report().add(member.key_at(), reader::quoted(member.key()) + " is not a layer name");
            out.layers.emplace(member.key(), read_locked(member));
        }
    return out;
}

// A basic string of TOML 1.0; control characters and invalid UTF-8 have become \xNN in text.
std::string toml_string(std::string_view text) {
    std::string out = "\"";
    for (const char c : printable(text)) {
        if (c == '"' || c == '\\')
            out += '\\';
        out += c;
    }
    return out + "\"";
}

} // namespace

std::expected<Lock, std::vector<Diagnostic>> parse_lock(std::string_view toml) {
    if (toml.size() > kMaxLockBytes)
        return std::unexpected(std::vector{
            Diagnostic{{1, 1}, "the lock file is longer than " + std::to_string(kMaxLockBytes) + " bytes"}});
    const auto root = reader::read_toml(toml);
    if (!root)
        return std::unexpected(root.error());
    reader::Report report;
    auto out = read_lock(Node(*root, {}, "", report));
    if (!report.empty())
        return std::unexpected(std::move(report).take());
    return out;
}

std::string write_lock(const Lock& lock) {
    std::string out = "# The layers that the squishfile was resolved to. Written by `squish lock`; do not edit.\n";
    out += "format = " + std::to_string(kLockFormat) + "\n";
    out += "arch = " + toml_string(lock.arch) + "\n";
    for (const auto& [name, layer] : lock.layers) {
        out += "\n[layers." + toml_string(name) + "]\n";
        if (layer.version)
            out += "version = " + toml_string(layer.version->text()) + "\n";
        out += "sha256 = " + toml_string(layer.sha256) + "\n";
        if (!layer.source.empty())
            out += "source = " + toml_string(layer.source) + "\n";
    }
    return out;
}

} // namespace squish::catalog

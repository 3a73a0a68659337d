// [layers]: what each one is (a version, a path, an address) and where it goes.
#include "base/text.h"
#include "squishfile/layer_rules.h"
#include "squishfile/sections.h"

#include <algorithm>

namespace squish::reader {

namespace {

constexpr std::string_view kVersionForms = "a version requirement is written \"3.20\", \"~3.14\", \"^1.2\", "
                                           "\">=3.18\", \">=1.2 <2\", \"latest\" or \"*\"";

bool is_url(std::string_view text) {
    return text.contains("://");
}

// "3.x", "v1.2", ">= 3": written by someone who thought of a version.
bool looks_like_version(std::string_view text) {
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    if (text.empty())
        return false;
    return std::string_view("<>=^~").contains(text[0]) || is_digit(text[0]) ||
           (text.size() > 1 && text[0] == 'v' && is_digit(text[1]));
}

// A bare string is a version or a path, and never a guess.
void read_short_form(const Node& node, const std::string& text, LayerSpec& layer) {
    if (is_version_requirement(text)) {
        layer.source = LayerSpec::Source::version;
        layer.version = text;
    } else if (is_url(text)) {
        node.fail("is an address; write { url = \"…\", sha256 = \"…\", target = \"…\" }");
    } else if (looks_like_path(text)) {
        if (auto path = read_path(node)) {
            layer.source = LayerSpec::Source::path;
            layer.path = *std::move(path);
        }
    } else if (looks_like_version(text)) {
        node.fail(quoted(text) + " is not a version requirement: " + std::string(kVersionForms));
    } else {
        node.fail(quoted(text) + " is neither a path nor a version: write \"./" + printable(text.substr(0, 64)) +
                  "\" for a path beside the squishfile; " + std::string(kVersionForms));
    }
}

void read_version(const Node& node, LayerSpec& layer) {
    layer.source = LayerSpec::Source::version;
    if (auto text = node.non_empty_string()) {
        if (!is_version_requirement(*text))
            node.fail(quoted(*text) + " is not a version requirement: " + std::string(kVersionForms));
        layer.version = *std::move(text);
    }
}

void read_url(const Node& node, LayerSpec& layer) {
    layer.source = LayerSpec::Source::url;
    auto text = node.non_empty_string();
    if (!text)
        return;
    const auto after_scheme = text->starts_with("https://") ? 8U : text->starts_with("http://") ? 7U : 0U;
    const auto host = text->substr(after_scheme, text->find_first_of("/?#", after_scheme) - after_scheme);
    const auto is_printable_ascii = [](char c) { return c > ' ' && c < 0x7f; };
    if (after_scheme == 0)
        node.fail("must start with https:// or http://");
    else if (text->size() > kMaxPathBytes)
        node.fail("is too long: at most " + std::to_string(kMaxPathBytes) + " bytes");
    else if (!std::ranges::all_of(*text, is_printable_ascii))
        node.fail("must not contain blanks, control characters or anything beyond ASCII; write them as %XX");
    else if (host.empty())
        node.fail("names no host");
    layer.url = *std::move(text);
}

void read_digest(const Node& node, LayerSpec& layer) {
    auto text = node.string();
    if (!text)
        return;
    std::ranges::transform(*text, text->begin(),
                           [](char c) { return static_cast<char>(c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c); });
    const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
    if (text->size() != 64 || !std::ranges::all_of(*text, is_hex))
        node.fail("must be 64 hexadecimal digits, as sha256sum(1) prints them");
    layer.sha256 = *std::move(text);
}

// Exactly one of path, url and version says where the layer comes from.
void read_source(const Node& node, const Table& table, LayerSpec& layer) {
    const auto path = table.get("path"), url = table.get("url"), version = table.get("version");
    if (const int given = path.has_value() + url.has_value() + version.has_value();
        given != 1 && node.kind() == Value::Kind::table)
        node.fail(given == 0 ? "must have one of 'path', 'url' and 'version'"
                             : "must have only one of 'path', 'url' and 'version'");
    if (path) {
        layer.source = LayerSpec::Source::path;
        if (auto text = read_path(*path))
            layer.path = *std::move(text);
    }
    if (url)
        read_url(*url, layer);
    if (version)
        read_version(*version, layer);
}

// Should: let nobody write to what is shared with others. Must not: judge what the plan can see better (whether
// the path exists, whether its file system is writable).
void check_flags(const Node& node, const Table& table, const LayerSpec& layer) {
    if (layer.read_write) {
        const auto rw = table.get("rw");
        if (layer.rootfs)
            rw->fail("cannot be true for the rootfs, which is always read-only");
        else if (layer.source == LayerSpec::Source::version)
            rw->fail("cannot be true for a layer by version, which is shared by every container that uses it; "
                     "only a layer with 'path' can be writable");
        else if (layer.source == LayerSpec::Source::url)
            rw->fail("cannot be true for a layer by url, which is shared by every container that uses it; "
                     "only a layer with 'path' can be writable");
    }
    if (!layer.target) {
        if (layer.source == LayerSpec::Source::url && !layer.rootfs && !table.get("target"))
            node.fail("needs a 'target': a layer by url has no default one");
        return;
    }
    const auto target = table.get("target");
    if (layer.rootfs && *layer.target != "/")
        target->fail("must be \"/\" or left out for the rootfs");
    if (!layer.rootfs && *layer.target == "/")
        target->fail("can be \"/\" only for the rootfs; add rootfs = true if this layer is one");
}

void read_long_form(const Node& node, LayerSpec& layer) {
    const auto table = node.table({"path", "url", "version", "target", "rw", "rootfs", "sha256", "unpack"});
    read_source(node, table, layer);
    if (const auto digest = table.get("sha256"))
        read_digest(*digest, layer);
    if (const auto rw = table.get("rw"))
        layer.read_write = rw->boolean().value_or(false);
    if (const auto unpack = table.get("unpack"))
        layer.unpack = unpack->boolean().value_or(true);
    layer.rootfs = is_rootfs_by_name(layer);
    if (const auto rootfs = table.get("rootfs"))
        layer.rootfs = rootfs->boolean().value_or(layer.rootfs);
    if (const auto target = table.get("target")) {
        layer.target = target->string();
        if (const auto problem = layer.target ? target_problem(*layer.target) : std::nullopt) {
            target->fail(*problem);
            layer.target.reset();
        }
    }
    check_flags(node, table, layer);
}

LayerSpec read_layer(const Node& node) {
    LayerSpec layer;
    layer.name = node.key();
    layer.at = node.key_at();
    if (!is_valid_name(layer.name))
        node.report().add(node.key_at(), quoted(layer.name) + " is not a layer name: letters, digits, '_', '.' and "
                                                              "'-', the first one a letter or digit, at most 63");
    if (node.kind() == Value::Kind::string) {
        if (const auto text = node.non_empty_string())
            read_short_form(node, *text, layer);
        layer.rootfs = is_rootfs_by_name(layer);
    } else if (node.kind() == Value::Kind::table) {
        read_long_form(node, layer);
    } else {
        node.fail_kind("a string or a table");
    }
    return layer;
}

} // namespace

bool looks_like_path(std::string_view text) {
    return text.contains('/') || text == "." || text == ".." || text == "~";
}

std::optional<std::string> read_path(const Node& node) {
    auto path = node.non_empty_string();
    if (!path)
        return path;
    if (path->size() > kMaxPathBytes) {
        node.fail("is too long: at most " + std::to_string(kMaxPathBytes) + " bytes");
        return std::nullopt;
    }
    if (path->starts_with('~') && *path != "~" && !path->starts_with("~/")) {
        node.fail("starts with '~': only \"~/\", your own home, is understood; write \"./~…\" for a name with a tilde");
        return std::nullopt;
    }
    return path;
}

std::vector<LayerSpec> read_layers(const Node& node) {
    std::vector<LayerSpec> layers;
    const LayerSpec* rootfs = nullptr;
    const auto members = node.members(kMaxLayers);
    layers.reserve(members.size()); // keeps `rootfs` where it points
    for (const auto& member : members) {
        const auto& layer = layers.emplace_back(read_layer(member));
        if (!layer.rootfs)
            continue;
        if (rootfs != nullptr)
            node.report().add(layer.at, "layer " + quoted(layer.name) + " is a second rootfs: " + quoted(rootfs->name) +
                                            " is one already (rootfs = false makes it an ordinary layer)");
        else
            rootfs = &layer;
    }
    return layers;
}

} // namespace squish::reader

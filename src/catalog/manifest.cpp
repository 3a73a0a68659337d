#include "catalog/manifest.h"

#include "base/text.h"
#include "catalog/read_common.h"

namespace squish::catalog {

namespace {

using reader::Node;

constexpr std::size_t kMaxEntries = 16;

// "bin/python3" for "./bin//python3"; reports what leads out of the layer.
std::optional<std::string> read_inner_path(const Node& node) {
    const auto text = node.non_empty_string("a path below the layer's root");
    if (!text)
        return std::nullopt;
    if (text->size() > kMaxPathBytes || text->starts_with('/')) {
        node.fail(text->starts_with('/') ? "must be relative to the layer's root" : "is too long");
        return std::nullopt;
    }
    std::vector<std::string> parts;
    for (const auto part : split(*text, '/')) {
        if (part.empty() || part == ".")
            continue;
        if (part == "..") {
            node.fail("must not contain '..'");
            return std::nullopt;
        }
        parts.emplace_back(part);
    }
    if (parts.empty()) {
        node.fail("must name a file");
        return std::nullopt;
    }
    return join(parts, "/");
}

LayerCommand read_run(const Node& node) {
    LayerCommand out;
    const auto table = node.table({"command", "args", "entry"});
    if (const auto command = table.need("command", "what is run"))
        out.command = read_inner_path(*command).value_or("");
    if (const auto args = table.get("args"))
        out.args = args->strings(kMaxManifestArgs);
    if (const auto entry = table.get("entry"))
        for (const auto& item : entry->items("an array of strings", kMaxEntries))
            if (auto path = read_inner_path(item))
                out.entry.push_back(*std::move(path));
    return out;
}

LayerManifest read_manifest(const Node& root) {
    LayerManifest out;
    const auto table = root.table({"name", "version", "requires", "env", "run"});
    if (const auto name = table.get("name")) {
        out.name = name->string();
        if (out.name && !is_layer_name(*out.name))
            name->fail("must be a layer name: letters, digits, '_', '.' and '-', the first one a letter or digit, "
                       "at most 63");
    }
    if (const auto version = table.get("version"))
        out.version = read_version(*version);
    if (const auto given = table.get("requires")) {
        out.requires_ = read_requires(*given);
        if (out.name && out.requires_.contains(*out.name))
            given->fail("names the layer itself");
    }
    if (const auto env = table.get("env"))
        for (const auto& member : env->members(kMaxManifestEnv)) {
            if (!is_valid_env_name(member.key()))
                env->report().add(member.key_at(), reader::quoted(member.key()) + " is not a variable name");
            if (auto text = member.string())
                out.env.emplace_back(member.key(), *std::move(text));
        }
    if (const auto run = table.get("run"))
        out.run = read_run(*run);
    return out;
}

} // namespace

std::expected<LayerManifest, std::vector<Diagnostic>> parse_manifest(std::string_view toml) {
    if (toml.size() > kMaxManifestBytes)
        return std::unexpected(std::vector{
            Diagnostic{{1, 1}, "the manifest is longer than " + std::to_string(kMaxManifestBytes) + " bytes"}});
    const auto root = reader::read_toml(toml);
    if (!root)
        return std::unexpected(root.error());
    reader::Report report;
    auto out = read_manifest(Node(*root, {}, "", report));
    if (!report.empty())
        return std::unexpected(std::move(report).take());
    return out;
}

} // namespace squish::catalog

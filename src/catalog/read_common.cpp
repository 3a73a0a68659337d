#include "catalog/read_common.h"

#include "catalog/digest.h"

namespace squish::catalog {

std::optional<Version> read_version(const reader::Node& node) {
    const auto text = node.non_empty_string();
    if (!text)
        return std::nullopt;
    auto version = Version::parse(*text);
    if (!version) {
        node.fail("is wrong: " + version.error().message);
        return std::nullopt;
    }
    return *std::move(version);
}

std::optional<std::string> read_sha256(const reader::Node& node) {
    auto text = node.string();
    if (text && !is_hex_digest(*text, kSha256Digits)) {
        node.fail("must be 64 lower-case hexadecimal digits");
        return std::nullopt;
    }
    return text;
}

Requires read_requires(const reader::Node& node) {
    Requires out;
    for (const auto& member : node.members(kMaxRequires)) {
        if (!is_layer_name(member.key()))
            node.report().add(member.key_at(), reader::quoted(member.key()) + " is not a layer name");
        const auto text = member.non_empty_string();
        if (!text)
            continue;
        if (auto requirement = Requirement::parse(*text))
            out.emplace(member.key(), *std::move(requirement));
        else
            member.fail("is wrong: " + requirement.error().message);
    }
    return out;
}

std::string first_of(const std::vector<Diagnostic>& diagnostics) {
    auto out = diagnostics.front().message;
    if (diagnostics.size() > 1)
        out += " (and " + std::to_string(diagnostics.size() - 1) + " more errors)";
    return out;
}

} // namespace squish::catalog

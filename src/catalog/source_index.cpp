#include "catalog/source_index.h"

#include "base/text.h"
#include "catalog/digest.h"
#include "catalog/read_common.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

namespace squish::catalog {

namespace {

using reader::Node;

bool is_alphanumeric(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

IndexArchive read_archive(const Node& node) {
    IndexArchive out;
    const auto table = node.table({"arch", "file", "size", "sha256"});
    if (const auto arch = table.need("arch", "which machines the archive is for"))
        if (const auto text = arch->string()) {
            if (!is_arch_name(*text))
                arch->fail("must be an architecture such as \"x86_64\", or \"any\"");
            out.arch = *text;
        }
    if (const auto file = table.need("file", "the archive beside the index"))
        if (const auto text = file->string()) {
            if (!is_archive_name(*text))
                file->fail("must be the name of a file beside the index: letters, digits, '.', '_', '+' and '-'");
            out.file = *text;
        }
    if (const auto size = table.need("size", "the archive's bytes"))
        out.size = size->integer(1, kMaxArchiveBytes).value_or(0);
    if (const auto digest = table.need("sha256", "the archive's digest"))
        out.sha256 = read_sha256(*digest).value_or("");
    return out;
}

std::optional<IndexVersion> read_index_version(const Node& node) {
    const auto table = node.table({"version", "requires", "archives"});
    std::optional<Version> version;
    if (const auto text = table.need("version", "what the archives hold"))
        version = read_version(*text);
    Requires requires_;
    if (const auto given = table.get("requires"))
        requires_ = read_requires(*given);
    std::vector<IndexArchive> archives;
    if (const auto given = table.need("archives", "where the layer is")) {
        std::set<std::string> seen;
        for (const auto& item : given->items("an array of tables", kMaxIndexArchives)) {
            auto archive = read_archive(item);
            if (!archive.arch.empty() && !seen.insert(archive.arch).second)
                item.fail("is a second archive for '" + printable(archive.arch) + "'");
            archives.push_back(std::move(archive));
        }
        if (given->size() == 0)
            given->fail("must not be empty");
    }
    if (!version)
        return std::nullopt;
    return IndexVersion{*std::move(version), std::move(requires_), std::move(archives)};
}

SourceIndex read_index(const Node& root, std::string_view name) {
    SourceIndex out;
    // The format first: what a later one adds is unknown here, and to say so would only mislead.
    const auto table = root.table({"format", "name", "versions"});
    if (const auto given = table.need("name", "which layer the index is about"))
        if (const auto text = given->string()) {
            if (*text != name)
                given->fail("must be '" + printable(name) + "', the folder it lies in, not " + reader::quoted(*text));
            out.name = *text;
        }
    if (const auto versions = table.need("versions", "what there is")) {
        for (const auto& item : versions->items("an array of tables", kMaxIndexVersions))
            if (auto version = read_index_version(item)) {
                out.versions.push_back(*std::move(version));
            }
    }
    std::ranges::stable_sort(out.versions, std::greater<>(), &IndexVersion::version);
    for (std::size_t i = 1; i < out.versions.size(); ++i)
        if (out.versions[i].version == out.versions[i - 1].version)
            root.report().add({}, "version " + out.versions[i].version.text() + " is there twice");
    return out;
}

std::optional<std::int64_t> format_of(const reader::Value& root) {
    for (const auto& member : root.members)
        if (member.key == "format" && member.value.kind == reader::Value::Kind::integer)
            return member.value.integer;
    return std::nullopt;
}

} // namespace

bool is_layer_name(std::string_view name) {
    return is_valid_name(name);
}

bool is_arch_name(std::string_view name) {
    return !name.empty() && name.size() <= 16 && std::ranges::all_of(name, [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '_';
    });
}

bool is_archive_name(std::string_view name) {
    return !name.empty() && name.size() <= 200 && is_alphanumeric(name[0]) && std::ranges::all_of(name, [](char c) {
        return is_alphanumeric(c) || c == '.' || c == '_' || c == '+' || c == '-';
    });
}

Result<SourceIndex> parse_index(std::string_view json, std::string_view name) {
    const auto what = "the index of '" + printable(name) + "'";
    if (json.size() > kMaxIndexBytes)
        return fail(ErrorKind::invalid, what + " is longer than " + std::to_string(kMaxIndexBytes) + " bytes");
    const auto root = reader::read_json(json);
    if (!root)
        return fail(ErrorKind::invalid, what + ": " + first_of(root.error()));
    const auto format = format_of(*root);
    if (!format)
        return fail(ErrorKind::invalid, what + ": 'format' is missing or no integer");
    if (*format != kIndexFormat)
        return fail(ErrorKind::unsupported,
                    what + " has format " + std::to_string(*format) + "; this squish reads " +
                        std::to_string(kIndexFormat),
                    "update squish");
    reader::Report report;
    auto out = read_index(Node(*root, {}, "", report), name);
    if (!report.empty())
        return fail(ErrorKind::invalid, what + ": " + first_of(std::move(report).take()));
    return out;
}

std::string write_index(const SourceIndex& index) {
    auto sorted = index.versions;
    std::ranges::stable_sort(sorted, std::greater<>(), &IndexVersion::version);
    nlohmann::ordered_json versions = nlohmann::ordered_json::array();
    for (auto& version : sorted) {
        std::ranges::sort(version.archives, {}, &IndexArchive::arch);
        nlohmann::ordered_json archives = nlohmann::ordered_json::array();
        for (const auto& archive : version.archives)
            archives.push_back(
                {{"arch", archive.arch}, {"file", archive.file}, {"size", archive.size}, {"sha256", archive.sha256}});
        nlohmann::ordered_json entry;
        entry["version"] = version.version.text();
        if (!version.requires_.empty())
            for (const auto& [name, requirement] : version.requires_)
                entry["requires"][name] = requirement.text();
        entry["archives"] = std::move(archives);
        versions.push_back(std::move(entry));
    }
    nlohmann::ordered_json out;
    out["format"] = kIndexFormat;
    out["name"] = index.name;
    out["versions"] = std::move(versions);
    return out.dump(2) + "\n";
}

const IndexArchive* archive_for(const IndexVersion& version, std::string_view arch) {
    const IndexArchive* any = nullptr;
    for (const auto& archive : version.archives) {
        if (archive.arch == arch)
            return &archive;
        if (archive.arch == kAnyArch)
            any = &archive;
    }
    return any;
}

Result<void> add_to_index(SourceIndex& index, const Version& version, const Requires& requires_, IndexArchive archive) {
    if (!is_arch_name(archive.arch) || !is_archive_name(archive.file) ||
        !is_hex_digest(archive.sha256, kSha256Digits) || archive.size == 0 || archive.size > kMaxArchiveBytes)
        return fail(ErrorKind::invalid, "cannot publish '" + printable(archive.file) + "' for '" +
                                            printable(archive.arch) + "': its name, size or digest cannot be indexed");
    auto found = std::ranges::find(index.versions, version, &IndexVersion::version);
    if (found == index.versions.end()) {
        if (index.versions.size() == kMaxIndexVersions)
            return fail(ErrorKind::invalid, "the index of '" + index.name + "' is full: it has " +
                                                std::to_string(kMaxIndexVersions) + " versions");
        const auto place = std::ranges::find_if(index.versions, [&](const auto& v) { return v.version < version; });
        found = index.versions.insert(place, IndexVersion{version, requires_, {}});
    }
    const auto is_other = [&](const IndexArchive& other) { return other.arch != archive.arch; };
    if (std::ranges::any_of(found->archives, is_other) && found->requires_ != requires_)
        return fail(ErrorKind::conflict,
                    "version " + version.text() + " of '" + index.name +
                        "' requires something else on another architecture",
                    "publish a new version");
    std::erase_if(found->archives, [&](const IndexArchive& other) { return !is_other(other); });
    found->requires_ = requires_;
    if (found->archives.size() == kMaxIndexArchives)
        return fail(ErrorKind::invalid, "version " + version.text() + " of '" + index.name + "' has too many archives");
    found->archives.push_back(std::move(archive));
    std::ranges::sort(found->archives, {}, &IndexArchive::arch);
    return {};
}

} // namespace squish::catalog

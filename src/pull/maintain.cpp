// What is done with layers that are stored: import under a name, verify, remove.
#include "base/text.h"
#include "base/url.h"
#include "pull/provider.h"

#include <algorithm>
#include <sys/stat.h>

namespace squish {

using wire::Json;

Task<Provider::Imported> Provider::import(ImportRequest request, OnLayerProgress on_progress) {
    const auto label = request.path.empty() ? shown_url(request.url) : request.path;
    if (!request.version.empty())
        CO_TRY(catalog::Version::parse(request.version));
    if (!request.name.empty() && !catalog::is_layer_name(request.name))
        co_return fail(ErrorKind::invalid, "'" + printable(request.name) + "' is no layer name",
                       "use letters, digits, '.', '_' and '-'");
    Imported out;
    if (request.path.empty()) {
        Download what;
        what.urls.push_back(request.url);
        what.sha256 = request.sha256;
        CO_TRY_TO(out.layer, co_await importer_.download(std::move(what), std::move(on_progress), label));
    } else {
        struct stat info{};
        if (::stat(request.path.c_str(), &info) < 0)
            co_return fail_errno("import '" + request.path + "'");
        if (S_ISDIR(info.st_mode)) {
            CO_TRY_TO(out.layer, co_await importer_.import_folder(request.path, std::move(on_progress), label));
        } else {
            CO_TRY_TO(auto layer, co_await importer_.import_file(request.path, std::move(on_progress), label));
            if (!layer)
                co_return fail(ErrorKind::invalid, "'" + request.path + "' is no archive",
                               "give a folder, a tar.* or a zip; a single file is named by its path in [layers]");
            out.layer = *std::move(layer);
        }
        if (!request.sha256.empty() && out.layer.digest != request.sha256)
            co_return fail(ErrorKind::invalid,
                           "the sha256 of '" + request.path + "' is " + out.layer.digest + ", not " + request.sha256);
    }
    out.tree = store_.tree_path(out.layer);
    if (request.bundle)
        co_return out;
    CO_TRY_TO(const auto manifest, read_manifest(out.layer.layer_toml, label + ": .squish/layer.toml"));
    out.name = request.name;
    out.version = request.version;
    if (manifest) {
        if (out.name.empty())
            out.name = manifest->name.value_or("");
        if (out.version.empty() && manifest->version)
            out.version = manifest->version->text();
    }
    if (out.name.empty() != out.version.empty())
        co_return fail(ErrorKind::invalid, "a name without a version, or a version without a name",
                       "give both: --name N --version V");
    if (!out.name.empty()) {
        LayerRef ref{.name = out.name,
                     .version = out.version,
                     .digest = out.layer.digest,
                     .source = "",
                     .added_at = out.layer.added_at};
        CO_TRY(store_.set_ref(ref));
    }
    co_return out;
}

Task<Provider::Verified> Provider::verify(std::string digest, OnLayerProgress on_progress) {
    CO_TRY_TO(const auto tree, store_.open_tree(digest));
    CO_TRY_TO(const auto manifest, store_.open_manifest(digest));
    const auto stored = store_.find(digest);
    if (!stored)
        co_return fail(ErrorKind::not_found, "no layer '" + digest + "'");
    auto request = wire::to_request("verify");
    std::vector<int> fds;
    fds.push_back(tree.get());
    fds.push_back(manifest.get());
    HelperClient::OnProgress progress;
    if (on_progress)
        progress = [on_progress, digest](const Json& told) {
            LayerProgress now;
            now.layer = digest;
            now.stage = LayerProgress::Stage::verifying;
            if (const auto entries = told.find("entries"); entries != told.end() && entries->is_number_unsigned())
                now.entries = entries->get<std::uint64_t>();
            if (const auto bytes = told.find("read"); bytes != told.end() && bytes->is_number_unsigned())
                now.bytes = bytes->get<std::uint64_t>();
            on_progress(now);
        };
    CO_TRY_TO(const auto answer, co_await importer_.work(std::move(request), std::move(fds), std::move(progress)));
    Verified out;
    out.digest = digest;
    out.files = answer.value("files", std::uint64_t{0});
    out.bytes = answer.value("bytes", std::uint64_t{0});
    if (const auto findings = answer.find("findings"); findings != answer.end() && findings->is_array())
        for (const auto& finding : *findings)
            out.findings.push_back("'" + finding.value("path", std::string()) +
                                   "': " + finding.value("what", std::string()));
    // The manifest itself is held against what was written down when the layer came.
    if (wire::get_string(answer, "tree_digest").value_or("") != stored->tree_digest)
        out.findings.insert(out.findings.begin(), "the layer's own manifest was changed");
    const auto found = answer.value("found", std::uint64_t{0});
    if (found > out.findings.size())
        out.findings.push_back("and " + std::to_string(found - out.findings.size()) + " more");
    co_return out;
}

Task<void> Provider::remove(std::string digest) {
    CO_TRY_TO(auto staging, store_.take_out(digest));
    co_return co_await importer_.remove(std::move(staging));
}

Task<void> Provider::clean_up() {
    Result<void> result;
    auto abandoned = store_.abandoned();
    for (auto& staging : abandoned)
        if (auto removed = co_await importer_.remove(std::move(staging)); !removed)
            result = std::move(removed); // the others can go still
    co_return result;
}

Result<std::string> Provider::find(std::string_view reference) {
    constexpr std::size_t kShortest = 6;
    const auto at = reference.find('@');
    std::set<std::string> found;
    std::vector<std::string> matches;
    for (const auto& ref : store_.refs())
        if (ref.name == reference.substr(0, at) &&
            (at == std::string_view::npos || ref.version == reference.substr(at + 1))) {
            found.insert(ref.digest);
            matches.push_back(ref.name + "@" + ref.version);
        }
    if (found.empty() && at == std::string_view::npos && reference.size() >= kShortest)
        for (const auto& layer : store_.list())
            if (layer.digest.starts_with(reference)) {
                found.insert(layer.digest);
                matches.push_back(layer.digest);
            }
    if (found.empty())
        return fail(ErrorKind::not_found, "no layer '" + printable(reference) + "'", "see 'squish layer ls'");
    if (found.size() > 1)
        return fail(ErrorKind::conflict, "'" + printable(reference) + "' is ambiguous: " + join(matches, ", "));
    return *found.begin();
}

} // namespace squish

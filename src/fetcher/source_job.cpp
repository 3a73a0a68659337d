// source.find: the versions of a layer in the first source that has it.
//
// The order of the sources is their priority, and the first that knows the name decides alone: a name that a private
// source has is never taken from a public one, whatever version that offers. So a source that cannot be asked ends the
// search, instead of leaving the name to the next one.
#include "base/text.h"
#include "base/url.h"
#include "catalog/minisign.h"
#include "catalog/source_index.h"
#include "fetch/document.h"
#include "fetcher/jobs.h"

namespace squish::fetcher {

namespace {

constexpr std::size_t kMaxSources = 32;
constexpr std::size_t kMaxOthers = 16;             // that do not satisfy: for the message where nothing does
constexpr std::size_t kMaxAnswerBytes = 96 * 1024; // below wire::kMaxMessageBytes

struct Source {
    std::string name, url;
    std::optional<catalog::PublicKey> key;
};

Result<std::vector<Source>> sources_of(const wire::Json& request) {
    const auto found = request.find("sources");
    if (found == request.end() || !found->is_array() || found->size() > kMaxSources)
        return fail(ErrorKind::invalid, "message without up to 32 'sources'");
    std::vector<Source> out;
    for (const auto& item : *found) {
        if (!item.is_object())
            return fail(ErrorKind::invalid, "message with a source that is no object");
        Source source;
        source.url = TRY(wire::get_string(item, "url"));
        source.name = text_or(item, "name", shown_url(source.url));
        if (item.contains("key")) {
            auto key = catalog::PublicKey::parse(TRY(wire::get_string(item, "key")));
            if (!key)
                return std::unexpected(std::move(key).error().within("layer source '" + printable(source.name) + "'"));
            source.key = *key;
        }
        out.push_back(std::move(source));
    }
    return out;
}

class SourceSearch {
public:
    SourceSearch(fetch::Documents& documents, const wire::Json& request, std::string layer)
        : documents_(&documents), layer_(std::move(layer)),
          stale_(flag_of(request, "stale") ? fetch::DocumentWanted::Stale::use : fetch::DocumentWanted::Stale::refuse) {
    }

    // The index of the layer in one source, signed where the source has a key; not_found where it has none.
    Result<catalog::SourceIndex> ask(const Source& source) {
        std::optional<catalog::SourceIndex> index;
        fetch::DocumentWanted wanted;
        wanted.urls = {below(source.url, layer_ + "/index.json")};
        wanted.what = "the index of layer '" + layer_ + "'";
        wanted.max_bytes = catalog::kMaxIndexBytes;
        wanted.stale = stale_;
        wanted.check = [&](std::string_view bytes, const std::string& url) -> Result<void> {
            if (source.key)
                TRY(check_signature(*source.key, bytes, url));
            index = TRY(catalog::parse_index(bytes, layer_));
            return {};
        };
        auto document = documents_->get(wanted);
        if (!document)
            return std::unexpected(std::move(document).error());
        from_cache_ = from_cache_ || document->from_cache;
        return *std::move(index);
    }

    [[nodiscard]] bool from_cache() const { return from_cache_; }

private:
    Result<void> check_signature(const catalog::PublicKey& key, std::string_view index, const std::string& index_url) {
        fetch::DocumentWanted wanted;
        wanted.urls = {index_url + ".minisig"};
        wanted.what = "its signature";
        wanted.max_bytes = catalog::kMaxSignatureBytes;
        wanted.stale = stale_;
        wanted.check = [&](std::string_view signature, const std::string&) -> Result<void> {
            auto verified = key.verify(index, signature);
            if (!verified)
                return std::unexpected(std::move(verified).error());
            return {};
        };
        const auto signature = documents_->get(wanted);
        if (signature)
            return {};
        if (signature.error().kind == ErrorKind::not_found)
            return fail(ErrorKind::denied, "the index is not signed, and the source has a key: there is no '" +
                                               shown_url(index_url) + ".minisig'");
        return std::unexpected(signature.error());
    }

    fetch::Documents* documents_;
    std::string layer_;
    fetch::DocumentWanted::Stale stale_;
    bool from_cache_ = false;
};

wire::Json describe(const catalog::IndexVersion& version, const catalog::IndexArchive& archive, const Source& source,
                    const std::string& layer) {
    wire::Json requires_ = wire::Json::object();
    for (const auto& [name, requirement] : version.requires_)
        requires_[name] = requirement.text();
    wire::Json urls = wire::Json::array();
    urls.push_back(below(source.url, layer + "/" + archive.file));
    wire::Json out = wire::Json::object();
    out["version"] = version.version.text();
    out["urls"] = std::move(urls);
    out["size"] = archive.size;
    out["sha256"] = archive.sha256;
    out["requires"] = std::move(requires_);
    out["source"] = source.name;
    return out;
}

} // namespace

Result<wire::Json> find_in_sources(const wire::Json& request) {
    const auto sources = TRY(sources_of(request));
    const auto layer = TRY(wire::get_string(request, "layer"));
    const auto arch = TRY(arch_of(request));
    if (!catalog::is_layer_name(layer))
        return fail(ErrorKind::invalid, "'" + printable(layer.substr(0, 64)) + "' is no layer name");
    const auto requirement = TRY(catalog::Requirement::parse(text_or(request, "requirement", "*")));
    auto http = TRY(fetch::Http::open(TRY(limits_of(request))));
    auto documents = TRY(fetch::Documents::open(http, text_or(request, "cache")));

    std::vector<std::string> without;
    for (const auto& source : sources) {
        SourceSearch search(documents, request, layer);
        auto index = search.ask(source);
        if (!index && index.error().kind == ErrorKind::not_found) {
            without.push_back(shown_url(source.url));
            continue;
        }
        if (!index)
            return std::unexpected(std::move(index).error().within("layer source '" + printable(source.name) + "'"));
        wire::Json candidates = wire::Json::array();
        wire::Json others = wire::Json::array();
        std::size_t bytes = 0;
        bool more = false;
        for (const auto& version : index->versions) { // the newest first
            const auto* const archive = catalog::archive_for(version, arch);
            if (archive == nullptr)
                continue;
            if (!requirement.is_any() && !requirement.allows(version.version)) {
                if (others.size() < kMaxOthers)
                    others.push_back(version.version.text());
                continue;
            }
            auto candidate = describe(version, *archive, source, layer);
            bytes += candidate.dump().size() + 1;
            if (bytes > kMaxAnswerBytes) {
                more = true;
                break;
            }
            candidates.push_back(std::move(candidate));
        }
        wire::Json answer = wire::Json::object();
        answer["candidates"] = std::move(candidates);
        answer["others"] = std::move(others);
        answer["source"] = source.name;
        answer["from_cache"] = search.from_cache();
        answer["more"] = more;
        return answer;
    }
    return fail(ErrorKind::not_found,
                "no layer source has '" + layer + "'" +
                    (without.empty() ? std::string(": none is configured") : ": asked were " + join(without, ", ")),
                "name a source in squishd.toml, or publish the layer with 'squish layer build --to'");
}

} // namespace squish::fetcher

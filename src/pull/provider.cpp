#include "pull/provider.h"

#include "async/latch.h"
#include "base/archive_kind.h"
#include "base/text.h"
#include "base/url.h"
#include "os/file.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <fcntl.h>
#include <linux/openat2.h>
#include <set>
#include <sys/stat.h>
#include <utility>

namespace squish {

using catalog::Candidate;
using catalog::Known;
using catalog::Requirement;
using catalog::Version;
using wire::Json;

namespace {

constexpr std::size_t kMaxManifest = catalog::kMaxManifestBytes;

std::string place(const LayerSpec& layer) {
    const auto text = "[layers] " + printable(layer.name);
    return layer.at.line == 0 ? text : "line " + std::to_string(layer.at.line) + ": " + text;
}

std::string text_of(const Json& body, const char* member) {
    const auto found = body.find(member);
    return found != body.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// What a folder of the user's says of itself. No link in it leads elsewhere.
Result<std::optional<catalog::LayerManifest>> manifest_of_folder(const std::string& path) {
    const auto folder = os::open_file(path, O_PATH | O_DIRECTORY);
    if (!folder)
        return std::optional<catalog::LayerManifest>(); // told when it is mounted
    const auto file = os::open_beneath(folder->get(), std::string(catalog::kManifestPath), O_RDONLY | O_NONBLOCK,
                                       RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
    if (!file)
        return std::optional<catalog::LayerManifest>();
    return read_manifest(TRY(os::read_all(file->get(), kMaxManifest)),
                         path + "/" + std::string(catalog::kManifestPath));
}

bool is_folder(const std::string& path) {
    struct stat info{};
    return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

bool may_be_archive(const std::string& path) {
    const auto file = os::open_file(path, O_RDONLY | O_NONBLOCK);
    struct stat info{};
    if (!file || ::fstat(file->get(), &info) < 0 || !S_ISREG(info.st_mode))
        return false;
    char start[archive::kRecogniseBytes];
    const auto got = ::pread(file->get(), start, sizeof start, 0);
    return got > 0 && archive::recognise({start, static_cast<std::size_t>(got)}) != archive::Kind::plain;
}

// A version that a requirement can be held against; the built-in rootfs' "1-2f6c" is version 1.
std::optional<Version> version_of(const std::string& text) {
    if (auto version = Version::parse(text))
        return *std::move(version);
    return std::nullopt;
}

} // namespace

Result<std::optional<catalog::LayerManifest>> read_manifest(const std::string& text, const std::string& whose) {
    if (text.empty())
        return std::optional<catalog::LayerManifest>();
    auto manifest = catalog::parse_manifest(text);
    if (manifest)
        return std::optional<catalog::LayerManifest>(*std::move(manifest));
    auto lines = render(whose, manifest.error());
    while (lines.ends_with('\n'))
        lines.pop_back();
    return fail(ErrorKind::invalid, lines);
}

struct Provider::Work {
    Squishfile file;
    Machine machine;
    ProvideOptions options;
    OnLayerProgress told;
    catalog::ResolveInput input;
    std::map<std::string, ProvidedLayer> given; // by name: what the squishfile itself brings
    std::vector<Offer> offers;                  // Candidate::handle - 1
    bool asking = false;                        // sources may be asked
    std::set<std::string> asked;                // "name requirement"
    std::vector<Error> problems;                // of sources that could not be asked
};

Provider::Provider(const asio::any_io_executor& executor, Store& store, LayerSettings settings,
                   std::string fetch_program, Importer::Connect connect)
    : executor_(executor), store_(store), settings_(std::move(settings)),
      importer_(executor, store, std::move(fetch_program), std::move(connect)) {}

// A layer by path or URL, or the built-in rootfs: there is one, and nothing else will do.
Task<void> Provider::look_at_given(Work& work, const LayerSpec& layer) {
    ProvidedLayer out;
    out.name = layer.name;
    out.read_write = layer.read_write;
    out.rootfs = layer.rootfs;
    out.target = layer.rootfs ? "/" : layer.target.value_or("");
    out.why.push_back(place(layer));
    std::optional<StoredLayer> stored;
    if (layer.source == LayerSpec::Source::version) {
        out.origin = ProvidedLayer::Origin::built_in;
        out.asked = layer.version;
        out.version = work.machine.base_version;
        out.path = work.machine.base_rootfs;
    } else if (layer.source == LayerSpec::Source::path) {
        out.asked = out.path = layer.path;
        const bool folder = is_folder(layer.path);
        out.origin = folder ? ProvidedLayer::Origin::folder : ProvidedLayer::Origin::file;
        if (out.digest = store_.digest_of(layer.path); !out.digest.empty()) { // of a bundle, which it keeps in use
            out.origin = ProvidedLayer::Origin::archive;
            if (layer.read_write)
                co_return fail(ErrorKind::invalid, place(layer) + ": what an archive holds cannot be mounted rw",
                               "give an absolute path of the host for what is to be written");
        }
        if (folder) {
            CO_TRY_TO(out.manifest, manifest_of_folder(layer.path));
        } else if (layer.unpack && may_be_archive(layer.path)) {
            auto imported = co_await importer_.import_file(layer.path, work.told, layer.name);
            if (!imported)
                co_return std::unexpected(std::move(imported).error().within(place(layer)));
            stored = *std::move(imported);
            if (stored)
                out.origin = ProvidedLayer::Origin::archive;
        }
        if (!layer.sha256.empty()) {
            if (folder)
                co_return fail(ErrorKind::invalid, place(layer) + ": a folder has no sha256", "leave sha256 out");
            std::string digest;
            if (stored)
                digest = stored->digest;
            if (!stored) {
                CO_TRY_TO(digest, co_await importer_.digest_of(layer.path));
            }
            if (digest != layer.sha256)
                co_return fail(ErrorKind::invalid,
                               place(layer) + ": the sha256 of '" + layer.path + "' is " + digest + ", not " +
                                   layer.sha256,
                               "the file changed, or is not what was meant");
        }
    } else {
        out.origin = ProvidedLayer::Origin::url;
        out.asked = shown_url(layer.url);
        Download what;
        what.urls.push_back(layer.url);
        what.sha256 = layer.sha256.empty() && !work.options.refresh ? store_.url_digest(layer.url) : layer.sha256;
        if (layer.sha256.empty() && !store_.find(what.sha256))
            what.sha256.clear(); // it was removed since: any content will do again
        auto got = co_await importer_.download(std::move(what), work.told, layer.name);
        if (!got)
            co_return std::unexpected(std::move(got).error().within(place(layer)));
        stored = *std::move(got);
    }
    if (stored) {
        if (layer.read_write)
            co_return fail(ErrorKind::invalid,
                           place(layer) + ": an archive cannot be mounted rw: what is unpacked is shared",
                           "unpack it into a folder of yours, and give that folder's path");
        out.digest = stored->digest;
        out.path = store_.tree_path(*stored);
        out.has_bin = stored->has_bin;
        out.notes = stored->notes;
        out.closed = stored->closed;
        CO_TRY_TO(out.manifest, read_manifest(stored->layer_toml, place(layer) + ": .squish/layer.toml"));
    }
    Known known;
    known.given = true;
    known.given_sha256 = stored ? out.digest : std::string();
    if (out.manifest) {
        known.given_requires = out.manifest->requires_;
        known.given_version = out.manifest->version;
        if (out.version.empty() && out.manifest->version)
            out.version = out.manifest->version->text();
    } else if (out.origin == ProvidedLayer::Origin::built_in) {
        known.given_version = version_of(out.version.substr(0, out.version.find('-')));
    }
    work.input.known[layer.name] = std::move(known);
    work.given[layer.name] = std::move(out);
    co_return Result<void>{};
}

// Versions that are here already.
void Provider::offer_stored(Work& work, const std::string& name) {
    auto& known = work.input.known[name];
    for (const auto& ref : store_.refs_of(name)) {
        const auto layer = store_.find(ref.digest);
        const auto version = Version::parse(ref.version);
        if (!layer || !version)
            continue;
        Candidate candidate{
            .version = *version, .sha256 = ref.digest, .source = ref.source, .requires_ = {}, .handle = 0};
        if (const auto manifest = read_manifest(layer->layer_toml, name))
            candidate.requires_ = *manifest ? (*manifest)->requires_ : catalog::Requires{};
        else
            continue; // verify names it; it must not hide the others
        const auto same = std::ranges::find(known.candidates, ref.digest, &Candidate::sha256);
        if (same == known.candidates.end())
            known.candidates.push_back(std::move(candidate));
        else
            same->requires_ = std::move(candidate.requires_);
    }
}

// Adds what the mirrors or sources have of `name`. A source that cannot be asked is a problem only where nothing else
// will do.
Task<void> Provider::ask_sources(Work& work, std::string name, Requirement requirement) {
    if (!work.asked.insert(name + " " + requirement.text()).second)
        co_return Result<void>{};
    const auto locked = work.input.lock.layers.find(name);
    if (work.options.lock_mode != catalog::LockMode::none && locked != work.input.lock.layers.end() &&
        locked->second.version && name == "alpine") {
        CO_TRY_TO(requirement, Requirement::parse(locked->second.version->text()));
    }
    auto request = wire::to_request(name == "alpine" ? "alpine.find" : "source.find");
    request["requirement"] = requirement.text();
    request["arch"] = work.machine.arch;
    request["cache"] = store_.documents();
    if (name == "alpine") {
        request["mirrors"] = settings_.alpine_mirrors;
    } else {
        request["layer"] = name;
        auto& sources = request["sources"] = Json::array();
        for (const auto& source : settings_.sources) {
            Json one = Json::object();
            one["name"] = source.name;
            one["url"] = source.url;
            if (!source.key.empty())
                one["key"] = source.key;
            sources.push_back(std::move(one));
        }
        if (settings_.sources.empty()) {
            work.problems.push_back(Error{ErrorKind::not_found, "no layer source is configured for '" + name + "'",
                                          "name one in squishd.toml ([[layers.sources]]), or 'squish layer import' it",
                                          0});
            co_return Result<void>{};
        }
    }
    if (work.told) {
        LayerProgress progress;
        progress.layer = name;
        progress.stage = LayerProgress::Stage::finding;
        work.told(progress);
    }
    const auto answer = co_await importer_.look_up(std::move(request));
    auto& known = work.input.known[name];
    if (name == "alpine") // its mirrors answer a requirement, and have no list
        known.answers.push_back(requirement);
    if (!answer) {
        work.problems.push_back(answer.error());
        co_return Result<void>{};
    }
    const auto candidates = answer->find("candidates");
    if (candidates == answer->end() || !candidates->is_array())
        co_return fail(ErrorKind::unavailable, "malformed answer of squish-fetch");
    if (const auto others = answer->find("others"); others != answer->end() && others->is_array())
        for (const auto& other : *others)
            if (auto version = Version::parse(other.is_string() ? other.get<std::string>() : std::string()))
                known.others.push_back(*std::move(version));
    for (const auto& one : *candidates) {
        CO_TRY_TO(const auto version_text, wire::get_string(one, "version"));
        CO_TRY_TO(auto version, Version::parse(version_text));
        Offer offer;
        offer.source = text_of(one, "source");
        if (const auto urls = one.find("urls"); urls != one.end() && urls->is_array())
            for (const auto& url : *urls)
                if (url.is_string())
                    offer.download.urls.push_back(url.get<std::string>());
        offer.download.size = one.value("size", std::uint64_t{0});
        offer.download.sha256 = text_of(one, "sha256");
        offer.download.sha512 = text_of(one, "sha512");
        if (offer.download.urls.empty() || !is_digest(offer.download.sha256))
            co_return fail(ErrorKind::unavailable, "malformed answer of squish-fetch");
        Candidate candidate{.version = std::move(version),
                            .sha256 = offer.download.sha256,
                            .source = offer.source,
                            .requires_ = {},
                            .handle = work.offers.size() + 1};
        if (name == "alpine") {
            candidate.requires_ = catalog::Requires{};
        } else if (const auto requires_ = one.find("requires"); requires_ != one.end() && requires_->is_object()) {
            catalog::Requires all;
            for (const auto& [other, text] : requires_->items())
                if (text.is_string()) {
                    CO_TRY_TO(auto wanted, Requirement::parse(text.get<std::string>()));
                    all.emplace(other, std::move(wanted));
                }
            candidate.requires_ = std::move(all);
        }
        work.offers.push_back(std::move(offer));
        const auto same = std::ranges::find(known.candidates, candidate.sha256, &Candidate::sha256);
        if (same == known.candidates.end())
            known.candidates.push_back(std::move(candidate));
        else
            same->handle = candidate.handle;
    }
    co_return Result<void>{};
}

// Downloads, all at the same time, what was chosen and is not stored. What a layer requires is known better afterwards.
Task<void> Provider::fetch_all(Work& work, const catalog::Resolution& resolution, bool everything) {
    struct One {
        std::string name, version;
        const Offer* offer = nullptr;
        Result<StoredLayer> result = StoredLayer{};
    };
    auto all = std::make_shared<std::vector<One>>();
    for (const auto& layer : resolution.layers)
        if (layer.candidate && layer.candidate->handle != 0 && !store_.find(layer.candidate->sha256) &&
            (everything || !layer.candidate->requires_))
            all->push_back({layer.name, layer.candidate->version.text(), &work.offers[layer.candidate->handle - 1]});
    auto left = std::make_shared<std::size_t>(all->size());
    auto done = std::make_shared<Latch>(executor_);
    if (all->empty())
        co_return Result<void>{};
    for (auto& one : *all)
        asio::co_spawn(
            executor_,
            [this, all, left, done, told = work.told, &one]() -> asio::awaitable<void> {
                one.result = co_await importer_.download(one.offer->download, told, one.name + "@" + one.version);
                if (--*left == 0)
                    done->open();
            },
            asio::detached);
    co_await done->wait();
    for (auto& one : *all) {
        if (!one.result)
            co_return std::unexpected(std::move(one.result).error().within("layer '" + one.name + "' " + one.version));
        CO_TRY_TO(const auto manifest,
                  read_manifest(one.result->layer_toml, one.name + "@" + one.version + ": .squish/layer.toml"));
        LayerRef ref{.name = one.name,
                     .version = one.version,
                     .digest = one.result->digest,
                     .source = one.offer->source,
                     .added_at = one.result->added_at};
        CO_TRY(store_.set_ref(ref));
        for (auto& candidate : work.input.known[one.name].candidates)
            if (candidate.sha256 == one.result->digest)
                candidate.requires_ = manifest ? manifest->requires_ : catalog::Requires{};
    }
    co_return Result<void>{};
}

Task<std::vector<ProvidedLayer>> Provider::provide(Squishfile file, Machine machine, ProvideOptions options,
                                                   OnLayerProgress on_progress) {
    Work work;
    work.file = std::move(file);
    work.machine = std::move(machine);
    work.options = std::move(options);
    work.told = std::move(on_progress);
    work.asking = work.options.refresh;
    work.input.arch = work.machine.arch;
    work.input.lock = work.options.lock;
    work.input.lock_mode = work.options.lock_mode;
    for (const auto& layer : work.file.layers) {
        const bool built_in = layer.source == LayerSpec::Source::version && layer.name == "base";
        std::string requirement = "*";
        if (layer.source != LayerSpec::Source::version || built_in)
            CO_TRY(co_await look_at_given(work, layer));
        if (layer.source == LayerSpec::Source::version && layer.version != work.machine.base_version)
            requirement = layer.version;
        auto parsed = Requirement::parse(requirement);
        if (!parsed)
            co_return std::unexpected(std::move(parsed).error().within(place(layer)));
        catalog::Wish wish{.name = layer.name, .requirement = *std::move(parsed), .asked_by = place(layer)};
        work.input.wishes.push_back(std::move(wish));
        if (layer.source == LayerSpec::Source::version && !built_in)
            offer_stored(work, layer.name);
    }
    constexpr int kMostRounds = 64; // each brings a layer or a list; a squishfile has at most 128 layers
    for (int round = 0; round < kMostRounds; ++round) {
        if (work.asking) // all that are wished for; what they require follows
            for (const auto& wish : work.input.wishes)
                if (!work.given.contains(wish.name))
                    CO_TRY(co_await ask_sources(work, wish.name, wish.requirement));
        auto resolved = catalog::resolve(work.input);
        if (!resolved) {
            const bool hopeless = resolved.error().kind == ErrorKind::denied && work.asking;
            if (!work.asking && !hopeless) {
                work.asking = true; // what is stored does not do
                continue;
            }
            auto error = std::move(resolved).error();
            for (const auto& problem : work.problems)
                error.message += "; " + problem.text();
            if (error.remedy.empty() && !work.problems.empty())
                error.kind = work.problems.front().kind;
            co_return std::unexpected(std::move(error));
        }
        if (auto* unknown = std::get_if<catalog::Unknown>(&*resolved)) {
            for (const auto& [name, requirement] : unknown->names) {
                if (!work.input.known.contains(name))
                    offer_stored(work, name);
                if (name == "base" && !work.given.contains(name)) {
                    LayerSpec built_in;
                    built_in.name = "base";
                    built_in.source = LayerSpec::Source::version;
                    built_in.rootfs = true;
                    CO_TRY(co_await look_at_given(work, built_in));
                    continue;
                }
                if (work.asking || work.input.known[name].candidates.empty()) {
                    work.asking = true;
                    CO_TRY(co_await ask_sources(work, name, requirement));
                }
            }
            if (!unknown->requires_of.empty()) {
                catalog::Resolution those;
                for (const auto& [name, version] : unknown->requires_of)
                    for (const auto& candidate : work.input.known[name].candidates)
                        if (candidate.version == version) {
                            catalog::ResolvedLayer one;
                            one.name = name;
                            one.candidate = candidate;
                            those.layers.push_back(std::move(one));
                        }
                CO_TRY(co_await fetch_all(work, those, false));
            }
            continue;
        }
        const auto& resolution = std::get<catalog::Resolution>(*resolved);
        if (work.options.download) {
            const auto missing = std::ranges::any_of(resolution.layers, [&](const auto& layer) {
                return layer.candidate && !store_.find(layer.candidate->sha256);
            });
            if (missing) {
                CO_TRY(co_await fetch_all(work, resolution, true));
                continue; // what they say of themselves may ask for more
            }
        }
        co_return co_await finish(work, resolution);
    }
    co_return fail(ErrorKind::conflict, "the layers require ever more layers", "see 'squish validate --resolve'");
}

Task<std::vector<ProvidedLayer>> Provider::finish(Work& work, const catalog::Resolution& resolution) {
    std::vector<ProvidedLayer> out;
    bool has_rootfs = std::ranges::any_of(work.file.layers, &LayerSpec::rootfs);
    for (const auto& layer : resolution.layers) {
        if (const auto given = work.given.find(layer.name); given != work.given.end()) {
            given->second.why = layer.why;
            out.push_back(std::move(given->second));
            continue;
        }
        ProvidedLayer one;
        one.name = layer.name;
        one.origin = ProvidedLayer::Origin::version;
        one.why = layer.why;
        one.version = layer.candidate->version.text();
        one.digest = layer.candidate->sha256;
        one.source = layer.candidate->source;
        const auto spec = std::ranges::find(work.file.layers, layer.name, &LayerSpec::name);
        if (spec != work.file.layers.end()) {
            one.asked = spec->version;
            one.rootfs = spec->rootfs;
            one.target = mount_target(*spec).value_or("/sdk/" + layer.name);
            if (spec->read_write)
                co_return fail(ErrorKind::invalid, place(*spec) + ": a layer by version cannot be mounted rw");
        } else {
            one.rootfs = layer.name == "alpine" && !has_rootfs;
            one.target = one.rootfs ? "/" : "/sdk/" + layer.name;
            if (layer.name == "alpine" && has_rootfs)
                co_return fail(ErrorKind::conflict,
                               "alpine is required (" + join(layer.why, "; ") +
                                   "), and the squishfile has another rootfs",
                               "name alpine in [layers], and no other rootfs");
            has_rootfs |= one.rootfs;
        }
        if (const auto stored = store_.find(one.digest)) {
            one.path = store_.tree_path(*stored);
            one.has_bin = stored->has_bin && !one.rootfs;
            one.notes = stored->notes;
            one.closed = stored->closed;
            CO_TRY_TO(one.manifest, read_manifest(stored->layer_toml, one.name + "@" + one.version));
            if (stored->kind == StoredLayer::Kind::file && one.rootfs)
                co_return fail(ErrorKind::invalid, "layer '" + one.name + "' is a file and no rootfs");
        }
        out.push_back(std::move(one));
    }
    co_return out;
}

Task<ProvidedLayer> Provider::pull(std::string name, std::string requirement, Machine machine,
                                   OnLayerProgress on_progress) {
    Squishfile file;
    LayerSpec layer;
    layer.name = name;
    layer.source = LayerSpec::Source::version;
    layer.version = std::move(requirement);
    layer.rootfs = name == "alpine";
    file.layers.push_back(std::move(layer));
    ProvideOptions options;
    options.refresh = true;
    auto provided = co_await provide(std::move(file), std::move(machine), std::move(options), std::move(on_progress));
    if (!provided)
        co_return std::unexpected(std::move(provided).error());
    co_return std::move(provided->front());
}

} // namespace squish

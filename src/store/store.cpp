#include "store/store.h"

#include "base/text.h"
#include "os/file.h"

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace squish {

namespace fs = std::filesystem;
using Json = nlohmann::json;

namespace {

constexpr int kFormat = 1;
constexpr std::size_t kMaxRecordBytes = 4 << 20; // a layer.json with its layer.toml
constexpr std::size_t kMaxSeen = 4096;

Json parse(const std::string& text) {
    return Json::parse(text, nullptr, false);
}

std::string text_of(const Json& body, const char* member) {
    const auto found = body.find(member);
    return found != body.end() && found->is_string() ? found->get<std::string>() : std::string();
}
std::uint64_t number_of(const Json& body, const char* member) {
    const auto found = body.find(member);
    return found != body.end() && found->is_number_integer() && *found >= 0 ? found->get<std::uint64_t>() : 0;
}

std::string to_text(const StoredLayer& layer) {
    return Json{{"format", kFormat},
                {"digest", layer.digest},
                {"kind", layer.kind == StoredLayer::Kind::file ? "file" : "tree"},
                {"tree_digest", layer.tree_digest},
                {"bytes", layer.bytes},
                {"entries", layer.entries},
                {"closed", layer.closed},
                {"origin", layer.origin},
                {"added_at", layer.added_at},
                {"layer_toml", layer.layer_toml},
                {"has_bin", layer.has_bin},
                {"notes", layer.notes}}
               .dump(2, ' ', false, Json::error_handler_t::replace) +
           "\n";
}

std::optional<StoredLayer> layer_of(const Json& body) {
    if (!body.is_object() || number_of(body, "format") != kFormat)
        return std::nullopt;
    StoredLayer layer;
    layer.digest = text_of(body, "digest");
    layer.kind = text_of(body, "kind") == "file" ? StoredLayer::Kind::file : StoredLayer::Kind::tree;
    layer.tree_digest = text_of(body, "tree_digest");
    layer.bytes = number_of(body, "bytes");
    layer.entries = number_of(body, "entries");
    layer.closed = number_of(body, "closed");
    layer.origin = text_of(body, "origin");
    layer.added_at = static_cast<std::int64_t>(number_of(body, "added_at"));
    layer.layer_toml = text_of(body, "layer_toml");
    layer.has_bin = body.value("has_bin", Json(false)) == true;
    if (const auto notes = body.find("notes"); notes != body.end() && notes->is_object())
        for (const auto& [name, count] : notes->items())
            if (count.is_number_unsigned())
                layer.notes[name] = count.get<std::uint64_t>();
    return layer;
}

// What may be a file name of ours: names and versions come from squishfiles and indexes.
Result<void> check_component(const std::string& text, const char* what) {
    if (text.empty() || text.size() > 200 || text.front() == '.' || text.find('/') != std::string::npos ||
        text.find('\0') != std::string::npos)
        return fail(ErrorKind::invalid, std::string(what) + " '" + printable(text) + "' cannot be used");
    return {};
}

std::string identity(const struct stat& info) {
    const auto time = [](const timespec& at) { return std::to_string(at.tv_sec) + "." + std::to_string(at.tv_nsec); };
    return std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino) + ":" + std::to_string(info.st_size) + ":" +
           time(info.st_mtim) + ":" + time(info.st_ctim);
}

Result<void> sync_folder(const std::string& path) {
    const auto folder = TRY(os::open_file(path, O_RDONLY | O_DIRECTORY));
    if (::fsync(folder.get()) < 0)
        return fail_errno("write '" + path + "' to disk");
    return {};
}

// Downloads that broke off are taken up again, but not for ever.
void remove_old_parts(const std::string& folder) {
    constexpr auto kKept = std::chrono::hours(24);
    std::error_code error;
    const auto now = fs::file_time_type::clock::now();
    for (auto entry = fs::directory_iterator(folder, error); !error && entry != fs::directory_iterator();
         entry.increment(error)) {
        std::error_code ignored;
        if (now - entry->last_write_time(ignored) > kKept && !ignored)
            fs::remove(entry->path(), ignored);
    }
}

Result<Store::Staging> open_staging(const std::string& path, std::string name) {
    Store::Staging staging;
    staging.name = std::move(name);
    staging.folder = TRY(os::open_file(path, O_RDONLY | O_DIRECTORY));
    staging.lock = TRY(os::open_at(staging.folder.get(), ".", O_RDONLY | O_DIRECTORY));
    if (::flock(staging.lock.get(), LOCK_EX | LOCK_NB) < 0)
        return fail_errno("lock '" + path + "'");
    return staging;
}

} // namespace

Result<Store> Store::open(const std::string& folder) {
    Store store(folder);
    for (const char* name : {"layers", "refs", "staging", "downloads", "documents", "locks", "urls"})
        TRY(os::make_dirs(folder + "/" + name));
    remove_old_parts(store.downloads());
    // Others must not look into what belongs to root in a container but is ours here.
    if (::chmod(folder.c_str(), 0700) < 0)
        return fail_errno("chmod '" + folder + "'");
    if (const auto text = os::read_file(folder + "/seen.json")) {
        const auto known = parse(*text);
        if (known.is_object())
            for (const auto& [key, value] : known.items())
                if (value.is_object() && is_digest(text_of(value, "digest")))
                    store.seen_[key] = {text_of(value, "digest"), value.value("plain", Json(false)) == true};
    }
    return store;
}

std::string Store::tree_path(const StoredLayer& layer) const {
    const auto tree = folder_ + "/layers/" + layer.digest + "/tree";
    return layer.kind == StoredLayer::Kind::file ? tree + "/" + kContent : tree;
}

std::string Store::digest_of(const std::string& path) const {
    const auto layers = folder_ + "/layers/";
    if (!path.starts_with(layers))
        return {};
    auto digest = path.substr(layers.size(), 64);
    return is_digest(digest) ? digest : std::string();
}

std::optional<StoredLayer> Store::load(const std::string& digest) const {
    const auto text = os::read_file(folder_ + "/layers/" + digest + "/layer.json", kMaxRecordBytes);
    if (!text)
        return std::nullopt;
    auto layer = layer_of(parse(*text));
    if (layer && layer->digest != digest)
        return std::nullopt;
    return layer;
}

std::optional<StoredLayer> Store::find(const std::string& digest) {
    if (!is_digest(digest))
        return std::nullopt;
    const auto known = cache_.find(digest);
    if (known != cache_.end()) {
        if (::access((folder_ + "/layers/" + digest).c_str(), F_OK) == 0)
            return known->second;
        cache_.erase(known); // another process removed it
        return std::nullopt;
    }
    auto layer = load(digest);
    if (layer)
        cache_[digest] = *layer;
    return layer;
}

std::vector<StoredLayer> Store::list() {
    std::vector<StoredLayer> layers;
    std::error_code error;
    for (auto entry = fs::directory_iterator(folder_ + "/layers", error); !error && entry != fs::directory_iterator();
         entry.increment(error))
        if (auto layer = find(entry->path().filename().string()))
            layers.push_back(*std::move(layer));
    std::ranges::sort(layers, {}, &StoredLayer::added_at);
    return layers;
}

Result<Store::Staging> Store::stage() {
    const auto name = random_hex(8);
    const auto path = folder_ + "/staging/" + name;
    if (::mkdir(path.c_str(), 0700) < 0)
        return fail_errno("make '" + path + "'");
    auto staging = TRY(open_staging(path, name));
    if (::mkdirat(staging.folder.get(), "tree", 0755) < 0)
        return fail_errno("make '" + path + "/tree'");
    staging.tree = TRY(os::open_at(staging.folder.get(), "tree", O_RDONLY | O_DIRECTORY));
    return staging;
}

Result<void> Store::commit(Staging& staging, const StoredLayer& layer) {
    if (!is_digest(layer.digest))
        return fail(ErrorKind::invalid, "'" + printable(layer.digest) + "' is no sha256");
    TRY(os::write_atomically(staging.folder.get(), "layer.json", to_text(layer)));
    // Before it gets its name, so that a power cut leaves no half layer; the tree is on disk already.
    const auto record = TRY(os::open_at(staging.folder.get(), "layer.json", O_RDONLY));
    if (::fsync(record.get()) < 0 || ::fsync(staging.folder.get()) < 0)
        return fail_errno("write the layer to disk");
    const auto from = folder_ + "/staging/" + staging.name, to = folder_ + "/layers/" + layer.digest;
    if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) < 0) {
        if (errno == EEXIST && find(layer.digest))
            return {}; // somebody else was faster
        return fail_errno("rename '" + from + "' to '" + to + "'");
    }
    staging.name.clear();
    staging.lock.reset();
    cache_[layer.digest] = layer;
    return sync_folder(folder_ + "/layers");
}

Result<Store::Staging> Store::take_out(const std::string& digest) {
    if (!find(digest))
        return fail(ErrorKind::not_found, "no layer '" + printable(digest) + "'");
    for (const auto& ref : refs())
        if (ref.digest == digest)
            TRY(remove_ref(ref.name, ref.version));
    const auto name = random_hex(8);
    const auto from = folder_ + "/layers/" + digest, to = folder_ + "/staging/" + name;
    if (::rename(from.c_str(), to.c_str()) < 0)
        return fail_errno("rename '" + from + "'");
    cache_.erase(digest);
    return open_staging(to, name);
}

void Store::discard(Staging staging) {
    if (staging.name.empty())
        return;
    (void) os::remove_tree(folder_ + "/staging/" + staging.name);
}

std::vector<Store::Staging> Store::abandoned() {
    std::vector<Staging> found;
    std::error_code error;
    for (auto entry = fs::directory_iterator(folder_ + "/staging", error); !error && entry != fs::directory_iterator();
         entry.increment(error))
        if (auto staging = open_staging(entry->path(), entry->path().filename()))
            found.push_back(*std::move(staging));
    return found;
}

UniqueFd Store::staging_folder() const {
    auto folder = os::open_file(folder_ + "/staging", O_RDONLY | O_DIRECTORY);
    return folder ? *std::move(folder) : UniqueFd();
}

Result<UniqueFd> Store::open_tree(const std::string& digest) const {
    return os::open_file(folder_ + "/layers/" + digest + "/tree", O_RDONLY | O_DIRECTORY);
}

Result<UniqueFd> Store::open_manifest(const std::string& digest) const {
    return os::open_file(folder_ + "/layers/" + digest + "/manifest", O_RDONLY);
}

Result<UniqueFd> Store::try_lock(const std::string& key) const {
    TRY(check_component(key, "the key"));
    auto lock = TRY(os::open_file(folder_ + "/locks/" + key, O_RDWR | O_CREAT, 0600));
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return UniqueFd();
        return fail_errno("lock '" + key + "'");
    }
    return lock;
}

std::vector<LayerRef> Store::refs() const {
    std::vector<LayerRef> all;
    std::error_code error;
    for (auto entry = fs::directory_iterator(folder_ + "/refs", error); !error && entry != fs::directory_iterator();
         entry.increment(error))
        for (auto& ref : refs_of(entry->path().filename()))
            all.push_back(std::move(ref));
    std::ranges::sort(all, [](const LayerRef& a, const LayerRef& b) {
        return std::tie(a.name, a.version) < std::tie(b.name, b.version);
    });
    return all;
}

std::vector<LayerRef> Store::refs_of(const std::string& name) const {
    std::vector<LayerRef> found;
    if (!check_component(name, "the name"))
        return found;
    std::error_code error;
    for (auto entry = fs::directory_iterator(folder_ + "/refs/" + name, error);
         !error && entry != fs::directory_iterator(); entry.increment(error)) {
        const auto version = entry->path().filename().string();
        if (version.starts_with("."))
            continue; // being written
        const auto text = os::read_file(entry->path());
        const auto body = text ? parse(*text) : Json();
        if (!body.is_object() || !is_digest(text_of(body, "digest")))
            continue;
        found.push_back({.name = name,
                         .version = version,
                         .digest = text_of(body, "digest"),
                         .source = text_of(body, "source"),
                         .added_at = static_cast<std::int64_t>(number_of(body, "added_at"))});
    }
    return found;
}

Result<void> Store::set_ref(const LayerRef& ref) {
    TRY(check_component(ref.name, "the layer name"));
    TRY(check_component(ref.version, "the version"));
    const auto path = folder_ + "/refs/" + ref.name;
    TRY(os::make_dirs(path));
    const auto folder = TRY(os::open_file(path, O_RDONLY | O_DIRECTORY));
    const Json body{{"digest", ref.digest}, {"source", ref.source}, {"added_at", ref.added_at}};
    TRY(os::write_atomically(folder.get(), ref.version, body.dump(-1, ' ', false, Json::error_handler_t::replace)));
    return sync_folder(path);
}

Result<void> Store::remove_ref(const std::string& name, const std::string& version) {
    TRY(check_component(name, "the layer name"));
    TRY(check_component(version, "the version"));
    const auto folder = folder_ + "/refs/" + name;
    if (::unlink((folder + "/" + version).c_str()) < 0 && errno != ENOENT)
        return fail_errno("remove '" + name + "@" + version + "'");
    ::rmdir(folder.c_str()); // where it was the last
    return {};
}

std::string Store::url_digest(const std::string& url) const {
    const auto text = os::read_file(folder_ + "/urls/" + text_digest(url));
    return text && is_digest(trim(*text)) ? std::string(trim(*text)) : std::string();
}

Result<void> Store::remember_url(const std::string& url, const std::string& digest) {
    const auto folder = TRY(os::open_file(folder_ + "/urls", O_RDONLY | O_DIRECTORY));
    return os::write_atomically(folder.get(), text_digest(url), digest + "\n");
}

std::optional<Store::Seen> Store::seen(int file) const {
    struct stat info{};
    if (::fstat(file, &info) < 0)
        return std::nullopt;
    const auto known = seen_.find(identity(info));
    if (known == seen_.end())
        return std::nullopt;
    return known->second;
}

void Store::remember_seen(int file, const Seen& seen) {
    struct stat info{};
    if (::fstat(file, &info) < 0)
        return;
    // A file that changed just now may change again within the same tick of its time stamps.
    const auto now =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch());
    if (now.count() - info.st_ctim.tv_sec < 2)
        return;
    if (seen_.size() >= kMaxSeen)
        seen_.clear();
    seen_[identity(info)] = seen;
    Json body = Json::object();
    for (const auto& [key, one] : seen_)
        body[key] = {{"digest", one.digest}, {"plain", one.plain}};
    if (const auto folder = os::open_file(folder_, O_RDONLY | O_DIRECTORY))
        (void) os::write_atomically(folder->get(), "seen.json", body.dump()); // it is a cache
}

} // namespace squish

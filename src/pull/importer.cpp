#include "pull/importer.h"

#include "async/latch.h"
#include "base/text.h"
#include "base/url.h"
#include "catalog/source_index.h"
#include "os/file.h"
#include "pull/fetch_job.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <unistd.h>

namespace squish {

using wire::Json;

namespace {

constexpr std::chrono::hours kLongest{24};
constexpr std::size_t kMaxLayerToml = 64 * 1024;
constexpr std::size_t kAttemptsWhereKilled = 3;      // a worker or a downloader that was killed is started again
constexpr std::chrono::milliseconds kLockPause{100}; // between looks at a pull of another process

std::int64_t now() {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
}

std::uint64_t count_of(const Json& body, const char* member) {
    const auto found = body.find(member);
    return found != body.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

std::string text_of(const Json& body, const char* member) {
    const auto found = body.find(member);
    return found != body.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// What the tree says of itself. No link in it is followed; a file that is not for us to read says nothing.
Result<std::string> read_layer_toml(int tree) {
    auto file = os::open_beneath(tree, ".squish/layer.toml", O_RDONLY | O_NONBLOCK,
                                 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
    if (!file) {
        if (file.error().sys_errno == ENOENT || file.error().sys_errno == ENOTDIR)
            return std::string();
        return std::unexpected(std::move(file).error().within("the layer's .squish/layer.toml"));
    }
    struct stat info{};
    if (::fstat(file->get(), &info) < 0 || !S_ISREG(info.st_mode))
        return fail(ErrorKind::invalid, "the layer's .squish/layer.toml is not a regular file");
    return os::read_all(file->get(), kMaxLayerToml);
}

bool has_folder(int tree, const char* name) {
    struct stat info{};
    return ::fstatat(tree, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode);
}

// What runs beside its maker, which waits for it before it goes.
template <class T> struct Side {
    explicit Side(const asio::any_io_executor& executor) : done(executor) {}
    Latch done;
    Result<T> result = T();
};

Json request(const char* op) {
    return wire::to_request(op);
}

// One after the other reports bytes or entries; a slow one must not hide behind a fast one.
HelperClient::OnProgress unpack_progress(OnLayerProgress told, std::string label) {
    if (!told)
        return {};
    return [told = std::move(told), label = std::move(label)](const Json& progress) {
        LayerProgress now;
        now.layer = label;
        now.stage = LayerProgress::Stage::unpacking;
        now.bytes = count_of(progress, "written");
        now.entries = count_of(progress, "entries");
        told(now);
    };
}

HelperClient::OnProgress download_progress(OnLayerProgress told, std::string label) {
    if (!told)
        return {};
    return [told = std::move(told), label = std::move(label)](const Json& progress) {
        LayerProgress now;
        now.layer = label;
        now.stage = LayerProgress::Stage::downloading;
        now.bytes = count_of(progress, "received");
        now.total = count_of(progress, "total");
        now.speed = count_of(progress, "speed");
        told(now);
    };
}

} // namespace

// A download that others wait for, too.
struct Importer::Under_way {
    explicit Under_way(const asio::any_io_executor& executor) : done(executor) {}
    Latch done;
    std::vector<OnLayerProgress> told;
    Result<StoredLayer> result = fail(ErrorKind::unavailable, "the download was given up", "try again");
};

Importer::Importer(asio::any_io_executor executor, Store& store, std::string fetch_program, Connect connect)
    : executor_(std::move(executor)), store_(store), fetch_program_(std::move(fetch_program)),
      connect_(std::move(connect)) {}

Task<Json> Importer::look_up(Json request) {
    CO_TRY_TO(const auto job, FetchJob::start(executor_, fetch_program_));
    CO_TRY_TO(auto answer, co_await job->ask(std::move(request)));
    co_return std::move(answer.body);
}

Task<Json> Importer::work(Json request, std::vector<int> fds, HelperClient::OnProgress on_progress) {
    CO_TRY_TO(auto socket, co_await connect_());
    HelperClient worker(executor_, "squish-layers", std::move(socket), [] {});
    CO_TRY_TO(auto answer, co_await worker.ask(std::move(request), std::move(fds), kLongest, std::move(on_progress)));
    co_return std::move(answer.body);
}

Task<std::string> Importer::digest_of(std::string path) {
    CO_TRY_TO(const auto file, os::open_file(path, O_RDONLY | O_NONBLOCK));
    std::vector<int> fds;
    fds.push_back(file.get());
    auto order = request("hash");
    CO_TRY_TO(const auto answer, co_await work(std::move(order), std::move(fds)));
    co_return wire::get_string(answer, "sha256");
}

Task<void> Importer::remove(Store::Staging staging) {
    // Whoever wrote to it, for a squishd that was killed, may be about to end; a worker may be killed.
    constexpr int kAttempts = 6;
    constexpr std::chrono::milliseconds kPause{100}; // the first; 3 s in all
    const auto folder = store_.staging_folder();
    for (int attempt = 1;; ++attempt) {
        auto order = request("remove");
        order["name"] = staging.name;
        std::vector<int> fds;
        fds.push_back(folder.get());
        auto removed = co_await work(std::move(order), std::move(fds));
        if (removed)
            break;
        if (attempt == kAttempts)
            co_return std::unexpected(std::move(removed).error());
        asio::steady_timer pause(executor_, kPause * (1 << (attempt - 1)));
        co_await pause.async_wait(kAwait);
    }
    store_.discard(std::move(staging));
    co_return Result<void>{};
}

Task<StoredLayer> Importer::unpack(UniqueFd input, Vouch vouch, std::string origin, OnLayerProgress on_progress,
                                   std::string label) {
    const bool from_folder = !vouch;
    CO_TRY_TO(auto staging, store_.stage());
    CO_TRY_TO(const auto manifest, os::open_at(staging.folder.get(), "manifest", O_RDWR | O_CREAT | O_EXCL, 0600));
    auto order = request(from_folder ? "import" : "unpack");
    if (!from_folder) {
        order["plain_name"] = Store::kContent;
        order["input_digest"] = true;
    }
    order["sync"] = true; // on disk before it gets its name
    std::vector<int> fds;
    fds.push_back(input.get());
    fds.push_back(staging.tree.get());
    fds.push_back(manifest.get());
    const auto finished = co_await work(std::move(order), std::move(fds), unpack_progress(on_progress, label));
    input.reset(); // who still writes learns that nobody reads
    Result<std::string> vouched = std::string();
    if (vouch) {
        auto asked = vouch();
        vouched = co_await std::move(asked);
    }
    const auto committed = [&]() -> Result<StoredLayer> {
        // Who vouches knows better why an archive broke off, unless it was the unpacker who gave up first.
        if (!vouched && (finished || vouched.error().sys_errno != EPIPE))
            return std::unexpected(vouched.error());
        const auto& answer = TRY(finished);
        TRY(vouched);
        StoredLayer layer;
        layer.digest = TRY(wire::get_string(answer, from_folder ? "tree_digest" : "input_sha256"));
        if (!from_folder && layer.digest != *vouched)
            return fail(ErrorKind::invalid, "'" + printable(origin) + "' changed while it was read", "try again");
        layer.kind = text_of(answer, "kind") == "file" ? StoredLayer::Kind::file : StoredLayer::Kind::tree;
        layer.tree_digest = text_of(answer, "tree_digest");
        layer.bytes = count_of(answer, "bytes");
        layer.entries = count_of(answer, "entries");
        layer.closed = count_of(answer, "closed");
        layer.origin = origin;
        layer.added_at = now();
        if (layer.kind == StoredLayer::Kind::tree) {
            layer.layer_toml = TRY(read_layer_toml(staging.tree.get()));
            layer.has_bin = has_folder(staging.tree.get(), "bin");
        }
        if (const auto skipped = answer.find("tamed"); skipped != answer.end() && skipped->is_object())
            for (const auto& [name, count] : skipped->items())
                if (count.is_number_unsigned() && count != 0U)
                    layer.notes[name] = count.get<std::uint64_t>();
        TRY(store_.commit(staging, layer));
        return layer;
    }();
    if (!staging.name.empty()) // not committed, or there before
        asio::co_spawn(
            executor_,
            [this, left = std::move(staging)]() mutable -> asio::awaitable<void> {
                (void) co_await remove(std::move(left)); // where that fails, the next start does it
            },
            asio::detached);
    co_return committed;
}

Task<std::optional<StoredLayer>> Importer::import_file(std::string path, OnLayerProgress on_progress,
                                                       std::string label) {
    for (std::size_t attempt = 1;; ++attempt) {
        auto imported = co_await import_file_once(path, on_progress, label);
        if (imported || imported.error().sys_errno != kPeerGone || attempt == kAttemptsWhereKilled)
            co_return imported;
    }
}

Task<std::optional<StoredLayer>> Importer::import_file_once(std::string path, OnLayerProgress on_progress,
                                                            std::string label) {
    CO_TRY_TO(const auto file, os::open_file(path, O_RDONLY | O_NONBLOCK));
    if (const auto seen = store_.seen(file.get())) {
        if (seen->plain)
            co_return std::optional<StoredLayer>();
        if (auto layer = store_.find(seen->digest))
            co_return layer;
    }
    CO_TRY_TO(auto input, os::open_file(path, O_RDONLY | O_NONBLOCK));
    // Hashed by another process, beside the one that unpacks it.
    auto hashed = std::make_shared<Side<std::string>>(executor_);
    asio::co_spawn(
        executor_,
        [this, hashed, path]() -> asio::awaitable<void> {
            hashed->result = co_await digest_of(path);
            hashed->done.open();
        },
        asio::detached);
    Vouch vouch = [hashed]() -> Task<std::string> {
        co_await hashed->done.wait();
        co_return hashed->result;
    };
    auto unpacked = co_await unpack(std::move(input), std::move(vouch), path, std::move(on_progress), std::move(label));
    if (!unpacked)
        co_return std::unexpected(std::move(unpacked).error().within("'" + printable(path) + "'"));
    auto layer = *std::move(unpacked);
    const bool plain = layer.kind == StoredLayer::Kind::file;
    Store::Seen seen;
    seen.digest = layer.digest;
    seen.plain = plain;
    store_.remember_seen(file.get(), seen);
    if (!plain)
        co_return std::optional<StoredLayer>(std::move(layer));
    // The user's own file serves as it is: no second copy of it.
    if (auto staging = store_.take_out(layer.digest))
        (void) co_await remove(*std::move(staging));
    co_return std::optional<StoredLayer>();
}

// A folder has no archive to be named after: its manifest says what it is.
Task<StoredLayer> Importer::import_folder(std::string path, OnLayerProgress on_progress, std::string label) {
    CO_TRY_TO(auto folder, os::open_file(path, O_RDONLY | O_DIRECTORY));
    Vouch none;
    auto layer = co_await unpack(std::move(folder), std::move(none), path, std::move(on_progress), std::move(label));
    if (!layer)
        co_return std::unexpected(std::move(layer).error().within("'" + printable(path) + "'"));
    co_return layer;
}

Task<StoredLayer> Importer::download(Download what, OnLayerProgress on_progress, std::string label) {
    if (auto stored = store_.find(what.sha256))
        co_return *std::move(stored);
    const auto url = what.sha256.empty() ? what.urls.front() : std::string();
    const auto key = url.empty() ? "sha256-" + what.sha256 : "url-" + text_digest(url);
    auto& slot = under_way_[key];
    if (slot) {
        const auto other = slot;
        other->told.push_back(std::move(on_progress));
        co_await other->done.wait();
        co_return other->result;
    }
    const auto mine = slot = std::make_shared<Under_way>(executor_);
    mine->told.push_back(std::move(on_progress));
    OnLayerProgress tell_all = [mine](const LayerProgress& progress) {
        for (const auto& told : mine->told)
            if (told)
                told(progress);
    };
    mine->result = co_await download_locked(std::move(what), key, std::move(tell_all), std::move(label));
    if (mine->result && !url.empty())
        if (auto kept = store_.remember_url(url, mine->result->digest); !kept)
            mine->result = std::unexpected(std::move(kept).error());
    under_way_.erase(key);
    mine->done.open();
    co_return mine->result;
}

// One download of a thing over all processes that share the store.
Task<StoredLayer> Importer::download_locked(Download what, std::string key, OnLayerProgress on_progress,
                                            std::string label) {
    UniqueFd lock;
    for (;;) {
        CO_TRY_TO(lock, store_.try_lock(key));
        if (lock)
            break;
        asio::steady_timer pause(executor_, kLockPause);
        co_await pause.async_wait(kAwait);
    }
    if (auto stored = store_.find(what.sha256)) // by whom we waited for
        co_return *std::move(stored);
    // squish-fetch gives a mirror up after a few times, and comes to an end by itself: this is for one that does not.
    constexpr std::size_t kAttemptsPerMirror = 12;
    std::size_t killed = 0;
    for (std::size_t attempt = 1;; ++attempt) {
        auto layer = co_await download_once(what, key, on_progress, label);
        if (layer)
            co_return layer;
        const bool gone = layer.error().sys_errno == kPeerGone && ++killed < kAttemptsWhereKilled;
        const bool anew = layer.error().kind == ErrorKind::conflict && attempt < kAttemptsPerMirror * what.urls.size();
        if (!gone && !anew)
            co_return layer;
    }
}

// Unpacks while it downloads. `conflict`: what came is to be forgotten, and the next attempt goes on elsewhere.
Task<StoredLayer> Importer::download_once(Download what, std::string key, OnLayerProgress on_progress,
                                          std::string label) {
    CO_TRY_TO(const auto job, FetchJob::start(executor_, fetch_program_));
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0)
        co_return fail_errno("pipe");
    UniqueFd reader(ends[0]), writer(ends[1]);
    (void) ::fcntl(writer.get(), F_SETPIPE_SZ, 1 << 20); // fewer switches; the kernel may refuse
    auto order = request("download");
    order["urls"] = what.urls;
    if (what.size != 0)
        order["size"] = what.size;
    if (!what.sha256.empty())
        order["sha256"] = what.sha256;
    if (!what.sha512.empty())
        order["sha512"] = what.sha512;
    const auto part = store_.downloads() + "/" + key;
    order["part"] = part;
    order["max_bytes"] = catalog::kMaxArchiveBytes;

    auto fetched = std::make_shared<Side<wire::JsonMessage>>(executor_);
    asio::co_spawn(
        executor_,
        [fetched, order = std::move(order), to = std::move(writer), raw = job.get(),
         told = download_progress(on_progress, label)]() mutable -> asio::awaitable<void> {
            std::vector<int> fds;
            fds.push_back(to.get());
            auto answering = raw->ask(std::move(order), std::move(fds), std::move(told));
            fetched->result = co_await std::move(answering);
            to.reset(); // the last but the job's own, which has ended
            fetched->done.open();
        },
        asio::detached);
    // Only its answer says that what came through the pipe is right.
    Vouch vouch = [fetched]() -> Task<std::string> {
        co_await fetched->done.wait();
        if (!fetched->result)
            co_return std::unexpected(fetched->result.error());
        if (fetched->result->body.value("restart", Json(false)) == true)
            co_return fail(ErrorKind::conflict, "the download had to begin anew");
        co_return wire::get_string(fetched->result->body, "sha256");
    };
    auto layer = co_await unpack(std::move(reader), std::move(vouch), shown_url(what.urls.front()), on_progress, label);
    co_await fetched->done.wait();
    if (layer)
        ::unlink(part.c_str()); // what it held is unpacked
    if (layer && on_progress) {
        LayerProgress done;
        done.layer = label;
        done.stage = LayerProgress::Stage::done;
        on_progress(done);
    }
    co_return layer;
}

} // namespace squish

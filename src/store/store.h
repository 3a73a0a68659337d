// The layer store: every layer once, under the digest of what it was made from.
//
//   FOLDER/layers/DIGEST/{tree,manifest,layer.json}   a layer; complete, or not there
//   FOLDER/refs/NAME/VERSION                          a name and version → DIGEST (JSON)
//   FOLDER/staging/RANDOM/                            what is being unpacked or removed; locked by its owner
//   FOLDER/downloads/, FOLDER/documents/              what squish-fetch keeps between its runs
//   FOLDER/urls/                                      URLs that came without a digest → DIGEST
//   FOLDER/seen.json                                  archives of the user's, recognised again by their stat(2)
//
// How a layer gets in: a staging folder, everything written and synced there, one rename(2). A power cut or SIGKILL at
// any moment leaves the old state or the new; what was staged is removed by whoever opens the store next (a staging
// folder is locked with flock(2) for as long as its owner lives).
//
// Several processes may use one store. Threads: none. Files in `tree` may belong to any id of the user's namespace:
// only the layer worker (squish-layers) can write and remove them; here are names and records.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace squish {

struct StoredLayer {
    enum class Kind { tree, file }; // file: one file that was no archive, tree/content
    std::string digest;             // of the archive or file that it was made from: 64 hexadecimal digits
    Kind kind = Kind::tree;
    std::string tree_digest; // of the manifest: what was unpacked
    std::uint64_t bytes = 0; // unpacked
    std::uint64_t entries = 0;
    std::uint64_t closed = 0;                   // of these: files and folders that not everybody may read
    std::string origin;                         // URL or path, for people
    std::int64_t added_at = 0;                  // microseconds since the epoch
    std::string layer_toml;                     // .squish/layer.toml of the tree, as it is; empty where there is none
    bool has_bin = false;                       // a folder /bin at its root
    std::map<std::string, std::uint64_t> notes; // what unpacking left out or changed, by name: "devices" → 3
};

// What a name and version stand for.
struct LayerRef {
    std::string name, version, digest;
    std::string source; // the layer source or mirror it came from; empty: imported
    std::int64_t added_at = 0;
};

class Store {
public:
    static constexpr const char* kContent = "content"; // the file of a Kind::file layer

    // A folder being filled. Removed by the next open() where it is neither committed nor discarded.
    struct Staging {
        std::string name;
        UniqueFd folder, tree;
        UniqueFd lock;
    };

    // Makes what is missing.
    [[nodiscard]] static Result<Store> open(const std::string& folder);

    [[nodiscard]] const std::string& folder() const { return folder_; }
    [[nodiscard]] std::string tree_path(const StoredLayer& layer) const; // what is mounted: tree/ or tree/content
    // The layer that a path lies in; empty where it lies elsewhere.
    [[nodiscard]] std::string digest_of(const std::string& path) const;
    [[nodiscard]] std::string downloads() const { return folder_ + "/downloads"; }
    [[nodiscard]] std::string documents() const { return folder_ + "/documents"; }

    [[nodiscard]] std::optional<StoredLayer> find(const std::string& digest);
    [[nodiscard]] std::vector<StoredLayer> list();
    [[nodiscard]] std::vector<LayerRef> refs() const; // sorted by name, then as stored
    [[nodiscard]] std::vector<LayerRef> refs_of(const std::string& name) const;
    // Replaces what NAME@VERSION stood for.
    [[nodiscard]] Result<void> set_ref(const LayerRef& ref);
    [[nodiscard]] Result<void> remove_ref(const std::string& name, const std::string& version);

    [[nodiscard]] Result<Staging> stage();
    // The tree and its manifest are on disk (the worker has synced them). Syncs the rest and renames. Where the layer
    // is there already, what was staged is of no use: `staging` stays as it is.
    [[nodiscard]] Result<void> commit(Staging& staging, const StoredLayer& layer);
    // Takes the layer out of the store, refs included, into a staging folder of that name: to be removed by the worker.
    [[nodiscard]] Result<Staging> take_out(const std::string& digest);
    // The staging folder's own part, after the worker emptied it.
    void discard(Staging staging);
    // Folders in staging/ that nobody holds, e.g. after a power cut; each is locked now.
    [[nodiscard]] std::vector<Staging> abandoned();
    [[nodiscard]] UniqueFd staging_folder() const; // O_PATH

    [[nodiscard]] Result<UniqueFd> open_tree(const std::string& digest) const;     // tree/, O_RDONLY
    [[nodiscard]] Result<UniqueFd> open_manifest(const std::string& digest) const; // O_RDONLY

    // One pull of a thing at a time, over all processes; empty where somebody else is at it.
    [[nodiscard]] Result<UniqueFd> try_lock(const std::string& key) const;

    // The digest of a file that was read before and has not changed since: device, inode, size, mtime and ctime.
    struct Seen {
        std::string digest;
        bool plain = false; // no archive
    };
    [[nodiscard]] std::optional<Seen> seen(int file) const;
    void remember_seen(int file, const Seen& seen);

    // What a URL without a digest gave when it was downloaded.
    [[nodiscard]] std::string url_digest(const std::string& url) const; // empty: never
    [[nodiscard]] Result<void> remember_url(const std::string& url, const std::string& digest);

private:
    explicit Store(std::string folder) : folder_(std::move(folder)) {}
    [[nodiscard]] std::optional<StoredLayer> load(const std::string& digest) const;

    std::string folder_;
    std::map<std::string, StoredLayer> cache_; // layers never change
    std::map<std::string, Seen> seen_;
};

// sha256 of a text, in hexadecimal: a file name for what cannot be one.
[[nodiscard]] std::string text_digest(std::string_view text);

[[nodiscard]] bool is_digest(std::string_view text); // 64 lower-case hexadecimal digits

} // namespace squish

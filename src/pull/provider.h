// Finds, downloads, unpacks and shares the layers that squishfiles name.
//
// How this works
//   What is stored and satisfies a squishfile is taken, without asking anybody: a start takes milliseconds. Where that
//   does not do, all sources are asked at once, the newest versions that satisfy everybody are chosen
//   (catalog/resolver.h), downloaded in parallel, and the choice is looked at again with what the downloaded layers
//   themselves require.
//
// Ownership: borrows the store. One event loop, no threads; calls may interleave.
#pragma once

#include "catalog/lock.h"
#include "catalog/manifest.h"
#include "catalog/resolver.h"
#include "pull/importer.h"
#include "pull/settings.h"
#include "squishfile/squishfile.h"

namespace squish {

// A layer as a container gets it.
struct ProvidedLayer {
    enum class Origin { built_in, folder, file, archive, url, version };
    std::string name;
    Origin origin = Origin::folder;
    std::string asked;   // "~3.11", a path, a URL
    std::string version; // empty where there is none
    std::string digest;  // of what is stored; empty for the user's own files and folders
    std::string source;  // where a version comes from
    std::string path;    // what is mounted, on the host; empty where it is not stored yet
    std::string target;  // where; "/" for the rootfs
    bool read_write = false;
    bool rootfs = false;
    bool has_bin = false;                       // a folder bin/ that belongs into PATH
    std::vector<std::string> why;               // who asks for it
    std::map<std::string, std::uint64_t> notes; // what unpacking left out
    std::uint64_t closed = 0;                   // its files and folders that not everybody may read
    std::optional<catalog::LayerManifest> manifest;
};
[[nodiscard]] constexpr const char* to_string(ProvidedLayer::Origin origin) {
    constexpr const char* kNames[] = {"built-in", "folder", "file",
                                      "archive",  "url",    "version"}; // in the order of Origin
    return kNames[static_cast<std::size_t>(origin)];
}

struct ProvideOptions {
    catalog::Lock lock;
    catalog::LockMode lock_mode = catalog::LockMode::none;
    bool download = true; // false: only what must be known is looked up
    bool refresh = false; // ask the sources although something stored would do
};

class Provider {
public:
    struct Machine {
        std::string arch;         // uname(2)
        std::string base_rootfs;  // the built-in rootfs, and its version
        std::string base_version; // "1-2f6c0a9b1c3d"
    };
    Provider(const asio::any_io_executor& executor, Store& store, LayerSettings settings, std::string fetch_program,
             Importer::Connect connect);

    // The layers of the file and what they require, each with where it lies and where it is mounted.
    [[nodiscard]] Task<std::vector<ProvidedLayer>> provide(Squishfile file, Machine machine, ProvideOptions options,
                                                           OnLayerProgress on_progress);

    // Asks the sources and gets the newest version that is allowed, stored or not.
    [[nodiscard]] Task<ProvidedLayer> pull(std::string name, std::string requirement, Machine machine,
                                           OnLayerProgress on_progress);
    struct ImportRequest {
        std::string path, url, sha256; // either a path or a URL
        std::string name, version;     // empty: from the layer's own manifest; without both it has only its digest
        bool bundle = false;           // a squishfile with what belongs to it: it gets no name
    };
    struct Imported {
        StoredLayer layer;
        std::string name, version;
        std::string tree; // where it lies
    };
    [[nodiscard]] Task<Imported> import(ImportRequest request, OnLayerProgress on_progress);

    struct Verified {
        std::string digest;
        std::vector<std::string> findings; // empty: as it was unpacked
        std::uint64_t files = 0, bytes = 0;
    };
    [[nodiscard]] Task<Verified> verify(std::string digest, OnLayerProgress on_progress);
    // Out of the store and off the disk.
    [[nodiscard]] Task<void> remove(std::string digest);
    // What SIGKILL or a power cut left in the staging folder.
    [[nodiscard]] Task<void> clean_up();

    // "NAME@VERSION", "NAME", a digest or a prefix of one of at least 6 digits → digests it may mean.
    [[nodiscard]] Result<std::string> find(std::string_view reference);

private:
    struct Offer {
        std::string source;
        Download download;
    };
    struct Work; // one call of provide()

    [[nodiscard]] Task<void> look_at_given(Work& work, const LayerSpec& layer);
    [[nodiscard]] Task<void> ask_sources(Work& work, std::string name, catalog::Requirement requirement);
    [[nodiscard]] Task<void> fetch_all(Work& work, const catalog::Resolution& resolution, bool everything);
    void offer_stored(Work& work, const std::string& name);
    [[nodiscard]] Task<std::vector<ProvidedLayer>> finish(Work& work, const catalog::Resolution& resolution);

    asio::any_io_executor executor_;
    Store& store_;
    LayerSettings settings_;
    Importer importer_;
};

// The manifest of a stored layer or of a user's folder; errors name the file, line and key.
[[nodiscard]] Result<std::optional<catalog::LayerManifest>> read_manifest(const std::string& text,
                                                                          const std::string& whose);

} // namespace squish

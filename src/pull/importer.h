// Brings one archive into the store: from a file of the user's, or from servers while it is being downloaded.
//
// How this works
//   An archive is read once: its digest, the unpacked tree and the manifest come out of one pass of the layer worker
//   (squish-layers), in a staging folder that becomes the layer by one rename. Two who want the same wait for one.
#pragma once

#include "async/helper_client.h"
#include "pull/progress.h"
#include "store/store.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace squish {

// What is to be downloaded. At least one URL; what is known of the content is checked.
struct Download {
    std::vector<std::string> urls;
    std::uint64_t size = 0; // 0: not known
    std::string sha256, sha512;
};

class Importer {
public:
    // Connects to the layer worker: every piece of work has a connection of its own, so that it ends with it.
    using Connect = std::function<Task<UniqueFd>()>;
    Importer(asio::any_io_executor executor, Store& store, std::string fetch_program, Connect connect);

    // The file's layer; none where it is no archive.
    [[nodiscard]] Task<std::optional<StoredLayer>> import_file(std::string path, OnLayerProgress on_progress,
                                                               std::string label);
    [[nodiscard]] Task<StoredLayer> import_folder(std::string path, OnLayerProgress on_progress, std::string label);
    [[nodiscard]] Task<StoredLayer> download(Download what, OnLayerProgress on_progress, std::string label);

    // One question to squish-fetch.
    [[nodiscard]] Task<wire::Json> look_up(wire::Json request);
    // One request to the layer worker.
    [[nodiscard]] Task<wire::Json> work(wire::Json request, std::vector<int> fds,
                                        HelperClient::OnProgress on_progress = {});
    // sha256 of a file of the user's.
    [[nodiscard]] Task<std::string> digest_of(std::string path);
    [[nodiscard]] Task<void> remove(Store::Staging staging);

private:
    struct Under_way;
    // What others than the unpacker say the archive's digest is, asked before anything becomes a layer: whoever parses
    // an archive from anywhere may be in its hands. None: a folder, which is not parsed.
    using Vouch = std::function<Task<std::string>()>;
    [[nodiscard]] Task<StoredLayer> unpack(UniqueFd input, Vouch vouch, std::string origin, OnLayerProgress on_progress,
                                           std::string label);
    [[nodiscard]] Task<StoredLayer> download_once(Download what, std::string key, OnLayerProgress on_progress,
                                                  std::string label);
    [[nodiscard]] Task<std::optional<StoredLayer>> import_file_once(std::string path, OnLayerProgress on_progress,
                                                                    std::string label);
    [[nodiscard]] Task<StoredLayer> download_locked(Download what, std::string key, OnLayerProgress on_progress,
                                                    std::string label);

    asio::any_io_executor executor_;
    Store& store_;
    std::string fetch_program_;
    Connect connect_;
    std::map<std::string, std::shared_ptr<Under_way>> under_way_;
};

} // namespace squish

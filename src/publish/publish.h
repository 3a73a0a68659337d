// Puts an archive into a layer source: a folder that any web server can serve (docs/layer-sources.md).
#pragma once

#include "catalog/minisign.h"
#include "catalog/source_index.h"

namespace squish::publish {

struct Publication {
    std::string source; // the folder of the source; made where it is missing
    std::string name;
    catalog::Version version = catalog::Version::of({});
    catalog::Requires requires_;           // what the layer's manifest says
    std::string arch;                      // or "any"
    std::string suffix;                    // of the archive's name: ".tar.zst"
    int archive = -1;                      // the finished archive, readable, borrowed
    std::uint64_t size = 0;                // of it
    std::string sha256;                    // of it
    std::optional<catalog::SecretKey> key; // signs the index
    // What happens to a version that is there with other contents: somebody may have locked it.
    enum class Existing { refuse, replace } existing = Existing::refuse;
};

struct Published {
    std::string archive; // the path of the archive in the source
    std::string index;   // and of the index
};

// Copies the archive, then changes the index: those who read the source meanwhile find the old state or the new (but
// for a signature, which is a file of its own: readers that meet one without the other ask again). Two at once wait for
// each other. Errors: conflict (the version is there with other contents, or the index is signed and no key is given),
// invalid (the index that is there is none), system.
[[nodiscard]] Result<Published> publish(const Publication& publication);

} // namespace squish::publish

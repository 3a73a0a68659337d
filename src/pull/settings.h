// Where layers come from (squishd.toml, [layers]).
#pragma once

#include <string>
#include <vector>

namespace squish {

struct LayerSource {
    std::string name; // for people; the URL where it is not given
    std::string url;
    std::string key; // minisign public key; empty: indexes are taken unsigned
};

struct LayerSettings {
    std::vector<std::string> alpine_mirrors{"https://dl-cdn.alpinelinux.org/alpine",
                                            "https://mirrors.edge.kernel.org/alpine",
                                            "https://ftp.halifax.rwth-aachen.de/alpine"};
    std::vector<LayerSource> sources;
};

} // namespace squish

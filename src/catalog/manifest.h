// A layer's own manifest, .squish/layer.toml at its root: what it is, what it needs, how it is started.
//
//   name = "python"
//   version = "3.11.2"
//   [requires]                     # layer = which versions will do; resolved and mounted too
//   alpine = ">=3.18"
//   [env]                          # @ROOT@ stands for where the layer is mounted
//   PYTHONHOME = "@ROOT@"
//   [run]                          # the default command, for squishfiles without [run]
//   command = "bin/python3"        # below the layer's root
//   args = ["-u"]
//   entry = ["main.py", "app.py"]  # the first of these that the app layer has is appended
#pragma once

#include "catalog/source_index.h"
#include "squishfile/squishfile.h"

namespace squish::catalog {

inline constexpr std::string_view kManifestPath = ".squish/layer.toml";
inline constexpr std::size_t kMaxManifestBytes = 64 * 1024;
inline constexpr std::size_t kMaxManifestEnv = 256;
inline constexpr std::size_t kMaxManifestArgs = 256;

struct LayerCommand {
    std::string command; // relative to the layer's root, normalised: "bin/python3"
    std::vector<std::string> args;
    std::vector<std::string> entry; // relative to the app layer's root, normalised
    bool operator==(const LayerCommand&) const = default;
};

struct LayerManifest {
    std::optional<std::string> name;
    std::optional<Version> version;
    Requires requires_;
    std::vector<std::pair<std::string, std::string>> env; // in the order of the file
    std::optional<LayerCommand> run;
    bool operator==(const LayerManifest&) const = default;
};

// Either a manifest or every reason why it is none (never empty); render() of squishfile.h makes FILE:LINE:COLUMN
// lines. A manifest comes with an archive from anywhere: no path in it leads out of its layer.
[[nodiscard]] std::expected<LayerManifest, std::vector<Diagnostic>> parse_manifest(std::string_view toml);

} // namespace squish::catalog

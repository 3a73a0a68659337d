// What is known about the installed slirp4netns, and how drivers find and ask their programs.
#pragma once

#include "base/result.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace squish::uplink {

// The installed program's path: PATH, then the usual folders. unsupported, with the remedy, where there is none.
[[nodiscard]] Result<std::string> find_slirp4netns();

struct UplinkProbe {
    std::string path;                         // "/usr/bin/slirp4netns"
    std::string version;                      // "1.2.0"
    std::string libslirp;                     // "4.7.0", empty where it does not say
    std::vector<std::string> options;         // all it names in --help: "--configure", …
    std::vector<std::string> missing_options; // those that squish needs and it does not know
};

// Runs `slirp4netns --version` and `--help`, two seconds at most each.
[[nodiscard]] Result<UplinkProbe> probe_slirp4netns();

// A program of that name in PATH, or in the usual folders.
[[nodiscard]] std::optional<std::string> find_program(const std::string& name);
// Everything that `program argument` prints, stdout and stderr; it is ended after two seconds.
[[nodiscard]] Result<std::string> output_of(const std::string& program, const std::string& argument);

// The parts: pure.
struct Versions {
    std::string program, libslirp;
};
[[nodiscard]] Result<Versions> parse_version(std::string_view text);
[[nodiscard]] std::vector<std::string> parse_help(std::string_view text);
// Those among the options that squish uses which are not in `known`.
[[nodiscard]] std::vector<std::string> missing_among(const std::vector<std::string>& known);

} // namespace squish::uplink

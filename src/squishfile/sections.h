// One function for each table of the squishfile: from the tree to the plain data.
//
// Each reports what is wrong to the node's report and returns what it could make of the rest; the result counts
// only if nothing was reported.
#pragma once

#include "squishfile/node.h"
#include "squishfile/squishfile.h"

namespace squish::reader {

[[nodiscard]] Squishfile read_squishfile(const Node& root);

[[nodiscard]] std::vector<LayerSpec> read_layers(const Node& node);
[[nodiscard]] RunSpec read_run(const Node& node);
[[nodiscard]] std::vector<std::pair<std::string, std::string>> read_env(const Node& node);
[[nodiscard]] std::vector<PortSpec> read_ports(const Node& node);
[[nodiscard]] NetworkSpec read_network(const Node& node);
[[nodiscard]] ResourceSpec read_resources(const Node& node);
[[nodiscard]] SecuritySpec read_security(const Node& node);
[[nodiscard]] ProcfsSpec read_procfs(const Node& node);
[[nodiscard]] RestartSpec read_restart(const Node& node);
[[nodiscard]] HealthSpec read_health(const Node& node);

// A size as a string ("256M") or as an integer of bytes.
[[nodiscard]] std::optional<std::uint64_t> read_size(const Node& node);
// The same, and not 0.
[[nodiscard]] std::optional<std::uint64_t> read_memory(const Node& node);
[[nodiscard]] std::optional<double> read_cpus(const Node& node);
// "500ms", at least 1 ms.
[[nodiscard]] std::optional<std::chrono::milliseconds> read_duration(const Node& node);
// Whether a string is meant as a path: it starts with '/', './', '../' or '~/', or contains a '/'.
[[nodiscard]] bool looks_like_path(std::string_view text);
// A path on the host, as written; reports what can be none.
[[nodiscard]] std::optional<std::string> read_path(const Node& node);

} // namespace squish::reader

// squishd.toml: the daemon's configuration. Every key is optional, and so is the file.
//
//   log_limit = "16M"      # kept of each log stream of a container
//   spare_cells = 2        # containers built ahead
//   [uplink]
//   driver = "auto"        # "slirp4netns", "pasta"
//   mtu = 9000
//   ipv6 = "auto"          # true, false: IPv6 to the outside
//   [limits]
//   driver = "auto"        # "systemd", "direct", "none": who makes the containers' cgroups
//   cgroup = "/sys/fs/cgroup/squish"                             # of "direct" and "auto"; delegated to the user
//   [layers]
//   alpine_mirrors = ["https://dl-cdn.alpinelinux.org/alpine"]   # asked in this order
//   [[layers.sources]]     # where other layers come from; the first that has a name decides
//   name = "ours"
//   url = "https://layers.example.org"
//   key = "RWQ…"           # minisign: indexes must be signed with it
#pragma once

#include "engine/engine.h"

namespace squish::daemon {

// Errors name every line that is wrong: "squishd.toml:3:1: unknown key 'spare_cell'; did you mean 'spare_cells'?"
[[nodiscard]] Result<EngineConfig> parse_config(std::string_view text, std::string_view file_name);
// The defaults where there is no file.
[[nodiscard]] Result<EngineConfig> read_config(const std::string& file);

} // namespace squish::daemon

// What squishd asks of the stager, read and checked: pure functions of a message. Errors (`invalid`) name the member.
#pragma once

#include "base/result.h"
#include "network/network.h"
#include "wire/json_channel.h"

#include <cstdint>
#include <string>
#include <vector>

namespace squish::stager {

// {"rootfs", "mounts": [{"source", "target", "read_only"?, "nested"?, "label"?}], "folders": [path],
//  "files": [{"path", "content"}]}
struct StageRequest {
    struct Mount {
        std::string source, target;
        std::string label; // what errors call it
        bool read_only = false;
        bool nested = false; // the target lies inside another mount
    };
    struct File {
        std::string path, content;
    };
    std::string rootfs;
    std::vector<Mount> mounts;
    std::vector<std::string> folders;
    std::vector<File> files;
};
[[nodiscard]] Result<StageRequest> read_stage(const wire::Json& request);

// {"mounts": [{"source", "name", "label"?}]}: names of files, each of one component.
struct SdkMount {
    std::string source, name, label;
};
[[nodiscard]] Result<std::vector<SdkMount>> read_sdks(const wire::Json& request);

// {"mtu", "spares", "ipv6"?}
struct NetworkUp {
    std::uint32_t mtu = 0;
    std::size_t spares = 0;
    bool ipv6 = false;
};
[[nodiscard]] Result<NetworkUp> read_network_up(const wire::Json& request);

// "network": one of the named ones.
[[nodiscard]] Result<network::NetworkId> read_network(const wire::Json& request);
// "networks": ids of any, the default one (0) included.
[[nodiscard]] Result<std::vector<network::NetworkId>> read_networks(const wire::Json& request);
// "slot"; not_found where there can be none of that number.
[[nodiscard]] Result<std::uint32_t> read_slot(const wire::Json& request);
// "key": of a view (procshare/layout.h)
[[nodiscard]] Result<std::uint64_t> read_key(const wire::Json& request);
// "slots"
[[nodiscard]] Result<std::vector<std::uint32_t>> read_slots(const wire::Json& request);

} // namespace squish::stager

// Feeds arbitrary paths and numbers to the node ids of the FUSE tree: names are what a container looks up, and numbers
// are what the kernel kept from another version's server.
#include "procfsd/places.h"
#include "require.h"

#include <cstring>

using squish::test::require;
using namespace squish::procfsd;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto place = place_of(text))
        require(path_of(*place) == text, "a place leads back to its path", text);
    if (size >= sizeof(NodeId)) {
        NodeId node = 0;
        std::memcpy(&node, data, sizeof node);
        const auto place = place_of_node(node);
        require(node_id(key_of(node), place) == node, "an id is its key and its place");
        if (const auto path = path_of(place))
            require(place_of(*path) == place, "a path leads back to its place", *path);
    }
    auto rest = text;
    if (const auto number = take_number(rest, 999))
        require(*number <= 999 && text.starts_with(std::to_string(*number)), "a number is as it is written", text);
    return 0;
}

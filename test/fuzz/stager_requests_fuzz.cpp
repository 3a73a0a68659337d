// Feeds arbitrary messages to what the stager reads of squishd's requests, before it opens or mounts anything.
//
// What must hold: nothing is thrown; an error has a message; what is taken is within its limits; the name of a layer is
// one component of a path.
#include "require.h"
#include "stager/requests.h"

#include <cstddef>
#include <cstdint>

namespace {

using squish::test::require;

using namespace squish;

template <class Value> bool taken(const Result<Value>& value) {
    require(value || !value.error().message.empty(), "an error has a message");
    return value.has_value();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto message = wire::parse_message({reinterpret_cast<const char*>(data), size});
    if (!taken(message))
        return 0;
    if (const auto stage = stager::read_stage(*message); taken(stage)) {
        require(stage->mounts.size() <= size && stage->files.size() <= size, "nothing from nowhere");
    }
    if (const auto sdks = stager::read_sdks(*message); taken(sdks))
        for (const auto& mount : *sdks)
            require(!mount.name.empty() && mount.name != "." && mount.name != ".." && !mount.name.contains('/') &&
                        !mount.name.contains('\0'),
                    "a name is one component");
    if (const auto up = stager::read_network_up(*message); taken(up))
        require(up->mtu >= 576 && up->mtu <= 65520 && up->spares <= 64, "a network is within its limits");
    if (const auto network = stager::read_network(*message); taken(network))
        require(*network >= 1 && *network <= network::kNamedNetworks, "a named network has a number of one");
    if (const auto networks = stager::read_networks(*message); taken(networks))
        for (const auto one : *networks)
            require(one <= network::kNamedNetworks, "a network has a number of one");
    (void) taken(stager::read_slot(*message));
    (void) taken(stager::read_slots(*message));
    return 0;
}

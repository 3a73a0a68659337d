// The user's named networks: which there are, and the number that each has. Kept in the data folder, so that a network
// outlives squishd, its bridge (which is made again) and a reboot.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace squish {

inline constexpr const char* kDefaultNetworkName = "default";
inline constexpr std::uint32_t kMostNamedNetworks = 240; // network/address_plan.h

struct NamedNetwork {
    std::string name;
    std::uint32_t number = 0;    // 0: the default network, which is always there
    std::int64_t created_at = 0; // microseconds since 1970
};

class NamedNetworks {
public:
    // `folder` is the user's data folder. A file that cannot be read is an error: numbers must not be given twice.
    [[nodiscard]] static Result<NamedNetworks> open(std::string folder);

    // conflict: there is one of that name, or there are 240; invalid: a name that is none, or means something else.
    [[nodiscard]] Result<NamedNetwork> create(const std::string& name, std::int64_t now);
    // not_found where there is none; invalid for the default one.
    [[nodiscard]] Result<void> remove(const std::string& name);
    // not_found, and the remedy says how to make it.
    [[nodiscard]] Result<NamedNetwork> find(const std::string& name) const;
    // The default one first, then by name.
    [[nodiscard]] std::vector<NamedNetwork> list() const;

private:
    explicit NamedNetworks(std::string folder) : folder_(std::move(folder)) {}
    [[nodiscard]] Result<void> save() const;

    std::string folder_;
    std::map<std::string, NamedNetwork> networks_;
};

} // namespace squish

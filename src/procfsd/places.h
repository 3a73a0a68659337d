// Node ids of the FUSE tree: computed from a view's key and a path in it, and back, so that the server has no state
// that a kill could lose.
//
// How this works
//   A path is a pattern, such as "cpu/cpu#/cache/index#/size", and at most two numbers. An id is, from the left, 40
//   bits of the key, 10 bits of the pattern's place in the list, 10 bits of the first number and 4 bits of the second.
//   The kernel keeps ids beyond the end of a server, and the next one may be another version: patterns are only ever
//   added at the end of the list.
#pragma once

#include "procshare/layout.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace squish::procfsd {

using NodeId = std::uint64_t;
inline constexpr NodeId kRoot = 1; // FUSE_ROOT_ID: the folder of all views

// A path in a view: 24 bits. 0 is the view itself.
using Place = std::uint32_t;
inline constexpr int kPlaceBits = 24;

[[nodiscard]] std::span<const std::string_view> patterns();
// None where no pattern has this path. "" is the view itself.
[[nodiscard]] std::optional<Place> place_of(std::string_view path);
// None where it is no place; such an id never came from us.
[[nodiscard]] std::optional<std::string> path_of(Place place);
constexpr std::uint32_t pattern_of(Place place) {
    return place >> 14;
}

constexpr NodeId node_id(procshare::Key key, Place place) {
    return key << kPlaceBits | place;
}
constexpr procshare::Key key_of(NodeId node) {
    return node >> kPlaceBits;
}
constexpr Place place_of_node(NodeId node) {
    return static_cast<Place>(node & ((1U << kPlaceBits) - 1));
}
inline constexpr procshare::Key kMaxKey = (1ULL << (64 - kPlaceBits)) - 1;

// A whole number as it is written in a path: digits only, no zero in front. Takes it off `text`.
[[nodiscard]] std::optional<std::uint64_t> take_number(std::string_view& text, std::uint64_t most);

} // namespace squish::procfsd

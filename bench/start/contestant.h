// Who takes part: squish, the floor beneath it, and its peers, each with the way to start one container.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace squish::bench {

// Where everything is. All paths are absolute; the folders are the caller's own.
struct Place {
    std::string squish; // the program
    std::string floor;  // the program
    std::string rootfs; // holds `program`, /proc, /dev, /sys, /tmp, /etc
    std::string program = "/bin/true";
    std::string work;   // for bundles and squishfiles
    std::string before; // another squish, such as that of an earlier commit; empty: none
};

struct Contestant {
    std::string name;
    std::string what; // one line for people
    std::string version;
    // One start; nanoseconds. An error where it did not do what it should.
    std::function<Result<std::uint64_t>()> start;
};

// One whose steps the daemon itself takes the time of, by what it tells of a container.
struct Stepped {
    std::string name;
    std::string socket;  // of its daemon, which runs
    std::string request; // POST /v1/containers
};

struct Skipped {
    std::string name;
    std::string reason;
};

struct Field {
    std::vector<Contestant> contestants; // those that start a container successfully
    std::vector<Stepped> stepped;        // those of them that tell
    std::vector<Skipped> skipped;
};

// Names of contestants that others are compared with.
inline constexpr const char* kFloor = "floor";
inline constexpr const char* kSquish = "squish run";

// Prepares all whose name is in `wanted` (all where it is empty) and starts each once.
[[nodiscard]] Result<Field> make_field(const Place& place, const std::vector<std::string>& wanted);

} // namespace squish::bench

// What an archive may make us do. Each limit ends the work with an error that names the entry and the limit.
#pragma once

#include <cstddef>
#include <cstdint>

namespace squish::archive {

struct Limits {
    // Sum of all files as a reader sees them, holes included: who verifies or copies a tree reads those too.
    std::uint64_t total_bytes = 16ULL << 30;
    std::uint64_t file_bytes = 8ULL << 30;
    // Every header counts, also one that is skipped. Debian's whole python3 is 10,000, a big node_modules 200,000.
    std::uint64_t entries = 500'000;
    // Unpacked bytes for each byte read, above the floor. Text reaches 20:1, zeros 1,000:1 (deflate) to 30,000:1
    // (zstd).
    std::uint64_t ratio = 200;
    std::uint64_t ratio_floor = 64ULL << 20;
    std::uint64_t name_bytes = 128ULL << 20; // of all names and link targets: they are held in memory until the end
    std::size_t path_bytes = 4096;           // PATH_MAX: what the kernel resolves in one call
    std::size_t depth = 128;                 // folders; each holds a descriptor while a tree is walked
};

// What a layer may hold beside its bytes; beyond it the attribute is left out and counted.
inline constexpr std::size_t kMaxXattrBytes = 64 * 1024;
inline constexpr std::size_t kMaxXattrsPerEntry = 64;

} // namespace squish::archive

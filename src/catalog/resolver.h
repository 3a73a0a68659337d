// Which layers a container gets: the newest versions that satisfy everybody who asks for them.
//
// How this works: resolve() is pure and knows only what it is given. Where it meets a layer about which nothing is
// known, or a candidate whose requirements are not, it says so instead of an answer; the caller finds out and calls
// again with more. It tries the newest candidate of each layer first and goes back to older ones where that ends in a
// conflict. "Newest" does not depend on what is stored: the same squishfile must not mean different things on two
// machines. (Offline, the caller offers what is stored and nothing else.)
#pragma once

#include "catalog/lock.h"

#include <set>
#include <variant>

namespace squish::catalog {

// What the caller can get, under one name.
struct Candidate {
    Version version;
    std::string sha256;
    std::string source;                // where from, for people
    std::optional<Requires> requires_; // none: not known before it is unpacked
    std::size_t handle = 0;            // the caller's own; not looked at
};

// All that is known about one name.
struct Known {
    std::vector<Candidate> candidates; // in any order
    std::vector<Version> others;       // that exist and do not satisfy what was asked: told where nothing does
    // The requirements that `candidates` answers, where the provider answers requirements and has no list (Alpine);
    // empty: this is all there is. A further answer is added to both, and takes nothing away.
    std::vector<Requirement> answers;
    // The squishfile itself gives this layer (a path or a URL): one candidate at most, and nothing else will do.
    // A layer without a manifest has no version and satisfies only "*".
    bool given = false;
    Requires given_requires;              // where `given` and its manifest says so
    std::optional<Version> given_version; // likewise
    std::string given_sha256;             // of an archive; empty for a folder, which no lock can hold
};

// A layer that somebody asks for.
struct Wish {
    std::string name;
    Requirement requirement;
    std::string asked_by; // "web.toml:4:1", "--with debug=1"
};

struct ResolvedLayer {
    std::string name;
    std::optional<Candidate> candidate; // none for a given layer
    std::vector<std::string> why; // "'~3.11': web.toml:4:1", "'>=3.18': python 3.11.2, which web.toml:4:1 asks for"
};

struct Resolution {
    std::vector<ResolvedLayer> layers; // wishes in their order, then what they require, each behind the one that asked
};

// What must be known first. Ask for all of it, then call again.
struct Unknown {
    std::vector<std::pair<std::string, Requirement>> names;   // candidates for these; all requirements on each combined
    std::vector<std::pair<std::string, Version>> requires_of; // the manifest of these
};

enum class LockMode {
    none,     // the newest
    prefer,   // what the lock says, where it satisfies the requirements
    required, // only what the lock says
};

struct ResolveInput {
    std::vector<Wish> wishes;
    std::map<std::string, Known> known;
    std::string arch;
    Lock lock;
    LockMode lock_mode = LockMode::none;
};

// Errors: conflict (with the chain of who asks for what), not_found (nothing satisfies a requirement), conflict for a
// layer that requires itself through others, denied for what the lock does not allow.
[[nodiscard]] Result<std::variant<Resolution, Unknown>> resolve(const ResolveInput& input);

} // namespace squish::catalog

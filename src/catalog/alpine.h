// Alpine's releases, as its mirrors publish them.
//
// A mirror has one folder per branch (v3.20) and architecture with a list of the newest release in it:
//   MIRROR/v3.20/releases/x86_64/latest-releases.yaml
//   MIRROR/v3.20/releases/x86_64/alpine-minirootfs-3.20.3-x86_64.tar.gz, the same with .sha256 and .sha512 behind it
//   MIRROR/latest-stable/…                           another name for the newest branch
// Nothing lists the branches, and a mirror's folder listing is no format. How a requirement is looked up is therefore
// decided here, step by step (docs/layer-sources.md); everything is pure, the caller fetches.
#pragma once

#include "catalog/requirement.h"

#include <optional>
#include <string>
#include <vector>

namespace squish::catalog {

inline constexpr std::size_t kMaxReleasesBytes = 256 * 1024;
inline constexpr std::uint64_t kMaxRootfsBytes = 1ULL << 30; // a minirootfs has 3 MB

struct AlpineRelease {
    Version version;
    std::string branch;                // "v3.20"
    std::string file;                  // "alpine-minirootfs-3.20.3-x86_64.tar.gz"
    std::optional<std::uint64_t> size; // bytes; none for a release that was found by its digest files
    std::string sha256;
    std::string sha512; // may be empty: lists of old branches lack it

    // Below a mirror: "v3.20/releases/x86_64/FILE"
    [[nodiscard]] std::string path(std::string_view arch) const;
};

// Alpine's name for what uname(2) calls `machine`: "x86_64", "aarch64", "armv7" for armv7l, "x86" for i686.
[[nodiscard]] std::string alpine_arch(std::string_view machine);

// The mini root filesystem in a latest-releases.yaml; not_found where the list has none for `arch`. Everything that
// leads to a path or a check is validated; invalid says which entry and key is wrong.
[[nodiscard]] Result<AlpineRelease> parse_latest_releases(std::string_view yaml, std::string_view arch);

// Finds the newest release that a requirement allows. Ask for `next()` at the mirrors and give what came back to
// `answer()`, until there is no next:
//   - one branch ("3.20", "3.20.3", "~3.14"): its list; an older patch of it by its digest files
//   - else latest-stable; where that is not allowed, or no mirror has it, the branches one by one, downwards
class AlpineSearch {
public:
    AlpineSearch(Requirement requirement, std::string arch);

    // The path of the document to fetch, below a mirror; none when the search is over.
    [[nodiscard]] const std::optional<std::string>& next() const { return next_; }
    // What the mirrors have there; nullopt: nothing (404). Errors (invalid) when it is not what it should be: another
    // mirror may be asked, the search stays where it is.
    [[nodiscard]] Result<void> answer(std::optional<std::string_view> document);
    // The release, once there is no next; not_found says what was looked at.
    [[nodiscard]] Result<AlpineRelease> result() const;

private:
    enum class Step { latest_stable, branch, sha256, sha512, done };
    using Branch = Requirement::Branch;

    [[nodiscard]] Result<void> take_list(std::string_view yaml);
    void take_release(const AlpineRelease& release);
    void no_list();
    void walk_from(Branch top);
    void ask_branch(Branch branch);
    void older_patches(const AlpineRelease& newest);
    void next_patch();
    void next_branch();
    void finish();

    Requirement requirement_;
    std::string arch_;
    Step step_ = Step::done;
    std::optional<std::string> next_;
    bool walking_ = false;
    Branch branch_;                      // whose list or patch is being asked for
    std::vector<Version> patches_;       // still to try in this branch, newest last
    std::optional<AlpineRelease> patch_; // whose sha512 is being asked for
    std::optional<AlpineRelease> found_;
    std::optional<Version> newest_seen_;
    std::size_t asked_ = 0;
};

} // namespace squish::catalog

#include "catalog/alpine.h"

#include "base/text.h"
#include "catalog/digest.h"

#include <algorithm>

namespace squish::catalog {

namespace {

// Where neither latest-stable nor the requirement says which branch is the newest, the search starts this far above
// the newest one known when this was written: Alpine makes two branches a year.
constexpr Requirement::Branch kNewestKnown{3, 23};
constexpr std::uint32_t kBranchesAhead = 8;
constexpr Requirement::Branch kOldest{3, 0};
constexpr std::size_t kMaxQuestions = 64;
constexpr std::uint32_t kMaxPatches = 32; // no branch has had more than a dozen

Requirement::Branch branch_of(const Version& version) {
    return {version.numbers()[0], version.numbers()[1]};
}

std::string name_of(Requirement::Branch branch) {
    return "v" + std::to_string(branch.major) + "." + std::to_string(branch.minor);
}

std::string folder(std::string_view branch, std::string_view arch) {
    return std::string(branch) + "/releases/" + std::string(arch) + "/";
}

std::string rootfs_file(const Version& version, std::string_view arch) {
    return "alpine-minirootfs-" + version.text() + "-" + std::string(arch) + ".tar.gz";
}

} // namespace

std::string AlpineRelease::path(std::string_view arch) const {
    return folder(branch, arch) + file;
}

std::string alpine_arch(std::string_view machine) {
    if (machine == "i386" || machine == "i486" || machine == "i586" || machine == "i686")
        return "x86";
    if (machine == "armv7l" || machine == "armv8l")
        return "armv7";
    if (machine == "armv6l")
        return "armhf";
    return std::string(machine);
}

AlpineSearch::AlpineSearch(Requirement requirement, std::string arch)
    : requirement_(std::move(requirement)), arch_(std::move(arch)) {
    const auto most = requirement_.most_branch();
    if (most && *most < requirement_.least_branch()) {
        finish(); // nothing can satisfy it
    } else if (most && *most == requirement_.least_branch()) {
        ask_branch(*most);
    } else {
        step_ = Step::latest_stable;
        next_ = folder("latest-stable", arch_) + "latest-releases.yaml";
        ++asked_;
    }
}

void AlpineSearch::finish() {
    step_ = Step::done;
    next_.reset();
}

void AlpineSearch::ask_branch(Branch branch) {
    if (++asked_ > kMaxQuestions)
        return finish();
    branch_ = branch;
    step_ = Step::branch;
    next_ = folder(name_of(branch), arch_) + "latest-releases.yaml";
}

Result<void> AlpineSearch::answer(std::optional<std::string_view> document) {
    switch (step_) {
    case Step::latest_stable:
    case Step::branch:
        if (document)
            return take_list(*document);
        no_list();
        return {};
    case Step::sha256:
        if (!document) {
            next_patch();
            return {};
        }
        patch_->sha256 = TRY(parse_digest_file(*document, patch_->file, kSha256Digits));
        step_ = Step::sha512;
        next_ = patch_->path(arch_) + ".sha512";
        return {};
    case Step::sha512:
        if (document)
            patch_->sha512 = TRY(parse_digest_file(*document, patch_->file, kSha512Digits));
        found_ = patch_;
        finish();
        return {};
    case Step::done:
        return {};
    }
    std::unreachable();
}

Result<void> AlpineSearch::take_list(std::string_view yaml) {
    const auto release = parse_latest_releases(yaml, arch_);
    if (!release && release.error().kind == ErrorKind::not_found) {
        no_list();
        return {};
    }
    if (!release)
        return std::unexpected(release.error());
    // The list of one branch in the folder of another would let a mirror pass an old release off as a new one.
    if (step_ == Step::branch && branch_of(release->version) != branch_)
        return fail(ErrorKind::invalid, "the list of branch " + name_of(branch_) + " is about " + release->branch);
    take_release(*release);
    return {};
}

void AlpineSearch::take_release(const AlpineRelease& release) {
    if (!newest_seen_ || release.version > *newest_seen_)
        newest_seen_ = release.version;
    if (requirement_.allows(release.version)) {
        found_ = release;
        return finish();
    }
    const auto branch = branch_of(release.version);
    if (step_ == Step::branch)
        return older_patches(release);
    if (branch < requirement_.least_branch())
        return finish(); // the newest of all is too old
    walk_from(branch);
}

void AlpineSearch::no_list() {
    if (step_ == Step::latest_stable) {
        auto top = std::max(requirement_.least_branch(), kNewestKnown);
        top.minor += kBranchesAhead;
        return walk_from(top);
    }
    // A mirror may have the files of a branch without a list.
    if (const auto exact = requirement_.exact(); exact && branch_of(*exact) == branch_) {
        patches_.assign(1, *exact);
        return next_patch();
    }
    next_branch();
}

void AlpineSearch::walk_from(Branch top) {
    walking_ = true;
    if (const auto most = requirement_.most_branch()) {
        if (most->major < top.major) // nobody says which was the last branch of that major version
            top = {most->major, kNewestKnown.minor + kBranchesAhead};
        top = std::min(top, *most);
    }
    ask_branch(top);
}

void AlpineSearch::next_branch() {
    const auto least = std::max(requirement_.least_branch(), kOldest);
    if (!walking_ || branch_.minor == 0 || branch_ <= least)
        return finish();
    ask_branch({branch_.major, branch_.minor - 1});
}

void AlpineSearch::older_patches(const AlpineRelease& newest) {
    patches_.clear();
    if (const auto exact = requirement_.exact()) {
        if (branch_of(*exact) == branch_)
            patches_.push_back(*exact);
    } else {
        const auto& numbers = newest.version.numbers();
        for (std::uint32_t patch = 0; patch < std::min(numbers[2], kMaxPatches); ++patch)
            if (auto version = Version::of({numbers[0], numbers[1], patch, 0}); requirement_.allows(version))
                patches_.push_back(std::move(version));
    }
    next_patch();
}

void AlpineSearch::next_patch() {
    if (patches_.empty() || ++asked_ > kMaxQuestions)
        return next_branch();
    patch_ = AlpineRelease{patches_.back(), name_of(branch_), rootfs_file(patches_.back(), arch_), {}, {}, {}};
    patches_.pop_back();
    step_ = Step::sha256;
    next_ = patch_->path(arch_) + ".sha256";
}

Result<AlpineRelease> AlpineSearch::result() const {
    if (found_)
        return *found_;
    return fail(ErrorKind::not_found,
                "no Alpine release satisfies '" + requirement_.text() + "' for " + arch_ +
                    (newest_seen_ ? ": the newest that was seen is " + newest_seen_->text() : ""),
                "ask for a branch such as \"3.20\", or for \"latest\"");
}

} // namespace squish::catalog

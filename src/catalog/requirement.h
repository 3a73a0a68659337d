// Which versions of a layer will do.
//
//   "3.20"            any 3.20.x, the newest; so do "3.20.x" and "=3.20"
//   "3.20.3"          that one ("3.20.3+b7": with that build metadata)
//   "~3.14"           3.14 and its patches; "~1" is 1.x
//   "^1.2"            from 1.2, and compatible by semver: below 2; "^0.3" is below 0.4
//   ">=3.18"          also >, <=, <; ">1.2" excludes all of 1.2.x, "<=3.20" includes all of 3.20.x
//   ">=3.18 <3.20"    all terms must hold; blanks or commas separate them
//   "*", "latest"     any
// A prerelease is chosen only where a term names one of the same version (">=1.2.0-rc.1"), as npm's ranges have it.
#pragma once

#include "catalog/version.h"

#include <optional>
#include <span>

namespace squish::catalog {

inline constexpr std::size_t kMaxRequirementBytes = 1024;
inline constexpr std::size_t kMaxTerms = 32;

class Requirement {
public:
    // Errors (invalid) name the text, what is wrong and at which character.
    [[nodiscard]] static Result<Requirement> parse(std::string_view text);
    [[nodiscard]] static Requirement any();
    // All of them at once; may be unsatisfiable. Written as one requirement.
    [[nodiscard]] static Requirement all_of(std::span<const Requirement> requirements);

    // As it was written, in the canonical spelling: single blanks, no "v", "*" for "latest".
    [[nodiscard]] const std::string& text() const { return text_; }
    [[nodiscard]] bool allows(const Version& version) const;
    [[nodiscard]] bool is_any() const { return terms_.empty(); }

    // The numbers that bound it, for a search where no list of versions exists: the smallest and the largest
    // MAJOR.MINOR that could be allowed. The least is 0.0 and the most is empty where there is no bound; a minor
    // number of kNoLimit is any.
    static constexpr std::uint32_t kNoLimit = 0xffffffff;
    struct Branch {
        std::uint32_t major = 0, minor = 0;
        auto operator<=>(const Branch&) const = default;
    };
    [[nodiscard]] Branch least_branch() const;
    [[nodiscard]] std::optional<Branch> most_branch() const;

    // The version that an exact term names.
    [[nodiscard]] std::optional<Version> exact() const;

    bool operator==(const Requirement& other) const { return text_ == other.text_; }

private:
    using Numbers = std::array<std::uint32_t, kMaxVersionNumbers>;
    // What one term demands; an absent member demands nothing.
    struct Term {
        std::optional<Version> exact;    // same precedence; same build metadata where that is given
        std::optional<Version> at_least; // version >= this, by precedence
        std::optional<Version> at_most;  // version <= this, by precedence
        std::optional<Version> above;    // version > this, by precedence
        std::optional<Version> below;    // version < this, by precedence
        std::optional<Numbers> from;     // numbers >= these
        std::optional<Numbers> before;   // numbers < these: keeps out the prereleases of the bound
        std::optional<Numbers> named;    // whose prereleases are allowed
        bool bare = false;               // written without an operator
        std::string text;
        [[nodiscard]] bool holds(const Version& version) const;
    };
    class Parser;
    void write();

    std::vector<Term> terms_;
    std::string text_ = "*";
};

} // namespace squish::catalog

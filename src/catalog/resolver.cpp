#include "catalog/resolver.h"

#include "base/text.h"

#include <algorithm>
#include <functional>

namespace squish::catalog {

namespace {

constexpr std::size_t kMaxSteps = 2000; // candidates tried; beyond that nobody could follow the reasons either
constexpr std::size_t kMaxChosen = 256;
constexpr std::size_t kMaxDemands = 4096;

// Who asks for a layer: somebody outside, or a layer that was chosen.
struct Demand {
    std::string name;
    Requirement requirement;
    std::string by;     // of the wish at the root of the chain
    std::string parent; // the layer that requires it; empty for a wish
};

struct Choice {
    const Known* known = nullptr;
    const Candidate* candidate = nullptr; // none for a given layer
    std::string parent;                   // who asked first
};

// The outcome of a branch of the search: a solution, or something must be known first, or a dead end.
enum class End { solved, unknown, dead };

class Search {
public:
    explicit Search(const ResolveInput& input) : input_(input) {}

    Result<std::variant<Resolution, Unknown>> run() {
        for (const auto& wish : input_.wishes)
            demands_.push_back({wish.name, wish.requirement, wish.asked_by, ""});
        // All wishes at once, so that the caller can ask in parallel.
        for (const auto& wish : input_.wishes)
            if (!knows_enough(wish.name))
                need_candidates(wish.name);
        if (!unknown_.names.empty())
            return unknown_;
        switch (solve(0)) {
        case End::solved:
            return report();
        case End::unknown:
            return unknown_;
        case End::dead:
            return std::unexpected(*first_conflict_);
        }
        std::unreachable();
    }

private:
    // Satisfies demands_[at…]; what it adds to demands_ and chosen_ it takes away again unless it solved.
    End solve(std::size_t at) {
        for (; at < demands_.size(); ++at) {
            const auto chosen = chosen_.find(demands_[at].name);
            if (chosen == chosen_.end())
                break;
            if (satisfies(chosen->second, demands_[at]))
                continue;
            if (chosen->second.candidate == nullptr || knows_enough(demands_[at].name))
                return clash(demands_[at]);
            need_candidates(demands_[at].name);
            return End::unknown;
        }
        if (at == demands_.size()) {
            const auto cycle = find_cycle();
            return cycle.empty() ? End::solved : dead(ErrorKind::conflict, "layers require one another: " + cycle);
        }
        const auto demand = demands_[at];
        if (!knows_enough(demand.name)) {
            need_candidates(demand.name);
            return End::unknown;
        }
        const auto& known = input_.known.at(demand.name);
        return known.given ? choose_given(known, demand, at) : choose_candidate(known, demand, at);
    }

    End choose_given(const Known& known, const Demand& demand, std::size_t at) {
        const Choice choice{&known, nullptr, demand.parent};
        if (!satisfies(choice, demand))
            return clash(demand);
        if (input_.lock_mode == LockMode::required && !known.given_sha256.empty()) {
            const auto locked = input_.lock.layers.find(demand.name);
            if (locked == input_.lock.layers.end() || locked->second.sha256 != known.given_sha256)
                return dead(ErrorKind::denied,
                            "layer '" + demand.name + "' is sha256 " + known.given_sha256 +
                                (locked == input_.lock.layers.end() ? ", and the lock file does not name it"
                                                                    : ", and locked to " + locked->second.sha256),
                            "run 'squish lock' again, or run without --locked");
        }
        return go_on(choice, known.given_requires, demand, at);
    }

    End choose_candidate(const Known& known, const Demand& demand, std::size_t at) {
        std::vector<const Candidate*> possible;
        const auto requirement = combined(demand.name);
        for (const auto& candidate : known.candidates)
            if (requirement.allows(candidate.version))
                possible.push_back(&candidate);
        std::ranges::stable_sort(possible, [](const auto* a, const auto* b) { return a->version > b->version; });
        if (auto ended = apply_lock(demand, possible))
            return *ended;
        if (possible.empty())
            return clash(demand);
        for (const auto* candidate : possible) {
            if (++steps_ > kMaxSteps)
                return dead(ErrorKind::conflict,
                            "gave up after " + std::to_string(kMaxSteps) + " combinations of layer versions");
            if (!candidate->requires_) {
                unknown_.requires_of.emplace_back(demand.name, candidate->version);
                return End::unknown;
            }
            const auto end = go_on({&known, candidate, demand.parent}, *candidate->requires_, demand, at);
            if (end != End::dead || steps_ > kMaxSteps)
                return end;
        }
        return End::dead;
    }

    End go_on(const Choice& choice, const Requires& requires_, const Demand& demand, std::size_t at) {
        if (chosen_.size() == kMaxChosen)
            return dead(ErrorKind::invalid, "more than " + std::to_string(kMaxChosen) + " layers");
        const auto before = demands_.size();
        if (before + requires_.size() > kMaxDemands)
            return dead(ErrorKind::invalid, "more than " + std::to_string(kMaxDemands) + " requirements of layers");
        chosen_.emplace(demand.name, choice);
        order_.push_back(demand.name);
        for (const auto& [name, requirement] : requires_)
            demands_.push_back({name, requirement, demand.by, demand.name});
        const auto end = solve(at + 1);
        if (end == End::dead) {
            demands_.resize(before, demand);
            order_.pop_back();
            chosen_.erase(demand.name);
        }
        return end;
    }

    // Leaves only what the lock allows, or puts it first.
    std::optional<End> apply_lock(const Demand& demand, std::vector<const Candidate*>& possible) {
        if (input_.lock_mode == LockMode::none)
            return std::nullopt;
        const auto locked = input_.lock.layers.find(demand.name);
        const bool required = input_.lock_mode == LockMode::required;
        if (input_.lock.arch != input_.arch)
            return required ? std::optional(dead(ErrorKind::denied,
                                                 "the lock file is for " + printable(input_.lock.arch) + ", not for " +
                                                     input_.arch,
                                                 "run 'squish lock' on this machine"))
                            : std::nullopt;
        if (locked == input_.lock.layers.end())
            return required
                       ? std::optional(dead(ErrorKind::denied,
                                            "the lock file does not name layer '" + demand.name + "', " + asked(demand),
                                            "run 'squish lock' again, or run without --locked"))
                       : std::nullopt;
        const auto is_locked = [&](const Candidate* candidate) {
            return candidate->sha256 == locked->second.sha256 &&
                   (!locked->second.version || candidate->version == *locked->second.version);
        };
        if (!required) {
            std::ranges::stable_partition(possible, is_locked);
            return std::nullopt;
        }
        std::erase_if(possible, [&](const Candidate* candidate) { return !is_locked(candidate); });
        if (!possible.empty())
            return std::nullopt;
        return dead(ErrorKind::denied,
                    "layer '" + demand.name + "' is locked to " +
                        (locked->second.version ? locked->second.version->text() + " " : "") + "sha256 " +
                        locked->second.sha256 + ", which " +
                        (knows_digest(demand.name, locked->second.sha256)
                             ? "does not satisfy what is asked for: " + demands_text(demand.name)
                             : "no source has"),
                    "run 'squish lock' again, or run without --locked");
    }

    [[nodiscard]] bool knows_digest(const std::string& name, const std::string& sha256) const {
        const auto& candidates = input_.known.at(name).candidates;
        return std::ranges::any_of(candidates, [&](const Candidate& c) { return c.sha256 == sha256; });
    }

    // Whether asking again could bring more than what is known.
    [[nodiscard]] bool knows_enough(const std::string& name) const {
        const auto found = input_.known.find(name);
        if (found == input_.known.end())
            return false;
        const auto& known = found->second;
        if (known.given || known.answers.empty())
            return true;
        const auto requirement = combined(name);
        return std::ranges::find(known.answers, requirement) != known.answers.end() ||
               std::ranges::any_of(known.candidates, [&](const Candidate& c) { return requirement.allows(c.version); });
    }

    void need_candidates(const std::string& name) {
        const auto is_there = [&](const auto& other) { return other.first == name; };
        if (std::ranges::none_of(unknown_.names, is_there))
            unknown_.names.emplace_back(name, combined(name));
    }

    [[nodiscard]] Requirement combined(const std::string& name) const {
        std::vector<Requirement> all;
        for (const auto& demand : demands_)
            if (demand.name == name)
                all.push_back(demand.requirement);
        return Requirement::all_of(all);
    }

    static bool satisfies(const Choice& choice, const Demand& demand) {
        if (choice.candidate != nullptr)
            return demand.requirement.allows(choice.candidate->version);
        if (demand.requirement.is_any())
            return true;
        return choice.known->given_version && demand.requirement.allows(*choice.known->given_version);
    }

    [[nodiscard]] std::string label(const std::string& name) const {
        const auto& choice = chosen_.at(name);
        if (choice.candidate != nullptr)
            return name + " " + choice.candidate->version.text();
        return choice.known->given_version ? name + " " + choice.known->given_version->text() : name;
    }

    // "web.toml:4:1", or "'tool 1.2' (asked for by web.toml:5:1 -> app 2.0)": from the layer that asks, outwards.
    [[nodiscard]] std::string asker(const Demand& demand) const {
        if (demand.parent.empty())
            return demand.by;
        std::vector<std::string> chain;
        for (auto name = demand.parent; !name.empty(); name = chosen_.at(name).parent)
            chain.push_back(label(name));
        std::ranges::reverse(chain);
        return demand.by + " -> " + join(chain, " -> ");
    }

    [[nodiscard]] std::string asked(const Demand& demand) const { return "asked for by " + asker(demand); }

    [[nodiscard]] const Requires& requires_of(const std::string& name) const {
        const auto& choice = chosen_.at(name);
        return choice.candidate != nullptr ? *choice.candidate->requires_ : choice.known->given_requires;
    }

    // "a 1.0 -> b 2.0 -> a 1.0", or nothing. All that is required has been chosen.
    [[nodiscard]] std::string find_cycle() const {
        std::set<std::string> done;
        std::vector<std::string> trail;
        std::string found;
        const std::function<bool(const std::string&)> visit = [&](const std::string& name) {
            if (const auto seen = std::ranges::find(trail, name); seen != trail.end()) {
                std::vector<std::string> chain;
                for (auto at = seen; at != trail.end(); ++at)
                    chain.push_back(label(*at));
                chain.push_back(label(name));
                found = join(chain, " -> ");
                return true;
            }
            if (done.contains(name))
                return false;
            trail.push_back(name);
            for (const auto& [required, unused] : requires_of(name))
                if (visit(required))
                    return true;
            trail.pop_back();
            done.insert(name);
            return false;
        };
        for (const auto& name : order_)
            if (visit(name))
                break;
        return found;
    }

    [[nodiscard]] std::string demands_text(const std::string& name) const {
        std::vector<std::string> parts;
        for (const auto& demand : demands_)
            if (demand.name == name)
                parts.push_back("'" + demand.requirement.text() + "' " + asked(demand));
        return join(parts, "; ");
    }

    [[nodiscard]] std::string known_text(const std::string& name) const {
        const auto& known = input_.known.at(name);
        if (known.given)
            return "the squishfile gives its own " +
                   (known.given_version ? known.given_version->text()
                                        : std::string("without a version (a version stands in .squish/layer.toml)"));
        auto versions = known.others;
        for (const auto& candidate : known.candidates)
            versions.push_back(candidate.version);
        std::ranges::stable_sort(versions, std::greater<>());
        std::vector<std::string> texts;
        for (const auto& version : versions)
            if (texts.empty() || texts.back() != version.text())
                texts.push_back(version.text());
        if (texts.empty())
            return "no version of it is known";
        const auto total = texts.size();
        if (total > 12)
            texts.resize(12);
        return "known are " + join(texts, ", ") +
               (total > 12 ? " and " + std::to_string(total - 12) + " older ones" : "");
    }

    End clash(const Demand& demand) {
        const auto askers = std::ranges::count(demands_, demand.name, &Demand::name);
        if (askers > 1)
            return dead(ErrorKind::conflict, "no version of layer '" + demand.name +
                                                 "' satisfies all who ask for it: " + demands_text(demand.name) + "; " +
                                                 known_text(demand.name));
        return dead(ErrorKind::not_found, "no version of layer '" + demand.name + "' satisfies " +
                                              demands_text(demand.name) + ": " + known_text(demand.name));
    }

    // The first dead end is that of the newest versions, and so the one to tell.
    End dead(ErrorKind kind, std::string message, std::string remedy = {}) {
        if (!first_conflict_)
            first_conflict_ = Error{kind, std::move(message), std::move(remedy), 0};
        return End::dead;
    }

    // Wishes first and in their order, then what they require, breadth first, as they were chosen.
    [[nodiscard]] Resolution report() const {
        Resolution out;
        for (const auto& name : order_) {
            const auto& choice = chosen_.at(name);
            ResolvedLayer layer{name, {}, {}};
            if (choice.candidate != nullptr)
                layer.candidate = *choice.candidate;
            for (const auto& demand : demands_)
                if (demand.name == name)
                    layer.why.push_back("'" + demand.requirement.text() + "': " + asker(demand));
            out.layers.push_back(std::move(layer));
        }
        return out;
    }

    const ResolveInput& input_;
    std::vector<Demand> demands_;
    std::map<std::string, Choice> chosen_;
    std::vector<std::string> order_;
    Unknown unknown_;
    std::optional<Error> first_conflict_;
    std::size_t steps_ = 0;
};

} // namespace

Result<std::variant<Resolution, Unknown>> resolve(const ResolveInput& input) {
    return Search(input).run();
}

} // namespace squish::catalog

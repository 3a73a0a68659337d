#include "catalog/requirement.h"

#include "base/text.h"

#include <algorithm>

namespace squish::catalog {

namespace {

// The first numbers that no longer begin like the first `count` of these: 3.20 -> 3.21, for 2.
std::array<std::uint32_t, kMaxVersionNumbers> successor(const std::array<std::uint32_t, kMaxVersionNumbers>& numbers,
                                                        std::size_t count) {
    std::array<std::uint32_t, kMaxVersionNumbers> out{};
    std::copy_n(numbers.begin(), count, out.begin());
    ++out[count - 1];
    return out;
}

} // namespace

bool Requirement::Term::holds(const Version& version) const {
    if (exact && !(version.same_precedence(*exact) && (exact->build().empty() || exact->build() == version.build())))
        return false;
    if (at_least && version < *at_least && !version.same_precedence(*at_least))
        return false;
    if (at_most && version > *at_most && !version.same_precedence(*at_most))
        return false;
    if (above && (version <= *above || version.same_precedence(*above)))
        return false;
    if (below && (version >= *below || version.same_precedence(*below)))
        return false;
    return (!from || version.numbers() >= *from) && (!before || version.numbers() < *before);
}

class Requirement::Parser {
public:
    explicit Parser(std::string_view text) : text_(text) {}

    Result<Requirement> parse() {
        if (text_.size() > kMaxRequirementBytes)
            return refuse("it is longer than " + std::to_string(kMaxRequirementBytes) + " bytes", 0);
        Requirement out;
        std::size_t words = 0;
        bool bare = false, any = false;
        for (std::size_t at = skip_blanks(0); at < text_.size(); at = next(at)) {
            const auto end = std::min(text_.find_first_of(" \t,", at), text_.size());
            const auto word = text_.substr(at, end - at);
            if (word.empty())
                return refuse("a term is missing", at);
            if (++words > kMaxTerms)
                return refuse("more than " + std::to_string(kMaxTerms) + " terms", at);
            if (word == "*" || word == "latest" || word == "x" || word == "X") {
                any = true;
            } else {
                auto term = TRY(read_term(word, at));
                bare = bare || is_bare_;
                out.terms_.push_back(std::move(term));
            }
            at_end_ = end;
        }
        if (words == 0)
            return refuse("it is empty", 0);
        if (words > 1 && (bare || any))
            return refuse("several terms need an operator each", 0);
        if (const auto last = text_.find_last_not_of(" \t"); text_[last] == ',')
            return refuse("a term is missing", last + 1);
        out.write();
        return out;
    }

private:
    [[nodiscard]] std::size_t skip_blanks(std::size_t at) const {
        return std::min(text_.find_first_not_of(" \t", at), text_.size());
    }
    // Past the term that ended at `at_end_`, and one comma.
    [[nodiscard]] std::size_t next(std::size_t) const {
        auto at = skip_blanks(at_end_);
        if (at < text_.size() && text_[at] == ',')
            at = skip_blanks(at + 1);
        return at;
    }
    [[nodiscard]] std::unexpected<Error> refuse(std::string_view why, std::size_t at) const {
        return fail(ErrorKind::invalid,
                    "'" + printable(text_.substr(0, 64)) + "' is not a version requirement: " + std::string(why) +
                        " (at character " + std::to_string(at + 1) + ")",
                    "write \"3.20\", \"3.20.3\", \"~3.14\", \"^1.2\", \">=3.18\", \">=1.2 <2\" or \"latest\"");
    }

    Result<Term> read_term(std::string_view word, std::size_t at) {
        constexpr std::array<std::string_view, 7> kOperators{">=", "<=", ">", "<", "=", "~", "^"}; // the longer first
        std::string_view sign;
        for (const auto candidate : kOperators)
            if (word.starts_with(candidate)) {
                sign = candidate;
                break;
            }
        is_bare_ = sign.empty();
        auto rest = word.substr(sign.size());
        bool open = false; // "3.20.x"
        for (;;) {
            const auto dot = rest.rfind('.');
            const auto tail = rest.substr(dot == std::string_view::npos ? rest.size() : dot);
            if (tail != ".x" && tail != ".X" && tail != ".*")
                break;
            rest.remove_suffix(2);
            open = true;
        }
        auto version = Version::parse(rest);
        if (!version) {
            auto& error = version.error();
            return refuse(error.message, at + sign.size());
        }
        if (open && !is_bare_ && sign != "=")
            return refuse("'x' takes no operator", at);
        if (open && (version->is_prerelease() || !version->build().empty()))
            return refuse("'x' after a prerelease or build metadata", at);
        if (!version->build().empty() && !is_bare_ && sign != "=")
            return refuse("build metadata has no order, so it takes no operator", at);
        auto term = make_term(sign, *version, open);
        term.text = std::string(sign) + version->text() + (open && version->written() >= 3 ? ".x" : "");
        term.bare = is_bare_;
        return term;
    }

    static Term make_term(std::string_view sign, const Version& version, bool open) {
        Term term;
        if (version.is_prerelease())
            term.named = version.numbers();
        const auto written = version.written();
        const bool plain = !version.is_prerelease() && version.text().find('_') == std::string::npos;
        const bool partial = plain && version.build().empty() && (written < 3 || open);
        const auto next = successor(version.numbers(), std::min(written, kMaxVersionNumbers));
        if (sign.empty() || sign == "=") {
            if (partial) {
                term.from = version.numbers();
                term.before = next;
            } else {
                term.exact = version;
            }
        } else if (sign == ">=") {
            term.at_least = version;
        } else if (sign == ">") {
            if (partial)
                term.from = next;
            else
                term.above = version;
        } else if (sign == "<=") {
            if (partial)
                term.before = next;
            else
                term.at_most = version;
        } else if (sign == "<") {
            term.below = version;
        } else if (sign == "~") {
            term.at_least = version;
            term.before = successor(version.numbers(), std::min<std::size_t>(written, 2));
        } else { // ^
            term.at_least = version;
            std::size_t significant = 1; // up to the first number that is not zero, of those written
            while (significant < std::min<std::size_t>(written, 3) && version.numbers()[significant - 1] == 0)
                ++significant;
            term.before = successor(version.numbers(), significant);
        }
        return term;
    }

    std::string_view text_;
    std::size_t at_end_ = 0;
    bool is_bare_ = false;
};

Result<Requirement> Requirement::parse(std::string_view text) {
    return Parser(text).parse();
}

Requirement Requirement::any() {
    return {};
}

void Requirement::write() {
    if (terms_.empty()) {
        text_ = "*";
        return;
    }
    text_.clear();
    for (const auto& term : terms_) {
        if (!text_.empty())
            text_ += ' ';
        if (term.bare && terms_.size() > 1)
            text_ += '=';
        text_ += term.text;
    }
}

Requirement Requirement::all_of(std::span<const Requirement> requirements) {
    Requirement out;
    for (const auto& requirement : requirements)
        for (const auto& term : requirement.terms_)
            if (std::ranges::find(out.terms_, term.text, &Term::text) == out.terms_.end())
                out.terms_.push_back(term);
    out.write();
    return out;
}

bool Requirement::allows(const Version& version) const {
    if (version.is_prerelease() &&
        std::ranges::none_of(terms_, [&](const Term& term) { return term.named == version.numbers(); }))
        return false;
    return std::ranges::all_of(terms_, [&](const Term& term) { return term.holds(version); });
}

std::optional<Version> Requirement::exact() const {
    for (const auto& term : terms_)
        if (term.exact)
            return term.exact;
    return std::nullopt;
}

Requirement::Branch Requirement::least_branch() const {
    Branch out;
    for (const auto& term : terms_) {
        if (term.from)
            out = std::max(out, Branch{(*term.from)[0], (*term.from)[1]});
        for (const auto* bound : {&term.exact, &term.at_least, &term.above})
            if (*bound)
                out = std::max(out, Branch{(*bound)->numbers()[0], (*bound)->numbers()[1]});
    }
    return out;
}

std::optional<Requirement::Branch> Requirement::most_branch() const {
    std::optional<Branch> out;
    const auto limit = [&](Branch branch) { out = out ? std::min(*out, branch) : branch; };
    // The last branch that holds something before these numbers; within one major version, since nobody knows where
    // the one before it ended.
    const auto limit_before = [&](const Numbers& numbers) {
        if (numbers[2] != 0 || numbers[3] != 0)
            limit({numbers[0], numbers[1]});
        else if (numbers[1] != 0)
            limit({numbers[0], numbers[1] - 1});
        else if (numbers[0] != 0)
            limit({numbers[0] - 1, kNoLimit});
        else
            limit({0, 0});
    };
    for (const auto& term : terms_) {
        for (const auto* bound : {&term.exact, &term.at_most})
            if (*bound)
                limit({(*bound)->numbers()[0], (*bound)->numbers()[1]});
        if (term.before)
            limit_before(*term.before);
        if (term.below) {
            if (term.below->is_prerelease())
                limit({term.below->numbers()[0], term.below->numbers()[1]});
            else
                limit_before(term.below->numbers());
        }
    }
    return out;
}

} // namespace squish::catalog

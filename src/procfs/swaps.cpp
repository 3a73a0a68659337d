#include "procfs/swaps.h"

#include "procfs/lines.h"

namespace squish::procfs {

namespace {

constexpr std::string_view kHeader = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";

// A name may hold anything (blanks are octal escapes there); the figures are counted from its right-hand end.
Swap sum_of(std::string_view host) {
    Swap sum;
    for (const auto line : lines(host)) {
        const auto parts = words(line);
        if (parts.size() < 5)
            continue;
        const auto total = number_at(parts, parts.size() - 3);
        const auto used = number_at(parts, parts.size() - 2);
        if (total && used && *used <= *total) {
            sum.total += *total;
            sum.used += *used;
        }
    }
    return sum;
}

} // namespace

std::string swaps(std::string_view host, const View& view) {
    const auto swap = view.swap ? *view.swap : sum_of(host);
    std::string out(kHeader);
    if (swap.total != 0)
        out += "none                                    virtual\t\t" + std::to_string(swap.total) + "\t\t" +
               std::to_string(swap.used) + "\t\t0\n";
    return out;
}

} // namespace squish::procfs

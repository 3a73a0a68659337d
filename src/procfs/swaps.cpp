// /proc/swaps: what may be swapped as one thing, whatever disks and files the host swaps to.
#include "procfs/files.h"
#include "procfs/memory.h"
#include "procfs/reading.h"

#include <algorithm>
#include <array>

namespace squish::procfs {

namespace {

// Size and use, in kB, of "/dev/vda2 partition 1048572 2048 -2". A name has no blanks (they are written as \040), but
// "\040(deleted)" and more may follow: counted from the end.
Swap read_swap(std::string_view line) {
    std::array<std::string_view, 3> last{};
    std::size_t words = 0;
    for (auto word = take_word(line); !word.empty(); word = take_word(line), ++words) {
        std::ranges::rotate(last, last.begin() + 1);
        last.back() = word;
    }
    if (words < 5 || !read_number(last[0]))
        return {};
    return {.total = number_or_0(last[0]), .used = number_or_0(last[1])};
}

Swap read_swaps(std::string_view host) {
    Swap sum;
    while (const auto line = take_line(host)) {
        const auto swap = read_swap(*line);
        sum.total = add(sum.total, swap.total);
        sum.used = add(sum.used, swap.used);
    }
    return sum;
}

} // namespace

std::string swaps(std::string_view host, const View& view) {
    auto swap = read_swaps(host);
    if (shows_own_memory(view))
        swap = own_swap(swap.total, view);
    std::string out = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
    if (swap.total == 0)
        return out;
    constexpr std::uint64_t kNarrow = 10'000'000; // mm/swapfile.c: a number that needs one more tab
    const auto append_column = [&](std::uint64_t kilobytes) {
        append_number(out, kilobytes);
        out += kilobytes < kNarrow ? "\t\t" : "\t";
    };
    out.append("none").append(36, ' ') += "virtual\t\t";
    append_column(swap.total);
    append_column(swap.used);
    out += "-2\n";
    return out;
}

} // namespace squish::procfs

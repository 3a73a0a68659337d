#include "cli/stats_table.h"

#include "base/text.h"
#include "cli/ps_table.h"

namespace squish::cli {

namespace {

const Usage* find(const std::map<std::string, Usage>& usages, const std::string& id) {
    const auto found = usages.find(id);
    return found == usages.end() ? nullptr : &found->second;
}

std::vector<std::string> row_of(const Usage* before, const Usage& now) {
    const auto percent_of_limit =
        now.memory_limit.value_or(0) > 0
            ? std::optional(static_cast<double>(now.memory_used) * 100 / static_cast<double>(*now.memory_limit))
            : std::nullopt;
    const auto limit = now.memory_limit ? short_size(*now.memory_limit) : "-";
    const auto pids = std::to_string(now.pids);
    return {now.name,
            now.id,
            percent_text(cpu_percent(before, now)),
            short_size(now.memory_used) + " / " + limit,
            percent_text(percent_of_limit),
            short_size(now.memory_cache),
            now.pids_limit ? pids + " / " + std::to_string(*now.pids_limit) : pids,
            short_size(now.io_read) + " / " + short_size(now.io_written),
            now.received && now.sent ? short_size(*now.received) + " / " + short_size(*now.sent) : "-"};
}

} // namespace

std::string stats_table(const Json& before, const Json& now) {
    std::vector<std::vector<std::string>> rows{
        {"NAME", "ID", "CPU%", "MEM USED / LIMIT", "MEM%", "CACHE", "PIDS", "IO R/W", "NET R/W"}};
    const auto earlier = read_usages(before);
    if (const auto found = now.find("containers"); found != now.end() && found->is_array())
        for (const auto& container : *found) { // in the daemon's order
            const auto usage = read_usage(container);
            rows.push_back(row_of(find(earlier, usage.id), usage));
        }
    return align(rows);
}

Json stats_json(const Json& before, const Json& now) {
    auto out = Json::array();
    const auto earlier = read_usages(before);
    if (const auto found = now.find("containers"); found != now.end() && found->is_array())
        for (auto container : *found) {
            if (!container.is_object())
                continue;
            const auto usage = read_usage(container);
            const auto percent = cpu_percent(find(earlier, usage.id), usage);
            container["cpu_percent"] = percent ? Json(*percent) : Json(nullptr);
            out.push_back(std::move(container));
        }
    return out;
}

std::string stats_screen(const std::string& table, std::size_t rows, std::size_t columns) {
    std::string out = "\033[H"; // home; what was there is written over, which does not flicker
    std::size_t shown = 0;
    for (const auto line : split(table, '\n')) {
        if (line.empty() || ++shown >= rows) // the last row is the cursor's
            break;
        out += clipped(line, columns) + "\033[K\n";
    }
    return out + "\033[J";
}

} // namespace squish::cli

#include "cli/ps_table.h"

#include "base/text.h"

#include <algorithm>
#include <ctime>

namespace squish::cli {

namespace {

constexpr std::size_t kMaxCommand = 60; // characters of the command line that a table shows

bool begins_character(char byte) {
    return (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
}

std::string shortened(std::string_view text) {
    auto shown = printable(text);
    return width_of(shown) <= kMaxCommand ? shown : clipped(shown, kMaxCommand - 1) + "…";
}

} // namespace

std::size_t width_of(std::string_view text) {
    return static_cast<std::size_t>(std::ranges::count_if(text, begins_character));
}

std::string clipped(std::string_view text, std::size_t columns) {
    std::size_t end = 0;
    for (; end < text.size(); ++end)
        if (begins_character(text[end]) && columns-- == 0)
            break;
    return std::string(text.substr(0, end));
}

std::string align(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths;
    for (const auto& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i)
            widths[i] = std::max(widths[i], width_of(row[i]));
    }
    std::string out;
    for (const auto& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            out += row[i];
            if (i + 1 < row.size())
                out.append(widths[i] - width_of(row[i]) + 2, ' ');
        }
        out += '\n';
    }
    return out;
}

std::string ports_text(const Json& ports) {
    if (!ports.is_array() || ports.empty())
        return "-";
    std::string out;
    for (const auto& port : ports) {
        const auto address = text_of(port, "address");
        out += out.empty() ? "" : ",";
        out += address.contains(':') ? "[" + printable(address) + "]" : printable(address);
        out += ":" + std::to_string(number_of(port, "host")) + "->" + std::to_string(number_of(port, "container")) +
               "/" + printable(text_of(port, "protocol"));
    }
    return out;
}

std::string age_text(std::int64_t seconds) {
    seconds = std::max<std::int64_t>(seconds, 0);
    if (seconds < 120)
        return std::to_string(seconds) + "s ago";
    if (seconds < 2 * 3600)
        return std::to_string(seconds / 60) + "m ago";
    if (seconds < 2 * 86400)
        return std::to_string(seconds / 3600) + "h ago";
    return std::to_string(seconds / 86400) + "d ago";
}

std::int64_t seconds_of(std::string_view time) {
    std::tm parts{};
    const std::string text(time);
    const char* end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
    return end && (*end == '.' || *end == 'Z') ? ::timegm(&parts) : 0;
}

std::string state_text(const Json& container) {
    auto state = printable(text_of(container, "state"));
    if (const auto health = text_of(container, "health"); !health.empty() && (state == "running" || state == "paused"))
        return state + (health == "starting" ? " (health: starting)" : " (" + printable(health) + ")");
    const auto exit = container.find("exit");
    if (exit == container.end() || !exit->is_object())
        return state;
    state += " (" + std::to_string(number_of(*exit, "code"));
    const auto reason = text_of(*exit, "reason");
    if (!reason.empty() && reason != "exited" && reason != "signaled")
        state += ", " + printable(reason);
    return state + ")";
}

std::string ps_table(const Json& containers, std::int64_t now) {
    std::vector<std::vector<std::string>> rows{{"ID", "NAME", "PID", "STATE", "CREATED", "PORTS", "COMMAND"}};
    for (const auto& container : containers) {
        const auto pid = number_of(container, "pid");
        const auto created = seconds_of(text_of(container, "created_at"));
        rows.push_back({printable(text_of(container, "id")), printable(text_of(container, "name")),
                        pid > 0 ? std::to_string(pid) : "-", state_text(container),
                        created > 0 ? age_text(now - created) : "-",
                        container.contains("ports") ? ports_text(container["ports"]) : "-",
                        shortened(text_of(container, "command"))});
    }
    return align(rows);
}

} // namespace squish::cli

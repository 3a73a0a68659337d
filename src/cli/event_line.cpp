#include "cli/event_line.h"

#include "base/text.h"

namespace squish::cli {

namespace {

// "2026-11-22T19:30:00.123456Z" → milliseconds, which are enough for people
std::string short_time(const std::string& time) {
    const auto point = time.find('.');
    if (point == std::string::npos || time.size() <= point + 4 || !time.ends_with('Z'))
        return printable(time);
    return printable(time.substr(0, point + 4) + "Z");
}

std::string shown(const Json& value) {
    const auto text = printable(value.is_string() ? value.get<std::string>()
                                                  : value.dump(-1, ' ', false, Json::error_handler_t::replace));
    return text.empty() || text.find_first_of(" \"") != std::string::npos ? Json(text).dump() : text;
}

} // namespace

std::string event_line(const Json& event) {
    auto line = short_time(text_of(event, "time")) + " " + printable(text_of(event, "type")) + " " +
                printable(text_of(event, "name")) + " (" + printable(text_of(event, "id")) + ")";
    if (const auto found = event.find("attributes"); found != event.end() && found->is_object())
        for (const auto& [key, value] : found->items())
            line += " " + printable(key) + "=" + shown(value);
    return line;
}

} // namespace squish::cli

#include "cli/progress_view.h"

#include "base/text.h"
#include "cli/console.h"
#include "os/file.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <sys/ioctl.h>
#include <unistd.h>

namespace squish::cli {

namespace {

constexpr std::size_t kBarWidth = 20;

std::size_t columns() {
    winsize size{};
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::uint64_t count_of(const Json& event, const char* member) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(number_of(event, member), 0));
}

std::string bar(std::uint64_t done, std::uint64_t total) {
    const auto filled = static_cast<std::size_t>(total == 0 ? 0 : std::min(done, total) * kBarWidth / total);
    return "[" + std::string(filled, '#') + std::string(kBarWidth - filled, ' ') + "]";
}

std::string time_text(std::uint64_t seconds) {
    char text[32];
    std::snprintf(text, sizeof text, "%llu:%02llu", static_cast<unsigned long long>(seconds / 60),
                  static_cast<unsigned long long>(seconds % 60));
    return text;
}

} // namespace

std::string size_text(std::uint64_t bytes) {
    constexpr std::array kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    while (value >= 1024 && unit + 1 < kUnits.size()) {
        value /= 1024;
        ++unit;
    }
    char text[32];
    std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
    return text;
}

std::string progress_line(const std::string& layer, const Json& event, std::size_t width) {
    const auto stage = text_of(event, "stage");
    const auto bytes = count_of(event, "bytes"), total = count_of(event, "total"), speed = count_of(event, "speed");
    std::string line = printable(layer) + ": " + stage;
    if (stage == "downloading") {
        if (total > 0)
            line += " " + bar(bytes, total);
        line += " " + size_text(bytes) + (total > 0 ? "/" + size_text(total) : "");
        if (speed > 0)
            line += " " + size_text(speed) + "/s";
        if (speed > 0 && total > bytes)
            line += " " + time_text((total - bytes) / speed) + " left";
    } else if (stage == "unpacking" || stage == "verifying") {
        line += " " + size_text(bytes) + ", " + std::to_string(count_of(event, "entries")) + " files";
    }
    if (line.size() > width)
        line.resize(width);
    return line;
}

ProgressView::ProgressView() : terminal_(is_terminal(STDERR_FILENO)) {}

void ProgressView::take(const Json& event) {
    const auto layer = text_of(event, "layer");
    if (!latest_.contains(layer))
        order_.push_back(layer);
    latest_[layer] = event;
    if (terminal_)
        draw();
    else
        tell(layer, text_of(event, "stage"), event);
}

// Plain lines: what begins and what has come, nothing in between.
void ProgressView::tell(const std::string& layer, const std::string& stage, const Json& event) {
    auto& told = told_[layer];
    if (told == stage || (stage == "unpacking" && told == "downloading"))
        return;
    told = stage;
    if (stage == "downloading" && count_of(event, "total") > 0)
        warn(printable(layer) + ": downloading " + size_text(count_of(event, "total")));
    else
        warn(printable(layer) + ": " + stage);
}

void ProgressView::draw() {
    std::string out;
    if (drawn_ > 0)
        out += "\033[" + std::to_string(drawn_) + "A"; // up to the first of them
    const auto width = columns() > 1 ? columns() - 1 : 1;
    for (const auto& layer : order_)
        out += "\r" + progress_line(layer, latest_[layer], width) + "\033[K\n";
    drawn_ = order_.size();
    (void) os::write_all(STDERR_FILENO, out);
}

void ProgressView::finish() {
    drawn_ = 0;
    order_.clear();
    latest_.clear();
}

Result<Json> call_with_progress(Client& client, const Call& call) {
    ProgressView view;
    TRY(client.send(call));
    for (;;) {
        const bool more = TRY(client.receive());
        auto& response = client.response();
        if (!response.has_head()) {
            if (!more)
                return fail(ErrorKind::unavailable, "squishd ended before it answered");
            continue;
        }
        if (response.status() >= 400) {
            if (!response.complete() && more)
                continue;
            return std::unexpected(error_of(response.status(), response.take_body()));
        }
        while (const auto line = response.take_line()) {
            auto event = TRY(json_of(*line));
            const auto name = event.is_object() ? text_of(event, "event") : std::string();
            if (name == "progress") {
                view.take(event);
                continue;
            }
            if (name == "failed")
                return std::unexpected(error_of(static_cast<unsigned>(number_of(event, "status")), event.dump()));
            if (const auto result = event.is_object() ? event.find("result") : event.end(); result != event.end())
                return Json(*result);
            return event;
        }
        if (response.complete())
            return json_of(response.take_body());
        if (!more)
            return fail(ErrorKind::unavailable, "squishd ended before it had answered");
    }
}

} // namespace squish::cli

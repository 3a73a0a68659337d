// What `squish top` knows and what it shows of it: pure, so that every size of screen can be tested. The screen itself
// is screen.h, the loop top.cpp.
#pragma once

#include "cli/usage.h"

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace squish::cli {

// One container, with what is known of the last minute.
struct TopRow {
    std::string id, name, state, health;                 // printable
    std::optional<Usage> usage;                          // none where it does not run
    std::optional<double> cpu;                           // percent of one processor
    std::optional<double> read, written, received, sent; // bytes per second
    std::deque<double> cpu_history, memory_history;      // oldest first, at most kTopHistory
};
inline constexpr std::size_t kTopHistory = 60;

enum class TopSort { cpu, memory, pids, name };

// What a key asks for beyond the model itself. `id` is the selected container's.
struct TopAction {
    enum class Kind { none, quit, stop, kill, pause, unpause, logs };
    Kind kind = Kind::none;
    std::string id = {}, name = {};
};

enum class TopKey { up, down, first, last, other };

struct TopLine {
    enum class Style { plain, title, header, selected, warning };
    std::string text;
    Style style = Style::plain;
    bool operator==(const TopLine&) const = default;
};

class TopModel {
public:
    explicit TopModel(bool utf8) : utf8_(utf8) {}

    // A reading: GET /v1/stats and GET /v1/containers.
    void take(const Json& stats, const Json& containers);
    // A key that was pressed; `letter` with TopKey::other.
    TopAction press(TopKey key, char letter = 0);
    // Told in the last line until the next key.
    void say(std::string message) { message_ = std::move(message); }

    // What a screen of that size shows: at most `height` lines of at most `width` columns each.
    [[nodiscard]] std::vector<TopLine> layout(std::size_t width, std::size_t height) const;

    [[nodiscard]] const std::vector<TopRow>& rows() const { return rows_; } // as sorted
    [[nodiscard]] const TopRow* selected() const;

private:
    void sort();
    void move(std::ptrdiff_t by);
    TopAction act(TopAction::Kind kind);
    [[nodiscard]] std::string title() const;
    [[nodiscard]] TopLine last_line() const;

    bool utf8_;
    std::vector<TopRow> rows_;
    TopSort sort_ = TopSort::cpu;
    bool reversed_ = false, help_ = false;
    std::size_t selected_ = 0; // of rows_
    bool chosen_ = false;      // by a key: the selection stays with its container; else with the first row
    std::string question_of_;  // the id that is to be stopped, where that was asked
    std::string message_;
};

// `width` characters for the last values, low to high: blocks, or ASCII. The highest mark stands for `top`, or for the
// largest value where that is more.
[[nodiscard]] std::string sparkline(const std::deque<double>& values, double top, std::size_t width, bool utf8);

} // namespace squish::cli

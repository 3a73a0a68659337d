#include "cli/top_model.h"

#include "base/text.h"
#include "cli/ps_table.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

namespace squish::cli {

namespace {

constexpr std::size_t kSpark = 10;   // characters of a sparkline
constexpr std::size_t kMaxName = 24; // columns
constexpr std::string_view kGap = " ";

constexpr std::array kHelp{
    "squish top: what containers use, every second",
    "",
    "  arrows, j k   select            g G   the first, the last",
    "  c m p n       sort by processor time, memory, processes, name",
    "  r             the other way round",
    "  s             stop the selected container (asks)",
    "  K             kill it",
    "  P, space      pause it, or let it go on",
    "  l             its logs; q or Ctrl-C comes back",
    "  q             quit              ?     this help",
    "",
    "CPU% is of one processor, MEM is without page cache; ~MEM: it has no cgroup, these are sums over its processes.",
};

std::optional<double> pids_of(const TopRow& row) {
    return row.usage ? std::optional(static_cast<double>(row.usage->pids)) : std::nullopt;
}

std::optional<double> memory_of(const TopRow& row) {
    return row.usage ? std::optional(static_cast<double>(row.usage->memory_used)) : std::nullopt;
}

void remember(std::deque<double>& history, double value) {
    history.push_back(value);
    if (history.size() > kTopHistory)
        history.pop_front();
}

std::string rate_text(std::optional<double> first, std::optional<double> second) {
    if (!first || !second)
        return "-";
    return short_size(static_cast<std::uint64_t>(*first)) + "/" + short_size(static_cast<std::uint64_t>(*second));
}

std::string state_of(const TopRow& row) {
    return row.health.empty() ? row.state : row.state + " (" + row.health + ")";
}

// One column: its title, how wide it is, and what stands in it.
struct Column {
    std::string title;
    std::size_t width;
    bool to_the_right;
    std::function<std::string(const TopRow&)> text;
};

std::string filled(std::string text, std::size_t width, bool to_the_right) {
    text = clipped(text, width);
    const auto missing = width - width_of(text);
    return to_the_right ? std::string(missing, ' ') + text : text + std::string(missing, ' ');
}

std::vector<Column> columns_for(const std::vector<TopRow>& rows, bool utf8) {
    std::size_t name = 4;
    for (const auto& row : rows)
        name = std::max(name, std::min(width_of(row.name), kMaxName));
    const auto cpu = [utf8](const TopRow& row) {
        return filled(percent_text(row.cpu), 7, true) + " " + sparkline(row.cpu_history, 100, kSpark, utf8);
    };
    const auto memory = [utf8](const TopRow& row) {
        if (!row.usage)
            return filled("-", 8, true);
        const auto limit = static_cast<double>(row.usage->memory_limit.value_or(0));
        const auto used = (row.usage->from_proc ? "~" : "") + short_size(row.usage->memory_used);
        return filled(used, 8, true) + " " + sparkline(row.memory_history, limit, kSpark, utf8);
    };
    const auto limit = [](const TopRow& row) {
        return row.usage && row.usage->memory_limit ? short_size(*row.usage->memory_limit) : std::string("-");
    };
    const auto pids = [](const TopRow& row) {
        if (!row.usage)
            return std::string("-");
        const auto count = std::to_string(row.usage->pids);
        return row.usage->pids_limit ? count + "/" + std::to_string(*row.usage->pids_limit) : count;
    };
    return {{"NAME", name, false, [](const TopRow& row) { return row.name; }},
            {"   CPU%", 8 + kSpark, false, cpu},
            {"     MEM", 9 + kSpark, false, memory},
            {"LIMIT", 7, true, limit},
            {"PIDS", 8, true, pids},
            {"IO R/W", 14, true, [](const TopRow& row) { return rate_text(row.read, row.written); }},
            {"NET R/W", 14, true, [](const TopRow& row) { return rate_text(row.received, row.sent); }},
            {"STATE", 20, false, state_of}};
}

// As many as there is room for, from the left; the first one whatever comes.
void drop_what_is_too_wide(std::vector<Column>& columns, std::size_t width) {
    std::size_t used = 2; // the mark of the selected row
    for (std::size_t i = 0; i < columns.size(); ++i) {
        used += columns[i].width + (i == 0 ? 0 : kGap.size());
        const bool last_may_be_cut = i + 1 == columns.size() && used <= width + columns[i].width - 7; // "running"
        if (i > 0 && used > width && !last_may_be_cut) {
            columns.resize(i);
            return;
        }
    }
}

std::string line_of(const std::vector<Column>& columns, std::string_view mark,
                    const std::function<std::string(const Column&)>& text) {
    std::string line(mark);
    for (std::size_t i = 0; i < columns.size(); ++i) {
        line += i == 0 ? "" : kGap;
        line += filled(text(columns[i]), columns[i].width, columns[i].to_the_right);
    }
    return line;
}

} // namespace

std::string sparkline(const std::deque<double>& values, double top, std::size_t width, bool utf8) {
    constexpr std::array<std::string_view, 8> kBlocks{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    constexpr std::array<std::string_view, 8> kLetters{"_", ".", ":", "-", "=", "+", "*", "#"};
    const auto count = std::min(values.size(), width);
    const auto first = values.end() - static_cast<std::ptrdiff_t>(count);
    top = std::max(top, count > 0 ? *std::max_element(first, values.end()) : 0);
    std::string out(width - count, ' ');
    for (auto value = first; value != values.end(); ++value) {
        const double share = top > 0 ? std::clamp(*value / top, 0.0, 1.0) : 0;
        out += (utf8 ? kBlocks : kLetters)[static_cast<std::size_t>(std::lround(share * 7))];
    }
    return out;
}

void TopModel::take(const Json& stats, const Json& containers) {
    const auto usages = read_usages(stats);
    const auto selected_id = selected() ? selected()->id : std::string();
    std::vector<TopRow> rows;
    for (const auto& container : containers) {
        if (!container.is_object())
            continue;
        TopRow row;
        row.id = printable(text_of(container, "id"));
        const auto known = std::ranges::find(rows_, row.id, &TopRow::id);
        const Usage* before = known != rows_.end() && known->usage ? &*known->usage : nullptr;
        if (known != rows_.end()) {
            row.cpu_history = known->cpu_history;
            row.memory_history = known->memory_history;
        }
        row.name = printable(text_of(container, "name"));
        row.state = printable(text_of(container, "state"));
        row.health = printable(text_of(container, "health"));
        if (const auto usage = usages.find(row.id); usage != usages.end()) {
            const auto& now = usage->second;
            row.cpu = cpu_percent(before, now);
            row.read = rate(before, now, &Usage::io_read);
            row.written = rate(before, now, &Usage::io_written);
            const auto network = [&](std::optional<std::uint64_t> Usage::* counter) -> std::optional<double> {
                const auto passed = before ? now.time_us - before->time_us : 0;
                if (passed <= 0 || !(now.*counter) || !(before->*counter) || *(now.*counter) < *(before->*counter))
                    return std::nullopt;
                return static_cast<double>(*(now.*counter) - *(before->*counter)) * 1e6 / static_cast<double>(passed);
            };
            row.received = network(&Usage::received);
            row.sent = network(&Usage::sent);
            if (row.cpu)
                remember(row.cpu_history, *row.cpu);
            remember(row.memory_history, static_cast<double>(now.memory_used));
            row.usage = now;
        }
        rows.push_back(std::move(row));
    }
    rows_ = std::move(rows);
    sort();
    const auto same = std::ranges::find(rows_, selected_id, &TopRow::id);
    if (same != rows_.end() && chosen_)
        selected_ = static_cast<std::size_t>(same - rows_.begin());
    move(0);
}

void TopModel::sort() {
    const auto by = [&](auto figure) { // largest first; what does not run is last, whichever way round
        std::ranges::stable_sort(rows_, [&](const TopRow& a, const TopRow& b) {
            const auto left = figure(a), right = figure(b);
            if (left.has_value() != right.has_value())
                return left.has_value();
            return reversed_ ? left < right : left > right;
        });
    };
    std::ranges::sort(rows_, [&](const TopRow& a, const TopRow& b) {
        const bool backwards = reversed_ && sort_ == TopSort::name;
        return backwards ? std::tie(b.name, b.id) < std::tie(a.name, a.id)
                         : std::tie(a.name, a.id) < std::tie(b.name, b.id);
    });
    switch (sort_) {
    case TopSort::cpu:
        by([](const TopRow& row) { return row.cpu; });
        return;
    case TopSort::memory:
        by(memory_of);
        return;
    case TopSort::pids:
        by(pids_of);
        return;
    case TopSort::name:
        return;
    }
    std::unreachable();
}

const TopRow* TopModel::selected() const {
    return selected_ < rows_.size() ? &rows_[selected_] : nullptr;
}

void TopModel::move(std::ptrdiff_t by) {
    const auto last = static_cast<std::ptrdiff_t>(rows_.size()) - 1;
    const auto wanted = static_cast<std::ptrdiff_t>(selected_) + by;
    selected_ = static_cast<std::size_t>(std::max<std::ptrdiff_t>(std::min(wanted, last), 0));
}

TopAction TopModel::act(TopAction::Kind kind) {
    const auto* row = selected();
    if (!row) {
        message_ = "no container is selected";
        return {};
    }
    return {kind, row->id, row->name};
}

TopAction TopModel::press(TopKey key, char letter) {
    message_.clear();
    if (const auto asked = std::exchange(question_of_, {}); !asked.empty()) { // whatever is no "yes" is a "no"
        const auto row = std::ranges::find(rows_, asked, &TopRow::id);
        if (key == TopKey::other && letter == 'y' && row != rows_.end())
            return {TopAction::Kind::stop, row->id, row->name};
        return {};
    }
    if (std::exchange(help_, false) && !(key == TopKey::other && letter == 'q'))
        return {};
    chosen_ = chosen_ || key != TopKey::other || std::string_view("jkgGsKPl ").contains(letter);
    constexpr std::ptrdiff_t kFar = 1 << 20;
    const auto sort_by = [&](TopSort sort) {
        const auto id = selected() ? selected()->id : std::string();
        sort_ = sort;
        this->sort();
        if (const auto row = std::ranges::find(rows_, id, &TopRow::id); row != rows_.end() && chosen_)
            selected_ = static_cast<std::size_t>(row - rows_.begin());
    };
    switch (key) {
    case TopKey::up:
        move(-1);
        return {};
    case TopKey::down:
        move(1);
        return {};
    case TopKey::first:
        move(-kFar);
        return {};
    case TopKey::last:
        move(kFar);
        return {};
    case TopKey::other:
        break;
    }
    switch (letter) {
    case 'k':
        move(-1);
        return {};
    case 'j':
        move(1);
        return {};
    case 'g':
        move(-kFar);
        return {};
    case 'G':
        move(kFar);
        return {};
    case 'c':
        sort_by(TopSort::cpu);
        return {};
    case 'm':
        sort_by(TopSort::memory);
        return {};
    case 'p':
        sort_by(TopSort::pids);
        return {};
    case 'n':
        sort_by(TopSort::name);
        return {};
    case 'r':
        reversed_ = !reversed_;
        sort_by(sort_);
        return {};
    case 's':
        if (const auto* row = selected())
            question_of_ = row->id;
        return {};
    case 'K':
        return act(TopAction::Kind::kill);
    case 'P':
    case ' ':
        return act(selected() && selected()->state == "paused" ? TopAction::Kind::unpause : TopAction::Kind::pause);
    case 'l':
        return act(TopAction::Kind::logs);
    case 'q':
        return {TopAction::Kind::quit};
    case '?':
    case 'h':
        help_ = true;
        return {};
    default: // a letter, no enum
        return {};
    }
}

std::string TopModel::title() const {
    std::string by;
    switch (sort_) {
    case TopSort::cpu:
        by = "processor time";
        break;
    case TopSort::memory:
        by = "memory";
        break;
    case TopSort::pids:
        by = "processes";
        break;
    case TopSort::name:
        by = "name";
        break;
    }
    return "squish top: " + std::to_string(rows_.size()) + (rows_.size() == 1 ? " container" : " containers") +
           ", by " + by + (reversed_ ? ", reversed" : "");
}

TopLine TopModel::last_line() const {
    if (!question_of_.empty()) {
        const auto row = std::ranges::find(rows_, question_of_, &TopRow::id);
        return {"stop '" + (row == rows_.end() ? question_of_ : row->name) + "'? y/n", TopLine::Style::warning};
    }
    if (!message_.empty())
        return {printable(message_), TopLine::Style::warning};
    return {"q quit  ? help  s stop  K kill  P pause  l logs", TopLine::Style::plain};
}

std::vector<TopLine> TopModel::layout(std::size_t width, std::size_t height) const {
    std::vector<TopLine> lines;
    const auto add = [&](const std::string& text, TopLine::Style style) {
        lines.push_back({clipped(text, width), style});
    };
    if (help_) {
        for (const auto* line : kHelp)
            if (lines.size() < height)
                add(line, TopLine::Style::plain);
        return lines;
    }
    // The fewer lines there are, the fewer go to what is no container.
    const bool has_last = height >= 3, has_header = height >= 4, has_title = height >= 6;
    const auto places = height - (has_last ? 1 : 0) - (has_header ? 1 : 0) - (has_title ? 1 : 0);
    auto columns = columns_for(rows_, utf8_);
    drop_what_is_too_wide(columns, width);
    if (has_title)
        add(title(), TopLine::Style::title);
    if (has_header)
        add(line_of(columns, "  ", [](const Column& column) { return column.title; }), TopLine::Style::header);
    const auto first = selected_ < places ? 0 : selected_ + 1 - places; // the selected one can be seen
    for (std::size_t i = first; i < rows_.size() && i < first + places; ++i) {
        const bool is_selected = i == selected_;
        const bool is_bad = rows_[i].health == "unhealthy" || rows_[i].state == "restarting";
        add(line_of(columns, is_selected ? "> " : "  ", [&](const Column& column) { return column.text(rows_[i]); }),
            is_selected ? TopLine::Style::selected
            : is_bad    ? TopLine::Style::warning
                        : TopLine::Style::plain);
    }
    if (has_last) {
        const auto last = last_line();
        while (lines.size() + 1 < height)
            lines.emplace_back();
        add(last.text, last.style);
    }
    return lines;
}

} // namespace squish::cli

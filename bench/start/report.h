// The figures, for people and for programs.
#pragma once

#include "contestant.h"
#include "machine.h"
#include "statistics.h"

#include <string>
#include <vector>

namespace squish::bench {

struct Figures {
    std::string name, what, version;
    Summary times;
    std::size_t failures = 0;
    std::string failure; // the first one's words
};

// What the daemon says that the steps of a start took (`squish inspect`: "timings").
struct StepFigures {
    std::string name; // of the contestant
    std::vector<std::pair<std::string, Summary>> steps;
};

struct Report {
    Machine machine;
    std::string date;
    double load_before = 0, load_after = 0;
    unsigned rounds = 0, warm_up = 0, pause_ms = 0;
    std::vector<Figures> figures;
    std::vector<Skipped> skipped;
    std::vector<StepFigures> steps = {};
};

[[nodiscard]] std::string to_table(const Report& report);
[[nodiscard]] std::string to_json(const Report& report);

} // namespace squish::bench

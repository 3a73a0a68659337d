#include "cli/limit_options.h"

#include <algorithm>

namespace squish::cli {

namespace {

// As JSON has it: a number where it is one; anything else stays text, and the parser says what is wrong with it.
Json value_of(const std::string& text, bool is_number) {
    if (text == "max")
        return nullptr;
    if (is_number)
        if (auto number = Json::parse(text.starts_with('.') ? "0" + text : text, nullptr, false); number.is_number())
            return number;
    return text;
}

} // namespace

LimitOptions::LimitOptions()
    : limits_{
          {"--memory", "memory", "SIZE", "memory, such as 512M; beyond it the kernel kills", false, true, {}},
          {"--memory-high", "memory_high", "SIZE", "memory beyond which it is slowed down", false, false, {}},
          {"--memory-low", "memory_low", "SIZE", "memory that is left to it when others need some", false, false, {}},
          {"--swap", "swap", "SIZE", "swap, on top of the memory; 0 for none", false, false, {}},
          {"--cpus", "cpus", "N", "processor time, in processors: 0.5", true, true, {}},
          {"--cpu-period", "cpu_period", "TIME", "over which that is counted, 1ms to 1s", false, false, {}},
          {"--cpu-burst", "cpu_burst", "TIME", "unused processor time that may be saved up", false, false, {}},
          {"--cpu-weight", "cpu_weight", "N", "share where processors are short, 1 to 10000", true, false, {}},
          {"--cpuset", "cpuset", "LIST", "which processors: 0-1,3", false, true, {}},
          {"--pids", "pids", "N", "processes and threads", true, true, {}},
      } {}

void LimitOptions::declare_common(Options& options) {
    for (auto& limit : limits_)
        if (limit.common)
            options.text(limit.option, limit.placeholder, limit.value, limit.help);
}

void LimitOptions::declare_all(Options& options) {
    for (auto& limit : limits_)
        options.text(limit.option, limit.placeholder, limit.value, limit.help);
}

bool LimitOptions::given() const {
    return std::ranges::any_of(limits_, [](const Limit& limit) { return limit.value.has_value(); });
}

Json LimitOptions::to_json() const {
    auto out = Json::object();
    for (const auto& limit : limits_)
        if (limit.value)
            out[limit.key] = value_of(*limit.value, limit.is_number);
    return out;
}

Result<ResourceEdit> LimitOptions::edit() const {
    return parse_resources_json(to_json().dump(-1, ' ', false, Json::error_handler_t::replace));
}

} // namespace squish::cli

#include "steps.h"

#include "api.h"
#include "base/text.h"
#include "measure.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace squish::bench {

namespace {

using Json = nlohmann::ordered_json;
using Times = std::vector<std::pair<std::string, std::vector<std::uint64_t>>>; // by step, in nanoseconds

Result<void> take(const Json& container, Times& times) {
    const auto timings = container.find("timings");
    if (timings == container.end() || !timings->is_object())
        return fail(ErrorKind::unsupported, "the daemon tells no timings");
    for (const auto& [step, value] : timings->items()) {
        const auto microseconds = parse_number(value.is_string() ? value.get<std::string>() : "");
        if (!microseconds)
            return fail(ErrorKind::unsupported, "the step '" + step + "' took no number of microseconds");
        auto at = std::ranges::find(times, step, [](const auto& one) { return one.first; });
        if (at == times.end())
            at = times.insert(times.end(), {step, {}});
        at->second.push_back(*microseconds * 1000);
    }
    return {};
}

Result<void> start_one(const Stepped& contestant, Times& times) {
    const auto created =
        Json::parse(TRY(ask_api(contestant.socket, "POST", "/v1/containers", contestant.request)), nullptr, false);
    if (!created.is_object() || !created.contains("id") || !created["id"].is_string())
        return fail(ErrorKind::unsupported, "the daemon tells no id");
    const auto target = "/v1/containers/" + created["id"].get<std::string>();
    const auto told = Json::parse(TRY(ask_api(contestant.socket, "GET", target)), nullptr, false);
    TRY(ask_api(contestant.socket, "DELETE", target + "?force=true"));
    return take(told, times);
}

} // namespace

Result<std::vector<StepFigures>> measure_steps(const std::vector<Stepped>& contestants, unsigned count,
                                               unsigned pause_ms) {
    std::vector<Times> times(contestants.size());
    for (unsigned round = 0; round < count; ++round)
        for (std::size_t i = 0; i < contestants.size(); ++i) {
            if (auto started = start_one(contestants[i], times[i]); !started)
                return std::unexpected(std::move(started).error().within(contestants[i].name));
            rest(pause_ms);
        }
    std::vector<StepFigures> out;
    for (std::size_t i = 0; i < contestants.size(); ++i) {
        StepFigures figures{contestants[i].name, {}};
        for (auto& [step, taken] : times[i])
            figures.steps.emplace_back(step, summarize(std::move(taken)));
        out.push_back(std::move(figures));
    }
    return out;
}

} // namespace squish::bench

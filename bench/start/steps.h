// How long the steps of a start take, by what the daemon tells of each container.
#pragma once

#include "contestant.h"
#include "report.h"

namespace squish::bench {

// `count` starts of each, in turns; each container is removed again.
[[nodiscard]] Result<std::vector<StepFigures>> measure_steps(const std::vector<Stepped>& contestants, unsigned count,
                                                             unsigned pause_ms);

} // namespace squish::bench

// The engine's data as the API shows it (docs/openapi.yaml, components/schemas).
#pragma once

#include "daemon/http.h"
#include "engine/engine.h"

namespace squish::daemon {

[[nodiscard]] const char* state_text(ContainerState state);
[[nodiscard]] const char* health_text(HealthInfo::Status status);
[[nodiscard]] Json view(const ExitInfo& exit);
[[nodiscard]] Json view(const PortSpec& port);
[[nodiscard]] Json view(const NetworkInfo& network);
// The squishfile's JSON spelling.
[[nodiscard]] Json view(const ResourceSpec& resources);
[[nodiscard]] Json view(const ContainerFigures& container);
[[nodiscard]] Json summary_view(const ContainerInfo& container);
[[nodiscard]] Json layer_view(const LayerInfo& layer);
[[nodiscard]] Json layer_view(const ProvidedLayer& layer);
[[nodiscard]] Json inspect_view(const ContainerInfo& container, const std::optional<IsolationInfo>& isolation);

// Microseconds since the epoch → "2026-01-02T03:04:05.678901Z"; null for 0.
[[nodiscard]] Json time_view(std::int64_t microseconds);

} // namespace squish::daemon

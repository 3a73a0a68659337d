// The driver pasta(1), of the project passt.
//
// How this works. pasta joins the keeper's user and network namespace with one thread that makes the tap, and sandboxes
// itself. It has no pipe for readiness or for its end: it writes its pid file when it is set up, in the foreground
// too, and ends when it notices that the namespace's process is gone (/proc/PID), at the latest when squishd ends it.
// The pid file stays behind, and is how another squishd finds one that was left: start_pasta() ends it first.
//
// Which pasta. Those before kLeastPasta are refused: the one of Debian 12 (2023-03-09) has at times one hundredth of
// its speed from one run to the next, and does not even say its version; 2024-08-21 brought --map-host-loopback, which
// we need to be exact about what stands for the host's loopback. It is also refused where --help lacks an option of
// ours, and, once it says that it is ready, where the keeper's namespace has no default route through our interface.
//
// It reads /etc/resolv.conf when it starts, and never again.
#pragma once

#include "uplink/uplink.h"

#include <optional>
#include <vector>

namespace squish::uplink {

inline constexpr std::uint32_t kLeastPasta = 20240821; // a release's date, year month day

struct PastaProbe {
    std::string path;
    std::string version; // its own words: "pasta 0.0~git20250503.587980c-2"
    std::uint32_t date = 0;
};

// Finds and judges the installed one, running it with --version and --help, two seconds at most each. unsupported:
// there is none, or it is refused; the message says why, the remedy what to do.
[[nodiscard]] Result<PastaProbe> probe_pasta();
// The same for one program.
[[nodiscard]] Result<PastaProbe> probe_pasta_at(const std::string& program);

[[nodiscard]] Result<Uplink> start_pasta(pid_t keeper, const Options& options);
[[nodiscard]] Result<bool> check_pasta(Uplink& uplink);

// The parts: pure.
[[nodiscard]] std::vector<std::string> pasta_arguments(pid_t keeper, const Options& options,
                                                       const std::string& pid_file);
// The release's date in the first line of `pasta --version`: "pasta 2024_08_21.1d6142f", "pasta
// 0.0~git20250503.587980c-2", "pasta 0^20240906.g6b38f07-1.fc40.x86_64"; none in "pasta unknown version".
[[nodiscard]] std::optional<std::uint32_t> parse_pasta_date(std::string_view text);
[[nodiscard]] Result<PastaProbe> judge_pasta(const std::string& path, std::string_view version_text,
                                             std::string_view help_text);
// Whether the text of /proc/PID/net/route has a default route through `interface`.
[[nodiscard]] bool has_default_route(std::string_view text, std::string_view interface);

} // namespace squish::uplink

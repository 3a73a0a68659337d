// Where an uplink's stderr goes, and what it has written there.
#pragma once

#include "uplink/uplink.h"

namespace squish::uplink {

// Makes uplink.log: of options.log_fd, or of a file in memory that cannot grow, whose owner is `own`. The descriptor
// to give to the program.
[[nodiscard]] Result<int> open_log(Uplink& uplink, const Options& options, UniqueFd& own);
// What it has said since it was started.
[[nodiscard]] std::string last_words(const Uplink& uplink);

} // namespace squish::uplink

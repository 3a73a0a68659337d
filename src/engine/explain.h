// What a failed step of init means to the person who must act.
#pragma once

#include "base/result.h"

#include <string>

namespace squish {

// A step before the payload's: "cannot mount '/data' (layer 'data'): No such file or directory".
[[nodiscard]] Error explain_step(const std::string& what, int error);
// The last step, `run` or `become`; `value` is Report::value (launch/format.h). The kind decides the exit code:
// no_command (127), not_executable (126), start_failed (125).
[[nodiscard]] Error explain_run(const std::string& command, const std::string& work_folder, int value);

} // namespace squish

#pragma once

#include "base/result.h"

namespace squish::cli {

// Contract section 3. `starting`: for run, create and exec, where whatever is not a mistake of the caller's means that
// squish could not start it.
enum class Doing { starting, anything_else };
[[nodiscard]] int exit_code(ErrorKind kind, Doing doing = Doing::anything_else);

// Prints the error and returns its exit code.
[[nodiscard]] int give_up(const Error& error, Doing doing = Doing::anything_else);

} // namespace squish::cli

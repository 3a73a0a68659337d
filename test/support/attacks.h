// What a hostile payload tries, one attack at a time: `testbin attack NAME ARGS…` prints a line for each try, "WHAT ok"
// or "WHAT ERRNO", so that a test can compare what is shut with what is open.
#pragma once

#include <string>
#include <vector>

int cmd_attack(const std::vector<std::string>& args);

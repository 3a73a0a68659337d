// What a hostile payload tries, one attack at a time: `testbin attack NAME ARGS…` prints a line for each try, "WHAT ok"
// or "WHAT ERRNO", so that a test can compare what is shut with what is open.
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

int cmd_attack(const std::vector<std::string>& args);

namespace attacks {

using Args = std::vector<std::string>;
using Table = std::map<std::string, std::function<int(const Args&)>>;

const Table& ways_out();   // attacks_ways_out.cpp
const Table& exhaustion(); // attacks_exhaust.cpp

// "WHAT ok" or "WHAT ERRNO".
inline void tell(const std::string& what, bool worked) {
    std::printf("%s %s\n", what.c_str(), worked ? "ok" : strerrorname_np(errno ? errno : EIO));
}

} // namespace attacks

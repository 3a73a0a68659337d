// The same request for each of several containers.
#pragma once

#include "cli/client.h"

#include <functional>
#include <string>
#include <vector>

namespace squish::cli {

struct EachCall {
    std::string method;
    std::string suffix; // after /v1/containers/ID
    std::string body = {};
};

// Makes the requests side by side (sixteen at a time) and hands over the answers in the order of `ids`; what fails is
// complained about, and the rest goes on. Returns 0, or the exit code of the last failure.
int for_each_id(const std::vector<std::string>& ids, const EachCall& each,
                const std::function<bool(const Json&)>& answered);

// For those that print the ids.
bool print_id(const Json& answer);

} // namespace squish::cli

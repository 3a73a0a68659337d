// What must hold of any input: where it does not, the fuzzer is told by a crash.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace squish::test {

// `answer` is what was seen instead, printed as it is.
inline void require(bool holds, const char* what, std::string_view answer = {}) {
    if (holds)
        return;
    std::fprintf(stderr, "violated: %s\n%.*s\n", what, static_cast<int>(answer.size()), answer.data());
    std::abort();
}

} // namespace squish::test

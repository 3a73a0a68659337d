// bench-floor: prints what a start costs at least.
//
//   bench-floor [--network] [--count N] [--quiet] ROOTFS PROGRAM
//
// As an unprivileged user. One line per start, in microseconds; with --network each has a network namespace.
#include "floor/floor.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

int main(int argc, char** argv) {
    using namespace squish::bench;
    auto network = FloorNetwork::shared;
    long count = 1;
    bool quiet = false;
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; ++at) {
        if (std::strcmp(argv[at], "--network") == 0)
            network = FloorNetwork::own;
        else if (std::strcmp(argv[at], "--quiet") == 0)
            quiet = true;
        else if (std::strcmp(argv[at], "--count") == 0 && at + 1 < argc)
            count = std::strtol(argv[++at], nullptr, 10);
        else
            break;
    }
    if (argc - at != 2 || count < 1) {
        std::fputs("usage: bench-floor [--network] [--count N] [--quiet] ROOTFS PROGRAM\n", stderr);
        return 2;
    }
    for (long i = 0; i < count; ++i) {
        const auto took = start_on_the_floor(argv[at], argv[at + 1], network);
        if (!quiet)
            std::printf("%.1f\n", static_cast<double>(took) / 1000);
    }
    return 0;
}

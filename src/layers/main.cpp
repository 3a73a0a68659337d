// squish-layers: unpacks, packs, checks and removes layers, each time in a throw-away process.
//
// Started by the keeper with fd 3 = the listening socket, in the user's namespace, so that files can belong to any of
// the user's ids. Serves until there was no client for half a minute. What it can be asked: layers/operations.cpp.

#include "layers/sandbox.h"
#include "layers/service.h"
#include "os/process.h"

#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>

namespace {

using namespace squish;

constexpr int kIdleMs = 30'000;

Result<void> serve(int listener) {
    layers::IdMaps maps;
    maps.uids = TRY(os::identity_map("/proc/self/uid_map"));
    maps.gids = TRY(os::identity_map("/proc/self/gid_map"));
    return layers::Service(listener, maps).run(kIdleMs);
}

} // namespace

int main() {
    ::fcntl(3, F_SETFD, FD_CLOEXEC);
    ::umask(022);
    (void) os::raise_descriptor_limit();
    const UniqueFd listener(3);
    const auto served = serve(listener.get());
    if (served)
        return 0;
    std::fprintf(stderr, "squish-layers: %s\n", served.error().text().c_str());
    return 1;
}

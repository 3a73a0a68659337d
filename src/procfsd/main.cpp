// squish-procfs: the FUSE server of all containers' /proc files. Started by the keeper, again whenever it ends, with
// fd 3 = the FUSE connection, fd 4 = the table of views (read-only), fd 5 = its workbook (procshare/layout.h).
//
// It may be killed at any moment, which is also how it is ended and how a new version takes over: what it had in hand
// is in the workbook. Ends with 0 where the tree is not mounted any more, and with 1 where it cannot work.

#include "os/process.h"
#include "procfsd/confine.h"
#include "procfsd/connection.h"
#include "procfsd/service.h"
#include "procfsd/watchdog.h"
#include "procshare/table.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <unistd.h>

namespace {

using namespace squish;
using procfsd::Connection;
using procfsd::Watchdog;

constexpr int kFuseFd = 3, kTableFd = 4, kWorkbookFd = 5;

// Waits until the server before us has ended: two would write over each other's requests. Ends with the process.
Result<void> lock(int workbook) {
    struct flock whole{};
    whole.l_type = F_WRLCK;
    while (::fcntl(workbook, F_SETLKW, &whole) < 0)
        if (errno != EINTR)
            return fail_errno("lock the workbook", errno, "this program is started by squish, not by hand");
    return {};
}

Result<procview::Collector> open_collector() {
    // Where both versions of cgroups are mounted, the second is in a folder of its own (systemd's "hybrid" layout).
    const bool hybrid = ::access("/sys/fs/cgroup/unified/cgroup.controllers", F_OK) == 0;
    return procview::Collector::open("/proc", "/sys", hybrid ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup");
}

Result<void> serve() {
    for (const int fd : {kFuseFd, kTableFd, kWorkbookFd})
        ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    TRY(lock(kWorkbookFd));
    TRY(os::raise_descriptor_limit());
    auto book = TRY(procshare::Workbook::open(kWorkbookFd));
    const auto table = TRY(procshare::TableReader::open(kTableFd));
    auto collector = TRY(open_collector());
    procfsd::Views views(table, collector);
    procfsd::Service service{views, book};
    ::fcntl(kFuseFd, F_SETFL, ::fcntl(kFuseFd, F_GETFL) & ~O_NONBLOCK);
    auto connection = TRY(Connection::open(kFuseFd, book, procfsd::operations(), &service));
    auto watchdog = TRY(Watchdog::start());
    TRY(procfsd::confine());

    watchdog.request_begins();
    connection.take_over();
    for (;;) {
        const auto ticks = collector.watches_load() ? Watchdog::Ticks::wanted : Watchdog::Ticks::none;
        if (watchdog.wait_begins(ticks))
            collector.tick();
        switch (TRY(connection.read())) {
        case Connection::Read::request:
            watchdog.request_begins();
            connection.answer();
            break;
        case Connection::Read::interrupted:
            break;
        case Connection::Read::gone:
            return {};
        }
    }
}

} // namespace

int main() {
    const auto served = serve();
    if (served)
        return 0;
    std::fprintf(stderr, "squish-procfs: %s\n", served.error().text().c_str());
    return 1;
}

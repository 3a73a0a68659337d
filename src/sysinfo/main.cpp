// squish-sysinfo: answers sysinfo(2) for all containers (sysinfo/server.h). Started by the keeper, again whenever it
// ends, with fd 3 = a SEQPACKET socket of the keeper's, through which the listeners come, fd 4 = the table of views
// (read-only), fd 5 = its workbook (procshare/notices.h).
//
// It may be killed at any moment, which is also how it is ended and how a new version takes over. Ends with 0 where the
// keeper has ended, and with 1 where it cannot work.

#include "os/file.h"
#include "os/process.h"
#include "procview/clock.h"
#include "sysinfo/confine.h"
#include "sysinfo/server.h"

#include <algorithm>
#include <cstdio>
#include <fcntl.h>
#include <sys/resource.h>

namespace {

using namespace squish;

constexpr int kKeeperFd = 3, kTableFd = 4, kWorkbookFd = 5;

// Of the descriptors that we may have, most are for listeners: the collector keeps cgroups open by the limit it finds.
Result<procview::Collector> open_collector() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return fail_errno("getrlimit");
    limit.rlim_cur = std::min(limit.rlim_max, std::clamp<rlim_t>(limit.rlim_max / 4, 128, 8192));
    if (::setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return fail_errno("setrlimit");
    auto collector = TRY(procview::Collector::open("/proc", "/sys", "/sys/fs/cgroup"));
    TRY(os::raise_descriptor_limit());
    return collector;
}

Result<void> serve() {
    for (const int fd : {kKeeperFd, kTableFd, kWorkbookFd})
        if (::fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
            return fail(ErrorKind::invalid, "descriptors 3 to 5 are not all there",
                        "this program is started by squish, not by hand");
    UniqueFd keeper(kKeeperFd), table_memory(kTableFd), workbook(kWorkbookFd);
    if (::fcntl(keeper.get(), F_SETFL, O_NONBLOCK) < 0)
        return fail_errno("fcntl");
    auto table = TRY(procshare::TableReader::open(table_memory.get()));
    auto notices = TRY(
        procshare::Notices::open(workbook.get(), procview::now_ns(), sysinfo::kPatienceSeconds * procview::kSecond));
    auto proc = TRY(os::open_file("/proc", O_PATH | O_DIRECTORY));
    auto collector = TRY(open_collector());
    auto server = TRY(sysinfo::Server::open(std::move(keeper), std::move(proc), std::move(table), std::move(notices),
                                            std::move(collector)));
    TRY(sysinfo::confine());
    return server.run();
}

} // namespace

int main() {
    const auto served = serve();
    if (served)
        return 0;
    std::fprintf(stderr, "squish-sysinfo: %s\n", served.error().text().c_str());
    return 1;
}

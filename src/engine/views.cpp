#include "engine/views.h"

#include "os/process.h"
#include "procshare/notices.h"
#include "procshare/workbook.h"

#include <cerrno>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace squish {

Result<ViewMemory> make_view_memory(UniqueFd connection) {
    ViewMemory memory;
    memory.connection = std::move(connection);
    memory.table = TRY(procshare::TableWriter::make());
    memory.procfs_workbook = TRY(procshare::Workbook::make());
    memory.sysinfo_workbook = TRY(procshare::Notices::make());
    return memory;
}

Result<std::unique_ptr<Views>> Views::open(int table, const std::vector<procshare::Key>& in_use) {
    auto writer = procshare::TableWriter::open(table);
    if (!writer)
        return fail(ErrorKind::invalid, writer.error().message,
                    "containers of another version of squish run: stop them, then 'squish daemon stop'");
    writer->retain(in_use);
    return std::unique_ptr<Views>(new Views(std::move(*writer)));
}

std::vector<unsigned> Views::load(const std::vector<procshare::Key>& keys) const {
    std::vector<unsigned> load(procshare::kCpuWords * 64);
    for (const auto key : keys) {
        const auto facts = table_.get(key);
        if (!facts || facts->own_cpus == 0)
            continue;
        for (std::size_t cpu = 0; cpu < load.size(); ++cpu)
            load[cpu] += (facts->cpus[cpu / 64] >> (cpu % 64) & 1) != 0 ? 1 : 0;
    }
    return load;
}

namespace {

// In a child that does nothing else: filters stay for ever.
[[noreturn]] void try_listener() {
    sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const sock_fprog program{1, &allow};
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    const long listener = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    ::_exit(listener >= 0 ? 0 : errno > 0 && errno < 255 ? errno : 255);
}

// What it says: 0, or an errno; -1 where it could not be asked.
int probe_listeners() {
    auto child = os::clone_process(0);
    if (!child)
        return -1;
    if (child->pid == 0)
        try_listener();
    (void) os::wait_ended(child->pidfd.get(), -1);
    const auto ended = os::reap(child->pidfd.get());
    return ended ? os::exit_code(ended->status) : -1;
}

} // namespace

Result<void> check_listeners() {
    static const int found = probe_listeners();
    if (found == 0)
        return {};
    if (found == EBUSY)
        return fail(ErrorKind::unsupported, "squish runs below a seccomp filter that has a listener already",
                    "run it outside of that container");
    return fail(ErrorKind::unsupported, "this kernel has no seccomp notifications",
                "they need Linux 5.0 or later with CONFIG_SECCOMP_FILTER");
}

} // namespace squish

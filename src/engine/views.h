// What containers are shown of the machine: the table that squish-procfs and squish-sysinfo read (procshare/layout.h),
// and these two servers, which the keeper starts, and starts again whenever they end.
//
// A view has a key. It is given to a cell, before its init puts the view's files over the kernel's, and taken back once
// the container's last process is gone. What is shown is written when it starts, and when its limits change.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "procshare/table.h"

#include <memory>
#include <optional>
#include <vector>

namespace squish {

class Views {
public:
    // `in_use`: the keys of containers that run; all others are removed. Errors: invalid, with the remedy, where the
    // memory is of another version of squish.
    [[nodiscard]] static Result<std::unique_ptr<Views>> open(int table, const std::vector<procshare::Key>& in_use);

    // 0: there are too many.
    [[nodiscard]] procshare::Key add() { return table_.add(); }
    void put(const procshare::Facts& facts) { table_.put(facts); }
    [[nodiscard]] std::optional<procshare::Facts> get(procshare::Key key) const { return table_.get(key); }
    void remove(procshare::Key key) { table_.remove(key); }
    // How many containers are bound to each CPU.
    [[nodiscard]] std::vector<unsigned> load(const std::vector<procshare::Key>& keys) const;

private:
    explicit Views(procshare::TableWriter table) : table_(std::move(table)) {}
    procshare::TableWriter table_;
};

// What the servers and the table hang on, as the keeper holds it.
struct ViewMemory {
    UniqueFd connection; // FUSE
    UniqueFd table;
    UniqueFd procfs_workbook, sysinfo_workbook;
};
[[nodiscard]] Result<ViewMemory> make_view_memory(UniqueFd connection);

// Whether calls of a container can be answered by a process of ours (seccomp_unotify(2), Linux 5.0). Errors:
// unsupported, where the kernel lacks it, or squishd is itself below a filter that has a listener: there can be one.
// Forks once; the answer does not change.
[[nodiscard]] Result<void> check_listeners();

} // namespace squish

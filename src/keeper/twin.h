// The host-network twin: a fork of the keeper that stayed in the host's network namespace, because there is no way back
// into it (setns(2) needs a capability over it). All it can do is clone a cell there, as the keeper's child.
#pragma once

#include "keeper/cell.h"

namespace squish::keeper {

// Forks it; returns the socket. The twin ends when the socket closes.
[[nodiscard]] Result<UniqueFd> start_twin(const Cloner& cloner);
// Asks it for a cell with the id maps of `cloner`, in that cgroup (-1: the twin's own). Blocks for the time of a clone.
[[nodiscard]] Result<Cell> clone_cell_in_host_network(int twin, const Cloner& cloner, int cgroup);

} // namespace squish::keeper

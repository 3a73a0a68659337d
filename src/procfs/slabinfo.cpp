// /proc/slabinfo: no caches (their names and sizes are the host kernel's own, and only its root may read them).
#include "procfs/files.h"

namespace squish::procfs {

std::string slabinfo(std::string_view, const View&) {
    return "slabinfo - version: 2.1\n"
           "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>"
           " : tunables <limit> <batchcount> <sharedfactor>"
           " : slabdata <active_slabs> <num_slabs> <sharedavail>\n";
}

} // namespace squish::procfs

// What the server answers: files as they were when they were opened, folders, and nothing that changes anything.
#pragma once

#include "procfsd/views.h"
#include "procshare/workbook.h"

#include <fuse3/fuse_lowlevel.h>

namespace squish::procfsd {

// Given to libfuse as its user data.
struct Service {
    Views& views;
    procshare::Workbook& book;
};

[[nodiscard]] const fuse_lowlevel_ops& operations();

// A request that was begun this often killed the server each time before: it is answered without the host.
inline constexpr std::uint32_t kLastAttempt = 3;

} // namespace squish::procfsd

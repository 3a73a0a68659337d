// Files by descriptor: opening beneath a root, reading whole, writing atomically. EINTR is handled here.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <sys/stat.h>

namespace squish::os {

// open(2), always O_CLOEXEC. The error names the path.
[[nodiscard]] Result<UniqueFd> open_file(const std::string& path, int flags, mode_t mode = 0);
[[nodiscard]] Result<UniqueFd> open_at(int dir, const std::string& path, int flags, mode_t mode = 0);

// openat2(2) (Linux 5.6). `resolve` is a set of RESOLVE_* flags.
[[nodiscard]] Result<UniqueFd> open_beneath(int dir, const std::string& path, std::uint64_t flags,
                                            std::uint64_t resolve, mode_t mode = 0);

// Reads to the end; an error beyond `limit` bytes.
[[nodiscard]] Result<std::string> read_all(int fd, std::size_t limit = 16 << 20);
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::size_t limit = 16 << 20);
[[nodiscard]] Result<std::string> read_file_at(int dir, const std::string& path, std::size_t limit = 16 << 20);

[[nodiscard]] Result<void> write_all(int fd, std::string_view bytes);
// Opens an existing file (procfs, sysfs) and writes it in one write(2).
[[nodiscard]] Result<void> write_existing(const std::string& path, std::string_view bytes);
// Readers see the old content or the new, never a part: temporary file in the same folder, rename(2).
[[nodiscard]] Result<void> write_atomically(int dir, const std::string& name, std::string_view bytes,
                                            mode_t mode = 0600);

// mkdir -p with `mode` for what is made.
[[nodiscard]] Result<void> make_dirs(const std::string& path, mode_t mode = 0700);
// Removes a tree without following links; what is not there is fine.
[[nodiscard]] Result<void> remove_tree(const std::string& path);

// A sealed anonymous file (memfd_create(2)) holding `bytes`: nobody can change it any more.
[[nodiscard]] Result<UniqueFd> sealed_memfd(const char* name, std::string_view bytes, bool executable);

// "/proc/self/fd/N"
[[nodiscard]] std::string fd_path(int fd);

} // namespace squish::os

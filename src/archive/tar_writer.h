// Writes a pax archive (POSIX.1-2017, pax, "ustar Interchange Format"): only what stands in a header, nothing of the
// machine that it is written on, so that equal input gives equal bytes.
#pragma once

#include "archive/xattrs.h"
#include "base/result.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace squish::archive {

struct TarHeader {
    std::string path; // without a slash at the end
    char type = '0';  // '0' file, '1' hard link, '2' symlink, '5' folder
    mode_t mode = 0644;
    std::uint64_t uid = 0, gid = 0;
    std::uint64_t size = 0; // of a file
    std::int64_t seconds = 0;
    long nanoseconds = 0;
    std::string target; // of a link
    Xattrs xattrs;
};

class TarWriter {
public:
    using Sink = std::function<Result<void>(std::string_view bytes)>;
    explicit TarWriter(Sink sink) : sink_(std::move(sink)) {}

    // A header, then for a file as many bytes as it says, by write().
    [[nodiscard]] Result<void> header(const TarHeader& header);
    [[nodiscard]] Result<void> write(std::string_view bytes);
    [[nodiscard]] Result<void> pad();    // after a file
    [[nodiscard]] Result<void> finish(); // the mark that ends a tar

private:
    Sink sink_;
    std::uint64_t written_ = 0;
};

} // namespace squish::archive

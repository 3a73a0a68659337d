// Feeds arbitrary texts to what reads /proc/PID/maps: the names in it are a container's own choice. The input begins
// with the range that is asked for, two numbers of eight bytes.
#include "require.h"
#include "sysinfo/caller.h"

#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

using squish::test::require;
using namespace squish;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    std::uint64_t range[2];
    if (size < sizeof range)
        return 0;
    std::memcpy(range, data, sizeof range);
    static const int file = ::memfd_create("maps", MFD_CLOEXEC);
    const std::string_view text(reinterpret_cast<const char*>(data) + sizeof range, size - sizeof range);
    require(::ftruncate(file, 0) == 0 &&
                ::pwrite(file, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()) &&
                ::lseek(file, 0, SEEK_SET) == 0,
            "there is a file to read");
    const auto found = sysinfo::look_in_text(file, range[0], range[1]);
    if (found != sysinfo::Memory::none)
        require(text.contains('w') && text.contains('-'), "only what may be written to is found", text);
    return 0;
}

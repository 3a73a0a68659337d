// Feeds arbitrary texts to what reads the kernel's files: parts of them (names of processes, of files) are a
// container's own choice, and a file may be torn.
#include "procview/cgroups.h"
#include "procview/parse.h"
#include "require.h"

#include "base/text.h"

#include <algorithm>

namespace {

using squish::test::require;
using namespace squish::procview;

void check_ids(std::string_view text) {
    const auto ids = parse_ids(text, 100);
    require(ids.size() <= 100, "no more ids than asked for");
    require(std::ranges::all_of(ids, [](pid_t id) { return id > 0; }), "an id is above zero");
    const auto nested = parse_namespace_ids(text);
    require(std::ranges::all_of(nested, [](pid_t id) { return id > 0; }), "an id in a namespace is above zero");
}

void check_path(std::string_view path) {
    if (!is_cgroup_path(path))
        return;
    const auto parts = squish::split(path.substr(1), '/');
    require(path.front() == '/', "a path of a cgroup is absolute", path);
    require(std::ranges::none_of(parts, [](auto part) { return part.empty() || part == "." || part == ".."; }),
            "a path of a cgroup leads down", path);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    check_ids(text);
    check_path(text);
    if (const auto stat = parse_process_stat(text))
        require(text.contains(')'), "a process has a name in parentheses", text);
    const auto pages = parse_statm(text);
    require(pages.shared <= pages.resident, "no more is shared than is resident", text);
    require(parse_io_stat(text).size() <= 256, "so many devices and no more");
    squish::procfs::Usage usage;
    parse_memory_stat(text, usage);
    parse_cpu_stat(text, usage);
    (void) parse_single(text);
    (void) parse_meminfo(text, "MemTotal");
    return 0;
}

#include "procfs/tree.h"

#include "procfs/cpu_lists.h"
#include "procfs/node_meminfo.h"
#include "procfs/reading.h"

#include "base/text.h"

#include <algorithm>
#include <array>

namespace squish::procfs {

namespace {

constexpr std::size_t kLongestPath = 128;
constexpr std::size_t kMostParts = 5;
constexpr std::size_t kCacheIndexes = 10; // the kernel's machines have at most five
constexpr std::string_view kHostFolder = "/sys/devices/system/";

// How a file's text is made.
enum class Content {
    shown,    // the list of CPUs that are shown
    nothing,  // an empty list
    one,      // 1
    zero,     // 0: the only node
    distance, // of the only node to itself
    host,     // the host's: numbers and words of the CPU's kind
    list,     // the host's, of those that are shown
    mask,     // the same
    all_mask, // of all that are shown, as wide as the host's CPUs that are possible
    meminfo,
};

struct Leaf {
    std::string_view name;
    Content content;
};

constexpr Leaf kCpuLeaves[] = {
    {"online", Content::shown},    {"possible", Content::shown},   {"present", Content::shown},
    {"offline", Content::nothing}, {"isolated", Content::nothing}, {"kernel_max", Content::host},
};

constexpr Leaf kOneCpuLeaves[] = {{"online", Content::one}};

// Documentation/admin-guide/cputopology.rst. Not ppin, the serial number of a processor.
constexpr Leaf kTopologyLeaves[] = {
    {"physical_package_id", Content::host},
    {"die_id", Content::host},
    {"cluster_id", Content::host},
    {"core_id", Content::host},
    {"book_id", Content::host},
    {"drawer_id", Content::host},
    {"core_cpus", Content::mask},
    {"core_cpus_list", Content::list},
    {"core_siblings", Content::mask},
    {"core_siblings_list", Content::list},
    {"thread_siblings", Content::mask},
    {"thread_siblings_list", Content::list},
    {"cluster_cpus", Content::mask},
    {"cluster_cpus_list", Content::list},
    {"die_cpus", Content::mask},
    {"die_cpus_list", Content::list},
    {"package_cpus", Content::mask},
    {"package_cpus_list", Content::list},
    {"book_siblings", Content::mask},
    {"book_siblings_list", Content::list},
    {"drawer_siblings", Content::mask},
    {"drawer_siblings_list", Content::list},
};

// Documentation/ABI/testing/sysfs-devices-system-cpu
constexpr Leaf kCacheLeaves[] = {
    {"id", Content::host},
    {"level", Content::host},
    {"type", Content::host},
    {"size", Content::host},
    {"coherency_line_size", Content::host},
    {"number_of_sets", Content::host},
    {"ways_of_associativity", Content::host},
    {"physical_line_partition", Content::host},
    {"allocation_policy", Content::host},
    {"write_policy", Content::host},
    {"shared_cpu_map", Content::mask},
    {"shared_cpu_list", Content::list},
};

constexpr Leaf kNodeLeaves[] = {
    {"online", Content::zero},     {"possible", Content::zero},          {"has_cpu", Content::zero},
    {"has_memory", Content::zero}, {"has_normal_memory", Content::zero},
};

constexpr Leaf kOneNodeLeaves[] = {
    {"meminfo", Content::meminfo},
    {"cpulist", Content::shown},
    {"cpumap", Content::all_mask},
    {"distance", Content::distance},
};

// "cpu3": a prefix and a number as the kernel writes it.
std::optional<std::size_t> numbered(std::string_view name, std::string_view prefix, std::size_t end) {
    if (!name.starts_with(prefix))
        return std::nullopt;
    name.remove_prefix(prefix.size());
    const auto number = read_number(name);
    if (!number || *number >= end || (name.size() > 1 && name.front() == '0'))
        return std::nullopt;
    return number;
}

struct Path {
    std::array<std::string_view, kMostParts> parts;
    std::size_t count = 0;
};

// None where it has empty parts or too many. Names are looked up and never resolved: ".." is one that is not there.
std::optional<Path> parse(std::string_view text) {
    if (text.size() > kLongestPath)
        return std::nullopt;
    Path path;
    for (std::size_t start = 0;;) {
        const auto end = std::min(text.find('/', start), text.size());
        if (end == start || path.count == kMostParts)
            return std::nullopt;
        path.parts[path.count++] = text.substr(start, end - start);
        if (end == text.size())
            return path;
        start = end + 1;
    }
}

std::vector<std::string> numbered_names(std::string_view prefix, const CpuSet& numbers) {
    std::vector<std::string> names;
    for (std::size_t number = 0; number < numbers.size(); ++number)
        if (numbers.test(number))
            append_number(names.emplace_back(prefix), number);
    return names;
}

enum class Where { nowhere, cpu, one_cpu, topology, cache, cache_index, node, one_node };

// The folder `name` of the folder `where`.
Where step(Where where, std::string_view name, const CpuSet& shown) {
    switch (where) {
    case Where::cpu: {
        const auto cpu = numbered(name, "cpu", kMaxCpus);
        return cpu && shown.test(*cpu) ? Where::one_cpu : Where::nowhere;
    }
    case Where::one_cpu:
        if (name == "topology")
            return Where::topology;
        return name == "cache" ? Where::cache : Where::nowhere;
    case Where::cache:
        return numbered(name, "index", kCacheIndexes) ? Where::cache_index : Where::nowhere;
    case Where::node:
        return name == "node0" ? Where::one_node : Where::nowhere;
    case Where::nowhere:
    case Where::topology:
    case Where::cache_index:
    case Where::one_node:
        return Where::nowhere;
    }
    return Where::nowhere;
}

std::span<const Leaf> leaves_of(Where where) {
    switch (where) {
    case Where::cpu:
        return kCpuLeaves;
    case Where::one_cpu:
        return kOneCpuLeaves;
    case Where::topology:
        return kTopologyLeaves;
    case Where::cache_index:
        return kCacheLeaves;
    case Where::node:
        return kNodeLeaves;
    case Where::one_node:
        return kOneNodeLeaves;
    case Where::nowhere:
    case Where::cache:
        return {};
    }
    return {};
}

std::vector<std::string> folders_of(Where where, const CpuSet& shown) {
    switch (where) {
    case Where::cpu:
        return numbered_names("cpu", shown);
    case Where::one_cpu:
        return {"topology", "cache"};
    case Where::cache:
        return numbered_names("index", CpuSet((1U << kCacheIndexes) - 1));
    case Where::node:
        return {"node0"};
    case Where::nowhere:
    case Where::topology:
    case Where::cache_index:
    case Where::one_node:
        return {};
    }
    return {};
}

struct Place {
    Where folder = Where::nowhere; // that it is, or that it is in
    const Leaf* leaf = nullptr;
    std::size_t cpu = 0; // where it is one's
};

Place look_up(std::string_view text, const View& view) {
    const auto path = parse(text);
    if (!path)
        return {};
    const auto shown = shown_cpus(view);
    Place place;
    if (path->parts[0] == "cpu")
        place.folder = Where::cpu;
    else if (path->parts[0] == "node")
        place.folder = Where::node;
    for (std::size_t i = 1; i < path->count && place.folder != Where::nowhere; ++i) {
        const auto name = path->parts[i];
        const auto leaves = leaves_of(place.folder);
        const auto leaf = std::ranges::find(leaves, name, &Leaf::name);
        if (leaf != leaves.end() && i + 1 == path->count) {
            place.leaf = &*leaf;
            return place;
        }
        place.folder = step(place.folder, name, shown);
        if (place.folder == Where::one_cpu)
            place.cpu = numbered(name, "cpu", kMaxCpus).value_or(0);
    }
    return place;
}

// The host's text; one line of it.
std::string first_line(std::string_view host) {
    std::string out(host.substr(0, host.find('\n')));
    out += '\n';
    return out;
}

// It is its own neighbour, whatever the host says.
CpuSet neighbours(CpuSet cpus, std::size_t cpu, const View& view) {
    cpus &= shown_cpus(view);
    cpus.set(cpu);
    return cpus;
}

} // namespace

std::optional<Node> find(std::string_view path, const View& view) {
    const auto place = look_up(path, view);
    if (place.folder == Where::nowhere)
        return std::nullopt;
    Node node;
    node.host_path = std::string(kHostFolder).append(path);
    if (place.leaf == nullptr) {
        node.kind = Node::Kind::folder;
        if (place.folder == Where::one_node) // also where the host's only node has another number
            node.host_path = "/sys/devices/system/node";
        return node;
    }
    switch (place.leaf->content) {
    case Content::shown:
    case Content::nothing:
    case Content::zero:
    case Content::distance:
        node.host_path.clear();
        break;
    case Content::all_mask: // no host's node has all CPUs
        node.host_path = "/sys/devices/system/cpu/possible";
        break;
    case Content::meminfo:
        node.host_path = "/proc/meminfo";
        node.needs = kMemory;
        break;
    case Content::one:
    case Content::host:
    case Content::list:
    case Content::mask:
        break;
    }
    return node;
}

std::vector<std::string> list(std::string_view path, const View& view) {
    const auto place = look_up(path, view);
    std::vector<std::string> names;
    if (place.leaf != nullptr)
        return names;
    for (const auto& leaf : leaves_of(place.folder))
        names.emplace_back(leaf.name);
    std::ranges::move(folders_of(place.folder, shown_cpus(view)), std::back_inserter(names));
    return names;
}

std::string render(std::string_view path, std::string_view host, const View& view) {
    const auto place = look_up(path, view);
    if (place.leaf == nullptr)
        return {};
    switch (place.leaf->content) {
    case Content::shown:
        return cpu_list(shown_cpus(view)) + "\n";
    case Content::nothing:
        return "\n";
    case Content::one:
        return "1\n";
    case Content::zero:
        return "0\n";
    case Content::distance:
        return "10\n";
    case Content::host:
        return first_line(host);
    case Content::list:
        return cpu_list(neighbours(parse_cpu_list(host), place.cpu, view)) + "\n";
    case Content::mask: {
        const auto mask = parse_cpu_mask(host);
        return cpu_mask(neighbours(mask.cpus, place.cpu, view), mask.bits) + "\n";
    }
    case Content::all_mask: {
        const auto possible = parse_cpu_list(host);
        return cpu_mask(shown_cpus(view), parse_cpu_mask(cpu_mask(possible, 1)).bits) + "\n";
    }
    case Content::meminfo:
        return node_meminfo(host, view);
    }
    return {};
}

} // namespace squish::procfs

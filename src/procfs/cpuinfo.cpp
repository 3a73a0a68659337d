// /proc/cpuinfo: the blocks of the CPUs that are shown.
//
// How this works
//   A block ends at an empty line. Whose it is says "processor : 3" (x86, Arm, RISC-V, LoongArch, POWER) or
//   "cpu number : 3" (s390); blocks that are nobody's (the machine's: Arm, POWER, s390) are passed, line by line,
//   without serial numbers. Numbers of neighbours in a package (x86) count those that are shown.
#include "procfs/files.h"
#include "procfs/reading.h"

#include "base/text.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

namespace squish::procfs {

namespace {

struct Field {
    std::string_view key, value;
};

Field read_field(std::string_view line) {
    const auto colon = std::min(line.find(':'), line.size());
    return {trim(line.substr(0, colon)), trim(line.substr(std::min(colon + 1, line.size())))};
}

struct Block {
    std::string_view text;                 // without the empty line behind it
    std::optional<std::uint64_t> cpu = {}; // none: the machine's
    std::string_view package = {}, core = {};
    bool is_closed = true; // by an empty line; Arm's last is not
};

Block read_block(std::string_view text) {
    Block block{.text = text};
    while (const auto line = take_line(text)) {
        // A line of flags is long: it is not looked through.
        if (line->empty() || (line->front() != 'p' && line->front() != 'c'))
            continue;
        const auto field = read_field(*line);
        if (!block.cpu && (field.key == "processor" || field.key == "cpu number"))
            block.cpu = read_number(field.value);
        else if (field.key == "physical id")
            block.package = field.value;
        else if (field.key == "core id")
            block.core = field.value;
    }
    return block;
}

// Those to be shown, in the host's order, each CPU once.
std::vector<Block> read_blocks(std::string_view host, const CpuSet& cpus) {
    std::vector<Block> blocks;
    CpuSet seen;
    while (!host.empty()) {
        const auto end = std::min(host.find("\n\n"), host.size());
        auto block = read_block(host.substr(0, end));
        block.is_closed = block.cpu || end < host.size();
        host.remove_prefix(std::min(end + 2, host.size()));
        if (block.cpu && (*block.cpu >= kMaxCpus || !cpus.test(*block.cpu) || seen.test(*block.cpu)))
            continue;
        if (block.cpu)
            seen.set(*block.cpu);
        if (!trim(block.text).empty())
            blocks.push_back(block);
    }
    return blocks;
}

struct Package {
    std::uint64_t siblings = 0;
    std::set<std::string_view> cores;
};
using Packages = std::map<std::string_view, Package>;

Packages packages_of(const std::vector<Block>& blocks) {
    Packages packages;
    for (const auto& block : blocks) {
        if (!block.cpu || block.package.empty())
            continue;
        auto& package = packages[block.package];
        ++package.siblings;
        package.cores.insert(block.core);
    }
    return packages;
}

// The line up to its value.
std::string_view head_of(std::string_view line) {
    const auto colon = std::min(line.find(':'), line.size());
    return line.substr(0, std::min(line.find_first_not_of(" \t", colon + 1), line.size()));
}

void append_with_number(std::string& out, std::string_view line, std::uint64_t value) {
    out += head_of(line);
    append_number(out, value);
    out += '\n';
}

// s390: "processor 0: version = FF,  identification = 1B2C38,  machine = 3906"
void append_s390_processor(std::string& out, std::string_view line) {
    constexpr std::string_view kMark = "identification = ";
    const auto mark = line.find(kMark);
    if (mark == std::string_view::npos) {
        out.append(line) += '\n';
        return;
    }
    const auto start = mark + kMark.size();
    const auto end = std::min(line.find(',', start), line.size());
    out.append(line.substr(0, start)).append(end - start, '0').append(line.substr(end)) += '\n';
}

// The number in "processor 3: …".
std::optional<std::uint64_t> s390_processor(std::string_view key) {
    if (take_word(key) != "processor")
        return std::nullopt;
    return read_number(trim(key));
}

void append_line(std::string& out, std::string_view line, const Block& block, const CpuSet& cpus,
                 const Packages& packages) {
    const auto [key, value] = read_field(line);
    const auto package = packages.find(block.package);
    if (key == "Serial") // of the board
        return;
    if (key == "identification") {
        out.append(head_of(line)).append(value.size(), '0') += '\n';
    } else if (key == "# processors") {
        append_with_number(out, line, cpus.count());
    } else if (const auto cpu = s390_processor(key)) {
        if (*cpu < kMaxCpus && cpus.test(*cpu))
            append_s390_processor(out, line);
    } else if (package != packages.end() && key == "siblings") {
        append_with_number(out, line, package->second.siblings);
    } else if (package != packages.end() && key == "cpu cores") {
        append_with_number(out, line, package->second.cores.size());
    } else {
        out.append(line) += '\n';
    }
}

// For CPUs of which the host says nothing (they have just gone offline): programs count the lines.
void append_missing(std::string& out, CpuSet missing) {
    for (std::size_t cpu = 0; cpu < missing.size(); ++cpu) {
        if (!missing.test(cpu))
            continue;
        out += "processor\t: ";
        append_number(out, cpu);
        out += "\n\n";
    }
}

} // namespace

std::string cpuinfo(std::string_view host, const View& view) {
    const auto cpus = shown_cpus(view);
    const auto blocks = read_blocks(host, cpus);
    const auto packages = packages_of(blocks);
    CpuSet missing = cpus;
    bool is_foreign = !blocks.empty(); // a form that is not known, or s390: nothing is added to it
    std::string out;
    for (const auto& block : blocks) {
        if (block.cpu) {
            missing.reset(*block.cpu);
            is_foreign = is_foreign && !read_field(block.text.substr(0, block.text.find('\n'))).key.starts_with("proc");
        }
        auto rest = block.text;
        while (const auto line = take_line(rest))
            append_line(out, *line, block, cpus, packages);
        if (block.is_closed)
            out += '\n';
    }
    if (!is_foreign)
        append_missing(out, missing);
    return out;
}

} // namespace squish::procfs

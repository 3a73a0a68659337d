#include "procfs/cpuinfo.h"

#include "base/text.h"
#include "procfs/lines.h"

#include <map>
#include <set>

namespace squish::procfs {

namespace {

struct Entry {
    std::string_view line, key, value; // of "key\t\t: value"
};

Entry read_entry(std::string_view line) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos)
        return {.line = line, .key = {}, .value = {}};
    return {.line = line, .key = trim(line.substr(0, colon)), .value = trim(line.substr(colon + 1))};
}

struct Block {
    std::vector<Entry> entries;
    std::optional<std::uint64_t> processor; // nothing: about no CPU in particular

    [[nodiscard]] std::string_view value(std::string_view key) const {
        for (const auto& entry : entries)
            if (entry.key == key)
                return entry.value;
        return {};
    }
};

std::vector<Block> blocks(std::string_view text) {
    std::vector<Block> out;
    bool open = false;
    for (const auto line : lines(text)) {
        if (trim(line).empty()) {
            open = false;
            continue;
        }
        if (!open)
            out.emplace_back();
        open = true;
        auto& block = out.back();
        block.entries.push_back(read_entry(line));
        if (block.entries.back().key == "processor" && !block.processor)
            block.processor = parse_number(block.entries.back().value);
    }
    return out;
}

// What there is of one socket.
struct Package {
    std::uint64_t processors = 0;
    std::set<std::string_view> cores;
};

std::string with_value(const Entry& entry, std::string_view value) {
    return std::string(entry.line.substr(0, entry.line.find(':'))) + ": " + std::string(value);
}

// The blocks of the CPUs that `shown` accepts, and those about none; nothing where it accepts none.
template <class Shown> std::optional<std::string> render(std::string_view host, const Shown& shown) {
    std::vector<Block> kept;
    std::map<std::string_view, Package> packages;
    bool any = false;
    for (auto& block : blocks(host)) {
        if (block.processor) {
            if (!shown(*block.processor))
                continue;
            any = true;
            auto& package = packages[block.value("physical id")];
            ++package.processors;
            package.cores.insert(block.value("core id"));
        }
        kept.push_back(std::move(block));
    }
    if (!any)
        return std::nullopt;
    std::string out;
    for (const auto& block : kept) {
        const auto& package = packages[block.value("physical id")];
        for (const auto& entry : block.entries) {
            if (entry.key == "siblings")
                out += with_value(entry, std::to_string(package.processors));
            else if (entry.key == "cpu cores")
                out += with_value(entry, std::to_string(package.cores.size()));
            else if (entry.key == "Serial") // of the board
                out += with_value(entry, "0000000000000000");
            else
                out += entry.line;
            out += '\n';
        }
        out += '\n';
    }
    return out;
}

} // namespace

std::string cpuinfo(std::string_view host, const View& view) {
    auto out = render(host, [&view](std::uint64_t cpu) { return has_cpu(view.cpus, cpu); });
    if (!out)
        out = render(host, [](std::uint64_t) { return true; });
    return out.value_or(std::string(host));
}

} // namespace squish::procfs

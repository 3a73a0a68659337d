// What is in the FUSE tree: a folder for each view of the table, named by its key, with the folders proc, cpu and node.
#pragma once

#include "procfs/files.h"
#include "procfsd/places.h"
#include "procshare/table.h"
#include "procview/collect.h"

#include <bitset>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace squish::procfsd {

struct Found {
    NodeId node = 0;
    bool is_folder = false;
    std::int64_t time = 0;   // seconds since 1970: when the container started
    bool may_change = false; // whether the name is there can change: the cpuN of a view
};

class Views {
public:
    // Both outlive it.
    Views(const procshare::TableReader& table, procview::Collector& collector);

    [[nodiscard]] std::optional<Found> find(NodeId node);
    [[nodiscard]] std::optional<Found> look_up(NodeId parent, std::string_view name);
    struct Name {
        std::string name;
        Found found;
    };
    // None where it is no folder. The folder of all views lists nothing: who may know a key was told it.
    [[nodiscard]] std::optional<std::vector<Name>> list(NodeId folder);

    // `least` is for a request that killed the server again and again: nothing is read or collected for it.
    enum class Effort { all, least };
    // None where it is no file (any more).
    [[nodiscard]] std::optional<std::string> text(NodeId file, Effort effort);

private:
    [[nodiscard]] std::optional<procshare::Facts> facts_of(procshare::Key key);
    [[nodiscard]] std::optional<Found> find_in(const procshare::Facts& facts, Place place, std::string_view path);
    [[nodiscard]] bool host_has(std::uint32_t pattern, const procfs::File& file);

    const procshare::TableReader& table_;
    procview::Collector& collector_;
    std::vector<const procfs::File*> by_pattern_; // files of proc/
    std::vector<bool> looked_at_, there_;         // by pattern: the host's file of it, which comes and goes never
    std::vector<procshare::Key> seen_;            // by index: the view that the collector knows
};

} // namespace squish::procfsd

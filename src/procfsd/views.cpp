#include "procfsd/views.h"

#include "procfs/tree.h"

#include <algorithm>
#include <sys/stat.h>

namespace squish::procfsd {

using procshare::Facts;
using procshare::Key;

namespace {

bool is_in_tree(std::string_view path) {
    return path.starts_with("cpu") || path.starts_with("node");
}

// "proc", "proc/pressure": folders that files are in.
bool is_folder_of_files(std::string_view path) {
    return std::ranges::any_of(procfs::files(), [&](const procfs::File& file) {
        const std::string_view name = file.path;
        return name.starts_with(path) && name.size() > path.size() && name[path.size()] == '/';
    });
}

// Such as cpuN/cache/indexM, of which a processor has as many as it has caches.
bool host_has_folder(const std::string& path) {
    struct stat info{};
    return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

} // namespace

Views::Views(const procshare::TableReader& table, procview::Collector& collector)
    : table_(table), collector_(collector), by_pattern_(patterns().size()), looked_at_(patterns().size()),
      there_(patterns().size()) {
    for (const auto& file : procfs::files())
        if (const auto place = place_of(file.path))
            by_pattern_[pattern_of(*place)] = &file;
}

// The collector forgets a view when another one has taken its index: no sooner does anybody know that it is gone.
std::optional<Facts> Views::facts_of(Key key) {
    auto facts = table_.get(key);
    const auto index = procshare::index_of(key);
    if (!facts)
        return facts;
    if (index >= seen_.size())
        seen_.resize(index + 1);
    if (seen_[index] != key) {
        if (seen_[index] != 0)
            collector_.forget(seen_[index]);
        seen_[index] = key;
    }
    return facts;
}

bool Views::host_has(std::uint32_t pattern, const procfs::File& file) {
    if (!looked_at_[pattern]) {
        looked_at_[pattern] = true;
        there_[pattern] = *file.host_path == '\0' || !collector_.host_text(file.host_path).empty();
    }
    return there_[pattern];
}

std::optional<Found> Views::find_in(const Facts& facts, Place place, std::string_view path) {
    Found found{.node = node_id(facts.key, place),
                .is_folder = true,
                .time = facts.started_at / 1'000'000,
                .may_change = false};
    if (path.empty())
        return found;
    if (const auto* const file = by_pattern_[pattern_of(place)]) {
        found.is_folder = false;
        return host_has(pattern_of(place), *file) ? std::optional(found) : std::nullopt;
    }
    if (!is_in_tree(path))
        return is_folder_of_files(path) ? std::optional(found) : std::nullopt;
    const auto node = procfs::find(path, collector_.view(facts, procfs::kNothing));
    if (!node)
        return std::nullopt;
    found.is_folder = node->kind == procfs::Node::Kind::folder;
    if (!node->host_path.empty() &&
        !(found.is_folder ? host_has_folder(node->host_path) : !collector_.host_text(node->host_path).empty()))
        return std::nullopt;
    found.may_change = found.is_folder && path.find('/') != std::string_view::npos;
    return found;
}

std::optional<Found> Views::find(NodeId node) {
    if (node == kRoot)
        return Found{.node = kRoot, .is_folder = true, .time = 0, .may_change = false};
    const auto facts = facts_of(key_of(node));
    const auto path = path_of(place_of_node(node));
    return facts && path ? find_in(*facts, place_of_node(node), *path) : std::nullopt;
}

std::optional<Found> Views::look_up(NodeId parent, std::string_view name) {
    if (parent == kRoot) {
        const auto key = take_number(name, kMaxKey);
        return key && name.empty() ? find(node_id(*key, 0)) : std::nullopt;
    }
    const auto facts = facts_of(key_of(parent));
    auto path = path_of(place_of_node(parent));
    if (!facts || !path)
        return std::nullopt;
    *path += path->empty() ? "" : "/";
    *path += name;
    const auto place = place_of(*path);
    return place ? find_in(*facts, *place, *path) : std::nullopt;
}

std::optional<std::vector<Views::Name>> Views::list(NodeId folder) {
    if (folder == kRoot)
        return std::vector<Name>{};
    const auto facts = facts_of(key_of(folder));
    const auto path = path_of(place_of_node(folder));
    if (!facts || !path)
        return std::nullopt;
    const auto here = find_in(*facts, place_of_node(folder), *path);
    if (!here || !here->is_folder)
        return std::nullopt;
    std::vector<std::string> names;
    if (path->empty()) {
        names = {"proc", "cpu", "node"};
    } else if (is_in_tree(*path)) {
        names = procfs::list(*path, collector_.view(*facts, procfs::kNothing));
    } else {
        for (const auto& file : procfs::files()) {
            std::string_view rest = file.path;
            if (!rest.starts_with(*path) || rest.size() == path->size() || rest[path->size()] != '/')
                continue;
            rest.remove_prefix(path->size() + 1);
            const std::string name(rest.substr(0, rest.find('/')));
            if (std::ranges::find(names, name) == names.end())
                names.push_back(name);
        }
    }
    std::vector<Name> there;
    for (auto& name : names)
        if (const auto found = look_up(folder, name))
            there.push_back({std::move(name), *found});
    return there;
}

std::optional<std::string> Views::text(NodeId file, Effort effort) {
    const auto facts = facts_of(key_of(file));
    if (!facts)
        return std::nullopt;
    procfs::View nothing;
    nothing.host_cpus.set(0);
    nothing.own.limits.cpus.set(0);
    const bool least = effort == Effort::least;
    const auto place = place_of_node(file);
    const auto pattern = pattern_of(place);
    if (const auto* const known = pattern < by_pattern_.size() ? by_pattern_[pattern] : nullptr) {
        if (least)
            return known->render("", nothing);
        return known->render(*known->host_path != '\0' ? collector_.host_text(known->host_path) : std::string(),
                             collector_.view(*facts, known->needs));
    }
    const auto path = path_of(place);
    if (!path || !is_in_tree(*path))
        return std::nullopt;
    if (least)
        return procfs::render(*path, "", nothing);
    auto view = collector_.view(*facts, procfs::kNothing);
    const auto node = procfs::find(*path, view);
    if (!node || node->kind != procfs::Node::Kind::file)
        return std::nullopt;
    if (node->needs != procfs::kNothing)
        view = collector_.view(*facts, node->needs);
    return procfs::render(*path, node->host_path.empty() ? std::string() : collector_.host_text(node->host_path), view);
}

} // namespace squish::procfsd

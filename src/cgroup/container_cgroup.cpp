#include "cgroup/container_cgroup.h"

#include "base/text.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>

namespace squish::cgroup {

namespace {

constexpr std::string_view kPrefix = "squish-", kScope = ".scope";

// A file that is not there because its controller is not: nothing. Other errors are errors.
Result<std::optional<std::string>> read_optional(const Node& node, const std::string& file) {
    auto text = node.read(file);
    if (text)
        return std::optional(std::move(*text));
    // EOPNOTSUPP: pressure figures that are switched off (psi=0, cgroup.pressure)
    if (text.error().sys_errno == ENOENT || text.error().sys_errno == EOPNOTSUPP)
        return std::optional<std::string>();
    return std::unexpected(std::move(text).error());
}

Result<std::optional<MemoryFigures>> read_memory(const Node& node) {
    const auto current = TRY(read_optional(node, "memory.current"));
    if (!current)
        return std::optional<MemoryFigures>();
    MemoryFigures out;
    out.current = single_value(*current).value_or(0);
    const auto number = [&](const char* file) -> Result<std::optional<std::uint64_t>> {
        const auto text = TRY(read_optional(node, file));
        return text ? single_value(*text) : std::nullopt;
    };
    out.peak = TRY(number("memory.peak"));
    out.swap = TRY(number("memory.swap.current"));
    out.limit = TRY(number("memory.max"));
    const auto stat = TRY(node.read("memory.stat"));
    out.anonymous = flat_value(stat, "anon");
    out.file = flat_value(stat, "file");
    out.inactive_file = flat_value(stat, "inactive_file");
    return std::optional(out);
}

bool is_hex(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

} // namespace

Result<ContainerCgroup> ContainerCgroup::make(Node outer, const Limits& limits, ControllerSet figures) {
    const auto available = TRY(outer.controllers());
    if (const auto missing = controllers_of(limits).without(available); !missing.empty())
        return fail(ErrorKind::unsupported,
                    "the cgroup '" + printable(outer.path()) + "' does not have: " + missing.text());
    TRY(outer.enable(controllers_of(limits)));
    TRY(outer.enable(figures.common(available)));
    if (limits.cpuset)
        TRY(check_cpuset(*limits.cpuset, TRY(outer.read("cpuset.cpus.effective"))));
    auto payload = TRY(outer.make_child(kPayload));
    if (auto limited = payload.write_all(to_files(limits)); !limited) {
        (void) outer.remove_child(kPayload); // empty: nothing has been in it
        return std::unexpected(std::move(limited).error());
    }
    return ContainerCgroup(std::move(outer), std::move(payload));
}

Result<ContainerCgroup> ContainerCgroup::find(Node outer) {
    auto payload = TRY(outer.child(kPayload));
    return ContainerCgroup(std::move(outer), std::move(payload));
}

Result<void> ContainerCgroup::set_limits(const Limits& to, const Limits& from) const {
    if (to.cpuset && to.cpuset != from.cpuset)
        TRY(check_cpuset(*to.cpuset, TRY(outer_.read("cpuset.cpus.effective"))));
    auto written = payload_.write_all(to_files(to, from));
    if (!written)
        (void) payload_.write_all(to_files(from, to)); // the first error is the one to tell
    return written;
}

Result<void> ContainerCgroup::kill() const {
    return payload_.write({"cgroup.kill", "1"});
}

Result<void> ContainerCgroup::freeze() const {
    return payload_.write({"cgroup.freeze", "1"});
}

Result<void> ContainerCgroup::thaw() const {
    return payload_.write({"cgroup.freeze", "0"});
}

Result<CgroupEvents> ContainerCgroup::events() const {
    return parse_cgroup_events(TRY(payload_.read("cgroup.events")));
}

Result<std::optional<std::uint64_t>> ContainerCgroup::oom_kills() const {
    const auto text = TRY(read_optional(payload_, "memory.events"));
    return text ? flat_value(*text, "oom_kill") : std::nullopt;
}

Result<UniqueFd> ContainerCgroup::open_memory_events() const {
    return payload_.open_file("memory.events", O_RDONLY);
}

Result<Usage> ContainerCgroup::usage() const {
    Usage out;
    out.memory = TRY(read_memory(payload_));
    if (const auto cpu = TRY(read_optional(payload_, "cpu.stat")))
        out.cpu = CpuFigures{flat_value(*cpu, "usage_usec").value_or(0), flat_value(*cpu, "user_usec").value_or(0),
                             flat_value(*cpu, "system_usec").value_or(0), flat_value(*cpu, "throttled_usec")};
    if (const auto pids = TRY(read_optional(payload_, "pids.current")))
        out.pids = single_value(*pids);
    if (const auto limit = TRY(read_optional(payload_, "pids.max")))
        out.pids_limit = single_value(*limit);
    if (const auto io = TRY(read_optional(payload_, "io.stat")))
        out.io = parse_io_stat(*io);
    const auto pressure = [&](const char* file) -> Result<std::optional<Pressure>> {
        const auto text = TRY(read_optional(payload_, file));
        return text ? parse_pressure(*text) : std::nullopt;
    };
    out.cpu_pressure = TRY(pressure("cpu.pressure"));
    out.memory_pressure = TRY(pressure("memory.pressure"));
    out.io_pressure = TRY(pressure("io.pressure"));
    return out;
}

Result<void> ContainerCgroup::remove_payload() const {
    return outer_.remove_child(kPayload);
}

Result<void> check_fits(const Limits& to, const Usage& usage) {
    if (to.memory_max && usage.memory && usage.memory->working_set() > *to.memory_max)
        return fail(ErrorKind::conflict,
                    "the container uses " + std::to_string(usage.memory->working_set()) +
                        " bytes of memory, more than " + std::to_string(*to.memory_max),
                    "choose a higher limit, or stop it first: the kernel would kill it");
    return {};
}

Result<std::string> cgroup_name(std::string_view id) {
    if (id.size() < 8 || id.size() > 64 || !is_hex(id))
        return fail(ErrorKind::invalid, "'" + printable(id) + "' is not the id of a container");
    return std::string(kPrefix) + std::string(id);
}

std::optional<std::string> id_of(std::string_view name) {
    if (name.ends_with(kScope))
        name.remove_suffix(kScope.size());
    if (!name.starts_with(kPrefix))
        return std::nullopt;
    name.remove_prefix(kPrefix.size());
    if (name.size() < 8 || name.size() > 64 || !is_hex(name))
        return std::nullopt;
    return std::string(name);
}

} // namespace squish::cgroup

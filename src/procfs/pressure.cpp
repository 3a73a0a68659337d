// /proc/pressure/*: the text of the container's own cgroup, which has the same shape.
#include "procfs/files.h"
#include "procfs/reading.h"

namespace squish::procfs {

namespace {

constexpr std::string_view kSome = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
constexpr std::string_view kFull = "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";

bool is_pressure(std::string_view text) {
    return text.starts_with("some avg10=") && text.ends_with('\n');
}

std::string shown(std::string_view host, const std::optional<std::string>& own, const View& view) {
    if (own && is_pressure(*own))
        return *own;
    if (!view.own_usage && is_pressure(host))
        return std::string(host);
    std::string out(kSome);
    // "full" of the CPU came with Linux 5.13.
    if (!is_pressure(host) || host.contains("\nfull "))
        out += kFull;
    return out;
}

} // namespace

std::string pressure_cpu(std::string_view host, const View& view) {
    return shown(host, view.own.pressure_cpu, view);
}

std::string pressure_memory(std::string_view host, const View& view) {
    return shown(host, view.own.pressure_memory, view);
}

std::string pressure_io(std::string_view host, const View& view) {
    return shown(host, view.own.pressure_io, view);
}

} // namespace squish::procfs

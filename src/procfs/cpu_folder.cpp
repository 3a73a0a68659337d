#include "procfs/cpu_folder.h"

#include "base/text.h"

namespace squish::procfs {

std::string cpu_list(std::string_view host, const View& view) {
    return view.cpus.empty() ? std::string(host) : format_cpu_list(view.cpus) + "\n";
}

std::string cpu_mask(std::string_view host, const View& view) {
    if (view.cpus.empty() || !parse_cpu_mask(host))
        return std::string(host);
    return format_cpu_mask(view.cpus, host) + "\n";
}

std::string cpu_list_within(std::string_view host, const View& view) {
    const auto cpus = parse_cpu_list(host);
    if (!cpus || view.cpus.empty())
        return std::string(host);
    return format_cpu_list(common_cpus(*cpus, view.cpus)) + "\n";
}

std::string cpu_mask_within(std::string_view host, const View& view) {
    const auto cpus = parse_cpu_mask(host);
    if (!cpus || view.cpus.empty())
        return std::string(host);
    return format_cpu_mask(common_cpus(*cpus, view.cpus), host) + "\n";
}

std::vector<std::string> cpu_folder(const std::vector<std::string>& host, const View& view) {
    std::vector<std::string> out;
    for (const auto& name : host) {
        const auto number =
            name.starts_with("cpu") ? parse_number(std::string_view(name).substr(3)) : std::nullopt; // not "cpufreq"
        if (!number || view.cpus.empty() || has_cpu(view.cpus, *number))
            out.push_back(name);
    }
    return out;
}

} // namespace squish::procfs

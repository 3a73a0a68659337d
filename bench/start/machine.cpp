#include "machine.h"

#include "os/file.h"

#include <cstdlib>
#include <ctime>
#include <sched.h>
#include <sys/utsname.h>

namespace squish::bench {

std::string value_of(const std::string& text, const std::string& key) {
    constexpr const char* kAround = " \t\"";
    for (std::size_t begin = 0; begin < text.size();) {
        const auto end = std::min(text.find('\n', begin), text.size());
        const auto line = text.substr(begin, end - begin);
        const auto middle = line.find_first_of(":=");
        if (middle != std::string::npos && line.starts_with(key) &&
            line.find_first_not_of(kAround, key.size()) == middle) {
            const auto first = line.find_first_not_of(kAround, middle + 1);
            return first == std::string::npos ? "" : line.substr(first, line.find_last_not_of(kAround) + 1 - first);
        }
        begin = end + 1;
    }
    return {};
}

Machine this_machine() {
    Machine machine;
    machine.processor = value_of(os::read_file("/proc/cpuinfo").value_or(""), "model name");
    machine.system = value_of(os::read_file("/etc/os-release").value_or(""), "PRETTY_NAME");
    cpu_set_t ours;
    CPU_ZERO(&ours);
    if (::sched_getaffinity(0, sizeof ours, &ours) == 0)
        machine.cpus = static_cast<unsigned>(CPU_COUNT(&ours));
    utsname names{};
    if (::uname(&names) == 0)
        machine.kernel = std::string(names.release) + " " + names.machine;
    return machine;
}

double load_average() {
    double load = 0;
    return ::getloadavg(&load, 1) == 1 ? load : 0;
}

std::string now_utc() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    ::gmtime_r(&now, &parts);
    char text[32];
    return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

} // namespace squish::bench

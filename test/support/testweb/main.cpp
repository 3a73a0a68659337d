// testweb DIR [--port N] [--fault FAULT]… [--log FILE]: serves DIR on 127.0.0.1 until SIGTERM; the port is the first
// line on stdout. Each answered request is a line of the log: STATUS BYTES METHOD PATH RANGE.
#include "testweb/testweb.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {
int usage() {
    std::fprintf(stderr,
                 "usage: testweb DIR [--port N] [--fault KIND[=VALUE][,only=PART][,times=N][,skip=N]]… [--log FILE]\n");
    return 2;
}
} // namespace

int main(int argc, char** argv) {
    std::string folder;
    std::uint16_t port = 0;
    std::vector<squish::test::Fault> faults;
    std::FILE* log = nullptr;
    for (int i = 1; i < argc; ++i) {
        const std::string arg = argv[i];
        const char* const value = i + 1 < argc ? argv[i + 1] : nullptr;
        if (arg == "--port" && value != nullptr) {
            port = static_cast<std::uint16_t>(std::strtoul(argv[++i], nullptr, 10));
        } else if (arg == "--fault" && value != nullptr) {
            const auto fault = squish::test::parse_fault(argv[++i]);
            if (!fault)
                return usage();
            faults.push_back(*fault);
        } else if (arg == "--log" && value != nullptr) {
            log = std::fopen(argv[++i], "ae");
            if (log == nullptr) {
                std::perror("testweb: log");
                return 1;
            }
        } else if (folder.empty() && !arg.starts_with('-')) {
            folder = arg;
        } else {
            return usage();
        }
    }
    if (folder.empty())
        return usage();
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, nullptr); // before there are threads
    squish::test::TestWeb web(folder, port);
    for (auto& fault : faults)
        web.spoil(fault);
    if (log != nullptr)
        web.on_seen([log](const squish::test::Seen& seen) {
            std::fprintf(log, "%d %llu %s %s %s\n", seen.status, static_cast<unsigned long long>(seen.body_bytes),
                         seen.method.c_str(), seen.path.c_str(), seen.range.empty() ? "-" : seen.range.c_str());
            std::fflush(log);
        });
    std::printf("%u\n", web.port());
    std::fflush(stdout);
    int signal_number = 0;
    sigwait(&ends, &signal_number);
    return 0;
}

#include "cli/exit_code.h"

#include "cli/console.h"

namespace squish::cli {

int exit_code(ErrorKind kind, Doing doing) {
    switch (kind) {
    case ErrorKind::invalid:
        return 2;
    case ErrorKind::unsupported:
    case ErrorKind::start_failed:
        return 125;
    case ErrorKind::not_executable:
        return 126;
    case ErrorKind::no_command:
        return 127;
    case ErrorKind::not_found:
    case ErrorKind::conflict:
    case ErrorKind::denied:
    case ErrorKind::unavailable:
    case ErrorKind::system:
        return doing == Doing::starting ? 125 : 1;
    }
    std::unreachable();
}

int give_up(const Error& error, Doing doing) {
    complain(error);
    return exit_code(error.kind, doing);
}

} // namespace squish::cli

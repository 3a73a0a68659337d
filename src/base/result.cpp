#include "base/result.h"

#include <cstring>

namespace squish {

std::string errno_text(int error_number) {
    char buffer[128];
    return ::strerror_r(error_number, buffer, sizeof buffer); // the GNU variant: returns the text
}

std::unexpected<Error> fail_errno(std::string what, int error_number, std::string remedy) {
    return std::unexpected(
        Error{ErrorKind::system, std::move(what) + ": " + errno_text(error_number), std::move(remedy), error_number});
}

} // namespace squish

// Whether clients are in the middle of connecting to a listener of ours.
#pragma once

#include "squishfile/squishfile.h"

namespace squish {

// A client that has got our SYN-ACK believes that it is connected; until its ACK has been processed, closing the
// listener would reset it. Over loopback that takes microseconds, unless the machine is very busy; from another machine
// it takes as long as the way there and back. Asked of the kernel by sock_diag(7). False where it does not say.
[[nodiscard]] bool has_open_handshakes(const PortSpec& port);

} // namespace squish

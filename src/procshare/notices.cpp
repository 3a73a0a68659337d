#include "procshare/notices.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>

namespace squish::procshare {

namespace {

// The order in which the next server finds what was written: this process may be killed between any two of its stores.
void in_this_order() {
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

// Ends with the process.
Result<void> lock(int memfd) {
    struct flock whole{};
    whole.l_type = F_WRLCK;
    while (::fcntl(memfd, F_SETLKW, &whole) < 0)
        if (errno != EINTR)
            return fail_errno("lock the workbook");
    return {};
}

} // namespace

Result<UniqueFd> Notices::make() {
    return Mapping::make("squish-notices", sizeof(NoticesMemory));
}

Result<Notices> Notices::open(int memfd, std::uint64_t now_ns, std::uint64_t patience_ns) {
    TRY(lock(memfd));
    Notices notices(TRY(Mapping::open(memfd, sizeof(NoticesMemory), Mapping::Access::write)));
    auto& memory = notices.memory();
    if (memory.magic != kNoticesMagic) {
        std::memset(&memory, 0, sizeof memory);
        memory.magic = kNoticesMagic;
    }
    for (auto& notice : memory.notices) {
        if (notice.begun_ns != 0 && now_ns >= notice.begun_ns && now_ns - notice.begun_ns >= patience_ns)
            ++notice.overdue;
        notice.begun_ns = 0; // and every page is there from now on
    }
    return notices;
}

Notice& Notices::take(Key view) {
    auto* place = std::ranges::find(memory().notices, Key{0}, &Notice::view);
    if (place == std::ranges::end(memory().notices))
        place = std::ranges::min_element(memory().notices, {}, &Notice::serial);
    clear(*place);
    place->serial = ++memory().next_serial;
    in_this_order();
    place->view = view;
    return *place;
}

void Notices::clear(Notice& notice) {
    notice.view = 0;
    in_this_order();
    std::memset(&notice, 0, sizeof notice);
    in_this_order();
}

} // namespace squish::procshare

// The workbook of squish-sysinfo: the calls that it has in hand (seccomp_unotify(2)), in a memfd that the keeper holds.
//
// How this works
//   The kernel tells of a call once; a server that is killed takes it along, and its caller would wait for ever. So the
//   kernel writes each notice here, into memory that is there already. What is here when a server starts was perhaps
//   answered: the kernel knows (SECCOMP_IOCTL_NOTIF_ID_VALID), but only through the listener that it came from, which
//   the keeper sends again. Until then the notice waits here, beside those in hand. There are kNotices places; when all
//   are taken, the oldest is one that was answered long ago, whose listener is gone.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "procshare/layout.h"
#include "procshare/mapping.h"

#include <linux/seccomp.h>
#include <span>

namespace squish::procshare {

inline constexpr std::uint64_t kNoticesMagic = 0x3130544f4e530a00; // changes with the layout
inline constexpr std::size_t kNotices = 128;
inline constexpr std::size_t kMaxNotice = 448; // the kernel's structure may grow (SECCOMP_GET_NOTIF_SIZES)

struct Notice {
    Key view;               // 0: nothing is here
    std::uint64_t serial;   // the higher, the younger
    std::uint64_t begun_ns; // CLOCK_BOOTTIME; 0: nobody has begun to answer it
    std::uint32_t overdue;  // how often a server had to be ended over it
    std::uint32_t reserved[9];
    alignas(8) std::byte bytes[kMaxNotice];

    [[nodiscard]] seccomp_notif* kernel() { return reinterpret_cast<seccomp_notif*>(bytes); }
};
static_assert(sizeof(Notice) == 512 && sizeof(seccomp_notif) <= kMaxNotice);

struct NoticesMemory {
    std::uint64_t magic;
    std::uint64_t next_serial;
    std::uint64_t reserved[62];
    Notice notices[kNotices];
};

// Owns a mapping.
class Notices {
public:
    // A new one in a new memfd (sealed against growing and shrinking).
    [[nodiscard]] static Result<UniqueFd> make();
    // Starts anew what another version of squish left. Waits until the server before has ended, which holds a lock.
    // What was begun longer than `patience_ns` before `now_ns` counts as overdue once more. Errors: invalid, where it
    // is none.
    [[nodiscard]] static Result<Notices> open(int memfd, std::uint64_t now_ns, std::uint64_t patience_ns);

    // A place for the next notice of a listener of this view, all zero as the kernel wants it.
    [[nodiscard]] Notice& take(Key view);
    static void clear(Notice& notice);
    [[nodiscard]] std::span<Notice> all() { return memory().notices; }

private:
    explicit Notices(Mapping mapping) : mapping_(std::move(mapping)) {}
    [[nodiscard]] NoticesMemory& memory() const { return *static_cast<NoticesMemory*>(mapping_.at()); }

    Mapping mapping_;
};

} // namespace squish::procshare

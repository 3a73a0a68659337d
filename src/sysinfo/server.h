// Answers sysinfo(2) for containers: squish-sysinfo's loop.
//
// How this works
//   The keeper sends the listener of each filter, with the key of the view. Every call that the kernel tells of is
//   received into the workbook, answered and forgotten; one call of each listener that has some, in turn, so that who
//   calls without end waits behind all others. Writing into a file that the caller has mapped is done apart (caller.h).
//   A call takes at most kPatienceSeconds: then this process ends by SIGALRM and the next one goes on. After two of
//   them it is answered EFAULT. A container that had us wait is answered so at once for a minute. A server may be
//   killed at any moment: procshare/notices.h.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "procshare/notices.h"
#include "procshare/table.h"
#include "procview/collect.h"
#include "sysinfo/apart.h"
#include "sysinfo/caller.h"

#include <cstdint>
#include <map>

namespace squish::sysinfo {

inline constexpr std::size_t kMaxListeners = 16384;
inline constexpr std::uint64_t kPatienceSeconds = 2;

class Server {
public:
    // `proc` is a descriptor of /proc.
    [[nodiscard]] static Result<Server> open(UniqueFd keeper, UniqueFd proc, procshare::TableReader table,
                                             procshare::Notices notices, procview::Collector collector);
    // Until the keeper has ended.
    [[nodiscard]] Result<void> run();

private:
    struct Listener {
        UniqueFd fd;
        procshare::Key view = 0;
    };
    enum class Keeper { there, gone };

    Server(UniqueFd keeper, UniqueFd proc, UniqueFd epoll, procshare::TableReader table, procshare::Notices notices,
           procview::Collector collector);
    [[nodiscard]] Result<Keeper> take_listeners();
    [[nodiscard]] Result<void> add(procshare::Key view, UniqueFd fd);
    void on_listener(std::uint64_t number, std::uint32_t events);
    void remove(std::uint64_t number);
    void receive(const Listener& listener);
    void answer(const Listener& listener, procshare::Notice& notice);
    void note_slow(procshare::Key view);
    [[nodiscard]] bool is_slow(procshare::Key view);
    // False: EFAULT.
    [[nodiscard]] bool write(const Caller& caller, std::uint64_t address, std::span<const std::byte> bytes,
                             procshare::Key view);
    [[nodiscard]] seccomp_notif_resp response_to(const Listener& listener, procshare::Notice& notice);

    UniqueFd keeper_, proc_, epoll_;
    procshare::TableReader table_;
    procshare::Notices notices_;
    procview::Collector collector_;
    std::map<std::uint64_t, Listener> listeners_;   // by a number that is never used again
    std::map<procshare::Key, std::size_t> of_view_; // how many listeners it has
    std::map<procshare::Key, std::uint64_t> slow_;  // answered EFAULT at once until then (CLOCK_BOOTTIME)
    Apart apart_;
    std::uint64_t next_number_ = 1;
    std::uint64_t next_tick_ = 0;
};

} // namespace squish::sysinfo

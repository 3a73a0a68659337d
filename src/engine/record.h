// One container as the engine knows it, and how that is kept on disk.
#pragma once

#include "async/latch.h"
#include "engine/engine.h"
#include "engine/ground.h"
#include "engine/named_networks.h"
#include "seccomp/filters.h"

#include <memory>
#include <string>
#include <vector>

namespace squish {

struct Record {
    explicit Record(const asio::any_io_executor& executor) : ended(executor) {}
    ContainerInfo info;
    NetworkSlot network;
    std::vector<NamedNetwork> networks;                           // those that it joins; empty but in bridge mode
    bool named = false;                                           // its names are told to squish-dns
    std::vector<UniqueFd> listeners;                              // in the order of info.ports
    std::vector<PortSpec> leaving;                                // published until now, and not gone everywhere yet
    std::shared_ptr<Latch> changing;                              // while its ports are being changed
    std::vector<std::pair<std::string, std::string>> environment; // what the payload was given, for exec
    procshare::Key view = 0;                                      // of /proc and /sys; 0: none
    seccomp::FilterPtr filter;                                    // null: unconfined, or not read back yet
    std::string folder;                                           // the state folder of this container
    std::size_t changes = 0;                                      // of the layers at /sdk, since it started
    bool published = false;
    bool kill_requested = false;                       // by stop or kill: the reason then says so
    bool stop_requested = false;                       // by the user: it is not started again
    limits::Cgroup cgroup;                             // where it has limits
    std::shared_ptr<Latch> updating;                   // while its limits are being changed
    unsigned run = 0;                                  // how often this squishd has seen it start
    std::uint32_t attempts = 0;                        // to start it again, in a row
    std::shared_ptr<Latch> starting;                   // while it is being started again
    std::shared_ptr<asio::steady_timer> restart_pause; // until it is started again
    AttachedIo streams;                                // for that: the caller's, where there is one
    std::vector<ProvidedLayer> layers;                 // likewise
    Latch ended;                                       // and not started again
};
using RecordPtr = std::shared_ptr<Record>;

// STATE/containers/ID/state.json, version 3. Written whole, by rename: a reader sees the old state or the new.
[[nodiscard]] Result<void> save(const Record& record);
// Errors: invalid, where the file is of another version or damaged.
[[nodiscard]] Result<RecordPtr> load(const asio::any_io_executor& executor, const std::string& folder,
                                     const std::string& id);

[[nodiscard]] std::int64_t now_microseconds();

} // namespace squish

// The keeper's messages (wire/keeper_protocol.h) as they are read, on both sides: pure functions of the bytes.
// What is not what the protocol says, to the byte, is not `sound`; of such a message only the number is to be used.
#pragma once

#include "wire/keeper_protocol.h"

#include <string>
#include <string_view>

namespace squish::wire {

// What squishd asks. Members that the kind does not have are zero.
struct KeeperRequest {
    KeeperKind kind{};
    std::uint32_t sequence = 0;
    bool sound = false;
    std::string name;            // the first text: a cell, the id of a container or an exec, what is kept, a helper
    std::string other;           // launch: the cell; exec: the exec's id; affinity: the mask
    std::uint32_t version = 0;   // hello
    std::uint32_t cell_kind = 0; // prepare: a sum of cell_kind
    std::int32_t signal = 0;     // signal
    std::uint64_t limit = 0;     // watch_log: bytes
};
[[nodiscard]] KeeperRequest read_keeper_request(std::string_view bytes);

// What the keeper answers and tells. Members that the kind does not have are zero.
struct KeeperReply {
    KeeperKind kind{};
    std::uint32_t sequence = 0;
    bool sound = false;
    std::string text;             // error: what; events: of whom
    std::string uid_map, gid_map; // hello_done
    bool single_id = false;
    std::uint32_t slices = 0;
    std::int32_t pid = 0;    // hello_done, launched, spawned, container, guarded
    std::int32_t status = 0; // exited, helper_exited, container: a wait status
    std::int32_t error = 0;  // error, failed_step: an errno (of a step: launch/format.h)
    std::uint32_t step = 0;  // failed_step
    ContainerPhase phase{};  // container
    std::uint64_t received_ns = 0, rooted_ns = 0, executed_ns = 0, cloned_ns = 0; // launched
};
[[nodiscard]] KeeperReply read_keeper_reply(std::string_view bytes);

} // namespace squish::wire

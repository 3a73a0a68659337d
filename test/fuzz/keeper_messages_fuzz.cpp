// Feeds arbitrary bytes to what squishd, the keeper and squish-init read of each other.
//
// What must hold: nothing is read outside; what is not sound is not taken; what is sound, written again, is what was
// read, byte by byte; a report is one only by its size, its mark and its kind.
#include "launch/format.h"
#include "require.h"
#include "wire/keeper_messages.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

using squish::test::require;

using namespace squish;
using wire::KeeperKind;

std::string written(const wire::KeeperRequest& request) {
    auto out = wire::keeper_message(request.kind, request.sequence);
    switch (request.kind) {
    case KeeperKind::hello:
        return out.u32(request.version).bytes();
    case KeeperKind::prepare:
        return out.text(request.name).u32(request.cell_kind).bytes();
    case KeeperKind::launch:
    case KeeperKind::exec:
    case KeeperKind::affinity:
        return out.text(request.name).text(request.other).bytes();
    case KeeperKind::signal:
        return out.text(request.name).i32(request.signal).bytes();
    case KeeperKind::watch_log:
        return out.text(request.name).u64(request.limit).bytes();
    case KeeperKind::shut_down:
        return out.bytes();
    default:
        return out.text(request.name).bytes();
    }
}

std::string written(const wire::KeeperReply& reply) {
    auto out = wire::keeper_message(reply.kind, reply.sequence);
    switch (reply.kind) {
    case KeeperKind::done:
    case KeeperKind::fds:
        return out.bytes();
    case KeeperKind::error:
        return out.i32(reply.error).text(reply.text).bytes();
    case KeeperKind::hello_done:
        return out.i32(reply.pid)
            .u32(reply.single_id ? 1 : 0)
            .u32(reply.slices)
            .text(reply.uid_map)
            .text(reply.gid_map)
            .bytes();
    case KeeperKind::launched:
        return out.i32(reply.pid)
            .u64(reply.received_ns)
            .u64(reply.rooted_ns)
            .u64(reply.executed_ns)
            .u64(reply.cloned_ns)
            .bytes();
    case KeeperKind::failed_step:
        return out.u32(reply.step).i32(reply.error).bytes();
    case KeeperKind::spawned:
        return out.i32(reply.pid).bytes();
    case KeeperKind::container:
        return out.text(reply.text).u32(std::to_underlying(reply.phase)).i32(reply.pid).i32(reply.status).bytes();
    case KeeperKind::cell_lost:
        return out.text(reply.text).bytes();
    case KeeperKind::guarded:
        return out.text(reply.text).i32(reply.pid).bytes();
    default:
        return out.text(reply.text).i32(reply.status).bytes();
    }
}

// A truth is any number but 0, written as 1: so those bytes may differ once, and never again.
template <class Message> void read_and_write(std::string_view bytes, Message (*read)(std::string_view)) {
    const auto message = read(bytes);
    if (!message.sound)
        return;
    const auto once = written(message);
    require(once.size() == bytes.size(), "what is sound has no more and no less than its fields");
    const auto again = read(once);
    require(again.sound && again.kind == message.kind && again.sequence == message.sequence, "it is read again");
    require(written(again) == once, "and is the same");
}

void read_both_ways(std::string_view bytes) {
    require(!(wire::read_keeper_request(bytes).sound && wire::read_keeper_reply(bytes).sound),
            "no message goes both ways");
    read_and_write(bytes, wire::read_keeper_request);
    read_and_write(bytes, wire::read_keeper_reply);
}

void read_as_report(const std::vector<char>& bytes) {
    launch::Report report{};
    if (!launch::read_report(bytes.data(), bytes.size(), report)) {
        require(report.magic == 0, "what is no report leaves none");
        return;
    }
    require(bytes.size() == sizeof report && std::memcmp(bytes.data(), &report, sizeof report) == 0,
            "a report is its bytes");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::vector<char> exact(data, data + size); // on the heap, so that a read beyond the end is seen
    const std::string_view bytes(exact.data(), exact.size());
    read_both_ways(bytes);
    read_as_report(exact);
    // Most inputs are of no kind: the same behind a kind that there is, and behind a report's mark.
    if (size > 0) {
        const auto kind = static_cast<KeeperKind>(data[0] % 70U);
        const auto headed = wire::Writer().u32(std::to_underlying(kind)).bytes() + std::string(bytes.substr(1));
        const std::vector<char> block(headed.begin(), headed.end());
        read_both_ways({block.data(), block.size()});
        std::vector<char> report(sizeof(launch::Report));
        std::memcpy(report.data(), data, std::min(size, report.size()));
        std::memcpy(report.data(), &launch::kMagic, sizeof launch::kMagic);
        read_as_report(report);
    }
    return 0;
}

#include "wire/keeper_messages.h"

namespace squish::wire {

namespace {

// Reads what follows kind and number; false where there is no such request.
bool read_fields(Reader& in, KeeperRequest& out) {
    switch (out.kind) {
    case KeeperKind::hello:
        out.version = in.u32();
        return true;
    case KeeperKind::prepare:
        out.name = in.text();
        out.cell_kind = in.u32();
        return out.cell_kind <= (cell_kind::kHostNetwork | cell_kind::kOwnIds | cell_kind::kOwnCgroup);
    case KeeperKind::launch:
    case KeeperKind::exec:
    case KeeperKind::affinity:
        out.name = in.text();
        out.other = in.text();
        return true;
    case KeeperKind::signal:
        out.name = in.text();
        out.signal = in.i32();
        return true;
    case KeeperKind::forget:
    case KeeperKind::put:
    case KeeperKind::take:
    case KeeperKind::drop:
    case KeeperKind::spawn:
    case KeeperKind::discard:
    case KeeperKind::anchor:
    case KeeperKind::guard:
        out.name = in.text();
        return true;
    case KeeperKind::watch_log:
        out.name = in.text();
        out.limit = in.u64();
        return true;
    case KeeperKind::shut_down:
        return true;
    default:
        return false;
    }
}

bool is_phase(std::uint32_t number) {
    return number >= std::to_underlying(ContainerPhase::starting) &&
           number <= std::to_underlying(ContainerPhase::exited);
}

bool read_fields(Reader& in, KeeperReply& out) {
    switch (out.kind) {
    case KeeperKind::done:
    case KeeperKind::fds:
        return true;
    case KeeperKind::error:
        out.error = in.i32();
        out.text = in.text();
        return true;
    case KeeperKind::hello_done:
        out.pid = in.i32();
        out.single_id = in.u32() != 0;
        out.slices = in.u32();
        out.uid_map = in.text();
        out.gid_map = in.text();
        return true;
    case KeeperKind::launched:
        out.pid = in.i32();
        out.received_ns = in.u64();
        out.rooted_ns = in.u64();
        out.executed_ns = in.u64();
        out.cloned_ns = in.u64();
        return true;
    case KeeperKind::failed_step:
        out.step = in.u32();
        out.error = in.i32();
        return true;
    case KeeperKind::spawned:
        out.pid = in.i32();
        return true;
    case KeeperKind::container: {
        out.text = in.text();
        const auto phase = in.u32();
        out.phase = static_cast<ContainerPhase>(phase);
        out.pid = in.i32();
        out.status = in.i32();
        return is_phase(phase);
    }
    case KeeperKind::exited:
    case KeeperKind::helper_exited:
        out.text = in.text();
        out.status = in.i32();
        return true;
    case KeeperKind::cell_lost:
        out.text = in.text();
        return true;
    case KeeperKind::guarded:
        out.text = in.text();
        out.pid = in.i32();
        return true;
    default:
        return false;
    }
}

template <class Message> Message read_message(std::string_view bytes) {
    Reader in(bytes);
    Message out;
    out.kind = static_cast<KeeperKind>(in.u32());
    out.sequence = in.u32();
    out.sound = read_fields(in, out) && in.finished();
    return out;
}

} // namespace

KeeperRequest read_keeper_request(std::string_view bytes) {
    return read_message<KeeperRequest>(bytes);
}

KeeperReply read_keeper_reply(std::string_view bytes) {
    return read_message<KeeperReply>(bytes);
}

} // namespace squish::wire

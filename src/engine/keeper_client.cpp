#include "engine/keeper_client.h"

#include "os/file.h"
#include "os/process.h"

namespace squish {

using wire::keeper_message;
using wire::KeeperKind;

KeeperClient::KeeperClient(const asio::any_io_executor& executor, UniqueFd socket, Events events)
    : events_(std::move(events)) {
    link_ = Link::make(
        executor, "the keeper", std::move(socket), wire::kMaxKeeperMessage,
        [this](const os::Message& message) { return classify(message); },
        [this](os::Message message) { on_event(std::move(message)); }, [this] { events_.closed(); });
}

// `container` messages carry hello's number but precede its answer: they are events to the link.
std::uint32_t KeeperClient::classify(const os::Message& message) {
    wire::Reader in(message.bytes);
    const auto kind = static_cast<KeeperKind>(in.u32());
    const auto number = in.u32();
    return kind == KeeperKind::container ? 0 : number;
}

void KeeperClient::on_event(os::Message message) {
    wire::Reader in(message.bytes);
    const auto kind = static_cast<KeeperKind>(in.u32());
    (void) in.u32();
    auto text = in.text();
    switch (kind) {
    case KeeperKind::container: {
        KeptContainer kept{std::move(text), static_cast<wire::ContainerPhase>(in.u32()), in.i32(), in.i32(), {}};
        if (!message.fds.empty())
            kept.pidfd = Pidfd(std::move(message.fds[0]));
        if (in.finished() && listing_)
            listing_->push_back(std::move(kept));
        return;
    }
    case KeeperKind::exited:
        if (const auto status = in.i32(); in.finished())
            events_.exited(std::move(text), status);
        return;
    case KeeperKind::helper_exited:
        if (const auto status = in.i32(); in.finished())
            events_.helper_exited(std::move(text), status);
        return;
    case KeeperKind::cell_lost:
        if (in.finished())
            events_.cell_lost(std::move(text));
        return;
    default:
        return;
    }
}

Task<os::Message> KeeperClient::ask(std::uint32_t number, const wire::Writer& request, std::vector<int> fds) {
    CO_TRY_TO(auto message, co_await link_->ask(number, request.bytes(), std::move(fds), std::chrono::seconds(20)));
    wire::Reader in(message.bytes);
    if (static_cast<KeeperKind>(in.u32()) == KeeperKind::error) {
        (void) in.u32();
        const auto code = in.i32();
        auto text = in.text();
        co_return std::unexpected(Error{ErrorKind::system, std::move(text), {}, code});
    }
    co_return message;
}

Task<void> KeeperClient::ask_done(std::uint32_t number, wire::Writer request, std::vector<int> fds) {
    CO_TRY(co_await ask(number, request, std::move(fds)));
    co_return Result<void>{};
}

Task<KeeperFacts> KeeperClient::hello(std::vector<KeptContainer>& containers) {
    const auto number = link_->next_number();
    listing_ = &containers;
    auto answer = co_await ask(number, keeper_message(KeeperKind::hello, number).u32(wire::kKeeperVersion));
    listing_ = nullptr;
    CO_TRY_TO(const auto message, std::move(answer));
    wire::Reader in(message.bytes);
    (void) in.u64();
    KeeperFacts facts;
    facts.pid = in.i32();
    facts.single_id = in.u32() != 0;
    facts.slices = in.u32();
    facts.uid_map = in.text();
    facts.gid_map = in.text();
    if (!in.finished())
        co_return fail(ErrorKind::unavailable, "malformed answer of the keeper");
    co_return facts;
}

Task<Pidfd> KeeperClient::prepare(std::string cell, std::uint32_t kind, std::vector<int> fds) {
    const auto number = link_->next_number();
    CO_TRY_TO(auto message,
              co_await ask(number, keeper_message(KeeperKind::prepare, number).text(cell).u32(kind), std::move(fds)));
    if (message.fds.size() != 1)
        co_return fail(ErrorKind::unavailable, "malformed answer of the keeper");
    co_return Pidfd(std::move(message.fds[0]));
}

Task<Launched> KeeperClient::start(std::uint32_t number, wire::Writer request, std::vector<int> fds,
                                   FailedStep& failed) {
    CO_TRY_TO(auto message, co_await ask(number, request, std::move(fds)));
    wire::Reader in(message.bytes);
    const auto kind = static_cast<KeeperKind>(in.u32());
    (void) in.u32();
    if (kind == KeeperKind::failed_step) {
        failed.happened = true;
        failed.step = in.u32();
        failed.error = in.i32();
        co_return fail(ErrorKind::start_failed, "a step failed");
    }
    Launched out;
    out.pid = in.i32();
    out.received_ns = in.u64();
    out.rooted_ns = in.u64();
    out.executed_ns = in.u64();
    out.cloned_ns = in.u64();
    if (kind != KeeperKind::launched || !in.finished() || message.fds.size() != 1)
        co_return fail(ErrorKind::unavailable, "malformed answer of the keeper");
    out.pidfd = Pidfd(std::move(message.fds[0]));
    co_return out;
}

Task<Launched> KeeperClient::launch(std::string id, std::string cell, std::vector<int> fds, FailedStep& failed) {
    const auto number = link_->next_number();
    return start(number, keeper_message(KeeperKind::launch, number).text(id).text(cell), std::move(fds), failed);
}

Task<Launched> KeeperClient::exec(std::string container, std::string id, std::vector<int> fds, FailedStep& failed) {
    const auto number = link_->next_number();
    return start(number, keeper_message(KeeperKind::exec, number).text(container).text(id), std::move(fds), failed);
}

Task<void> KeeperClient::signal(std::string id, int number) {
    const auto sequence = link_->next_number();
    return ask_done(sequence, keeper_message(KeeperKind::signal, sequence).text(id).i32(number));
}

Task<void> KeeperClient::put(std::string name, std::vector<int> fds) {
    const auto number = link_->next_number();
    return ask_done(number, keeper_message(KeeperKind::put, number).text(name), std::move(fds));
}

Task<std::vector<UniqueFd>> KeeperClient::take(std::string name) {
    const auto number = link_->next_number();
    CO_TRY_TO(auto message, co_await ask(number, keeper_message(KeeperKind::take, number).text(name)));
    co_return std::move(message.fds);
}

Task<void> KeeperClient::watch_log(std::string id, std::uint64_t limit, std::vector<int> fds) {
    const auto number = link_->next_number();
    return ask_done(number, keeper_message(KeeperKind::watch_log, number).text(id).u64(limit), std::move(fds));
}

Task<pid_t> KeeperClient::spawn(std::string helper, std::vector<int> fds) {
    const auto number = link_->next_number();
    CO_TRY_TO(auto message,
              co_await ask(number, keeper_message(KeeperKind::spawn, number).text(helper), std::move(fds)));
    wire::Reader in(message.bytes);
    (void) in.u64();
    co_return in.i32();
}

Task<void> KeeperClient::shut_down() {
    const auto number = link_->next_number();
    return ask_done(number, keeper_message(KeeperKind::shut_down, number));
}

void KeeperClient::drop(const std::string& name) {
    link_->tell(keeper_message(KeeperKind::drop, link_->next_number()).text(name).bytes());
}
Task<void> KeeperClient::drop_now(std::string name) {
    const auto number = link_->next_number();
    return ask_done(number, keeper_message(KeeperKind::drop, number).text(name));
}
void KeeperClient::forget(const std::string& id) {
    link_->tell(keeper_message(KeeperKind::forget, link_->next_number()).text(id).bytes());
}
void KeeperClient::discard(const std::string& cell) {
    link_->tell(keeper_message(KeeperKind::discard, link_->next_number()).text(cell).bytes());
}

} // namespace squish

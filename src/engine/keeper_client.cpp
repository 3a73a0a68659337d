#include "engine/keeper_client.h"

#include "os/file.h"
#include "os/process.h"

namespace squish {

using wire::keeper_message;
using wire::KeeperKind;

namespace {

std::unexpected<Error> malformed() {
    return fail(ErrorKind::unavailable, "malformed answer of the keeper");
}

} // namespace

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
    auto told = wire::read_keeper_reply(message.bytes);
    if (!told.sound)
        return;
    switch (told.kind) {
    case KeeperKind::container: {
        KeptContainer kept{std::move(told.text), told.phase, told.pid, told.status, {}};
        if (!message.fds.empty())
            kept.pidfd = Pidfd(std::move(message.fds[0]));
        if (listing_)
            listing_->push_back(std::move(kept));
        return;
    }
    case KeeperKind::exited:
        return events_.exited(std::move(told.text), told.status);
    case KeeperKind::helper_exited:
        return events_.helper_exited(std::move(told.text), told.status);
    case KeeperKind::cell_lost:
        return events_.cell_lost(std::move(told.text));
    case KeeperKind::guarded:
        return events_.guarded ? events_.guarded(std::move(told.text), told.pid) : void();
    default:
        return;
    }
}

Task<KeeperClient::Answer> KeeperClient::ask(std::uint32_t number, const wire::Writer& request, std::vector<int> fds) {
    CO_TRY_TO(auto message, co_await link_->ask(number, request.bytes(), std::move(fds), std::chrono::seconds(20)));
    Answer answer{wire::read_keeper_reply(message.bytes), std::move(message.fds)};
    if (!answer.reply.sound)
        co_return malformed();
    if (answer.reply.kind == KeeperKind::error)
        co_return std::unexpected(Error{ErrorKind::system, std::move(answer.reply.text), {}, answer.reply.error});
    co_return answer;
}

Task<void> KeeperClient::ask_done(std::uint32_t number, wire::Writer request, std::vector<int> fds) {
    CO_TRY_TO(const auto answer, co_await ask(number, request, std::move(fds)));
    if (answer.reply.kind != KeeperKind::done)
        co_return malformed();
    co_return Result<void>{};
}

Task<KeeperFacts> KeeperClient::hello(std::vector<KeptContainer>& containers) {
    const auto number = link_->next_number();
    listing_ = &containers;
    auto asked = co_await ask(number, keeper_message(KeeperKind::hello, number).u32(wire::kKeeperVersion));
    listing_ = nullptr;
    CO_TRY_TO(auto answer, std::move(asked));
    auto& reply = answer.reply;
    if (reply.kind != KeeperKind::hello_done)
        co_return malformed();
    co_return KeeperFacts{reply.pid, reply.single_id, reply.slices, std::move(reply.uid_map), std::move(reply.gid_map)};
}

Task<Pidfd> KeeperClient::prepare(std::string cell, std::uint32_t kind, std::vector<int> fds) {
    const auto number = link_->next_number();
    CO_TRY_TO(auto answer,
              co_await ask(number, keeper_message(KeeperKind::prepare, number).text(cell).u32(kind), std::move(fds)));
    if (answer.reply.kind != KeeperKind::fds || answer.fds.size() != 1)
        co_return malformed();
    co_return Pidfd(std::move(answer.fds[0]));
}

Task<Launched> KeeperClient::start(std::uint32_t number, wire::Writer request, std::vector<int> fds,
                                   FailedStep& failed) {
    CO_TRY_TO(auto answer, co_await ask(number, request, std::move(fds)));
    const auto& reply = answer.reply;
    if (reply.kind == KeeperKind::failed_step) {
        failed.happened = true;
        failed.step = reply.step;
        failed.error = reply.error;
        co_return fail(ErrorKind::start_failed, "a step failed");
    }
    if (reply.kind != KeeperKind::launched || answer.fds.size() != 1)
        co_return malformed();
    co_return Launched{reply.pid,         Pidfd(std::move(answer.fds[0])),
                       reply.received_ns, reply.rooted_ns,
                       reply.executed_ns, reply.cloned_ns};
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
    CO_TRY_TO(auto answer, co_await ask(number, keeper_message(KeeperKind::take, number).text(name)));
    if (answer.reply.kind != KeeperKind::fds)
        co_return malformed();
    co_return std::move(answer.fds);
}

Task<void> KeeperClient::watch_log(std::string id, std::uint64_t limit, std::vector<int> fds) {
    const auto number = link_->next_number();
    return ask_done(number, keeper_message(KeeperKind::watch_log, number).text(id).u64(limit), std::move(fds));
}

Task<pid_t> KeeperClient::spawn(std::string helper, std::vector<int> fds) {
    const auto number = link_->next_number();
    CO_TRY_TO(const auto answer,
              co_await ask(number, keeper_message(KeeperKind::spawn, number).text(helper), std::move(fds)));
    if (answer.reply.kind != KeeperKind::spawned)
        co_return malformed();
    co_return answer.reply.pid;
}

Task<pid_t> KeeperClient::guard(std::string name, std::vector<int> fds) {
    const auto number = link_->next_number();
    CO_TRY_TO(const auto answer,
              co_await ask(number, keeper_message(KeeperKind::guard, number).text(name), std::move(fds)));
    if (answer.reply.kind != KeeperKind::spawned)
        co_return malformed();
    co_return answer.reply.pid;
}

Task<void> KeeperClient::affinity(std::string id, std::string mask) {
    const auto number = link_->next_number();
    return ask_done(number, keeper_message(KeeperKind::affinity, number).text(id).text(mask));
}

Task<pid_t> KeeperClient::anchor(std::string id) {
    const auto number = link_->next_number();
    CO_TRY_TO(const auto answer, co_await ask(number, keeper_message(KeeperKind::anchor, number).text(id)));
    if (answer.reply.kind != KeeperKind::spawned)
        co_return malformed();
    co_return answer.reply.pid;
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

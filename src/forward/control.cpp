#include "forward/control.h"

#include "base/text.h"
#include "os/socket.h"
#include "wire/json_channel.h"

#include <algorithm>
#include <sys/socket.h>
#include <unistd.h>

namespace squish::forward {

using wire::Json;

namespace {

constexpr std::size_t kMaxClients = 16;
constexpr std::size_t kMaxNameBytes = 128;
constexpr std::int64_t kMaxConnections = 1'000'000;
constexpr std::int64_t kMaxLingerMs = 10 * 60 * 1000;
constexpr std::size_t kPortsPerAnswer = 200; // keeps the longest answer below wire::kMaxMessageBytes
constexpr std::chrono::milliseconds kAcceptRetry(100);

// Ids and port texts: nothing that JSON would have to escape.
Result<std::string> get_name(const Json& request, const char* member) {
    auto name = TRY(wire::get_string(request, member));
    const bool plain =
        std::ranges::all_of(name, [](unsigned char c) { return c > ' ' && c < 0x7f && c != '"' && c != '\\'; });
    if (name.empty() || name.size() > kMaxNameBytes || !plain)
        return fail(ErrorKind::invalid, std::string("'") + member + "' is not 1 to 128 plain characters");
    return name;
}

// A number that may be left out.
Result<std::optional<std::int64_t>> get_number(const Json& request, const char* member, std::int64_t least,
                                               std::int64_t most) {
    if (!request.contains(member))
        return std::nullopt;
    const auto number = TRY(wire::get_integer(request, member));
    if (number < least || number > most)
        return fail(ErrorKind::invalid, std::string("'") + member + "' is not between " + std::to_string(least) +
                                            " and " + std::to_string(most));
    return number;
}

Result<Address> get_address(const Json& target, const char* member) {
    const auto port = TRY(wire::get_integer(target, "port"));
    const auto text = TRY(wire::get_string(target, member));
    return Address::parse(text, port);
}

Result<Container::Target> get_target(const Json& request) {
    const auto protocol = TRY(wire::get_string(request, "protocol"));
    if (protocol != "tcp" && protocol != "udp")
        return fail(ErrorKind::unsupported, "cannot publish protocol '" + printable(protocol) + "'");
    const auto target = request.find("target");
    if (target == request.end() || !target->is_object())
        return fail(ErrorKind::invalid, "message without the object 'target'");
    const auto address = TRY(get_address(*target, "address"));
    Container::Target out{.protocol = protocol == "udp" ? Container::Protocol::udp : Container::Protocol::tcp,
                          .address = address,
                          .other_family = std::nullopt,
                          .show_client = false};
    if (target->contains("address6"))
        out.other_family = TRY(get_address(*target, "address6"));
    if (out.other_family && out.other_family->family() == out.address.family())
        return fail(ErrorKind::invalid, "'address' and 'address6' are of the same family");
    if (const auto show = request.find("show_client"); show != request.end()) {
        if (!show->is_boolean())
            return fail(ErrorKind::invalid, "'show_client' is not true or false");
        out.show_client = show->get<bool>();
    }
    return out;
}

Result<Json> publish(Forwarder& forwarder, const Json& request, std::vector<UniqueFd> fds) {
    auto container = TRY(get_name(request, "container"));
    auto key = TRY(get_name(request, "key"));
    const auto target = TRY(get_target(request));
    const auto max = TRY(get_number(request, "max_connections", 1, kMaxConnections));
    if (fds.size() != 2)
        return fail(ErrorKind::invalid, "publish needs two descriptors: the listener and the network namespace");
    TRY(forwarder.publish({std::move(container), std::move(key), std::move(fds[0]), std::move(fds[1]), target,
                           max ? std::optional(static_cast<std::size_t>(*max)) : std::nullopt}));
    return Json::object();
}

Result<Json> unpublish(Forwarder& forwarder, const Json& request) {
    const auto container = TRY(get_name(request, "container"));
    const auto key = TRY(get_name(request, "key"));
    TRY(forwarder.unpublish(container, key));
    return Json::object();
}

Result<Json> drain(Forwarder& forwarder, const Json& request) {
    const auto container = TRY(get_name(request, "container"));
    const auto key = TRY(get_name(request, "key"));
    TRY(forwarder.drain(container, key));
    return Json::object();
}

Result<Json> release(Forwarder& forwarder, const Json& request) {
    const auto container = TRY(get_name(request, "container"));
    const auto linger = TRY(get_number(request, "linger_ms", 0, kMaxLingerMs));
    const auto released = forwarder.release(container, std::chrono::milliseconds(linger.value_or(0)));
    return Json{{"closed", released.closed}, {"lingering", released.lingering}};
}

Result<Json> list(Forwarder& forwarder, const Json& request) {
    std::string container, key;
    if (const auto after = request.find("after"); after != request.end()) {
        container = TRY(get_name(*after, "container"));
        key = TRY(get_name(*after, "key"));
    }
    auto ports = forwarder.list(container, key, kPortsPerAnswer + 1);
    const bool more = ports.size() > kPortsPerAnswer;
    if (more)
        ports.pop_back();
    Json rows = Json::array();
    for (const auto& port : ports)
        rows.push_back({{"container", port.container},
                        {"key", port.key},
                        {"connections", port.stats.open},
                        {"accepted", port.stats.accepted},
                        {"failed", port.stats.failed},
                        {"bytes_in", port.stats.bytes_in},
                        {"bytes_out", port.stats.bytes_out}});
    return Json{{"ports", std::move(rows)}, {"more", more}};
}

Result<Json> perform(Forwarder& forwarder, const Json& request, std::vector<UniqueFd> fds) {
    const auto op = TRY(wire::get_string(request, "op"));
    if (op == "publish")
        return publish(forwarder, request, std::move(fds));
    if (op == "drain")
        return drain(forwarder, request);
    if (op == "unpublish")
        return unpublish(forwarder, request);
    if (op == "release")
        return release(forwarder, request);
    if (op == "list")
        return list(forwarder, request);
    return fail(ErrorKind::invalid, "unknown request '" + printable(op.substr(0, kMaxNameBytes)) + "'");
}

} // namespace

class ControlClient final : public Watcher {
public:
    ControlClient(Control& control, Forwarder& forwarder, UniqueFd socket)
        : control_(control), forwarder_(forwarder), socket_(std::move(socket)) {}

    [[nodiscard]] int fd() const { return socket_.get(); }

    void on_ready(unsigned /*tag*/, std::uint32_t /*events*/) override {
        if (!socket_)
            return; // dropped in this very round
        if (!serve()) {
            socket_.reset();
            control_.drop(*this);
        }
    }

private:
    // One request and its answer; false where the client is to be dropped.
    bool serve() {
        auto message = wire::receive_json(socket_.get());
        if (!message) {
            const int error = message.error().sys_errno;
            if (error == EAGAIN)
                return true;
            // Too long, or not JSON: the message is gone, the connection is still in order.
            if (error != 0 && error != EMSGSIZE)
                return false;
            return reply(wire::error_answer(Json::object(), message.error()));
        }
        if (message->peer_closed)
            return false;
        const Json request = std::move(message->body);
        // nlohmann::json throws where it is misused; a message must not end the process even then.
        try {
            auto result = perform(forwarder_, request, std::move(message->fds));
            return reply(result ? wire::answer(request, std::move(*result))
                                : wire::error_answer(request, result.error()));
        } catch (const std::exception&) {
            return reply(wire::error_answer(request, Error{ErrorKind::invalid, "malformed message", {}, 0}));
        }
    }

    bool reply(const Json& body) { return wire::send_json(socket_.get(), body).has_value(); }

    Control& control_;
    Forwarder& forwarder_;
    UniqueFd socket_;
};

Control::Control(EventLoop& loop, Forwarder& forwarder, UniqueFd listener)
    : loop_(loop), forwarder_(forwarder), listener_(std::move(listener)) {}

Control::~Control() = default;

Result<std::unique_ptr<Control>> Control::create(EventLoop& loop, Forwarder& forwarder, UniqueFd listener) {
    std::unique_ptr<Control> control(new Control(loop, forwarder, std::move(listener)));
    TRY(loop.watch(control->listener_.get(), EPOLLIN, *control));
    control->retry_ = TRY(Timer::create(
        loop, [self = control.get()] { std::ignore = self->loop_.watch(self->listener_.get(), EPOLLIN, *self); }));
    return control;
}

void Control::on_ready(unsigned /*tag*/, std::uint32_t /*events*/) {
    UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) {
        if (Shortage::is_shortage(errno)) { // level-triggered: look again later instead of spinning
            loop_.forget(listener_.get());
            retry_->arm(kAcceptRetry);
        }
        return;
    }
    const auto peer = os::peer_credentials(socket.get());
    if (!peer || peer->uid != ::geteuid() || clients_.size() >= kMaxClients)
        return; // closed unheard
    auto client = std::make_unique<ControlClient>(*this, forwarder_, std::move(socket));
    if (loop_.watch(client->fd(), EPOLLIN, *client))
        clients_.push_back(std::move(client));
}

void Control::drop(ControlClient& client) {
    const auto found = std::ranges::find_if(clients_, [&](const auto& one) { return one.get() == &client; });
    loop_.retire(std::move(*found));
    clients_.erase(found);
}

} // namespace squish::forward

#include "engine/helper_client.h"

namespace squish {

using wire::Json;

HelperClient::HelperClient(const asio::any_io_executor& executor, std::string name, UniqueFd socket,
                           Link::OnClosed on_closed)
    : link_(Link::make(
          executor, std::move(name), std::move(socket), wire::kMaxMessageBytes,
          [](const os::Message& message) -> std::uint32_t {
              const auto body = Json::parse(message.bytes, nullptr, false);
              if (!body.is_object())
                  return 0;
              const auto found = body.find("seq");
              return found != body.end() && found->is_number_unsigned() ? found->get<std::uint32_t>() : 0;
          },
          [](os::Message) {}, std::move(on_closed))) {}

Task<wire::JsonMessage> HelperClient::ask(Json request, std::vector<int> fds, std::chrono::milliseconds limit) {
    const auto link = link_; // it stays although this client may be replaced meanwhile
    const auto number = link->next_number();
    request["seq"] = number;
    auto bytes = request.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (bytes.size() > wire::kMaxMessageBytes)
        co_return fail(ErrorKind::invalid, "the request is longer than 128 KiB", "use fewer or shorter paths");
    CO_TRY_TO(auto message, co_await link->ask(number, std::move(bytes), std::move(fds), limit));
    wire::JsonMessage out;
    out.body = Json::parse(message.bytes, nullptr, false);
    out.fds = std::move(message.fds);
    CO_TRY(wire::check_answer(out.body));
    co_return out;
}

} // namespace squish

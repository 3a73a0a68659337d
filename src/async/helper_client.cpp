#include "async/helper_client.h"

namespace squish {

using wire::Json;

namespace {

std::uint32_t number_of(const Json& body, const char* member) {
    const auto found = body.find(member);
    return found != body.end() && found->is_number_unsigned() ? found->get<std::uint32_t>() : 0;
}

} // namespace

HelperClient::HelperClient(const asio::any_io_executor& executor, std::string name, UniqueFd socket,
                           Link::OnClosed on_closed, OnEvent on_event)
    : link_(Link::make(
          executor, std::move(name), std::move(socket), wire::kMaxMessageBytes,
          [](const os::Message& message) -> std::uint32_t {
              const auto body = wire::parse_message(message.bytes);
              return !body || body->contains("event") ? 0 : number_of(*body, "seq");
          },
          [listeners = listeners_, on_event = std::move(on_event)](const os::Message& message) {
              const auto body = wire::parse_message(message.bytes);
              if (!body)
                  return;
              if (body->value("event", Json()) != "progress") {
                  if (on_event)
                      on_event(*body);
                  return;
              }
              const auto number = number_of(*body, "request");
              // A helper with a single job does not number it.
              const auto found = number == 0 ? listeners->begin() : listeners->find(number);
              if (found == listeners->end() || !found->second)
                  return;
              const auto told = found->second; // it may end the request, and with it the entry
              told(*body);
          },
          std::move(on_closed))) {}

Task<wire::JsonMessage> HelperClient::ask(Json request, std::vector<int> fds, std::chrono::milliseconds limit,
                                          OnProgress on_progress) {
    const auto link = link_; // it stays although this client may be replaced meanwhile
    const auto listeners = listeners_;
    const auto number = link->next_number();
    request["seq"] = number;
    auto bytes = request.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (bytes.size() > wire::kMaxMessageBytes)
        co_return fail(ErrorKind::invalid, "the request is longer than 128 KiB", "use fewer or shorter paths");
    if (on_progress)
        (*listeners)[number] = std::move(on_progress);
    auto message = co_await link->ask(number, std::move(bytes), std::move(fds), limit);
    listeners->erase(number);
    if (!message)
        co_return std::unexpected(std::move(message).error());
    wire::JsonMessage out;
    CO_TRY_TO(out.body, wire::parse_message(message->bytes));
    out.fds = std::move(message->fds);
    CO_TRY(wire::check_answer(out.body));
    co_return out;
}

} // namespace squish

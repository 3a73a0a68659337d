// Feeds arbitrary bytes to what our processes read from each other: the keeper's encoding and the JSON channel.
//
// What must hold: nothing is read outside; after the first damaged field everything is zero; a message of the JSON
// channel is an object or an error, and asking it for members, or answering it, is never more than an error.
#include "os/socket.h"
#include "require.h"
#include "wire/codec.h"
#include "wire/json_channel.h"

#include <cstddef>
#include <cstdint>

namespace {

using squish::test::require;

using namespace squish;

// The first byte of each step decides which field is read; the rest is what is read from.
void read_fields(std::string_view bytes) {
    const auto script = bytes.substr(0, bytes.size() / 4);
    wire::Reader in(bytes.substr(script.size()));
    std::size_t texts = 0;
    for (const char what : script) {
        const bool was_ok = in.ok();
        std::uint64_t number = 0;
        std::string text;
        switch (what & 3) {
        case 0:
            number = in.u32();
            break;
        case 1:
            number = in.u64();
            break;
        case 2:
            number = static_cast<std::uint64_t>(in.i32());
            break;
        default:
            text = in.text();
            texts += text.size();
        }
        require(was_ok || (number == 0 && text.empty()), "after damage all is zero");
        require(was_ok || !in.ok(), "damage is never repaired");
    }
    require(texts <= bytes.size(), "no text from nowhere");
    require(in.ok() || !in.finished(), "a damaged message is not finished");
}

void round_trip(std::string_view bytes) {
    const std::string text(bytes);
    const auto written = wire::Writer().text(text).u64(bytes.size()).text("").i32(-1).bytes();
    wire::Reader in(written);
    require(in.text() == text && in.u64() == bytes.size() && in.text().empty() && in.i32() == -1 && in.finished(),
            "what was written is read");
}

void pass_json(std::string_view bytes) {
    static auto pair = os::socket_pair();
    if (!pair || bytes.empty()) // an empty datagram is an end
        return;
    if (!os::send_message(pair->first.get(), bytes))
        return; // longer than a socket takes
    const auto message = wire::receive_json(pair->second.get());
    if (!message) {
        require(!message.error().message.empty(), "an error has a message");
        return;
    }
    require(message->body.is_object(), "a message is an object");
    for (const auto* member : {"op", "seq", "ok", "error", "source", "slot"}) {
        (void) wire::get_string(message->body, member);
        (void) wire::get_integer(message->body, member);
    }
    (void) wire::check_answer(message->body);
    const auto answer = wire::answer(message->body);
    require(wire::check_answer(answer).has_value(), "an answer is one");
    const auto refused = wire::error_answer(message->body, Error{ErrorKind::conflict, std::string(bytes), "remedy", 5});
    require(!wire::check_answer(refused), "an error stays an error");
    if (wire::send_json(pair->first.get(), refused)) {
        const auto back = wire::receive_json(pair->second.get());
        require(back && wire::check_answer(back->body).error().kind == ErrorKind::conflict,
                "an error survives the way");
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    read_fields(bytes);
    round_trip(bytes);
    pass_json(bytes);
    return 0;
}

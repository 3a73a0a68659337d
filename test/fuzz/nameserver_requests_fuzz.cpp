// Feeds lines of arbitrary JSON to squish-dns as squishd's requests, and asks it afterwards what it knows.
//
// What must hold: nothing is thrown; an error has a message; there are no more networks than are allowed. Addresses
// that it is told to listen at are this machine's own or are refused; nobody serves them here.
#include "base/text.h"
#include "nameserver/service.h"
#include "require.h"

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <cstdint>

namespace {

using squish::test::require;

using namespace squish;

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    boost::asio::io_context loop{1};
    nameserver::Service service(loop, "127.0.0.1");
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    for (const auto line : split(input, '\n')) {
        const auto request = wire::parse_message(line);
        if (!request)
            continue;
        const auto answer = service.handle(*request);
        require(answer || !answer.error().message.empty(), "an error has a message");
        if (!answer)
            require(!wire::check_answer(wire::error_answer(*request, answer.error())), "an error is told as one");
    }
    const auto list = service.handle({{"op", "list"}});
    require(list && list->at("networks").size() <= nameserver::kMaxNetworks, "there are so many networks");
    loop.poll();
    return 0;
}

// DNS queries as a container might send them: read, looked up, answered.
#include "dns/zone.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    using namespace squish::dns;
    const std::string_view message(reinterpret_cast<const char*>(data), size);
    const auto query = parse_query(message);
    if (!query) {
        if (!query.error().silent && make_refusal(message, query.error().status).size() != kHeaderBytes)
            std::abort();
        return 0;
    }
    if (query->question_end > size || query->name.size() > 255)
        std::abort();
    Zone zone({"\x0a\x59", "\xfd\x73"});
    zone.replace({{{"web", "db"}, std::string("\x0a\x59\x10\x02", 4), std::string(16, '\x01')},
                  {{"db"}, std::string("\x0a\x59\x10\x03", 4), ""}});
    const auto found = zone.answer(*query);
    const auto answer = make_answer(message, *query, found ? found->status : Status::failed,
                                    found ? found->records : std::vector<Record>{}, query->udp_limit);
    if (answer.size() > query->udp_limit && answer.size() > query->question_end + 11)
        std::abort();
    // What we write, we would not answer.
    if (!is_answer(answer) || parse_query(answer) || id_of(answer) != query->id)
        std::abort();
    return 0;
}

#include "cli/each.h"

#include "base/text.h"
#include "cli/console.h"
#include "cli/exit_code.h"

#include <cerrno>
#include <span>

namespace squish::cli {

namespace {

constexpr std::size_t kAtOnce = 16;

struct Asked {
    Client client;
    Call call;
};

Result<Asked> ask(const Paths& paths, const std::string& id, const EachCall& each) {
    Call call{each.method, "/v1/containers/" + percent_encode(id) + each.suffix, each.body};
    auto client = TRY(Client::connect(paths));
    TRY(client.send(call));
    return Asked{std::move(client), std::move(call)};
}

Result<Json> answer_of(const Paths& paths, Asked& asked) {
    auto& client = asked.client;
    while (!client.response().complete()) {
        const auto more = client.receive();
        const bool cut = !more && more.error().sys_errno == ECONNRESET && asked.call.method == "GET";
        if (cut || (!more && was_not_served(more.error())))
            return TRY(Client::connect(paths)).call(asked.call);
        if (!more)
            return std::unexpected(more.error());
        if (!*more && asked.call.method == "GET") // what only asks (`squish wait`) may ask the next daemon
            return TRY(Client::connect(paths)).call(asked.call);
        if (!*more)
            return fail(ErrorKind::unavailable, "squishd ended before it answered", "try again");
    }
    const auto body = client.response().take_body();
    if (client.response().status() >= 400)
        return std::unexpected(error_of(client.response().status(), body));
    return json_of(body);
}

} // namespace

int for_each_id(const std::vector<std::string>& ids, const EachCall& each,
                const std::function<bool(const Json&)>& answered) {
    const auto paths = find_paths();
    if (!paths)
        return give_up(paths.error());
    int code = 0;
    for (std::size_t done = 0; done < ids.size(); done += kAtOnce) {
        std::vector<Result<Asked>> asked;
        for (const auto& id : std::span(ids).subspan(done, std::min(kAtOnce, ids.size() - done)))
            asked.push_back(ask(*paths, id, each));
        for (auto& one : asked) {
            const auto answer = one ? answer_of(*paths, *one) : Result<Json>(std::unexpected(one.error()));
            if (!answer)
                code = give_up(answer.error());
            else if (!answered(*answer))
                return 1; // nobody reads what we print
        }
    }
    return code;
}

bool print_id(const Json& answer) {
    return print(printable(text_of(answer, "id")) + "\n");
}

} // namespace squish::cli

#include "daemon/http.h"

#include "base/text.h"
#include "wire/json_channel.h"

#include <array>

namespace squish::daemon {

namespace {

constexpr std::size_t kMaxQueryValues = 32;

int hex_value(char digit) {
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

std::string quoted(std::string_view text) {
    return "'" + printable(text.substr(0, 64)) + "'";
}

} // namespace

std::optional<std::string> percent_decode(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        if (i + 2 >= text.size())
            return std::nullopt;
        const int high = hex_value(text[i + 1]);
        const int low = hex_value(text[i + 2]);
        if (high < 0 || low < 0 || (high == 0 && low == 0))
            return std::nullopt;
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

std::optional<Target> parse_target(std::string_view target) {
    if (!target.starts_with('/'))
        return std::nullopt;
    Target out;
    const auto mark = target.find('?');
    out.path = target.substr(0, mark);
    if (mark == std::string_view::npos)
        return out;
    for (const auto pair : split(target.substr(mark + 1), '&')) {
        if (pair.empty())
            continue;
        const auto equals = pair.find('=');
        auto name = percent_decode(pair.substr(0, equals));
        auto value = percent_decode(equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1));
        if (!name || !value || out.query.values.size() == kMaxQueryValues)
            return std::nullopt;
        out.query.values.emplace_back(std::move(*name), std::move(*value));
    }
    return out;
}

std::optional<std::string_view> Query::get(std::string_view name) const {
    for (const auto& [key, value] : values)
        if (key == name)
            return value;
    return std::nullopt;
}

Result<bool> Query::flag(std::string_view name) const {
    const auto value = get(name);
    if (!value || *value == "false" || *value == "0")
        return false;
    if (value->empty() || *value == "true" || *value == "1")
        return true;
    return fail(ErrorKind::invalid,
                "query parameter '" + std::string(name) + "' must be true or false, not " + quoted(*value));
}

Result<std::optional<std::uint64_t>> Query::number(std::string_view name, std::uint64_t most) const {
    const auto value = get(name);
    if (!value)
        return std::optional<std::uint64_t>();
    const auto number = parse_number(*value);
    if (!number || *number > most)
        return fail(ErrorKind::invalid, "query parameter '" + std::string(name) + "' must be a whole number up to " +
                                            std::to_string(most) + ", not " + quoted(*value));
    return number;
}

Result<RequestFds> name_fds(std::optional<std::string_view> header, std::vector<UniqueFd> fds, bool too_many) {
    RequestFds named;
    if (!header)
        return named;
    struct Slot {
        std::string_view name;
        UniqueFd* fd;
    };
    const std::array slots{Slot{"stdin", &named.in}, Slot{"stdout", &named.out}, Slot{"stderr", &named.err},
                           Slot{"console", &named.console}};
    std::size_t slot = 0, used = 0;
    for (const auto part : split(*header, ',')) {
        const auto name = trim(part);
        while (slot < slots.size() && slots[slot].name != name)
            ++slot;
        if (slot == slots.size())
            return fail(ErrorKind::invalid,
                        "header Squish-Fds: " + quoted(name) + " is unknown, repeated or out of order",
                        "it is a subset of stdin,stdout,stderr,console in this order");
        if (used < fds.size())
            *slots[slot].fd = std::move(fds[used]);
        ++used;
        ++slot;
    }
    if (used != fds.size() || too_many)
        return fail(ErrorKind::invalid, "header Squish-Fds names " + std::to_string(used) + " descriptors, but " +
                                            (too_many ? "more than 8" : std::to_string(fds.size())) +
                                            " came with the request");
    return named;
}

unsigned status_of(ErrorKind kind) {
    switch (kind) {
    case ErrorKind::invalid:
        return 400;
    case ErrorKind::denied:
        return 403;
    case ErrorKind::not_found:
        return 404;
    case ErrorKind::conflict:
        return 409;
    case ErrorKind::unsupported:
        return 501;
    case ErrorKind::unavailable:
        return 503;
    case ErrorKind::start_failed:
    case ErrorKind::not_executable:
    case ErrorKind::no_command:
    case ErrorKind::system:
        return 500;
    }
    std::unreachable();
}

Json error_body(const Error& error) {
    return {{"error", {{"kind", wire::to_string(error.kind)}, {"message", error.message}, {"remedy", error.remedy}}}};
}

std::string dump(const Json& body) {
    return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string_view reason_phrase(unsigned status) {
    switch (status) {
    case 200:
        return "OK";
    case 201:
        return "Created";
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 409:
        return "Conflict";
    case 413:
        return "Payload Too Large";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    default:
        return "Unknown";
    }
}

boost::asio::awaitable<bool> answer_json(Exchange& exchange, unsigned status, const Json& body) {
    return exchange.answer(status, kJsonType, dump(body) + "\n");
}

boost::asio::awaitable<bool> answer_error(Exchange& exchange, const Error& error) {
    return answer_json(exchange, status_of(error.kind), error_body(error));
}

} // namespace squish::daemon

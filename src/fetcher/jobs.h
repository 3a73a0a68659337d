// The jobs of squish-fetch: one request, progress events, one answer (docs/architecture.md, "Protocols").
#pragma once

#include "fetch/http.h"
#include "wire/json_channel.h"

#include <functional>

namespace squish::fetcher {

// Where a job tells how it gets on; at most ten times a second, and never waiting for who listens.
using Tell = std::function<void(wire::Json event)>;

// What the sandbox must leave to a request: folders that it writes to (made where they are missing) and the largest
// file. An error where the request is malformed.
struct Needs {
    std::vector<std::string> writable;
    std::uint64_t max_file_bytes = 0;
};
[[nodiscard]] Result<Needs> needs_of(const wire::Json& request);

// Does what the request asks for; `fds` came with it. The fields of the answer come back.
[[nodiscard]] Result<wire::Json> run_job(const wire::Json& request, std::vector<UniqueFd> fds, const Tell& tell);

// Each job by itself.
[[nodiscard]] Result<wire::Json> find_alpine(const wire::Json& request);
[[nodiscard]] Result<wire::Json> find_in_sources(const wire::Json& request);
[[nodiscard]] Result<wire::Json> download_file(const wire::Json& request, std::vector<UniqueFd> fds, const Tell& tell);

// Members of a request; the errors name the member.
[[nodiscard]] Result<std::vector<std::string>> get_strings(const wire::Json& request, const char* member);
[[nodiscard]] std::string text_or(const wire::Json& request, const char* member, std::string otherwise = {});
[[nodiscard]] bool flag_of(const wire::Json& request, const char* member);
// "limits": {"connect_ms", "stall_ms", "stall_bytes", "total_ms"}, each optional.
[[nodiscard]] Result<fetch::Limits> limits_of(const wire::Json& request);
// "arch", a name that may become part of an address.
[[nodiscard]] Result<std::string> arch_of(const wire::Json& request);

} // namespace squish::fetcher

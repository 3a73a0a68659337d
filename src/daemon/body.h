// Request bodies and parameters, checked.
#pragma once

#include "daemon/containers.h"
#include "daemon/http.h"

namespace squish::daemon {

// {"squishfile": {…}, "remove": false, "args": […], "lock": "…", "locked": false, "terminal": {"rows": 24, "columns":
// 80}}; takes the request's descriptors.
[[nodiscard]] Result<CreateRequest> read_create(Request& request);
// {"command": […], "env": {…}, "workdir": "/", "user": "0:0", "terminal": {…}}; takes the request's descriptors.
[[nodiscard]] Result<ExecRequest> read_exec(Request& request);
// A squishfile in its JSON spelling, with every path absolute.
[[nodiscard]] Result<Squishfile> read_squishfile(std::string_view json);

// {"squishfile": {…}, "lock": "…", "locked": false, "download": true, "refresh": false}
struct ResolveRequest {
    Squishfile file;
    ProvideOptions options;
};
[[nodiscard]] Result<ResolveRequest> read_resolve(const Request& request);
// {"name": "python", "version": "~3.11"}
struct PullRequest {
    std::string name, requirement;
};
[[nodiscard]] Result<PullRequest> read_pull(const Request& request);
// {"path": "/…" or "url": "https://…", "sha256": "…", "name": "…", "version": "…"}
[[nodiscard]] Result<Provider::ImportRequest> read_import(const Request& request);

// {"spec": "8080:80"}; the text is the engine's to read.
[[nodiscard]] Result<std::string> read_port_spec(std::string_view body);
// {"old": "8080", "new": "9090"}
struct Rebind {
    std::string old_spec, new_spec;
};
[[nodiscard]] Result<Rebind> read_rebind(std::string_view body);

// {"name": "backend"}
[[nodiscard]] Result<std::string> read_network_name(std::string_view body);

// The keys of [resources] that are to change (parse_resources_json()); at least one.
[[nodiscard]] Result<ResourceChange> read_resource_change(std::string_view body);

// "TERM", "SIGTERM", "15"; SIGKILL where nothing is given.
[[nodiscard]] Result<int> read_signal(const Query& query);
// The value of ?wait=: false where absent, true for "exit".
[[nodiscard]] Result<bool> read_wait(const Query& query);

} // namespace squish::daemon

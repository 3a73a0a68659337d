// Limits on a command line, as changes to [resources].
#pragma once

#include "cli/client.h"
#include "cli/options.h"
#include "squishfile/squishfile.h"

#include <optional>
#include <string>
#include <vector>

namespace squish::cli {

class LimitOptions {
public:
    LimitOptions();

    void declare_common(Options& options); // what run and create have: --memory, --cpus, --cpuset, --pids
    void declare_all(Options& options);    // of update
    [[nodiscard]] bool given() const;
    // {"memory": "512M", "cpus": 0.5, "pids": null}: "max" has become null.
    [[nodiscard]] Json to_json() const;
    // The same, checked. Errors: invalid, naming the key of [resources].
    [[nodiscard]] Result<ResourceEdit> edit() const;

private:
    struct Limit {
        const char *option, *key, *placeholder, *help;
        bool is_number; // in the squishfile's spelling
        bool common;
        std::optional<std::string> value;
    };
    std::vector<Limit> limits_;
};

} // namespace squish::cli

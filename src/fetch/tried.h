// What was tried and why it failed, for the one message at the end.
#pragma once

#include "base/result.h"

#include <string>
#include <vector>

namespace squish::fetch {

class Tried {
public:
    // The newest reason of an address stands; `missing`: the server says that there is nothing.
    enum class What { missing, failed };
    void add(const std::string& url, std::string reason, What what = What::failed);
    [[nodiscard]] bool empty() const { return all_.empty(); }
    [[nodiscard]] bool all_missing() const;
    // "cannot download 'x': https://a/x: 404 Not Found; https://b/x: …"
    [[nodiscard]] Error error(const std::string& what) const;

private:
    struct Entry {
        std::string url, reason;
        What what;
    };
    std::vector<Entry> all_;
};

} // namespace squish::fetch

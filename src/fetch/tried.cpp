#include "fetch/tried.h"

#include "base/text.h"
#include "base/url.h"

#include <algorithm>

namespace squish::fetch {

void Tried::add(const std::string& url, std::string reason, What what) {
    auto shown = shown_url(url);
    const auto found = std::ranges::find(all_, shown, &Entry::url);
    if (found == all_.end()) {
        all_.push_back({std::move(shown), std::move(reason), what});
    } else {
        found->reason = std::move(reason);
        found->what = what;
    }
}

bool Tried::all_missing() const {
    return !all_.empty() && std::ranges::all_of(all_, [](const Entry& entry) { return entry.what == What::missing; });
}

Error Tried::error(const std::string& what) const {
    std::vector<std::string> parts;
    for (const auto& entry : all_)
        parts.push_back(entry.url + ": " + entry.reason);
    if (parts.empty())
        parts.emplace_back("there is no address to try");
    return {all_missing() ? ErrorKind::not_found : ErrorKind::unavailable,
            "cannot download " + what + ": " + join(parts, "; "),
            {},
            0};
}

} // namespace squish::fetch

#include "fetch/document.h"

#include "base/text.h"
#include "base/url.h"
#include "fetch/hasher.h"
#include "os/file.h"

#include <algorithm>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <set>
#include <unistd.h>

namespace squish::fetch {

// A cache entry is one file, written whole: a line of JSON, then the body. What a power cut made of it is found by its
// digest and then is as if it were not there.
struct Documents::Cached {
    std::string bytes, etag, last_modified;
};

namespace {

constexpr std::size_t kMaxHeadLine = 16 * 1024;
constexpr std::size_t kMaxValidator = 512;

bool is_plain(std::string_view text) {
    return text.size() <= kMaxValidator && std::ranges::all_of(text, [](char c) { return c >= ' ' && c < 0x7f; });
}

std::string text_of(const nlohmann::json& object, const char* member) {
    const auto found = object.find(member);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Result<std::string> file_name(const std::string& url) {
    return TRY(sha256_of(url)).substr(0, 40);
}

} // namespace

Result<Documents> Documents::open(Http& http, const std::string& cache) {
    if (!cache.empty())
        TRY(os::make_dirs(cache));
    return Documents(http, cache);
}

std::optional<Documents::Cached> Documents::load(const std::string& url) const {
    const auto name = file_name(url);
    if (cache_.empty() || !name)
        return std::nullopt;
    const auto text = os::read_file(cache_ + "/" + *name);
    if (!text)
        return std::nullopt;
    const auto end = text->find('\n');
    if (end > kMaxHeadLine) // or there is none
        return std::nullopt;
    const auto head = nlohmann::json::parse(text->substr(0, end), nullptr, false);
    if (!head.is_object() || text_of(head, "url") != url)
        return std::nullopt;
    Cached out{text->substr(end + 1), text_of(head, "etag"), text_of(head, "last_modified")};
    const auto digest = sha256_of(out.bytes);
    if (!digest || *digest != text_of(head, "sha256") || !is_plain(out.etag) || !is_plain(out.last_modified))
        return std::nullopt;
    return out;
}

// A cache that cannot be written makes the next run slower and nothing else.
void Documents::store(const std::string& url, const Cached& cached) const {
    const auto name = file_name(url);
    const auto digest = sha256_of(cached.bytes);
    if (cache_.empty() || !name || !digest)
        return;
    nlohmann::json head = nlohmann::json::object();
    head["url"] = url;
    head["etag"] = is_plain(cached.etag) ? cached.etag : "";
    head["last_modified"] = is_plain(cached.last_modified) ? cached.last_modified : "";
    head["sha256"] = *digest;
    const auto folder = os::open_file(cache_, O_DIRECTORY | O_RDONLY);
    if (folder)
        (void) os::write_atomically(folder->get(), *name, head.dump() + "\n" + cached.bytes);
}

void Documents::forget(const std::string& url) {
    const auto name = file_name(url);
    if (!cache_.empty() && name)
        ::unlink((cache_ + "/" + *name).c_str());
}

Result<Document> Documents::get(const DocumentWanted& wanted) {
    Tried tried;
    bool someone_is_away = false;
    std::set<std::string> unusable; // cached, and refused by the check
    for (std::size_t at = 0; at < wanted.urls.size(); ++at) {
        const auto& url = wanted.urls[at];
        TRY(check_url(url));
        if (const auto dead = dead_.find(origin_of(url)); dead != dead_.end()) {
            tried.add(url, dead->second);
            someone_is_away = true;
            continue;
        }
        const auto cached = unusable.contains(url) ? std::nullopt : load(url);
        std::vector<std::string> headers;
        if (cached && !cached->etag.empty())
            headers.push_back("If-None-Match: " + cached->etag);
        if (cached && !cached->last_modified.empty())
            headers.push_back("If-Modified-Since: " + cached->last_modified);

        Cached fresh;
        ResponseHead answer;
        const Handlers handlers{
            [&](const ResponseHead& head) -> Result<void> {
                answer = head;
                if (head.status == 304 && cached)
                    return {};
                if (head.status != 200)
                    return fail(ErrorKind::unavailable, status_text(head.status));
                if (head.content_type.starts_with("text/html"))
                    return fail(ErrorKind::unavailable, "answers with an HTML page instead of " + wanted.what);
                if (head.length && *head.length > wanted.max_bytes)
                    return fail(ErrorKind::unavailable, "has " + std::to_string(*head.length) + " bytes, and " +
                                                            std::to_string(wanted.max_bytes) + " are allowed");
                return {};
            },
            [&](std::string_view bytes) -> Result<void> {
                if (bytes.size() > wanted.max_bytes - fresh.bytes.size())
                    return fail(ErrorKind::unavailable,
                                "sends more than the " + std::to_string(wanted.max_bytes) + " bytes that are allowed");
                fresh.bytes += bytes;
                return {};
            }};
        if (const auto failure = http_->get(url, headers, "", handlers)) {
            const bool missing =
                failure->kind == Failure::Kind::refused && (answer.status == 404 || answer.status == 410);
            tried.add(url, failure->reason, missing ? Tried::What::missing : Tried::What::failed);
            someone_is_away = someone_is_away || !missing;
            if (failure->kind == Failure::Kind::unreachable)
                dead_.emplace(origin_of(url), failure->reason);
            continue;
        }
        const bool unchanged = answer.status == 304;
        const auto& bytes = unchanged ? cached->bytes : fresh.bytes;
        if (const auto good = wanted.check ? wanted.check(bytes, url) : Result<void>(); !good) {
            tried.add(url, good.error().message);
            someone_is_away = true;
            if (unchanged) { // what it belongs to has changed: ask for the whole of it
                forget(url);
                unusable.insert(url);
                --at;
            }
            continue;
        }
        if (!unchanged) {
            fresh.etag = answer.etag;
            fresh.last_modified = answer.last_modified;
            store(url, fresh);
        }
        return Document{bytes, url, false};
    }
    if (wanted.stale == DocumentWanted::Stale::use && someone_is_away)
        for (const auto& url : wanted.urls)
            if (auto cached = load(url); cached && (!wanted.check || wanted.check(cached->bytes, url)))
                return Document{std::move(cached->bytes), url, true};
    return std::unexpected(tried.error(wanted.what));
}

} // namespace squish::fetch

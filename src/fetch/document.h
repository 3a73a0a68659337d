// Small files (lists, indexes, signatures) from mirrors, with a cache that lets a second run ask little.
//
// Of each address the newest body is kept with its ETag and date; the next request is conditional, and "304 Not
// Modified" costs a few bytes. A cached body serves without an answer only where the caller allows it and no mirror
// could be asked.
#pragma once

#include "fetch/http.h"
#include "fetch/tried.h"

#include <map>

namespace squish::fetch {

struct Document {
    std::string bytes;
    std::string url;         // that it came from
    bool from_cache = false; // no mirror was reached: this is what was there last time
};

struct DocumentWanted {
    std::vector<std::string> urls;
    std::string what; // for messages: "the list of Alpine releases"
    std::size_t max_bytes = 1 << 20;
    // Refuses what is not what it should be; the next mirror is asked, and nothing is cached.
    std::function<Result<void>(std::string_view bytes, const std::string& url)> check;
    enum class Stale { refuse, use } stale = Stale::refuse;
};

class Documents {
public:
    // `cache` is a folder, made where it is missing; empty: nothing is cached.
    [[nodiscard]] static Result<Documents> open(Http& http, const std::string& cache);

    // Errors: not_found (every mirror says so), unavailable (each address and why).
    [[nodiscard]] Result<Document> get(const DocumentWanted& wanted);
    // Asks again without conditions: for two files that belong together and were changed between two requests.
    void forget(const std::string& url);

private:
    Documents(Http& http, std::string cache) : http_(&http), cache_(std::move(cache)) {}
    struct Cached;
    [[nodiscard]] std::optional<Cached> load(const std::string& url) const;
    void store(const std::string& url, const Cached& cached) const;

    Http* http_;
    std::string cache_;
    std::map<std::string, std::string> dead_; // origin → why it could not be reached
};

} // namespace squish::fetch

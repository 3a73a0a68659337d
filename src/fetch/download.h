// One file from a list of mirrors, verified.
//
// How this works: the bytes go to a part file, into the digests and to the sink in one pass. A transfer that breaks off
// is continued by Range, at the same mirror as long as it gets on, then at the next. Whether the bytes of two mirrors
// (or of two processes) are one file is what the digest says: where it is wrong, all is forgotten (the sink is told to
// restart) and fetched from the first byte, and the mirror that sent wrong contents from the first byte on is out.
// Without a digest only the same address goes on, and only with If-Range.
#pragma once

#include "fetch/http.h"

#include <span>

namespace squish::fetch {

struct Wanted {
    std::vector<std::string> urls;     // mirrors of one file, in the order of preference
    std::optional<std::uint64_t> size; // bytes, where it is known
    std::string sha256, sha512;        // lower-case hex; empty where not known
    std::uint64_t max_bytes = 64ULL << 30;
    std::string part; // where it is written: an absolute path in a folder that exists
};

struct Progress {
    std::uint64_t received = 0;
    std::optional<std::uint64_t> total;
    std::string url; // shown_url()
};

// Who takes the bytes as they come. Both may refuse, which ends the download with that error (the part file stays).
// What came before the end is unverified: nobody may believe it before download() has returned.
struct Sink {
    std::function<Result<void>(std::string_view)> data;
    std::function<Result<void>()> restart; // all that was given is to be forgotten; called only after data
    std::function<void(const Progress&)> progress;
};

struct Downloaded {
    std::string sha256;
    std::uint64_t size = 0;
    std::string url; // shown_url() of the mirror that finished it
};

// On success PATH `part` holds the whole file. Errors: not_found (every mirror says so), unavailable (each address and
// why it failed), invalid (addresses), conflict (another process downloads it), and what the sink refused with.
[[nodiscard]] Result<Downloaded> download(Http& http, const Wanted& wanted, const Sink& sink);

} // namespace squish::fetch

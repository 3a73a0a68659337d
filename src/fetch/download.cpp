#include "fetch/download.h"

#include "base/text.h"
#include "base/url.h"
#include "fetch/hasher.h"
#include "fetch/part_file.h"
#include "fetch/tried.h"

#include <algorithm>
#include <map>

namespace squish::fetch {

namespace {

constexpr int kRounds = 2;      // over all mirrors, for those whose failure may pass
constexpr int kMaxResumes = 64; // at one mirror, each of which must have brought something
constexpr std::uint64_t kMaxRestarts = 8;

class Download {
public:
    static Result<Downloaded> run(Http& http, const Wanted& wanted, const Sink& sink) {
        for (const auto& url : wanted.urls)
            TRY(check_url(url));
        auto part = TRY(PartFile::open(wanted.part));
        auto sha256 = TRY(Hasher::make(Hasher::Kind::sha256));
        auto sha512 = TRY(Hasher::make(Hasher::Kind::sha512));
        Download download(http, wanted, sink, std::move(part), std::move(sha256), std::move(sha512));
        return download.run();
    }

private:
    // What an attempt at one mirror came to.
    enum class End {
        done,    // the file is there and right
        go_on,   // broke off, but brought something: ask the same mirror for the rest
        again,   // what had come was forgotten: ask the same mirror for the whole
        passing, // failed; another round may help
        lasting, // failed; no use in asking this mirror again
    };

    Download(Http& http, const Wanted& wanted, const Sink& sink, PartFile part, Hasher sha256, Hasher sha512)
        : http_(http), wanted_(wanted), sink_(sink), part_(std::move(part)), sha256_(std::move(sha256)),
          sha512_(std::move(sha512)) {}

    [[nodiscard]] bool has_digest() const { return !wanted_.sha256.empty() || !wanted_.sha512.empty(); }

    Result<Downloaded> run() {
        TRY(take_up());
        auto urls = wanted_.urls;
        std::ranges::stable_partition(urls, [&](const std::string& url) { return !was_rejected(url); });
        std::map<std::string, bool> out; // no use in asking again
        for (int round = 0; round < kRounds; ++round)
            for (const auto& url : urls) {
                if (out[url])
                    continue;
                switch (TRY(exhaust(url))) {
                case End::done:
                    return finish(url);
                case End::lasting:
                    out[url] = true;
                    break;
                case End::passing:
                case End::go_on:
                case End::again:
                    break;
                }
            }
        // What came stays for another time, when a mirror may be well again.
        part_.origin().rejected.clear();
        part_.origin().restarts = 0;
        if (part_.size() == 0)
            part_.remove();
        else
            TRY(part_.save_origin());
        return std::unexpected(tried_.error(what()));
    }

    // "'alpine-minirootfs-3.20.3-x86_64.tar.gz'": the end of the first address.
    [[nodiscard]] std::string what() const {
        if (wanted_.urls.empty())
            return "a file";
        const auto shown = shown_url(wanted_.urls.front());
        return "'" + shown.substr(shown.rfind('/') + 1) + "'";
    }

    // Takes up what an earlier process left, where that can be part of what is wanted.
    Result<void> take_up() {
        auto& origin = part_.origin();
        const bool same_file = origin.sha256 == wanted_.sha256 || (origin.url.empty() && has_digest());
        const auto limit = wanted_.size.value_or(wanted_.max_bytes);
        const bool useful = same_file && part_.size() <= limit &&
                            (has_digest() || (!origin.validator().empty() &&
                                              std::ranges::find(wanted_.urls, origin.url) != wanted_.urls.end()));
        if (!same_file)
            origin = {};
        origin.sha256 = wanted_.sha256;
        if (part_.size() == 0)
            return {};
        if (!useful)
            return part_.clear();
        return part_.replay([&](std::string_view bytes) { return take(bytes); });
    }

    // Bytes that the part file has: into the digests and to the sink.
    Result<void> take(std::string_view bytes) {
        TRY(sha256_.add(bytes));
        if (!wanted_.sha512.empty())
            TRY(sha512_.add(bytes));
        given_ = true;
        return sink_.data ? sink_.data(bytes) : Result<void>();
    }

    // Forgets all that has come. An error of the sink ends the download; another process may then go on from here.
    Result<void> forget() {
        ++part_.origin().restarts;
        TRY(part_.clear());
        TRY(part_.save_origin());
        TRY(sha256_.restart());
        TRY(sha512_.restart());
        if (std::exchange(given_, false) && sink_.restart)
            return sink_.restart();
        return {};
    }

    [[nodiscard]] bool was_rejected(const std::string& url) {
        const auto& rejected = part_.origin().rejected;
        return std::ranges::find(rejected, url) != rejected.end();
    }

    // Asked after all others from now on, also by the process that goes on from here. True where no mirror is left.
    bool reject(const std::string& url) {
        const bool again = was_rejected(url);
        if (!again)
            part_.origin().rejected.push_back(url);
        return again || std::ranges::all_of(wanted_.urls, [&](const auto& other) { return was_rejected(other); });
    }

    // Asks one mirror as long as that brings us on.
    Result<End> exhaust(const std::string& url) {
        for (int resumes = 0; resumes < kMaxResumes; ++resumes) {
            if (part_.origin().restarts > kMaxRestarts) {
                tried_.add(url,
                           "gave up: everything had to be fetched again " + std::to_string(kMaxRestarts) + " times");
                if (!reject(url)) // the next mirror may be better
                    part_.origin().restarts = 0;
                return End::lasting;
            }
            const auto end = is_whole() ? TRY(verify(url, Fetched::before)) : TRY(attempt(url));
            if (end != End::go_on && end != End::again)
                return end;
        }
        return End::passing;
    }

    [[nodiscard]] bool is_whole() const { return wanted_.size && part_.size() == *wanted_.size && has_digest(); }

    Result<End> attempt(const std::string& url) {
        const auto offset = part_.size();
        if (offset > 0 && !may_go_on(url))
            TRY(forget());
        const auto from = part_.size();
        at_url_ = url;
        verdict_.reset();
        fatal_.reset();
        restarted_ = false;
        std::vector<std::string> headers;
        if (from > 0 && url == part_.origin().url && !part_.origin().validator().empty())
            headers.push_back("If-Range: " + part_.origin().validator());
        const auto range = from > 0 ? std::to_string(from) + "-" : std::string();
        const Handlers handlers{[&](const ResponseHead& head) { return on_head(head, from); },
                                [&](std::string_view bytes) { return on_data(bytes); }};
        const auto failure = http_.get(url, headers, range, handlers);
        if (fatal_)
            return std::unexpected(*fatal_);
        if (verdict_)
            return *verdict_;
        if (!failure) {
            if (wanted_.size && part_.size() < *wanted_.size)
                return broke_off(url, "ended after " + of_total(), part_.size() > from);
            return verify(url, from == 0 || restarted_ ? Fetched::whole : Fetched::in_parts);
        }
        return broke_off(url, failure->reason + (part_.size() > 0 ? " (after " + of_total() + ")" : ""),
                         failure->kind == Failure::Kind::broken && part_.size() > (restarted_ ? 0 : from));
    }

    [[nodiscard]] std::string of_total() const {
        return std::to_string(part_.size()) + " of " + (total_ ? std::to_string(*total_) : std::string("unknown")) +
               " bytes";
    }

    Result<End> broke_off(const std::string& url, std::string reason, bool progressed) {
        tried_.add(url, std::move(reason));
        return progressed ? End::go_on : End::passing;
    }

    [[nodiscard]] bool may_go_on(const std::string& url) {
        return has_digest() || (url == part_.origin().url && !part_.origin().validator().empty());
    }

    // Ends the transfer: with a verdict on this mirror, or with an error that ends everything.
    std::unexpected<Error> refuse(End verdict, std::string reason, Tried::What what = Tried::What::failed) {
        tried_.add(at_url_, reason, what);
        verdict_ = verdict;
        return fail(ErrorKind::unavailable, std::move(reason));
    }
    Result<void> or_fatal(Result<void> result) {
        if (!result)
            fatal_ = result.error();
        return result;
    }

    Result<void> on_head(const ResponseHead& head, std::uint64_t from) {
        if (head.status == 416 && from > 0) {
            TRY(or_fatal(forget())); // longer than what the server has
            return refuse(End::again, status_text(head.status));
        }
        if (head.status == 404 || head.status == 410)
            return refuse(End::lasting, status_text(head.status), Tried::What::missing);
        if (head.status != 200 && head.status != 206)
            return refuse(head.status >= 500 || head.status == 429 ? End::passing : End::lasting,
                          status_text(head.status));
        if (head.content_type.starts_with("text/html"))
            return refuse(End::lasting, "answers with an HTML page instead of the file");
        std::optional<std::uint64_t> total;
        if (head.status == 206) {
            if (from == 0)
                return refuse(End::lasting, "sends a part where the whole was asked for");
            if (!head.range || head.range->first != from) {
                TRY(or_fatal(forget()));
                return refuse(bad_ranges_++ < 1 ? End::again : End::lasting, "sends another part than was asked for");
            }
            total = head.range->total;
        } else {
            total = head.length;
            if (from > 0) { // it knows no ranges, or has another file now
                TRY(or_fatal(forget()));
                restarted_ = true;
            }
            if (!head.framed && !wanted_.size && !has_digest())
                return refuse(End::lasting, "does not say how long the file is, and no digest is known: nobody could "
                                            "tell whether it is whole");
        }
        if (total && wanted_.size && *total != *wanted_.size)
            return refuse(End::lasting, "says that the file has " + std::to_string(*total) + " bytes instead of " +
                                            std::to_string(*wanted_.size));
        if (total && *total > wanted_.max_bytes)
            return refuse(End::lasting, "has " + std::to_string(*total) + " bytes, and " +
                                            std::to_string(wanted_.max_bytes) + " are allowed");
        total_ = wanted_.size ? wanted_.size : total;
        const auto plain = [](const std::string& text) {
            return text.size() < 512 && std::ranges::all_of(text, [](char c) { return c >= ' ' && c < 0x7f; });
        };
        auto& origin = part_.origin();
        origin.url = at_url_;
        origin.etag = plain(head.etag) ? head.etag : "";
        origin.last_modified = plain(head.last_modified) ? head.last_modified : "";
        return or_fatal(part_.save_origin());
    }

    Result<void> on_data(std::string_view bytes) {
        const auto most = std::min(total_.value_or(wanted_.max_bytes), wanted_.max_bytes);
        if (bytes.size() > most || part_.size() > most - bytes.size()) {
            if (reject(at_url_))
                given_ = false; // this is the end: nobody needs to forget
            TRY(or_fatal(forget()));
            return refuse(End::lasting, "sends more than the " + std::to_string(most) + " bytes that it should");
        }
        TRY(or_fatal(part_.append(bytes)));
        TRY(or_fatal(take(bytes)));
        if (sink_.progress)
            sink_.progress({part_.size(), total_, shown_url(at_url_)});
        return {};
    }

    // Who is to blame where the contents are wrong: a mirror that sent all of it; nobody where it came in parts.
    enum class Fetched { whole, in_parts, before };

    Result<End> verify(const std::string& url, Fetched fetched) {
        digest_ = TRY(sha256_.finish());
        const auto sha512 = wanted_.sha512.empty() ? std::string() : TRY(sha512_.finish());
        std::string wrong;
        if (!wanted_.sha256.empty() && digest_ != wanted_.sha256)
            wrong = "sha256 " + digest_ + " instead of " + wanted_.sha256;
        else if (sha512 != wanted_.sha512)
            wrong = "sha512 " + sha512.substr(0, 16) + "… instead of " + wanted_.sha512.substr(0, 16) + "…";
        if (wrong.empty())
            return End::done;
        if (fetched != Fetched::whole) {
            TRY(forget());
            tried_.add(url, "its part did not fit what had come before");
            return End::again;
        }
        tried_.add(url, "sent wrong contents: " + wrong);
        if (reject(url))
            given_ = false; // this is the end: nobody needs to forget
        TRY(forget());
        return End::lasting;
    }

    Result<Downloaded> finish(const std::string& url) {
        part_.complete();
        return Downloaded{digest_, part_.size(), shown_url(url)};
    }

    Http& http_;
    const Wanted& wanted_;
    const Sink& sink_;
    PartFile part_;
    Hasher sha256_, sha512_;
    Tried tried_;
    std::string digest_;
    bool given_ = false; // the sink has something to forget

    // of the current attempt
    std::string at_url_;
    std::optional<End> verdict_;
    std::optional<Error> fatal_;
    std::optional<std::uint64_t> total_;
    bool restarted_ = false; // a 200 came where a part had been asked for
    int bad_ranges_ = 0;
};

} // namespace

Result<Downloaded> download(Http& http, const Wanted& wanted, const Sink& sink) {
    return Download::run(http, wanted, sink);
}

} // namespace squish::fetch

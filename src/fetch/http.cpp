// The adapter to libcurl. Its callbacks are C: what our handlers say is kept and told when curl_easy_perform returns.
#include "fetch/http.h"

#include "base/text.h"
#include "base/url.h"
#include "version.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <curl/curl.h>
#include <mutex>

namespace squish::fetch {

namespace {

using Clock = std::chrono::steady_clock;

constexpr long kMaxRedirects = 8;
constexpr long kBufferBytes = 256 * 1024;
constexpr std::size_t kMaxHeadBytes = 64 * 1024;
constexpr const char* kUserAgent = "squish/" SQUISH_VERSION;

struct FreeList {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

// What one request has in hand while libcurl performs it.
struct Transfer {
    const Handlers* handlers = nullptr;
    Limits limits;
    ResponseHead head;
    std::size_t head_bytes = 0;
    bool has_location = false, chunked = false, http1 = true, head_told = false;
    std::optional<Error> refused;
    std::string gave_up; // our deadlines
    Clock::time_point started = Clock::now(), window = started;
    Clock::duration ours{}; // spent in the handlers since `window`
    std::uint64_t window_bytes = 0;

    void restart_head(std::string_view status_line) {
        head = {};
        has_location = chunked = false;
        http1 = status_line.starts_with("HTTP/1");
        const auto blank = status_line.find(' ');
        if (blank != std::string_view::npos)
            head.status = static_cast<int>(parse_number(trim(status_line.substr(blank)).substr(0, 3)).value_or(0));
    }

    [[nodiscard]] bool is_final() const {
        return head.status >= 200 && !(head.status >= 300 && head.status < 400 && has_location);
    }

    // False breaks the transfer off.
    bool tell_head() {
        if (head_told || !is_final())
            return true;
        head_told = true;
        head.framed = head.length || chunked || !http1;
        if (const auto told = handlers->head(head); !told) {
            refused = told.error();
            return false;
        }
        return true;
    }
};

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

void take_header(Transfer& transfer, std::string_view line) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos)
        return;
    const auto name = lower(line.substr(0, colon));
    const auto value = trim(line.substr(colon + 1));
    auto& head = transfer.head;
    if (name == "content-length")
        head.length = parse_number(value);
    else if (name == "content-range")
        head.has_range = true, head.range = parse_content_range(value);
    else if (name == "content-type")
        head.content_type = value;
    else if (name == "etag")
        head.etag = value;
    else if (name == "last-modified")
        head.last_modified = value;
    else if (name == "location")
        transfer.has_location = true;
    else if (name == "transfer-encoding")
        transfer.chunked = lower(value).contains("chunked");
}

std::size_t on_header(char* bytes, std::size_t, std::size_t size, void* user) noexcept {
    auto& transfer = *static_cast<Transfer*>(user);
    const std::string_view raw(bytes, size);
    transfer.head_bytes += size;
    if (transfer.head_bytes > kMaxHeadBytes) {
        transfer.refused = Error{ErrorKind::unavailable, "sends more than 64 KiB of headers", {}, 0};
        return 0;
    }
    const auto line = trim(raw);
    if (raw.starts_with("HTTP/"))
        transfer.restart_head(line);
    else if (line.empty())
        return transfer.tell_head() ? size : 0;
    else
        take_header(transfer, line);
    return size;
}

std::size_t on_data(char* bytes, std::size_t, std::size_t size, void* user) noexcept {
    auto& transfer = *static_cast<Transfer*>(user);
    transfer.window_bytes += size;
    const auto before = Clock::now();
    const auto taken = transfer.handlers->data({bytes, size});
    transfer.ours += Clock::now() - before;
    if (taken)
        return size;
    transfer.refused = taken.error();
    return 0;
}

// Called at least once a second. Not zero breaks the transfer off.
int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) noexcept {
    auto& transfer = *static_cast<Transfer*>(user);
    const auto now = Clock::now();
    const auto seconds = [](std::chrono::milliseconds time) {
        return time.count() < 10'000 ? std::to_string(time.count()) + " ms"
                                     : std::to_string(time.count() / 1000) + " s";
    };
    if (now - transfer.started > transfer.limits.total) {
        transfer.gave_up = "not done after " + seconds(transfer.limits.total);
        return 1;
    }
    if (now - transfer.window - transfer.ours < transfer.limits.stall)
        return 0;
    if (transfer.window_bytes < transfer.limits.stall_bytes) {
        transfer.gave_up = transfer.head_told ? "only " + std::to_string(transfer.window_bytes) + " bytes in " +
                                                    seconds(transfer.limits.stall)
                                              : "no answer within " + seconds(transfer.limits.stall);
        return 1;
    }
    transfer.window = now;
    transfer.window_bytes = 0;
    transfer.ours = {};
    return 0;
}

bool is_unreachable(CURLcode code) {
    switch (static_cast<int>(code)) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
        return true;
    default:
        return false;
    }
}

std::string reason_of(CURLcode code, const char* details) {
    if (code == CURLE_TOO_MANY_REDIRECTS)
        return "redirects more than " + std::to_string(kMaxRedirects) + " times";
    if (code == CURLE_UNSUPPORTED_PROTOCOL)
        return "redirects to something that is not allowed: only https from https, else http or https";
    std::string text = details[0] != '\0' ? details : curl_easy_strerror(code);
    if (text.size() > 1 && std::islower(static_cast<unsigned char>(text[1])) != 0) // "SSL" stays
        text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
    return printable(trim(text).substr(0, 256));
}

} // namespace

struct Http::Handle {
    struct Free {
        void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
    };
    std::unique_ptr<CURL, Free> curl;
    Limits limits;
};

Http::Http(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {}
Http::Http(Http&&) noexcept = default;
Http& Http::operator=(Http&&) noexcept = default;
Http::~Http() = default;

Result<Http> Http::open(Limits limits) {
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
    auto handle = std::make_unique<Handle>();
    handle->curl.reset(curl_easy_init());
    handle->limits = limits;
    if (!handle->curl)
        return fail(ErrorKind::system, "cannot start libcurl");
    return Http(std::move(handle));
}

std::optional<Failure> Http::get(const std::string& url, const std::vector<std::string>& headers,
                                 const std::string& range, const Handlers& handlers) {
    if (auto good = check_url(url); !good)
        return Failure{Failure::Kind::refused, good.error().message, good.error()};
    auto* const curl = handle_->curl.get();
    std::unique_ptr<curl_slist, FreeList> list;
    for (const auto& header : headers) {
        auto* const longer = curl_slist_append(list.get(), header.c_str());
        if (longer == nullptr)
            return Failure{Failure::Kind::refused, "out of memory", Error{ErrorKind::system, "out of memory", {}, 0}};
        static_cast<void>(list.release()); // NOLINT(bugprone-unused-return-value): it is `longer` now, or part of it
        list.reset(longer);
    }
    Transfer transfer;
    transfer.handlers = &handlers;
    transfer.limits = handle_->limits;
    std::array<char, CURL_ERROR_SIZE> details{};

    curl_easy_reset(curl); // keeps the connections
    curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, url.starts_with("https://") ? "https" : "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, kMaxRedirects);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, kUserAgent);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list.get());
    if (!range.empty())
        curl_easy_setopt(curl, CURLOPT_RANGE, range.c_str());
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, kBufferBytes);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(handle_->limits.connect.count()));
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, details.data());
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
    const auto code = curl_easy_perform(curl);
    curl_easy_reset(curl); // nothing of it may point at what ends here

    if (transfer.refused)
        return Failure{Failure::Kind::refused, transfer.refused->message, transfer.refused};
    if (!transfer.gave_up.empty())
        return Failure{transfer.head_told ? Failure::Kind::too_slow : Failure::Kind::unreachable, transfer.gave_up, {}};
    if (code == CURLE_OK && transfer.head_told)
        return std::nullopt;
    if (code == CURLE_OK)
        return Failure{Failure::Kind::unreachable, "answers without a final response", {}};
    const bool timed_out = code == CURLE_OPERATION_TIMEDOUT;
    const bool unreachable = is_unreachable(code) || (timed_out && !transfer.head_told);
    return Failure{
        unreachable ? Failure::Kind::unreachable : Failure::Kind::broken, reason_of(code, details.data()), {}};
}

std::optional<ContentRange> parse_content_range(std::string_view text) {
    if (!text.starts_with("bytes "))
        return std::nullopt;
    text.remove_prefix(6);
    const auto dash = text.find('-'), slash = text.find('/');
    if (dash == std::string_view::npos || slash == std::string_view::npos || slash < dash)
        return std::nullopt;
    const auto first = parse_number(text.substr(0, dash));
    const auto last = parse_number(text.substr(dash + 1, slash - dash - 1));
    const auto total = parse_number(text.substr(slash + 1));
    if (!first || !last || *first > *last || (!total && text.substr(slash + 1) != "*") || (total && *total <= *last))
        return std::nullopt;
    return ContentRange{*first, *last, total};
}

std::string status_text(int status) {
    constexpr std::array<std::pair<int, const char*>, 14> kKnown = {{
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {407, "Proxy Authentication Required"},
        {410, "Gone"},
        {416, "Range Not Satisfiable"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {507, "Insufficient Storage"},
    }};
    for (const auto& [known, text] : kKnown)
        if (known == status)
            return std::to_string(status) + " " + text;
    return "status " + std::to_string(status);
}

} // namespace squish::fetch

// download: one file from its mirrors, verified; into a part file, and through a pipe as it comes.
#include "base/text.h"
#include "catalog/digest.h"
#include "fetch/download.h"
#include "fetcher/jobs.h"
#include "os/file.h"

#include <cerrno>
#include <fcntl.h>

namespace squish::fetcher {

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kTellEvery = std::chrono::milliseconds(100);
constexpr int kPipeBytes = 1 << 20;
constexpr int kRestart = ERESTART; // marks the error with which our sink asks for a new pipe

// How fast it went lately: over the last seconds, not since the beginning.
class Speed {
public:
    std::uint64_t at(std::uint64_t received, Clock::time_point now) {
        if (received < received_) // all was forgotten
            *this = Speed();
        const auto passed = std::chrono::duration<double>(now - since_).count();
        if (passed >= 0.5) {
            const auto current = static_cast<double>(received - received_) / passed;
            speed_ = speed_ < 0 ? current : speed_ * 0.7 + current * 0.3;
            since_ = now;
            received_ = received;
        }
        return speed_ < 0 ? 0 : static_cast<std::uint64_t>(speed_);
    }

private:
    Clock::time_point since_ = Clock::now();
    std::uint64_t received_ = 0;
    double speed_ = -1;
};

Result<std::string> digest_of(const wire::Json& request, const char* member, std::size_t digits) {
    auto out = text_or(request, member);
    if (!out.empty() && !catalog::is_hex_digest(out, digits))
        return fail(ErrorKind::invalid, std::string("message with '") + member + "' that is no digest");
    return out;
}

Result<fetch::Wanted> wanted_of(const wire::Json& request) {
    fetch::Wanted out;
    out.urls = TRY(get_strings(request, "urls"));
    out.part = TRY(wire::get_string(request, "part"));
    out.max_bytes = static_cast<std::uint64_t>(TRY(wire::get_integer(request, "max_bytes")));
    out.sha256 = TRY(digest_of(request, "sha256", catalog::kSha256Digits));
    out.sha512 = TRY(digest_of(request, "sha512", catalog::kSha512Digits));
    if (request.contains("size")) {
        const auto size = TRY(wire::get_integer(request, "size"));
        if (size < 1 || static_cast<std::uint64_t>(size) > out.max_bytes)
            return fail(ErrorKind::invalid, "the file has " + std::to_string(size) + " bytes, and " +
                                                std::to_string(out.max_bytes) + " are allowed");
        out.size = static_cast<std::uint64_t>(size);
    }
    return out;
}

} // namespace

Result<wire::Json> download_file(const wire::Json& request, std::vector<UniqueFd> fds, const Tell& tell) {
    const auto wanted = TRY(wanted_of(request));
    if (fds.size() > 1)
        return fail(ErrorKind::invalid, "message with more than one descriptor");
    const UniqueFd pipe = fds.empty() ? UniqueFd() : std::move(fds.front());
    if (pipe)
        (void) ::fcntl(pipe.get(), F_SETPIPE_SZ, kPipeBytes); // less often awake; what the user's limit allows
    auto http = TRY(fetch::Http::open(TRY(limits_of(request))));

    Speed speed;
    Clock::time_point told{};
    fetch::Sink sink;
    if (pipe) {
        sink.data = [&](std::string_view bytes) -> Result<void> {
            if (auto put = os::write_all(pipe.get(), bytes); !put)
                return std::unexpected(std::move(put).error().within("hand on what is downloaded"));
            return {};
        };
        // What is in the pipe cannot be taken back: squishd begins anew, and finds the part file as it now is.
        sink.restart = []() -> Result<void> {
            return std::unexpected(Error{ErrorKind::unavailable, "the download must begin anew", {}, kRestart});
        };
    }
    sink.progress = [&](const fetch::Progress& progress) {
        const auto now = Clock::now();
        const auto current = speed.at(progress.received, now);
        if (now - told < kTellEvery)
            return;
        told = now;
        wire::Json event = wire::Json::object();
        event["event"] = "progress";
        event["received"] = progress.received;
        if (progress.total)
            event["total"] = *progress.total;
        event["url"] = progress.url;
        event["speed"] = current;
        tell(std::move(event));
    };
    auto done = fetch::download(http, wanted, sink);
    wire::Json answer = wire::Json::object();
    if (!done && done.error().sys_errno == kRestart) {
        answer["restart"] = true;
        return answer;
    }
    if (!done)
        return std::unexpected(std::move(done).error());
    answer["sha256"] = done->sha256;
    answer["size"] = done->size;
    answer["url"] = done->url;
    return answer;
}

} // namespace squish::fetcher

#include "fetcher/jobs.h"

#include "base/text.h"
#include "catalog/source_index.h"
#include "os/file.h"

namespace squish::fetcher {

namespace {
constexpr std::size_t kMaxStrings = 64;
constexpr std::uint64_t kMaxCacheFile = 16 << 20;
} // namespace

Result<std::vector<std::string>> get_strings(const wire::Json& request, const char* member) {
    const auto found = request.find(member);
    if (found == request.end() || !found->is_array() || found->empty() || found->size() > kMaxStrings)
        return fail(ErrorKind::invalid, std::string("message without 1 to 64 texts in '") + member + "'");
    std::vector<std::string> out;
    for (const auto& item : *found) {
        if (!item.is_string())
            return fail(ErrorKind::invalid, std::string("message with something else than texts in '") + member + "'");
        out.push_back(item.get<std::string>());
    }
    return out;
}

std::string text_or(const wire::Json& request, const char* member, std::string otherwise) {
    const auto found = request.find(member);
    return found != request.end() && found->is_string() ? found->get<std::string>() : std::move(otherwise);
}

bool flag_of(const wire::Json& request, const char* member) {
    const auto found = request.find(member);
    return found != request.end() && found->is_boolean() && found->get<bool>();
}

Result<fetch::Limits> limits_of(const wire::Json& request) {
    fetch::Limits out;
    const auto found = request.find("limits");
    if (found == request.end())
        return out;
    if (!found->is_object())
        return fail(ErrorKind::invalid, "message with 'limits' that is no object");
    for (const auto& [member, target] : {std::pair{"connect_ms", &out.connect}, std::pair{"stall_ms", &out.stall},
                                         std::pair{"total_ms", &out.total}}) {
        if (!found->contains(member))
            continue;
        const auto value = TRY(wire::get_integer(*found, member));
        if (value < 1 || value > 7 * 24 * 3'600'000LL)
            return fail(ErrorKind::invalid, std::string("message with '") + member + "' out of range");
        *target = std::chrono::milliseconds(value);
    }
    if (found->contains("stall_bytes"))
        out.stall_bytes =
            static_cast<std::uint64_t>(std::max<std::int64_t>(0, TRY(wire::get_integer(*found, "stall_bytes"))));
    return out;
}

Result<std::string> arch_of(const wire::Json& request) {
    auto arch = TRY(wire::get_string(request, "arch"));
    if (!catalog::is_arch_name(arch))
        return fail(ErrorKind::invalid, "'" + printable(arch.substr(0, 32)) + "' is no architecture");
    return arch;
}

Result<Needs> needs_of(const wire::Json& request) {
    Needs out;
    const auto op = TRY(wire::get_string(request, "op"));
    if (op == "download") {
        const auto part = TRY(wire::get_string(request, "part"));
        const auto most = TRY(wire::get_integer(request, "max_bytes"));
        if (!part.starts_with('/') || part.ends_with('/') || most < 1)
            return fail(ErrorKind::invalid, "message with a 'part' that is no absolute path, or no 'max_bytes'");
        out.writable.push_back(part.substr(0, std::max<std::size_t>(1, part.rfind('/'))));
        out.max_file_bytes = static_cast<std::uint64_t>(most) + kMaxCacheFile;
        return out;
    }
    if (op != "alpine.find" && op != "source.find")
        return fail(ErrorKind::invalid, "unknown request '" + printable(op.substr(0, 64)) + "'");
    out.max_file_bytes = kMaxCacheFile;
    if (const auto cache = text_or(request, "cache"); !cache.empty()) {
        TRY(os::make_dirs(cache));
        out.writable.push_back(cache);
    }
    return out;
}

Result<wire::Json> run_job(const wire::Json& request, std::vector<UniqueFd> fds, const Tell& tell) {
    const auto op = TRY(wire::get_string(request, "op"));
    if (op == "alpine.find")
        return find_alpine(request);
    if (op == "source.find")
        return find_in_sources(request);
    if (op == "download")
        return download_file(request, std::move(fds), tell);
    return fail(ErrorKind::invalid, "unknown request '" + printable(op.substr(0, 64)) + "'");
}

} // namespace squish::fetcher

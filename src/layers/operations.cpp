#include "layers/operations.h"

#include "archive/pack.h"
#include "archive/remove.h"
#include "archive/unpack.h"
#include "archive/verify.h"
#include "base/text.h"
#include "os/file.h"

#include <algorithm>
#include <array>
#include <unistd.h>

namespace squish::layers {

using wire::Json;

namespace {

constexpr std::size_t kMaxManifest = 1 << 30;
constexpr std::size_t kMaxFindings = 200; // an answer is one message

struct Operation {
    const char* name;
    std::vector<Role> roles;
    Result<Json> (*run)(const Json& request, const std::vector<int>& fds, const Tell& tell);
};

// --- fields

Result<std::uint64_t> number_or(const Json& from, const char* member, std::uint64_t otherwise) {
    const auto found = from.find(member);
    if (found == from.end())
        return otherwise;
    if (!found->is_number_unsigned())
        return fail(ErrorKind::invalid, std::string("'") + member + "' is no number");
    return found->get<std::uint64_t>();
}

bool flag(const Json& from, const char* member) {
    const auto found = from.find(member);
    return found != from.end() && found->is_boolean() && found->get<bool>();
}

// Only downwards is free: nobody can ask for more than a name that the kernel takes, or a walk that holds.
Result<archive::Limits> limits_of(const Json& request) {
    archive::Limits limits;
    const auto found = request.find("limits");
    if (found == request.end())
        return limits;
    if (!found->is_object())
        return fail(ErrorKind::invalid, "'limits' is no object");
    limits.total_bytes = TRY(number_or(*found, "total_bytes", limits.total_bytes));
    limits.file_bytes = TRY(number_or(*found, "file_bytes", limits.file_bytes));
    limits.entries = TRY(number_or(*found, "entries", limits.entries));
    limits.ratio = std::max<std::uint64_t>(1, TRY(number_or(*found, "ratio", limits.ratio)));
    limits.ratio_floor = TRY(number_or(*found, "ratio_floor", limits.ratio_floor));
    limits.name_bytes = TRY(number_or(*found, "name_bytes", limits.name_bytes));
    limits.path_bytes = std::min<std::uint64_t>(TRY(number_or(*found, "path_bytes", limits.path_bytes)), 4096);
    limits.depth = std::min<std::uint64_t>(TRY(number_or(*found, "depth", limits.depth)), 128);
    return limits;
}

Result<archive::UnpackOptions> unpack_options(const Json& request, const Tell& tell) {
    archive::UnpackOptions options;
    options.limits = TRY(limits_of(request));
    if (request.contains("plain_name"))
        options.plain_name = TRY(wire::get_string(request, "plain_name"));
    options.input_digest = flag(request, "input_digest");
    options.on_progress = [&tell](const archive::Progress& progress) {
        tell(progress.read, progress.written, progress.entries);
        return true;
    };
    return options;
}

Json to_json(const archive::Unpacked& unpacked) {
    const auto& tamed = unpacked.tamed;
    Json out = {{"kind", unpacked.kind == archive::Kind::plain ? "file" : "tree"},
                {"format", archive::to_string(unpacked.kind)},
                {"tree_digest", archive::to_hex(unpacked.tree_digest)},
                {"entries", unpacked.progress.entries},
                {"bytes", unpacked.progress.written},
                {"read", unpacked.progress.read},
                {"closed", unpacked.closed},
                {"tamed",
                 {{"devices", tamed.devices},
                  {"fifos", tamed.fifos},
                  {"setuid", tamed.setuid},
                  {"absolute_names", tamed.absolute_names},
                  {"owners", tamed.owners},
                  {"xattrs", tamed.xattrs},
                  {"duplicates", tamed.duplicates}}}};
    if (unpacked.input_digest)
        out["input_sha256"] = archive::to_hex(*unpacked.input_digest);
    return out;
}

Result<Json> deliver(const Json& request, archive::Unpacked unpacked, int target, int manifest) {
    TRY(os::write_all(manifest, unpacked.manifest));
    if (flag(request, "sync") && (::syncfs(target) < 0 || (::fsync(manifest) < 0 && errno != EINVAL)))
        return fail_errno("write it to the disk");
    return to_json(unpacked);
}

// --- operations

Result<Json> unpack(const Json& request, const std::vector<int>& fds, const Tell& tell) {
    const auto options = TRY(unpack_options(request, tell));
    auto unpacked = TRY(archive::unpack(fds[0], fds[1], options));
    return deliver(request, std::move(unpacked), fds[1], fds[2]);
}

Result<Json> import_folder(const Json& request, const std::vector<int>& fds, const Tell& tell) {
    const auto options = TRY(unpack_options(request, tell));
    auto copied = TRY(archive::copy_tree(fds[0], fds[1], options));
    return deliver(request, std::move(copied), fds[1], fds[2]);
}

Result<Json> verify(const Json& request, const std::vector<int>& fds, const Tell& tell) {
    archive::VerifyOptions options;
    options.max_findings = std::min<std::uint64_t>(TRY(number_or(request, "max_findings", 100)), kMaxFindings);
    options.on_progress = [&tell](std::uint64_t bytes, std::uint64_t files) {
        tell(bytes, 0, files);
        return true;
    };
    const auto manifest = TRY(os::read_all(fds[1], kMaxManifest));
    const auto digest = archive::to_hex(archive::sha256_of(manifest));
    const auto verified = TRY(archive::verify(fds[0], manifest, options));
    Json findings = Json::array();
    std::size_t room = wire::kMaxMessageBytes / 4; // of JSON text, in which one byte may become six
    for (const auto& finding : verified.findings) {
        const auto size = finding.path.size() + finding.what.size() + 32;
        if (size * 2 > room)
            break;
        room -= size * 2;
        findings.push_back({{"path", finding.path}, {"what", finding.what}});
    }
    return Json{{"findings", std::move(findings)},
                {"found", verified.found},
                {"files", verified.files},
                {"bytes", verified.bytes},
                {"tree_digest", digest}};
}

Result<Json> remove(const Json& request, const std::vector<int>& fds, const Tell& tell) {
    (void) tell;
    TRY(archive::remove_tree(fds[0], TRY(wire::get_string(request, "name"))));
    return Json::object();
}

Result<Json> pack(const Json& request, const std::vector<int>& fds, const Tell& tell) {
    archive::PackOptions options;
    options.time = static_cast<std::int64_t>(TRY(number_or(request, "time", 0)));
    options.on_progress = [&tell](std::uint64_t bytes, std::uint64_t entries) {
        tell(bytes, 0, entries);
        return true;
    };
    const auto packed = TRY(archive::pack(fds[0], fds[1], options));
    return Json{{"sha256", archive::to_hex(packed.sha256)},
                {"size", packed.size},
                {"entries", packed.entries},
                {"bytes", packed.bytes}};
}

Result<Json> hash(const Json& request, const std::vector<int>& fds, const Tell& tell) {
    (void) request;
    archive::Sha256 sha256;
    std::vector<char> buffer(256 * 1024);
    std::uint64_t size = 0;
    for (;;) {
        const auto got = ::read(fds[0], buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_errno("read the file");
        if (got == 0)
            break;
        sha256.update(buffer.data(), static_cast<std::size_t>(got));
        tell(size += static_cast<std::uint64_t>(got), 0, 0);
    }
    return Json{{"sha256", archive::to_hex(sha256.finish())}, {"size", size}};
}

Result<Json> digest_tree(const Json& request, const std::vector<int>& fds, const Tell& tell) {
    (void) request;
    (void) tell;
    return Json{{"tree_digest", archive::to_hex(TRY(archive::tree_digest_of(fds[0])))}};
}

const std::array<Operation, 7>& operations() {
    static const std::array<Operation, 7> all = {{
        {"unpack", {Role::stream, Role::folder_to_write, Role::stream}, unpack},
        {"import", {Role::folder_to_read, Role::folder_to_write, Role::stream}, import_folder},
        {"verify", {Role::folder_to_read, Role::stream}, verify},
        {"remove", {Role::folder_to_write}, remove},
        {"pack", {Role::folder_to_read, Role::stream}, pack},
        {"hash", {Role::stream}, hash},
        {"tree_digest", {Role::folder_to_read}, digest_tree},
    }};
    return all;
}

Result<const Operation*> find(const Json& request) {
    const auto name = TRY(wire::get_string(request, "op"));
    const auto found = std::ranges::find_if(operations(), [&](const Operation& one) { return one.name == name; });
    if (found == operations().end())
        return fail(ErrorKind::invalid, "unknown request '" + printable(name) + "'");
    return &*found;
}

} // namespace

Result<std::vector<Role>> roles_of(const Json& request) {
    const auto* operation = TRY(find(request));
    TRY(limits_of(request));
    return operation->roles;
}

Result<Json> carry_out(const Json& request, const std::vector<int>& fds, const Tell& tell) {
    return TRY(find(request))->run(request, fds, tell);
}

std::uint64_t max_file_bytes(const Json& request) {
    const auto op = wire::get_string(request, "op");
    const auto limits = limits_of(request);
    if (!op || !limits || (*op != "unpack" && *op != "import"))
        return 0;
    return std::max<std::uint64_t>({limits->file_bytes, limits->total_bytes, kMaxManifest}); // a zip is spooled whole
}

} // namespace squish::layers

// alpine.find: the newest Alpine release that a requirement allows.
#include "base/url.h"
#include "catalog/alpine.h"
#include "fetch/document.h"
#include "fetcher/jobs.h"

namespace squish::fetcher {

namespace {

std::vector<std::string> everywhere(const std::vector<std::string>& mirrors, const std::string& path) {
    std::vector<std::string> out;
    for (const auto& mirror : mirrors)
        out.push_back(below(mirror, path));
    return out;
}

wire::Json describe(const catalog::AlpineRelease& release, const std::vector<std::string>& mirrors,
                    const std::string& arch) {
    wire::Json out = wire::Json::object();
    out["version"] = release.version.text();
    out["branch"] = release.branch;
    out["urls"] = everywhere(mirrors, release.path(arch));
    if (release.size)
        out["size"] = *release.size;
    out["sha256"] = release.sha256;
    if (!release.sha512.empty())
        out["sha512"] = release.sha512;
    return out;
}

} // namespace

Result<wire::Json> find_alpine(const wire::Json& request) {
    const auto mirrors = TRY(get_strings(request, "mirrors"));
    const auto requirement = TRY(catalog::Requirement::parse(TRY(wire::get_string(request, "requirement"))));
    const auto arch = catalog::alpine_arch(TRY(arch_of(request)));
    auto http = TRY(fetch::Http::open(TRY(limits_of(request))));
    auto documents = TRY(fetch::Documents::open(http, text_or(request, "cache")));
    bool from_cache = false;

    catalog::AlpineSearch search(requirement, arch);
    while (search.next()) {
        // What the search refuses is as good as a mirror that fails: it stays where it is, and the next one is asked.
        catalog::AlpineSearch after = search;
        fetch::DocumentWanted wanted;
        wanted.urls = everywhere(mirrors, *search.next());
        wanted.what = "Alpine's '" + *search.next() + "'";
        wanted.max_bytes = catalog::kMaxReleasesBytes;
        wanted.stale =
            flag_of(request, "stale") ? fetch::DocumentWanted::Stale::use : fetch::DocumentWanted::Stale::refuse;
        wanted.check = [&](std::string_view bytes, const std::string&) {
            after = search;
            return after.answer(bytes);
        };
        const auto document = documents.get(wanted);
        if (!document && document.error().kind == ErrorKind::not_found) {
            TRY(search.answer(std::nullopt));
            continue;
        }
        if (!document)
            return std::unexpected(document.error());
        from_cache = from_cache || document->from_cache;
        search = std::move(after);
    }
    const auto release = TRY(search.result());
    wire::Json answer = wire::Json::object();
    answer["candidates"] = wire::Json::array({describe(release, mirrors, arch)});
    answer["from_cache"] = from_cache;
    return answer;
}

} // namespace squish::fetcher

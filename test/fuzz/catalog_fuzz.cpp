// Feeds arbitrary bytes to everything of the catalog that reads what came from elsewhere; the first byte selects.
//
// What must hold: nothing crashes; a refusal is printable and says something; what was accepted reads back as it is
// written, and nothing accepted could lead out of its folder.
#include "base/text.h"
#include "catalog/alpine.h"
#include "catalog/digest.h"
#include "catalog/lock.h"
#include "catalog/manifest.h"
#include "catalog/minisign.h"
#include "catalog/source_index.h"
#include "require.h"

namespace {

using squish::test::require;

using namespace squish;
using namespace squish::catalog;

void check_error(const Error& error) {
    require(!error.message.empty() && printable(error.message) == error.message, "a refusal is printable");
}

template <class T> void check_errors(const std::expected<T, std::vector<Diagnostic>>& outcome) {
    if (outcome)
        return;
    require(!outcome.error().empty(), "a refusal has a reason");
    for (const auto& [at, message] : outcome.error())
        require(!message.empty() && printable(message) == message, "reasons are printable");
}

void check_requirement(std::string_view text) {
    const auto requirement = Requirement::parse(text);
    if (!requirement)
        return check_error(requirement.error());
    const auto again = Requirement::parse(requirement->text());
    require(again && again->text() == requirement->text(), "a requirement reads back");
    for (const char* version : {"3.20.3", "1.2.0-rc.1", "0.0.0", "1.0.0_p1"}) {
        const auto parsed = Version::parse(version).value();
        require(requirement->allows(parsed) == again->allows(parsed), "and means the same");
    }
    (void) requirement->least_branch();
    (void) requirement->most_branch();
    AlpineSearch search(*requirement, "x86_64");
    int asked = 0;
    while (search.next()) {
        require(++asked <= 200, "a search ends");
        require(!search.next()->contains("..") && !search.next()->starts_with('/'), "and asks below the mirror");
        require(search.answer(std::nullopt).has_value(), "absence is no error");
    }
}

void check_version(std::string_view text) {
    const auto version = Version::parse(text);
    if (!version)
        return check_error(version.error());
    const auto again = Version::parse(version->text());
    require(again && *again == *version, "a version reads back");
    require(!version->text().contains('/'), "a version is no path");
}

void check_index(std::string_view text) {
    const auto index = parse_index(text, "python");
    if (!index)
        return check_error(index.error());
    const auto again = parse_index(write_index(*index), "python");
    require(again && *again == *index, "an index reads back");
    for (const auto& version : index->versions)
        for (const auto& archive : version.archives)
            require(!archive.file.contains('/') && !archive.file.starts_with('.') && archive.size > 0 &&
                        is_hex_digest(archive.sha256, kSha256Digits),
                    "an archive lies beside its index");
}

void check_yaml(std::string_view text) {
    const auto release = parse_latest_releases(text, "x86_64");
    if (!release)
        return check_error(release.error());
    require(!release->path("x86_64").contains(".."), "a release lies below the mirror");
}

void check_signature(std::string_view text) {
    static const auto key = SecretKey::generate();
    const auto verified = key.public_key().verify("the index", text);
    require(!verified, "nobody guesses a signature");
    check_error(verified.error());
    if (const auto parsed = PublicKey::parse(text))
        require(PublicKey::parse(parsed->text())->text() == parsed->text(), "a key reads back");
    (void) SecretKey::parse(text);
    (void) parse_digest_file(text, "file", kSha256Digits);
}

void check_manifest(std::string_view text) {
    const auto manifest = parse_manifest(text);
    check_errors(manifest);
    if (manifest && manifest->run)
        require(!manifest->run->command.starts_with('/') && !("/" + manifest->run->command + "/").contains("/../"),
                "a command lies in its layer");
}

void check_lock(std::string_view text) {
    const auto lock = parse_lock(text);
    check_errors(lock);
    if (!lock)
        return;
    const auto again = parse_lock(write_lock(*lock));
    require(again.has_value(), "a lock file reads back");
    require(write_lock(*again).size() >= 1 && again->layers.size() == lock->layers.size(), "whole");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0)
        return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    switch (data[0]) {
    case 'r':
        check_requirement(text);
        break;
    case 'v':
        check_version(text);
        break;
    case 'i':
        check_index(text);
        break;
    case 'y':
        check_yaml(text);
        break;
    case 's':
        check_signature(text);
        break;
    case 'm':
        check_manifest(text);
        break;
    case 'l':
        check_lock(text);
        break;
    default:
        break;
    }
    return 0;
}

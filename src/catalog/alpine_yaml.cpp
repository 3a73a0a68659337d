// The adapter to yaml-cpp, and the only file that includes it: its exceptions end here.
#include "base/text.h"
#include "catalog/alpine.h"
#include "catalog/digest.h"

#include <algorithm>
#include <map>
#include <yaml-cpp/yaml.h>

namespace squish::catalog {

namespace {

constexpr std::size_t kMaxEntries = 64; // a mirror lists about ten flavors
constexpr std::string_view kFlavor = "alpine-minirootfs";

using Entry = std::map<std::string, std::string>;

std::unexpected<Error> refuse(std::string_view why) {
    return fail(ErrorKind::invalid, "not a list of Alpine releases: " + std::string(why));
}

// Flow collections nest without cost to their writer, and yaml-cpp recurses: the lists of the mirrors have none.
bool nests_deeply(std::string_view yaml) {
    return std::ranges::count_if(yaml, [](char c) { return c == '[' || c == '{'; }) > 256;
}

// The scalars of each entry. Anchors and aliases are for those who want to be clever: none are followed.
Result<std::vector<Entry>> read_entries(std::string_view yaml) {
    try {
        const auto root = YAML::Load(std::string(yaml));
        if (!root.IsSequence())
            return refuse("it is no sequence");
        if (root.size() > kMaxEntries)
            return refuse("it has more than " + std::to_string(kMaxEntries) + " entries");
        std::vector<Entry> out;
        for (const auto& node : root) {
            if (!node.IsMap() || node.size() > kMaxEntries)
                return refuse("entry " + std::to_string(out.size() + 1) + " is no small map");
            auto& entry = out.emplace_back();
            for (const auto& member : node)
                if (member.first.IsScalar() && member.second.IsScalar())
                    entry[member.first.Scalar()] = member.second.Scalar();
        }
        return out;
    } catch (const YAML::Exception& error) {
        return refuse(printable(std::string_view(error.what()).substr(0, 200)));
    }
}

Result<std::string> member(const Entry& entry, const std::string& key) {
    const auto found = entry.find(key);
    if (found == entry.end())
        return refuse("the mini root filesystem has no '" + key + "'");
    return found->second;
}

std::string branch_of(const Version& version) {
    return "v" + std::to_string(version.numbers()[0]) + "." + std::to_string(version.numbers()[1]);
}

Result<AlpineRelease> read_release(const Entry& entry, std::string_view arch) {
    const auto version_text = TRY(member(entry, "version"));
    const auto file = TRY(member(entry, "file"));
    const auto size = parse_number(TRY(member(entry, "size")));
    const auto sha256 = TRY(member(entry, "sha256"));
    const auto sha512 = entry.find("sha512");

    auto version = Version::parse(version_text);
    if (!version)
        return refuse(version.error().message);
    const auto expected = std::string(kFlavor) + "-" + version->text() + "-" + std::string(arch) + ".tar.gz";
    if (file != expected) // it becomes part of a URL and of messages
        return refuse("its file is '" + printable(std::string_view(file).substr(0, 128)) + "' instead of '" + expected +
                      "'");
    if (!size || *size == 0 || *size > kMaxRootfsBytes)
        return refuse("its size is not between 1 and " + std::to_string(kMaxRootfsBytes) + " bytes");
    if (!is_hex_digest(sha256, kSha256Digits))
        return refuse("its sha256 is not 64 lower-case hexadecimal digits");
    if (sha512 != entry.end() && !is_hex_digest(sha512->second, kSha512Digits))
        return refuse("its sha512 is not 128 lower-case hexadecimal digits");
    AlpineRelease out{*std::move(version), {}, file, size, sha256, sha512 == entry.end() ? "" : sha512->second};
    out.branch = branch_of(out.version);
    if (const auto branch = entry.find("branch"); branch != entry.end() && branch->second != out.branch)
        return refuse("version " + out.version.text() + " in branch '" +
                      printable(std::string_view(branch->second).substr(0, 32)) + "'");
    return out;
}

} // namespace

Result<AlpineRelease> parse_latest_releases(std::string_view yaml, std::string_view arch) {
    if (yaml.size() > kMaxReleasesBytes)
        return refuse("it is longer than " + std::to_string(kMaxReleasesBytes) + " bytes");
    if (nests_deeply(yaml))
        return refuse("it nests too deeply");
    const auto entries = TRY(read_entries(yaml));
    for (const auto& entry : entries) {
        const auto flavor = entry.find("flavor"), listed_arch = entry.find("arch");
        if (flavor == entry.end() || flavor->second != kFlavor)
            continue;
        if (listed_arch != entry.end() && listed_arch->second != arch)
            continue;
        return read_release(entry, arch);
    }
    return fail(ErrorKind::not_found, "the list of releases has no mini root filesystem for " + std::string(arch));
}

} // namespace squish::catalog

#include "daemon/config.h"

#include "base/text.h"
#include "catalog/minisign.h"
#include "os/file.h"
#include "squishfile/node.h"
#include "squishfile/value.h"

#include <algorithm>
#include <cerrno>

namespace squish::daemon {

namespace {

constexpr std::uint64_t kLeastLog = 64 << 10, kMostLog = 1ULL << 40;
constexpr std::uint64_t kMostSpareCells = 64;

std::uint64_t read_log_limit(const reader::Node& node, std::uint64_t standard) {
    if (node.kind() == reader::Value::Kind::integer)
        return node.integer(kLeastLog, kMostLog).value_or(standard);
    const auto text = node.string("a size such as \"16M\"");
    if (!text)
        return standard;
    const auto size = parse_size(*text);
    if (!size || *size < kLeastLog || *size > kMostLog) {
        node.fail("must be a size from \"64K\" to \"1T\"");
        return standard;
    }
    return *size;
}

// An address that squish-fetch may ask, without a slash at its end.
std::optional<std::string> read_url(const reader::Node& node) {
    auto text = node.non_empty_string();
    if (!text)
        return std::nullopt;
    if (!text->starts_with("https://") && !text->starts_with("http://")) {
        node.fail("must begin with \"https://\" or \"http://\"");
        return std::nullopt;
    }
    while (text->ends_with('/'))
        text->pop_back();
    return text;
}

LayerSource read_source(const reader::Node& node) {
    LayerSource source;
    const auto table = node.table({"name", "url", "key"});
    if (const auto url = table.need("url", "where the source is"))
        source.url = read_url(*url).value_or("");
    source.name = source.url;
    if (const auto name = table.get("name"))
        source.name = name->non_empty_string().value_or("");
    if (const auto key = table.get("key")) {
        source.key = key->non_empty_string("a minisign public key (\"RWQ…\")").value_or("");
        if (const auto parsed = catalog::PublicKey::parse(source.key); !source.key.empty() && !parsed)
            key->fail("is no minisign public key: " + parsed.error().message);
    }
    return source;
}

uplink::Ipv6 read_ipv6(const reader::Node& node) {
    if (node.kind() == reader::Value::Kind::boolean)
        return node.boolean().value_or(false) ? uplink::Ipv6::on : uplink::Ipv6::off;
    if (const auto text = node.string("\"auto\", true or false"); text && *text != "auto")
        node.fail("must be \"auto\", true or false");
    return uplink::Ipv6::automatic;
}

void read_uplink(const reader::Node& node, EngineConfig& config) {
    const auto table = node.table({"driver", "mtu", "ipv6"});
    if (const auto ipv6 = table.get("ipv6"))
        config.uplink_ipv6 = read_ipv6(*ipv6);
    if (const auto mtu = table.get("mtu"))
        config.uplink_mtu = static_cast<std::uint32_t>(mtu->integer(1280, 65520).value_or(config.uplink_mtu));
    const auto driver = table.get("driver");
    const auto text = driver ? driver->string() : std::nullopt;
    if (!text)
        return;
    if (*text == "auto")
        config.uplink_driver = uplink::Choice::automatic;
    else if (*text == "slirp4netns")
        config.uplink_driver = uplink::Choice::slirp4netns;
    else if (*text == "pasta")
        config.uplink_driver = uplink::Choice::pasta;
    else
        driver->fail("must be \"auto\", \"slirp4netns\" or \"pasta\"");
}

// Below the cgroup2 mount, without a detour. Whether it is there and ours is seen at use: it may be made later.
bool is_cgroup_path(std::string_view path) {
    constexpr std::string_view kMount = "/sys/fs/cgroup/";
    if (!path.starts_with(kMount) || path.size() > kMaxPathBytes)
        return false;
    return std::ranges::none_of(split(path.substr(kMount.size()), '/'),
                                [](std::string_view part) { return part.empty() || part == "." || part == ".."; });
}

void read_limits(const reader::Node& node, limits::Config& config) {
    const auto table = node.table({"driver", "cgroup"});
    const auto driver = table.get("driver");
    const auto name = driver ? driver->string() : std::nullopt;
    if (name == "systemd")
        config.driver = limits::Choice::systemd;
    else if (name == "direct")
        config.driver = limits::Choice::direct;
    else if (name == "none")
        config.driver = limits::Choice::none;
    else if (name && *name != "auto")
        reader::fail_choice(*driver, *name, {"auto", "systemd", "direct", "none"});
    const auto cgroup = table.get("cgroup");
    const auto path = cgroup ? cgroup->string("a string such as \"/sys/fs/cgroup/squish\"") : std::nullopt;
    if (!path)
        return;
    config.cgroup = path->ends_with('/') ? path->substr(0, path->size() - 1) : *path;
    if (!is_cgroup_path(config.cgroup))
        cgroup->fail("must be a folder below /sys/fs/cgroup, such as \"/sys/fs/cgroup/squish\"");
    else if (config.driver == limits::Choice::systemd || config.driver == limits::Choice::none)
        cgroup->fail("has no effect with this driver: it is for \"direct\" and \"auto\"");
}

void read_layers(const reader::Node& node, LayerSettings& settings) {
    constexpr std::size_t kMostMirrors = 16, kMostSources = 32;
    const auto table = node.table({"alpine_mirrors", "sources"});
    if (const auto mirrors = table.get("alpine_mirrors")) {
        settings.alpine_mirrors.clear();
        for (const auto& mirror : mirrors->items("an array of addresses", kMostMirrors))
            if (auto url = read_url(mirror))
                settings.alpine_mirrors.push_back(*std::move(url));
    }
    if (const auto sources = table.get("sources"))
        for (const auto& source : sources->items("tables: [[layers.sources]]", kMostSources))
            settings.sources.push_back(read_source(source));
}

EngineConfig read_tables(const reader::Value& tree, reader::Report& report) {
    EngineConfig config;
    const reader::Node root(tree, {}, "", report);
    const auto top = root.table({"log_limit", "spare_cells", "uplink", "layers", "limits"});
    if (const auto node = top.get("log_limit"))
        config.log_limit = read_log_limit(*node, config.log_limit);
    if (const auto node = top.get("spare_cells"))
        config.spare_cells = static_cast<std::uint32_t>(node->integer(0, kMostSpareCells).value_or(config.spare_cells));
    if (const auto node = top.get("uplink"))
        read_uplink(*node, config);
    if (const auto node = top.get("layers"))
        read_layers(*node, config.layers);
    if (const auto node = top.get("limits"))
        read_limits(*node, config.limits);
    return config;
}

std::unexpected<Error> wrong(std::string_view file_name, const std::vector<Diagnostic>& diagnostics) {
    auto text = render(file_name, diagnostics);
    while (text.ends_with('\n'))
        text.pop_back();
    return fail(ErrorKind::invalid, "configuration: " + text, "see squishd(8)");
}

} // namespace

Result<EngineConfig> parse_config(std::string_view text, std::string_view file_name) {
    const auto tree = reader::read_toml(text);
    if (!tree)
        return wrong(file_name, tree.error());
    reader::Report report;
    const auto config = read_tables(*tree, report);
    if (!report.empty())
        return wrong(file_name, std::move(report).take());
    return config;
}

Result<EngineConfig> read_config(const std::string& file) {
    const auto text = os::read_file(file, kMaxSquishfileBytes);
    if (!text && text.error().sys_errno == ENOENT)
        return EngineConfig{};
    if (!text)
        return std::unexpected(Error(text.error()).within("configuration"));
    return parse_config(*text, file);
}

} // namespace squish::daemon

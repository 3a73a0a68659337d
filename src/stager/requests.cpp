#include "stager/requests.h"

#include "base/text.h"

#include <limits>

namespace squish::stager {

using wire::Json;

namespace {

Result<const Json*> get_array(const Json& body, const char* member) {
    const auto found = body.find(member);
    if (found == body.end() || !found->is_array())
        return fail(ErrorKind::invalid, std::string("message without the list '") + member + "'");
    return &*found;
}

bool get_flag(const Json& body, const char* member) {
    const auto found = body.find(member);
    return found != body.end() && found->is_boolean() && found->get<bool>();
}

std::string label_of(const Json& mount, const std::string& source) {
    const auto label = mount.find("label");
    return label != mount.end() && label->is_string() ? label->get<std::string>() : "'" + printable(source) + "'";
}

// The numbers of a list, each up to `most`.
Result<std::vector<std::uint32_t>> get_numbers(const Json& request, const char* member, std::uint64_t most,
                                               const char* what) {
    std::vector<std::uint32_t> out;
    for (const auto& one : *TRY(get_array(request, member))) {
        if (!one.is_number_unsigned() || one.get<std::uint64_t>() > most)
            return fail(ErrorKind::invalid, std::string("malformed ") + what);
        out.push_back(one.get<std::uint32_t>());
    }
    return out;
}

} // namespace

Result<StageRequest> read_stage(const Json& request) {
    StageRequest out;
    for (const auto& mount : *TRY(get_array(request, "mounts"))) {
        if (!mount.is_object())
            return fail(ErrorKind::invalid, "malformed mount");
        StageRequest::Mount one;
        one.source = TRY(wire::get_string(mount, "source"));
        one.target = TRY(wire::get_string(mount, "target"));
        one.label = label_of(mount, one.source);
        one.read_only = get_flag(mount, "read_only");
        one.nested = get_flag(mount, "nested");
        out.mounts.push_back(std::move(one));
    }
    for (const auto& folder : *TRY(get_array(request, "folders"))) {
        if (!folder.is_string())
            return fail(ErrorKind::invalid, "malformed folder");
        out.folders.push_back(folder.get<std::string>());
    }
    for (const auto& file : *TRY(get_array(request, "files"))) {
        StageRequest::File one;
        one.path = TRY(wire::get_string(file, "path"));
        one.content = TRY(wire::get_string(file, "content"));
        out.files.push_back(std::move(one));
    }
    out.rootfs = TRY(wire::get_string(request, "rootfs"));
    return out;
}

Result<std::vector<SdkMount>> read_sdks(const Json& request) {
    std::vector<SdkMount> out;
    for (const auto& mount : *TRY(get_array(request, "mounts"))) {
        if (!mount.is_object())
            return fail(ErrorKind::invalid, "malformed mount");
        SdkMount one;
        one.source = TRY(wire::get_string(mount, "source"));
        one.name = TRY(wire::get_string(mount, "name"));
        one.label = label_of(mount, one.source);
        if (one.name.empty() || one.name == "." || one.name == ".." || one.name.contains('/') ||
            one.name.contains('\0'))
            return fail(ErrorKind::invalid, "malformed name of a layer");
        out.push_back(std::move(one));
    }
    return out;
}

Result<NetworkUp> read_network_up(const Json& request) {
    const auto mtu = TRY(wire::get_integer(request, "mtu"));
    const auto spares = TRY(wire::get_integer(request, "spares"));
    if (mtu < 576 || mtu > 65520 || spares < 0 || spares > 64)
        return fail(ErrorKind::invalid, "network.up: mtu or spares out of range");
    return NetworkUp{static_cast<std::uint32_t>(mtu), static_cast<std::size_t>(spares), get_flag(request, "ipv6")};
}

Result<network::NetworkId> read_network(const Json& request) {
    const auto id = TRY(wire::get_integer(request, "network"));
    if (id < 1 || id > network::kNamedNetworks)
        return fail(ErrorKind::invalid, "malformed network");
    return static_cast<network::NetworkId>(id);
}

Result<std::vector<network::NetworkId>> read_networks(const Json& request) {
    return get_numbers(request, "networks", network::kNamedNetworks, "network");
}

Result<std::uint32_t> read_slot(const Json& request) {
    const auto number = TRY(wire::get_integer(request, "slot"));
    if (number < 0 || number > std::numeric_limits<std::uint32_t>::max())
        return fail(ErrorKind::not_found, "no such network slot");
    return static_cast<std::uint32_t>(number);
}

Result<std::uint64_t> read_key(const Json& request) {
    const auto key = TRY(wire::get_integer(request, "key"));
    if (key <= 0)
        return fail(ErrorKind::invalid, "malformed key of a view");
    return static_cast<std::uint64_t>(key);
}

Result<std::vector<std::uint32_t>> read_slots(const Json& request) {
    return get_numbers(request, "slots", std::numeric_limits<std::uint32_t>::max(), "slot");
}

} // namespace squish::stager

// Feeds arbitrary bytes to both readers of the squishfile.
//
// What must hold: nothing crashes; a refusal gives at least one reason, and reasons are printable; what was accepted
// survives the way through JSON, before and after its paths were resolved, and its layers do not overlap. The same for
// the limits of an update.
#include "base/text.h"
#include "require.h"
#include "squishfile/squishfile.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace {

using squish::test::require;

void check_round_trip(const squish::Squishfile& file) {
    const auto again = squish::parse_json(squish::to_json(file));
    require(again.has_value(), "what was accepted is accepted as JSON");
    require(*again == squish::without_positions(file), "JSON keeps everything");
}

void check_accepted(squish::Squishfile file) {
    check_round_trip(file);
    require(squish::check_targets(file).empty(), "accepted layers do not overlap");
    squish::resolve_paths(file, "/nowhere/deploy", "/nowhere/here");
    require(squish::check_targets(file).empty(), "resolved layers do not overlap");
    for (const auto& layer : file.layers)
        if (layer.source == squish::LayerSpec::Source::path) {
            require(layer.path.starts_with('/'), "resolved paths are absolute");
            require(layer.rootfs || layer.target, "resolved layers have a target");
        }
    for (const auto& port : file.ports) {
        const auto again = squish::parse_port(squish::to_string(port));
        require(again && squish::ports_collide(*again, port), "a port reads back as it is written");
    }
    check_round_trip(file);
}

void check_refused(const std::vector<squish::Diagnostic>& reasons) {
    require(!reasons.empty(), "a refusal has a reason");
    for (const auto& [at, message] : reasons)
        require(!message.empty() && squish::printable(message) == message, "reasons are printable");
}

void check(const squish::ParseOutcome& outcome) {
    if (outcome)
        check_accepted(*outcome);
    else
        check_refused(outcome.error());
}

void check_limits(std::string_view text) {
    const auto edit = squish::parse_resources_json(text);
    const auto limits = edit ? squish::merge({}, *edit) : std::unexpected(edit.error());
    if (!limits) {
        const auto& message = limits.error().message;
        require(!message.empty() && squish::printable(message) == message, "reasons are printable");
        return;
    }
    const auto again = squish::parse_resources_json(squish::resources_to_json(*limits));
    require(again && again->set == *limits && again->lifted.empty(), "JSON keeps every limit");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    ::setenv("HOME", "/home/someone", 1);
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    check(squish::parse_toml(text));
    check(squish::parse_json(text));
    check_limits(text);
    (void) squish::parse_port(text);
    (void) squish::parse_size(text);
    (void) squish::parse_duration(text);
    return 0;
}

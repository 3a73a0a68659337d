#include "squishfile/squishfile.h"

#include "base/text.h"
#include "squishfile/sections.h"

namespace squish {

bool ResourceSpec::any() const {
    auto limits = *this;
    limits.at = {};
    return limits != ResourceSpec{};
}

namespace {

ParseOutcome too_large(std::size_t size) {
    return std::unexpected(std::vector{Diagnostic{{},
                                                  "the squishfile is too large: " + std::to_string(size) +
                                                      " bytes, at most " + std::to_string(kMaxSquishfileBytes)}});
}

ParseOutcome examine(reader::ReadOutcome tree) {
    if (!tree)
        return std::unexpected(std::move(tree).error());
    reader::Report report;
    auto file = reader::read_squishfile(reader::Node(*tree, {}, {}, report));
    if (!report.empty())
        return std::unexpected(std::move(report).take());
    return file;
}

} // namespace

ParseOutcome parse_toml(std::string_view text) {
    return text.size() > kMaxSquishfileBytes ? too_large(text.size()) : examine(reader::read_toml(text));
}

ParseOutcome parse_json(std::string_view text) {
    return text.size() > kMaxSquishfileBytes ? too_large(text.size()) : examine(reader::read_json(text));
}

std::string render(std::string_view file_name, const std::vector<Diagnostic>& diagnostics) {
    std::string out;
    for (const auto& [at, message] : diagnostics) {
        out += printable(file_name);
        if (at.line != 0)
            out += ":" + std::to_string(at.line) + ":" + std::to_string(at.column);
        out += ": " + message + "\n";
    }
    return out;
}

Squishfile without_positions(Squishfile file) {
    file.name_at = {};
    file.network.at = file.resources.at = file.security.at = file.procfs.at = file.restart.at = {};
    for (auto& layer : file.layers)
        layer.at = {};
    for (auto& port : file.ports)
        port.at = {};
    if (file.run)
        file.run->at = {};
    if (file.health)
        file.health->at = {};
    return file;
}

} // namespace squish

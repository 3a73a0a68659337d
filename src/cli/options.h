// The options of one command: declared once, for parsing and for --help. The parser behind it is CLI11, which ends in
// options.cpp; only the command that was asked for is ever declared.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace squish::cli {

class Options {
public:
    // `usage`: what follows "squish ", e.g. "stop [OPTIONS] ID…". The targets outlive the Options.
    Options(std::string_view usage, std::string_view summary);
    ~Options();

    Options& flag(const char* names, bool& target, const char* help);
    Options& text(const char* names, const char* placeholder, std::optional<std::string>& target, const char* help);
    Options& number(const char* names, const char* placeholder, std::optional<std::uint64_t>& target, const char* help);
    Options& list(const char* names, const char* placeholder, std::vector<std::string>& target, const char* help);
    Options& positional(const char* name, std::string& target);
    Options& positionals(const char* name, std::vector<std::string>& target); // at least one
    Options& optional_positionals(const char* name, std::vector<std::string>& target);
    // Everything after the positionals is somebody else's command line, options and all.
    Options& rest(std::vector<std::string>& target);
    // Text below the options in --help.
    Options& note(std::string_view text);

    // Nothing: go on. A number: exit with it, the help has been printed (0) or what is wrong has (2).
    [[nodiscard]] std::optional<int> parse(std::span<char* const> words);
    [[nodiscard]] std::string help() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace squish::cli

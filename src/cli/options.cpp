#include "cli/options.h"

#include "base/text.h"
#include "cli/console.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

namespace squish::cli {

namespace {

struct Entry {
    std::string names, placeholder, help;
};

// "-n,--tail" + "N" → "  -n, --tail N"
std::string left_column(const Entry& entry) {
    std::string out = entry.names.starts_with("--") ? "      " : "  ";
    for (const char letter : entry.names)
        out += letter == ',' ? std::string(", ") : std::string(1, letter);
    return entry.placeholder.empty() ? out : out + " " + entry.placeholder;
}

} // namespace

struct Options::Impl {
    CLI::App app;
    std::string usage, summary, note;
    std::vector<Entry> entries;
    std::vector<std::string>* rest = nullptr;
    bool help = false;

    void remember(const char* names, const char* placeholder, const char* text) {
        entries.push_back({names, placeholder, text});
    }
    [[nodiscard]] std::string command() const { return usage.substr(0, usage.find(" [")); }
    [[nodiscard]] std::vector<std::string> option_names() const {
        std::vector<std::string> names;
        for (const auto& entry : entries)
            for (const auto name : split(entry.names, ','))
                names.emplace_back(name);
        return names;
    }
};

Options::Options(std::string_view usage, std::string_view summary) : impl_(std::make_unique<Impl>()) {
    impl_->usage = usage;
    impl_->summary = summary;
    impl_->app.set_help_flag();
    impl_->app.allow_extras(true);
    impl_->app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

Options::~Options() = default;

Options& Options::flag(const char* names, bool& target, const char* help) {
    impl_->app.add_flag(names, target);
    impl_->remember(names, "", help);
    return *this;
}

Options& Options::text(const char* names, const char* placeholder, std::optional<std::string>& target,
                       const char* help) {
    impl_->app.add_option_function<std::string>(names, [&target](const std::string& value) { target = value; });
    impl_->remember(names, placeholder, help);
    return *this;
}

Options& Options::number(const char* names, const char* placeholder, std::optional<std::uint64_t>& target,
                         const char* help) {
    const auto read = [&target, option = std::string(names)](const std::string& value) {
        target = parse_number(value);
        if (!target)
            throw CLI::ValidationError("'" + printable(value) + "' is no whole number");
    };
    impl_->app.add_option_function<std::string>(names, read);
    impl_->remember(names, placeholder, help);
    return *this;
}

Options& Options::list(const char* names, const char* placeholder, std::vector<std::string>& target, const char* help) {
    impl_->app.add_option(names, target)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->allow_extra_args(false);
    impl_->remember(names, placeholder, help);
    return *this;
}

Options& Options::positional(const char* name, std::string& target) {
    impl_->app.add_option(name, target)->required();
    return *this;
}

Options& Options::positionals(const char* name, std::vector<std::string>& target) {
    impl_->app.add_option(name, target)->required()->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    return *this;
}

Options& Options::optional_positionals(const char* name, std::vector<std::string>& target) {
    impl_->app.add_option(name, target)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    return *this;
}

Options& Options::rest(std::vector<std::string>& target) {
    impl_->app.prefix_command(true);
    impl_->rest = &target;
    return *this;
}

Options& Options::note(std::string_view text) {
    impl_->note = text;
    return *this;
}

std::string Options::help() const {
    std::string out = "Usage: squish " + impl_->usage + "\n\n" + impl_->summary + "\n\nOptions:\n";
    auto entries = impl_->entries;
    entries.push_back({"-h,--help", "", "print this help"});
    std::size_t width = 0;
    for (const auto& entry : entries)
        width = std::max(width, left_column(entry).size());
    for (const auto& entry : entries) {
        auto left = left_column(entry);
        left.resize(width + 2, ' ');
        out += left + entry.help + "\n";
    }
    return impl_->note.empty() ? out : out + "\n" + impl_->note + "\n";
}

std::optional<int> Options::parse(std::span<char* const> words) {
    const auto wrong = [&](const std::string& what) {
        complain(Error{ErrorKind::invalid, impl_->command() + ": " + what,
                       "see 'squish " + impl_->command() + " --help'", 0});
        return 2;
    };
    impl_->app.add_flag("-h,--help", impl_->help);
    try {
        impl_->app.parse(std::vector<std::string>(words.rbegin(), words.rend())); // CLI11 takes them from the back
    } catch (const CLI::RequiredError& missing) {
        if (!impl_->help)
            return wrong(missing.what());
    } catch (const CLI::ArgumentMismatch& mismatch) { // "--name: 1 required TEXT missing"
        const std::string_view what = mismatch.what();
        return wrong("option '" + std::string(what.substr(0, what.find(':'))) + "' needs a value");
    } catch (const CLI::ParseError& error) {
        return wrong(printable(error.what()));
    }
    if (impl_->help)
        return print(help()) ? 0 : 1;
    auto extra = impl_->app.remaining();
    if (impl_->rest) {
        if (!extra.empty() && extra.front() == "--")
            extra.erase(extra.begin());
        *impl_->rest = std::move(extra);
        return std::nullopt;
    }
    if (extra.empty())
        return std::nullopt;
    const auto& word = extra.front();
    if (!word.starts_with('-') || word == "-")
        return wrong("unexpected argument '" + printable(word) + "'");
    const auto names = impl_->option_names();
    const std::vector<std::string_view> known(names.begin(), names.end());
    const auto guess = nearest(word, known);
    return wrong("unknown option '" + printable(word) + "'" +
                 (guess ? "; did you mean '" + std::string(*guess) + "'?" : ""));
}

} // namespace squish::cli

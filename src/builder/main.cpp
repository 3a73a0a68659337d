// squish-build: `squish layer build`.
#include "base/text.h"
#include "builder/build.h"
#include "os/file.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <unistd.h>

namespace {

using namespace squish;

int give_up(const Error& error) {
    std::fprintf(stderr, "squish: %s\n", error.text().c_str());
    return error.kind == ErrorKind::invalid ? 2 : 1;
}

std::string json_text(const std::string& text) {
    std::string out = "\"";
    for (const char letter : text) {
        if (letter == '"' || letter == '\\')
            out += '\\';
        out += letter;
    }
    return out + "\"";
}

} // namespace

int main(int argc, char** argv) {
    builder::Order order;
    bool json = false;
    CLI::App app("Makes a reproducible archive of the folder DIR, and enters it into a layer source.",
                 "squish layer build");
    app.set_help_flag("-h,--help", "print this help");
    app.add_option("DIR", order.folder)->required();
    app.add_option("--name", order.name, "what squishfiles call it; else as .squish/layer.toml says")
        ->type_name("NAME");
    app.add_option("--version", order.version, "its version; likewise")->type_name("VERSION");
    app.add_option("--arch", order.arch, "for this architecture, or 'any'; else this machine's")->type_name("ARCH");
    app.add_option("--to", order.source, "the folder of the layer source")->type_name("SOURCE");
    app.add_option("-o,--output", order.output, "the archive, where there is no source")->type_name("FILE");
    app.add_option("--sign", order.key_file, "sign the source's index with this minisign key")->type_name("KEY");
    app.add_flag("--replace", order.replace, "a version that the source has with other contents");
    app.add_flag("--json", json, "as JSON");
    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        return std::fputs(app.help().c_str(), stdout) < 0 ? 1 : 0;
    } catch (const CLI::ParseError& error) {
        std::fprintf(stderr, "squish: layer build: %s (see 'squish layer build --help')\n", error.what());
        return 2;
    }
    if (!order.source.empty() && !order.output.empty())
        return give_up({ErrorKind::invalid, "--to and --output exclude one another", "", 0});
    if (!order.key_file.empty() && order.source.empty())
        return give_up({ErrorKind::invalid, "--sign signs the index of a source", "give --to SOURCE", 0});
    if (const char* epoch = std::getenv("SOURCE_DATE_EPOCH")) { // reproducible-builds.org
        const auto seconds = parse_number(epoch);
        if (!seconds)
            return give_up({ErrorKind::invalid, "SOURCE_DATE_EPOCH is no number of seconds", "", 0});
        order.time = static_cast<std::int64_t>(*seconds);
    }
    const bool terminal = ::isatty(STDERR_FILENO) == 1;
    bool drawn = false;
    const auto built = builder::build(order, [&](std::uint64_t bytes) {
        static std::uint64_t told = 0;
        constexpr std::uint64_t kStep = 4 << 20;
        if (!terminal || bytes < told + kStep)
            return;
        told = bytes;
        drawn = true;
        std::fprintf(stderr, "\rpacking %llu MiB\033[K", static_cast<unsigned long long>(bytes >> 20));
    });
    if (drawn)
        std::fputs("\r\033[K", stderr);
    if (!built)
        return give_up(built.error());
    std::string out = built->name + "@" + built->version + " " + built->sha256 + " " + built->archive + "\n";
    if (json)
        out = "{\"name\": " + json_text(built->name) + ", \"version\": " + json_text(built->version) +
              ", \"arch\": " + json_text(built->arch) + ", \"archive\": " + json_text(built->archive) +
              ", \"index\": " + json_text(built->index) + ", \"sha256\": " + json_text(built->sha256) +
              ", \"size\": " + std::to_string(built->size) + ", \"entries\": " + std::to_string(built->entries) +
              ", \"bytes\": " + std::to_string(built->bytes) + "}\n";
    return os::write_all(STDOUT_FILENO, out) ? 0 : 1;
}

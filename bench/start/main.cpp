// bench-start: how long the start of a container takes, squish's and others', side by side.
//
// How this works
//   Each contestant starts the same static program on the same rootfs. They take turns, one start each per round, so
//   that whatever the machine does meanwhile befalls all of them. A contestant is timed from the outside, as a whole
//   process (posix_spawn to wait) or a whole request, and then left alone for a moment, so that its clean-up does not
//   fall into the next one's time. bench/start.sh prepares the surroundings and calls this.
#include "contestant.h"
#include "measure.h"
#include "os/file.h"
#include "report.h"
#include "steps.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <getopt.h>
#include <unistd.h>

namespace squish::bench {

namespace {

constexpr const char* kUsage =
    "Usage: bench-start --squish PROGRAM --floor PROGRAM --rootfs FOLDER --work FOLDER [OPTIONS]\n"
    "  --rounds N    starts of each contestant that count (50)\n"
    "  --warm-up N   starts of each before that (5)\n"
    "  --pause MS    rest after each start (10)\n"
    "  --only NAME   this contestant; may be repeated (all)\n"
    "  --json FILE   write the figures there as well\n"
    "  --steps N     afterwards, of N starts by the API: how long each step took (0)\n"
    "  --before P    another squish, to be compared with\n"
    "  --program P   the path of the payload within the rootfs (/bin/true)\n";

struct Options {
    Place place;
    unsigned rounds = 50, warm_up = 5, pause_ms = 10, steps = 0;
    std::vector<std::string> only;
    std::string json;
};

Result<unsigned> parse_count(const char* text) {
    char* end = nullptr;
    errno = 0;
    const auto value = std::strtoul(text, &end, 10);
    if (end == text || *end || errno || value > 1'000'000)
        return fail(ErrorKind::invalid, "'" + std::string(text) + "' is no number up to 1000000");
    return static_cast<unsigned>(value);
}

Result<Options> parse(int argc, char** argv) {
    enum Key : int { squish = 256, floor, rootfs, program, work, rounds, warm_up, pause, only, json, steps, before };
    static constexpr option kOptions[] = {{"squish", required_argument, nullptr, squish},
                                          {"floor", required_argument, nullptr, floor},
                                          {"rootfs", required_argument, nullptr, rootfs},
                                          {"program", required_argument, nullptr, program},
                                          {"work", required_argument, nullptr, work},
                                          {"rounds", required_argument, nullptr, rounds},
                                          {"warm-up", required_argument, nullptr, warm_up},
                                          {"pause", required_argument, nullptr, pause},
                                          {"only", required_argument, nullptr, only},
                                          {"json", required_argument, nullptr, json},
                                          {"steps", required_argument, nullptr, steps},
                                          {"before", required_argument, nullptr, before},
                                          {nullptr, 0, nullptr, 0}};
    Options out;
    for (int key; (key = ::getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
        switch (key) {
        case squish:
            out.place.squish = optarg;
            break;
        case floor:
            out.place.floor = optarg;
            break;
        case rootfs:
            out.place.rootfs = optarg;
            break;
        case program:
            out.place.program = optarg;
            break;
        case work:
            out.place.work = optarg;
            break;
        case rounds:
            out.rounds = TRY(parse_count(optarg));
            break;
        case warm_up:
            out.warm_up = TRY(parse_count(optarg));
            break;
        case pause:
            out.pause_ms = TRY(parse_count(optarg));
            break;
        case only:
            out.only.emplace_back(optarg);
            break;
        case json:
            out.json = optarg;
            break;
        case steps:
            out.steps = TRY(parse_count(optarg));
            break;
        case before:
            out.place.before = optarg;
            break;
        default:
            return fail(ErrorKind::invalid, kUsage);
        }
    }
    for (const auto* path : {&out.place.squish, &out.place.floor, &out.place.rootfs, &out.place.work})
        if (!path->starts_with('/'))
            return fail(ErrorKind::invalid, kUsage);
    if (optind != argc || out.rounds == 0)
        return fail(ErrorKind::invalid, kUsage);
    return out;
}

Report measure(const Options& options, Field field) {
    Report report{.machine = this_machine(),
                  .date = now_utc(),
                  .load_before = load_average(),
                  .rounds = options.rounds,
                  .warm_up = options.warm_up,
                  .pause_ms = options.pause_ms,
                  .figures = {},
                  .skipped = std::move(field.skipped)};
    std::vector<std::vector<std::uint64_t>> times(field.contestants.size());
    for (const auto& one : field.contestants)
        report.figures.push_back({one.name, one.what, one.version, {}, 0, {}});
    for (unsigned round = 0; round < options.warm_up + options.rounds; ++round) {
        for (std::size_t i = 0; i < field.contestants.size(); ++i) {
            const auto took = field.contestants[i].start();
            auto& figures = report.figures[i];
            if (!took && figures.failures++ == 0)
                figures.failure = took.error().text();
            if (took && round >= options.warm_up)
                times[i].push_back(*took);
            rest(options.pause_ms);
        }
    }
    for (std::size_t i = 0; i < times.size(); ++i)
        report.figures[i].times = summarize(std::move(times[i]));
    report.load_after = load_average();
    return report;
}

Result<bool> run(int argc, char** argv) {
    const auto options = TRY(parse(argc, argv));
    if (::geteuid() == 0)
        return fail(ErrorKind::invalid, "starts are measured as an unprivileged user", "use bench/start.sh");
    auto field = TRY(make_field(options.place, options.only));
    const auto stepped = field.stepped;
    auto report = measure(options, std::move(field));
    if (options.steps > 0)
        report.steps = TRY(measure_steps(stepped, options.steps, options.pause_ms));
    std::fputs(to_table(report).c_str(), stdout);
    if (!options.json.empty()) {
        const auto file = TRY(os::open_file(options.json, O_WRONLY | O_CREAT | O_TRUNC, 0644));
        TRY(os::write_all(file.get(), to_json(report)));
    }
    bool sound = true;
    for (const auto& one : report.figures)
        sound &= one.failures == 0;
    return sound;
}

} // namespace

} // namespace squish::bench

int main(int argc, char** argv) {
    const auto sound = squish::bench::run(argc, argv);
    if (sound)
        return *sound ? 0 : 1;
    std::fprintf(stderr, "bench-start: %s\n", sound.error().text().c_str());
    return 2;
}

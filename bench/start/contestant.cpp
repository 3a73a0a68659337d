#include "contestant.h"

#include "api.h"
#include "base/text.h"
#include "floor/floor.h"
#include "measure.h"
#include "os/file.h"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <nlohmann/json.hpp>

namespace squish::bench {

using Json = nlohmann::json;
using Words = std::vector<std::string>;

namespace {

Result<void> write_file(const std::string& path, const std::string& text) {
    const auto file = TRY(os::open_file(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
    return os::write_all(file.get(), text);
}

std::string first_line(const std::string& text) {
    return text.substr(0, text.find('\n'));
}

std::string version_of(const std::string& program) {
    const auto told = ask_process({program, "--version"});
    return told && told->code == 0 ? first_line(told->text) : "";
}

// A contestant that is a process which starts a container, waits for its end and ends itself.
Contestant process(std::string name, std::string what, Words words, Environment environment = {}) {
    Contestant out{std::move(name), std::move(what), {}, {}};
    out.start = [words = std::move(words), environment = std::move(environment)]() -> Result<std::uint64_t> {
        static const auto nowhere = os::open_file("/dev/null", O_WRONLY);
        if (!nowhere)
            return std::unexpected(nowhere.error());
        const auto outcome = TRY(run_process(words, nowhere->get(), environment));
        if (outcome.code == 0)
            return outcome.nanoseconds;
        const auto again = TRY(ask_process(words, environment)); // for its words
        return fail(ErrorKind::start_failed,
                    "exit code " + std::to_string(outcome.code) + ": " + first_line(again.text));
    };
    return out;
}

// --- the kernel ---------------------------------------------------------------------------------------------------

Contestant floor_call(const Place& place, const char* name, const char* what, FloorNetwork network) {
    return {name, what, {}, [place, network]() -> Result<std::uint64_t> {
                return start_on_the_floor(place.rootfs.c_str(), place.program.c_str(), network);
            }};
}

// --- squish ---------------------------------------------------------------------------------------------------------

Result<std::string> make_squishfile(const Place& place, const std::string& mode, bool unconfined) {
    const auto path = place.work + "/" + mode + (unconfined ? "-unconfined" : "") + ".toml";
    TRY(write_file(path, "[layers]\nroot = { path = \"" + place.rootfs + "\", rootfs = true }\n[run]\ncommand = \"" +
                             place.program + "\"\n[network]\nmode = \"" + mode + "\"\n" +
                             (unconfined ? "[security]\nseccomp = \"unconfined\"\n" : "")));
    return path;
}

std::string create_request(const Place& place, bool unconfined, bool remove) {
    Json file = {{"layers", {{"root", {{"path", place.rootfs}, {"rootfs", true}}}}},
                 {"run", {{"command", place.program}}}};
    if (unconfined)
        file["security"]["seccomp"] = "unconfined";
    return Json{{"squishfile", file}, {"remove", remove}}.dump();
}

// The other squish has folders of its own, beside ours, and so a daemon of its own.
std::string folder_before() {
    const char* run = std::getenv("XDG_RUNTIME_DIR");
    return std::string(run ? run : "") + "/before";
}
Result<Environment> make_environment_before() {
    Environment changes;
    for (const auto& [name, folder] :
         {std::pair{"XDG_RUNTIME_DIR", ""}, std::pair{"XDG_DATA_HOME", "/data"}, std::pair{"XDG_STATE_HOME", "/state"},
          std::pair{"XDG_CONFIG_HOME", "/config"}, std::pair{"XDG_CACHE_HOME", "/cache"}}) {
        const auto path = folder_before() + folder;
        TRY(os::make_dirs(path, 0700));
        changes.push_back(std::string(name) + "=" + path);
    }
    return environment_with(changes);
}

// Which squish, and how: what the contestants of its name differ by.
struct Way {
    const char* suffix = ""; // of its name
    bool unconfined = false;
    bool before = false;
};

Result<Contestant> squish_run(const Place& place, const std::string& name, const std::string& what,
                              const std::string& mode, const Way& way) {
    return process(
        name, what,
        {way.before ? place.before : place.squish, "run", "--rm", TRY(make_squishfile(place, mode, way.unconfined))},
        way.before ? TRY(make_environment_before()) : Environment());
}

// Starts the daemon where none runs; the socket.
Result<std::string> need_daemon(const Place& place, const Way& way) {
    const auto daemon = way.before ? TRY(ask_process({place.before, "daemon", "start"}, TRY(make_environment_before())))
                                   : TRY(ask_process({place.squish, "daemon", "start"}));
    if (daemon.code != 0)
        return fail(ErrorKind::unavailable, first_line(daemon.text));
    return socket_path(way.before ? folder_before() : "");
}

// --- peers that take an OCI bundle
// --------------------------------------------------------------------------------------

// The runtime's own rootless bundle, with our rootfs, our program, no terminal, and a network namespace, which
// `spec --rootless` leaves out: everybody makes the same namespaces.
Result<std::string> make_bundle(const Place& place, const std::string& runtime, const std::string& name) {
    const auto folder = place.work + "/" + name;
    TRY(os::make_dirs(folder));
    if (::unlink((folder + "/config.json").c_str()) < 0 && errno != ENOENT)
        return fail_errno("remove an old bundle");
    const auto told =
        TRY(ask_process({"/bin/sh", "-c", "cd \"$1\" && exec \"$2\" spec --rootless", "sh", folder, runtime}));
    if (told.code != 0)
        return fail(ErrorKind::unsupported, name + " spec: " + first_line(told.text));
    auto config = Json::parse(TRY(os::read_file(folder + "/config.json")), nullptr, false);
    if (!config.is_object())
        return fail(ErrorKind::unsupported, name + " spec wrote no JSON object");
    config["process"]["terminal"] = false;
    config["process"]["args"] = Json::array({place.program});
    config["root"] = {{"path", place.rootfs}, {"readonly", true}};
    auto& namespaces = config["linux"]["namespaces"];
    if (std::ranges::none_of(namespaces, [](const Json& one) { return one.value("type", "") == "network"; }))
        namespaces.push_back({{"type", "network"}});
    TRY(write_file(folder + "/config.json", config.dump(1)));
    return folder;
}

Result<Contestant> oci_runtime(const Place& place, const std::string& program, const std::string& name, Words options) {
    const auto bundle = TRY(make_bundle(place, program, name));
    const char* run = std::getenv("XDG_RUNTIME_DIR");
    Words words{program, "--root", (run ? run : place.work) + "/" + name};
    words.insert(words.end(), options.begin(), options.end());
    words.insert(words.end(), {"run", "--bundle", bundle, "squish-bench-" + std::to_string(::getpid())});
    return process(name + " run", "own network namespace, no seccomp", std::move(words));
}

Contestant podman(const Place& place, const std::string& program, const std::string& network) {
    return process("podman run, " + network, network == "none" ? "no network" : "slirp4netns",
                   {program, "--cgroup-manager=cgroupfs", "--events-backend=none", "run", "--rm", "--cgroups=disabled",
                    "--network=" + network, "--read-only", "--rootfs", place.rootfs, place.program});
}

// --- everybody
// ----------------------------------------------------------------------------------------------------------

constexpr const char* kSquishApi = "squish API";
constexpr Way kUnconfined{.suffix = ", unconfined", .unconfined = true, .before = false};
constexpr Way kBefore{.suffix = ", before", .unconfined = false, .before = true};

struct Entry {
    std::string name;
    std::string needs; // a program that must be installed; empty: nothing
    std::function<Result<Contestant>(const std::string& program)> make;
};

std::vector<Entry> all_entries(const Place& place) {
    const auto whole_floor = [&](const char* name, const char* what, Words options) {
        return Entry{name, "", [=](const std::string&) -> Result<Contestant> {
                         Words words{place.floor, "--quiet"};
                         words.insert(words.end(), options.begin(), options.end());
                         words.insert(words.end(), {place.rootfs, place.program});
                         return process(name, what, words);
                     }};
    };
    const auto squish = [&](const std::string& name, const char* what, const char* mode, const Way& way = {}) {
        return Entry{name, "", [=](const std::string&) { return squish_run(place, name, what, mode, way); }};
    };
    const auto api = [&](const Way& way) {
        const auto name = std::string(kSquishApi) + way.suffix;
        return Entry{name, "", [=](const std::string&) -> Result<Contestant> {
                         const auto socket = TRY(need_daemon(place, way));
                         return Contestant{name,
                                           "POST /v1/containers until the answer: the payload has been executed",
                                           {},
                                           [call = CreateCall(socket, create_request(place, way.unconfined, true))] {
                                               return call();
                                           }};
                     }};
    };
    std::vector<Entry> entries{
        {"fork+exec", "",
         [=](const std::string&) -> Result<Contestant> {
             return process("fork+exec", "the payload alone", {place.rootfs + place.program});
         }},
        {"floor call", "",
         [=](const std::string&) -> Result<Contestant> {
             return floor_call(place, "floor call", "the same calls, by a process that runs already",
                               FloorNetwork::own);
         }},
        whole_floor(kFloor, "the same calls, whole process", {"--network"}),
        whole_floor("floor, no network", "the same without a network namespace", {}),
        squish(kSquish, "whole process, warm daemon, bridged network", "bridge"),
        squish("squish run, unconfined", "the same without a system call filter", "bridge", kUnconfined),
        squish("squish run, none", "whole process, warm daemon, own network namespace", "none"),
        api({}),
        api(kUnconfined),
        {"bwrap", "bwrap",
         [=](const std::string& program) -> Result<Contestant> {
             return process("bwrap", "--unshare-all, read-only rootfs, proc, dev",
                            {program, "--unshare-all", "--ro-bind", place.rootfs, "/", "--proc", "/proc", "--dev",
                             "/dev", place.program});
         }},
        {"crun run", "crun",
         [=](const std::string& program) {
             return oci_runtime(place, program, "crun", {"--cgroup-manager=disabled"});
         }},
        {"runc run", "runc", [=](const std::string& program) { return oci_runtime(place, program, "runc", {}); }},
        {"podman run, none", "podman",
         [=](const std::string& program) -> Result<Contestant> { return podman(place, program, "none"); }},
        {"podman run, slirp4netns", "podman",
         [=](const std::string& program) -> Result<Contestant> { return podman(place, program, "slirp4netns"); }},
    };
    if (!place.before.empty()) {
        entries.push_back(
            squish("squish run, before", "the other squish, with a daemon of its own", "bridge", kBefore));
        entries.push_back(api(kBefore));
    }
    return entries;
}

Result<Contestant> admit(const Place& place, const Entry& entry) {
    std::string program;
    if (!entry.needs.empty()) {
        program = find_program(entry.needs);
        if (program.empty())
            return fail(ErrorKind::unsupported, "not installed");
    }
    auto contestant = TRY(entry.make(program));
    if (!program.empty())
        contestant.version = version_of(program);
    else if (entry.name.starts_with("squish"))
        contestant.version = version_of(place.squish);
    TRY(contestant.start());
    return contestant;
}

} // namespace

Result<Field> make_field(const Place& place, const std::vector<std::string>& wanted) {
    Field field;
    for (const auto& entry : all_entries(place)) {
        if (!wanted.empty() && std::ranges::find(wanted, entry.name) == wanted.end())
            continue;
        if (auto admitted = admit(place, entry))
            field.contestants.push_back(std::move(*admitted));
        else
            field.skipped.push_back({entry.name, admitted.error().text()});
    }
    for (const auto& way : {Way{}, kUnconfined, kBefore}) {
        const auto name = std::string(kSquishApi) + way.suffix;
        if (std::ranges::any_of(field.contestants, [&](const Contestant& one) { return one.name == name; }))
            field.stepped.push_back({name, TRY(socket_path(way.before ? folder_before() : "")),
                                     create_request(place, way.unconfined, false)});
    }
    if (field.contestants.empty())
        return fail(ErrorKind::unsupported,
                    "nobody is left to be measured" +
                        (field.skipped.empty() ? std::string() : ": " + field.skipped.front().reason));
    return field;
}

} // namespace squish::bench

// squish doctor.
#include "doctor/doctor.h"

#include "base/text.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/exit_code.h"
#include "cli/options.h"

#include <algorithm>
#include <unistd.h>

namespace squish::cli {

namespace {

Json json_view(const std::vector<doctor::Check>& checks) {
    Json list = Json::array();
    for (const auto& check : checks)
        list.push_back({{"check", check.name},
                        {"state", doctor::to_string(check.state)},
                        {"found", check.found},
                        {"remedy", check.remedy}});
    return list;
}

std::string_view colour_of(doctor::State state) {
    switch (state) {
    case doctor::State::ok:
        return "\033[32m";
    case doctor::State::warn:
        return "\033[33m";
    case doctor::State::fail:
        return "\033[31m";
    }
    std::unreachable();
}

std::string text_view(const std::vector<doctor::Check>& checks) {
    const bool colours = use_colours(STDOUT_FILENO);
    std::string out;
    for (const auto& check : checks) {
        std::string state = doctor::to_string(check.state);
        state.resize(5, ' ');
        out += colours ? std::string(colour_of(check.state)) + state + "\033[0m" : state;
        out += printable(check.name) + ": " + printable(check.found) + "\n";
        if (!check.remedy.empty())
            out += "       → " + printable(check.remedy) + "\n";
    }
    return out;
}

} // namespace

int doctor_command(Words words) {
    bool json = false;
    Options options("doctor [OPTIONS]",
                    "Checks what squish needs of this machine, and says what to do where something is missing.");
    options.flag("--json", json, "as JSON")
        .note("Exits with 1 where something that squish cannot do without is missing.");
    if (const auto code = options.parse(words))
        return *code;
    const auto paths = find_paths();
    if (!paths)
        return give_up(paths.error());
    const auto checks = doctor::examine(*paths);
    const bool printed =
        print(json ? json_view(checks).dump(2, ' ', false, Json::error_handler_t::replace) + "\n" : text_view(checks));
    const bool failed =
        std::ranges::any_of(checks, [](const auto& check) { return check.state == doctor::State::fail; });
    return printed && !failed ? 0 : 1;
}

} // namespace squish::cli

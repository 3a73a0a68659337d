#include "plan/container_plan.h"

#include "base/text.h"

#include <algorithm>
#include <filesystem>
#include <unistd.h>

namespace squish::plan {

namespace {

bool is_executable_file(const std::filesystem::path& path) {
    std::error_code error;
    return std::filesystem::is_regular_file(path, error) && ::access(path.c_str(), X_OK) == 0;
}

} // namespace

Result<RunSpec> default_command(const Squishfile& file) {
    constexpr const char* kRemedy = "say what to run: [run] command = \"…\"";
    const auto app = std::ranges::find(file.layers, "app", &LayerSpec::name);
    if (app == file.layers.end() || app->source != LayerSpec::Source::path)
        return fail(ErrorKind::invalid, "there is no [run], and no layer 'app' to find a command in", kRemedy);
    RunSpec run;
    if (is_executable_file(app->path)) {
        run.command = app->target.value_or("");
        return run;
    }
    std::error_code error;
    if (!std::filesystem::is_directory(app->path, error))
        return fail(ErrorKind::invalid,
                    "there is no [run], and the layer 'app' ('" + printable(app->path) + "') is not an executable file",
                    kRemedy);
    std::vector<std::string> found;
    for (auto entry = std::filesystem::directory_iterator(app->path, error);
         !error && entry != std::filesystem::directory_iterator(); entry.increment(error))
        if (is_executable_file(entry->path()))
            found.push_back(entry->path().filename());
    if (error)
        return fail_errno("look for a command in '" + printable(app->path) + "'", error.value());
    std::ranges::sort(found);
    if (found.size() != 1) {
        std::vector<std::string> shown;
        for (const auto& name : found)
            shown.push_back("'" + printable(name) + "'");
        return fail(ErrorKind::invalid,
                    "there is no [run], and the layer 'app' ('" + printable(app->path) + "') holds " +
                        (found.empty() ? "no executable file" : "several executable files: " + join(shown, ", ")),
                    kRemedy);
    }
    run.command = app->target.value_or("") + "/" + found.front();
    return run;
}

} // namespace squish::plan

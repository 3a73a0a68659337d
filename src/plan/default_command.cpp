#include "plan/container_plan.h"

#include "base/text.h"
#include "os/file.h"

#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <unistd.h>

namespace squish::plan {

namespace fs = std::filesystem;

namespace {

constexpr const char* kRemedy = "say what to run: [run] command = \"…\"";

std::string quoted(const std::string& text) {
    return "'" + printable(text) + "'";
}

bool is_folder(const std::string& path) {
    struct stat info{};
    return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

// A regular file in the layer, its links resolved as the container will resolve them or not at all: what an archive
// holds must not make us look elsewhere.
bool has_file(const std::string& folder, const std::string& name, bool executable) {
    const auto root = os::open_file(folder, O_PATH | O_DIRECTORY);
    if (!root)
        return false;
    const auto file = os::open_beneath(root->get(), name, O_PATH, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
    struct stat info{};
    if (!file || ::fstat(file->get(), &info) < 0 || !S_ISREG(info.st_mode))
        return false;
    return !executable || (info.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) != 0;
}

bool is_executable_file(const std::string& path) {
    struct stat info{};
    return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

// The executable files at the top of the layer; the layer itself where it is one.
Result<std::vector<std::string>> executables(const Layer& app) {
    std::vector<std::string> found;
    if (is_executable_file(app.path))
        return std::vector{app.target};
    if (!is_folder(app.path))
        return found;
    std::error_code error;
    for (auto entry = fs::directory_iterator(app.path, error); !error && entry != fs::directory_iterator();
         entry.increment(error))
        if (has_file(app.path, entry->path().filename(), true))
            found.push_back(app.target + "/" + entry->path().filename().string());
    if (error)
        return fail_errno("look for a command in '" + printable(app.path) + "'", error.value());
    std::ranges::sort(found);
    return found;
}

// Which file of `app` that command starts with; nullopt where it names some and none is there.
std::optional<std::vector<std::string>> entry_of(const Layer::Command& command, const Layer* app) {
    if (command.entry.empty())
        return std::vector<std::string>();
    if (app == nullptr)
        return std::nullopt;
    const bool folder = is_folder(app->path);
    for (const auto& name : command.entry) {
        if (folder && has_file(app->path, name, false))
            return std::vector{app->target + "/" + name};
        // A single file is an entry whatever it is called, if it is of that kind: "server.py" for "main.py".
        if (!folder && fs::path(app->target).extension() == fs::path(name).extension())
            return std::vector{app->target};
    }
    return std::nullopt;
}

std::string looked_at(const Layer* app, const std::vector<std::string>& programs,
                      const std::vector<const Layer*>& layers) {
    std::string text = "there is no [run]";
    if (app == nullptr) {
        text += ", and no layer 'app' to find a command in";
    } else {
        std::vector<std::string> shown;
        for (const auto& program : programs)
            shown.push_back(quoted(fs::path(program).filename()));
        text += ", and the layer 'app' (" + quoted(app->path) + ")";
        if (!is_folder(app->path))
            text += " is not an executable file";
        else
            text += programs.empty() ? " holds no executable file"
                                     : " holds several executable files: " + join(shown, ", ");
    }
    for (const auto* layer : layers) {
        std::vector<std::string> names;
        for (const auto& name : layer->command->entry)
            names.push_back(quoted(name));
        text += "; layer " + quoted(layer->name) + " runs " + join(names, " or ") +
                " of the layer 'app', which is not there";
    }
    return text;
}

} // namespace

Result<RunSpec> default_command(const std::vector<Layer>& layers) {
    const auto found = std::ranges::find(layers, "app", &Layer::name);
    const Layer* app = found == layers.end() ? nullptr : &*found;
    std::vector<std::string> programs;
    if (app != nullptr)
        programs = TRY(executables(*app));
    RunSpec run;
    if (programs.size() == 1) {
        run.command = programs.front();
        return run;
    }
    std::vector<const Layer*> willing, unable;
    for (const auto& layer : layers)
        if (layer.command && &layer != app)
            (entry_of(*layer.command, app) ? willing : unable).push_back(&layer);
    if (app != nullptr && app->command) // a bundle that says itself how it is started
        willing.assign(1, app);
    if (willing.size() > 1)
        return fail(ErrorKind::invalid,
                    "there is no [run], and the layers " + quoted(willing[0]->name) + " and " +
                        quoted(willing[1]->name) + " would both run the layer 'app'",
                    kRemedy);
    if (willing.empty())
        return fail(ErrorKind::invalid, looked_at(app, programs, unable), kRemedy);
    const auto& command = *willing.front()->command;
    run.command = command.command;
    run.args = command.args;
    if (const auto entry = entry_of(command, app))
        run.args.insert(run.args.end(), entry->begin(), entry->end());
    return run;
}

} // namespace squish::plan

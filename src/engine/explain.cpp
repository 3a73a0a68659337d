#include "engine/explain.h"

#include "base/text.h"
#include "launch/format.h"

#include <cerrno>

namespace squish {

Error explain_step(const std::string& what, int error) {
    std::string remedy;
    if (error == ENOENT && what.starts_with("mount '"))
        remedy = "a target inside another layer must exist in that layer";
    else if (error == EPERM && what == "mount proc")
        remedy = "something is mounted over parts of the host's /proc; run 'squish doctor'";
    else if (error == ENOSPC)
        remedy = "raise the sysctls user.max_*_namespaces, or stop some containers";
    return {ErrorKind::start_failed, "cannot " + what + ": " + errno_text(error), std::move(remedy), error};
}

Error explain_run(const std::string& command, const std::string& work_folder, int value) {
    const int part = value / launch::kPart;
    const int error = value % launch::kPart;
    const auto name = "'" + printable(command) + "'";
    const auto failed = [&](const std::string& what) {
        return Error{ErrorKind::start_failed, "cannot " + what + ": " + errno_text(error), "", error};
    };
    switch (static_cast<launch::RunPart>(part)) {
    case launch::kTerminal:
        return failed("give the payload a terminal");
    case launch::kStdio:
        return failed("connect stdin, stdout and stderr");
    case launch::kLimits:
        return failed("set the payload's resource limits");
    case launch::kPrivileges:
        return failed("become the payload's user without privileges");
    case launch::kWorkFolder:
        return failed("enter the working folder '" + printable(work_folder) + "'");
    case launch::kFilter:
        return failed("install the payload's seccomp filter");
    case launch::kScope:
        return failed("keep the payload from the host's abstract sockets (Landlock)");
    case launch::kAffinity:
        return failed("run on the CPUs of the container");
    case launch::kExecute:
        break;
    }
    if (error == ENOENT || error == ENOTDIR)
        return {ErrorKind::no_command,
                "cannot run " + name + ": not found in the container, or its interpreter or loader is not",
                "check the command and the layers", error};
    if (error == EACCES)
        return {ErrorKind::not_executable, "cannot run " + name + ": " + errno_text(error),
                "is it a file with the execute bit?", error};
    if (error == ENOEXEC)
        return {ErrorKind::not_executable, "cannot run " + name + ": " + errno_text(error),
                "is it a program for this machine?", error};
    return {ErrorKind::not_executable, "cannot run " + name + ": " + errno_text(error), "", error};
}

} // namespace squish

#include "daemon/log.h"

#include "base/text.h"

#include <memory>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace squish::daemon {

namespace {

constexpr std::size_t kMaxBytes = 1 << 20;

std::shared_ptr<spdlog::logger>& logger() {
    static std::shared_ptr<spdlog::logger> instance;
    return instance;
}

void use(spdlog::sink_ptr sink) {
    logger() = std::make_shared<spdlog::logger>("squishd", std::move(sink));
    logger()->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
    logger()->flush_on(spdlog::level::info); // a daemon that is killed has still said why
    spdlog::set_default_logger(logger());    // the engine's
}

} // namespace

Result<void> log_to_file(const std::string& file) {
    try {
        use(std::make_shared<spdlog::sinks::rotating_file_sink_st>(file, kMaxBytes, 1));
        return {};
    } catch (const spdlog::spdlog_ex& thrown) {
        return fail(ErrorKind::system, "open the log '" + printable(file) + "': " + thrown.what());
    }
}

void log_to_stderr() {
    use(std::make_shared<spdlog::sinks::stderr_sink_st>());
}

void log_flush() {
    if (logger())
        logger()->flush();
}

void log_info(std::string_view line) {
    if (logger())
        logger()->info(printable(line));
}

void log_error(std::string_view line) {
    if (logger())
        logger()->error(printable(line));
}

} // namespace squish::daemon

// Result<T>: the one way in which squish reports that something failed.
//
// A function that can fail returns Result<T>. Nothing of ours throws; exceptions of a library end in the
// adapter file that talks to it. `TRY(expr)` yields the value or returns the error to the caller.
#pragma once

#include <cerrno>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace squish {

// What went wrong, as far as a caller can act on it. Each kind maps to one HTTP status and one exit code
// (see docs/openapi.yaml and contract section 3).
enum class ErrorKind {
    invalid,        // bad input: a squishfile, an option, a request          exit 2,   400
    not_found,      // no such container, port, file                          exit 1,   404
    conflict,       // taken, ambiguous, wrong state                          exit 1,   409
    denied,         // the caller may not                                     exit 1,   403
    unsupported,    // asked for, understood, cannot be had here              exit 125, 501
    start_failed,   // the container could not be started                     exit 125, 500
    not_executable, // the payload's command is not executable                exit 126, 500
    no_command,     // the payload's command does not exist                   exit 127, 500
    unavailable,    // a helper process is gone or does not answer            exit 1,   503
    system,         // a system call failed                                   exit 1,   500
};

// An error: a message for the person who must act, and what they can do about it.
// `message` is lower case, names its object in quotes and ends with the cause; `remedy` may be empty.
struct Error {
    ErrorKind kind = ErrorKind::system;
    std::string message;
    std::string remedy;
    int sys_errno = 0; // the errno behind it, 0 where there is none

    // The same error seen one border further out: "start container 'web': mount '/data': Permission denied".
    [[nodiscard]] Error within(std::string_view context) && {
        message.insert(0, ": ").insert(0, context);
        return std::move(*this);
    }

    // "message (remedy)", the way it is printed after "squish: ".
    [[nodiscard]] std::string text() const { return remedy.empty() ? message : message + " (" + remedy + ")"; }
};

template <class T> class [[nodiscard]] Result : public std::expected<T, Error> {
public:
    using std::expected<T, Error>::expected;
};

template <> class [[nodiscard]] Result<void> : public std::expected<void, Error> {
public:
    using std::expected<void, Error>::expected;
};

[[nodiscard]] inline std::unexpected<Error> fail(ErrorKind kind, std::string message, std::string remedy = {}) {
    return std::unexpected(Error{kind, std::move(message), std::move(remedy), 0});
}

// A failed system call: "open '/dev/fuse': Permission denied". Takes errno at once unless told otherwise.
[[nodiscard]] std::unexpected<Error> fail_errno(std::string what, int error_number = errno, std::string remedy = {});

// "Permission denied" for EACCES; thread-safe.
[[nodiscard]] std::string errno_text(int error_number);

} // namespace squish

// Use as a whole statement, or as all of what follows `=` or `return`; never inside a braced initialiser
// (GCC 12 does not destroy the members already built).
#define TRY(expr) SQUISH_TRY_NAMED(SQUISH_TRY_JOIN(try_result_, __COUNTER__), return, expr)

// The same inside a coroutine, where GCC 12 cannot compile a statement expression that holds a co_await:
//   CO_TRY(co_await link->ask(…));                      as a whole statement, dropping the value
//   CO_TRY_TO(auto message, co_await link->ask(…));     two statements: not the body of an `if` without braces
#define CO_TRY(expr) SQUISH_CO_TRY(SQUISH_TRY_JOIN(co_try_result_, __COUNTER__), expr)
#define CO_TRY_TO(target, expr) SQUISH_CO_TRY_TO(SQUISH_TRY_JOIN(co_try_result_, __COUNTER__), target, expr)

#define SQUISH_CO_TRY(name, expr)                                                                                      \
    do {                                                                                                               \
        auto name = expr;                                                                                              \
        if (!name) [[unlikely]]                                                                                        \
            co_return std::unexpected(std::move(name).error());                                                        \
    } while (false)
#define SQUISH_CO_TRY_TO(name, target, expr)                                                                           \
    auto name = expr;                                                                                                  \
    if (!name) [[unlikely]]                                                                                            \
        co_return std::unexpected(std::move(name).error());                                                            \
    target = std::move(*name)

#define SQUISH_TRY_JOIN_(a, b) a##b
#define SQUISH_TRY_JOIN(a, b) SQUISH_TRY_JOIN_(a, b)
#define SQUISH_TRY_NAMED(name, leave, expr)                                                                            \
    __extension__({                                                                                                    \
        auto name = (expr);                                                                                            \
        if (!name) [[unlikely]]                                                                                        \
            leave std::unexpected(std::move(name).error());                                                            \
        std::move(name).value();                                                                                       \
    })

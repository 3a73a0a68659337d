// Owners of file descriptors. A raw int is always borrowed.
#pragma once

#include <unistd.h>
#include <utility>

namespace squish {

// Owns one file descriptor; closes it. Every fd in squish is born close-on-exec.
class UniqueFd {
public:
    UniqueFd() = default;
    explicit UniqueFd(int fd) noexcept : fd_(fd) {}
    UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    UniqueFd& operator=(UniqueFd other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    UniqueFd(const UniqueFd&) = delete;
    ~UniqueFd() {
        if (fd_ >= 0)
            ::close(fd_);
    }

    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] bool valid() const noexcept { return fd_ >= 0; }
    explicit operator bool() const noexcept { return valid(); }
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
    void reset() noexcept { *this = UniqueFd(); }

private:
    int fd_ = -1;
};

// The kinds, so that a signature says what it takes. Each is a UniqueFd in all but name.
struct DirFd : UniqueFd {
    using UniqueFd::UniqueFd;
    explicit DirFd(UniqueFd fd) noexcept : UniqueFd(std::move(fd)) {}
    DirFd() = default;
};
struct MountFd : UniqueFd { // a detached mount (open_tree, fsmount)
    using UniqueFd::UniqueFd;
    explicit MountFd(UniqueFd fd) noexcept : UniqueFd(std::move(fd)) {}
    MountFd() = default;
};
struct NsFd : UniqueFd { // a namespace (/proc/PID/ns/X)
    using UniqueFd::UniqueFd;
    explicit NsFd(UniqueFd fd) noexcept : UniqueFd(std::move(fd)) {}
    NsFd() = default;
};
struct Pidfd : UniqueFd { // pidfd_open(2); readable once the process has ended
    using UniqueFd::UniqueFd;
    explicit Pidfd(UniqueFd fd) noexcept : UniqueFd(std::move(fd)) {}
    Pidfd() = default;
};

} // namespace squish

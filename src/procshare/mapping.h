// Memory mapped from a memfd.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <cstddef>
#include <utility>

namespace squish::procshare {

// Owns a mapping of the whole of a memfd that nobody can make shorter (which would kill whoever reads it).
class Mapping {
public:
    enum class Access { read, write };
    // A new memfd of `size` zeroes, sealed against growing and shrinking.
    [[nodiscard]] static Result<UniqueFd> make(const char* name, std::size_t size);
    // Errors: invalid, where it is no memfd of exactly that size.
    [[nodiscard]] static Result<Mapping> open(int memfd, std::size_t size, Access access);

    Mapping(Mapping&& other) noexcept : at_(std::exchange(other.at_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    Mapping& operator=(Mapping other) noexcept {
        std::swap(at_, other.at_);
        std::swap(size_, other.size_);
        return *this;
    }
    Mapping(const Mapping&) = delete;
    ~Mapping();

    [[nodiscard]] void* at() const { return at_; }

private:
    Mapping(void* at, std::size_t size) : at_(at), size_(size) {}

    void* at_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace squish::procshare

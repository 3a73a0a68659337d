// Message digests over a stream (OpenSSL's EVP, which uses what the machine has for them).
#pragma once

#include "base/result.h"

#include <memory>
#include <string>
#include <string_view>

namespace squish::fetch {

class Hasher {
public:
    enum class Kind { sha256, sha512 };
    [[nodiscard]] static Result<Hasher> make(Kind kind);
    Hasher(Hasher&&) noexcept;
    Hasher& operator=(Hasher&&) noexcept;
    ~Hasher();

    [[nodiscard]] Result<void> add(std::string_view bytes);
    // Lower-case hex of all that was added; the hasher then starts anew.
    [[nodiscard]] Result<std::string> finish();
    // Forgets what was added.
    [[nodiscard]] Result<void> restart();

private:
    struct Context;
    explicit Hasher(std::unique_ptr<Context> context);
    std::unique_ptr<Context> context_;
};

// The digest of one text.
[[nodiscard]] Result<std::string> sha256_of(std::string_view bytes);

} // namespace squish::fetch

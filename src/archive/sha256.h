// SHA-256 (FIPS 180-4) by libcrypto, which uses the processor's own instructions where it has them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace squish::archive {

using Digest = std::array<std::uint8_t, 32>;

[[nodiscard]] std::string to_hex(const Digest& digest);

// One hash after the other: finish() starts the next.
class Sha256 {
public:
    Sha256();
    void update(std::string_view bytes) { update(bytes.data(), bytes.size()); }
    void update(const void* bytes, std::size_t count);
    void update_zeros(std::uint64_t count);
    [[nodiscard]] Digest finish();

private:
    struct Free {
        void operator()(evp_md_ctx_st* context) const noexcept;
    };
    std::unique_ptr<evp_md_ctx_st, Free> context_;
};

[[nodiscard]] Digest sha256_of(std::string_view bytes);

} // namespace squish::archive

#include "archive/sha256.h"

#include <algorithm>
#include <cstdlib>
#include <openssl/evp.h>

namespace squish::archive {

namespace {

// Fetched once: a lookup for each of 20,000 small files would cost more than hashing them.
const EVP_MD* algorithm() {
    static const EVP_MD* const fetched = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    return fetched;
}

// Out of memory, or a libcrypto without SHA-256: nothing that anybody could handle, and never a wrong digest.
void require(int done) {
    if (done != 1)
        std::abort();
}

} // namespace

std::string to_hex(const Digest& digest) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string out;
    out.reserve(digest.size() * 2);
    for (const auto byte : digest) {
        out += kDigits[byte >> 4];
        out += kDigits[byte & 15];
    }
    return out;
}

void Sha256::Free::operator()(evp_md_ctx_st* context) const noexcept {
    EVP_MD_CTX_free(context);
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
    require(context_ ? 1 : 0);
    require(EVP_DigestInit_ex2(context_.get(), algorithm(), nullptr));
}

void Sha256::update(const void* bytes, std::size_t count) {
    require(EVP_DigestUpdate(context_.get(), bytes, count));
}

void Sha256::update_zeros(std::uint64_t count) {
    static constexpr std::array<char, 65536> kZeros{};
    while (count > 0) {
        const auto step = std::min<std::uint64_t>(count, kZeros.size());
        update(kZeros.data(), step);
        count -= step;
    }
}

Digest Sha256::finish() {
    Digest out{};
    unsigned size = 0;
    require(EVP_DigestFinal_ex(context_.get(), out.data(), &size));
    require(EVP_DigestInit_ex2(context_.get(), nullptr, nullptr));
    return out;
}

Digest sha256_of(std::string_view bytes) {
    Sha256 hash;
    hash.update(bytes);
    return hash.finish();
}

} // namespace squish::archive

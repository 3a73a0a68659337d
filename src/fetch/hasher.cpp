#include "fetch/hasher.h"

#include <array>
#include <openssl/evp.h>

namespace squish::fetch {

struct Hasher::Context {
    struct Free {
        void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
    };
    std::unique_ptr<EVP_MD_CTX, Free> state;
    const EVP_MD* kind = nullptr;
};

namespace {
std::unexpected<Error> refused(const char* call) {
    return fail(ErrorKind::system, std::string("cannot compute a digest: ") + call + " failed in libcrypto");
}
} // namespace

Hasher::Hasher(std::unique_ptr<Context> context) : context_(std::move(context)) {}
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

Result<Hasher> Hasher::make(Kind kind) {
    auto context = std::make_unique<Context>();
    context->state.reset(EVP_MD_CTX_new());
    context->kind = kind == Kind::sha256 ? EVP_sha256() : EVP_sha512();
    if (!context->state)
        return refused("EVP_MD_CTX_new");
    Hasher out(std::move(context));
    TRY(out.restart());
    return out;
}

Result<void> Hasher::restart() {
    if (EVP_DigestInit_ex(context_->state.get(), context_->kind, nullptr) != 1)
        return refused("EVP_DigestInit_ex");
    return {};
}

Result<void> Hasher::add(std::string_view bytes) {
    if (EVP_DigestUpdate(context_->state.get(), bytes.data(), bytes.size()) != 1)
        return refused("EVP_DigestUpdate");
    return {};
}

Result<std::string> Hasher::finish() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    if (EVP_DigestFinal_ex(context_->state.get(), digest.data(), &size) != 1)
        return refused("EVP_DigestFinal_ex");
    TRY(restart());
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string out;
    for (unsigned i = 0; i < size; ++i) {
        out += kDigits[digest[i] >> 4];
        out += kDigits[digest[i] & 15];
    }
    return out;
}

Result<std::string> sha256_of(std::string_view bytes) {
    auto hasher = TRY(Hasher::make(Hasher::Kind::sha256));
    TRY(hasher.add(bytes));
    return hasher.finish();
}

} // namespace squish::fetch

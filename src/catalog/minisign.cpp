#include "catalog/minisign.h"

#include "base/text.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <sodium.h>
#include <span>
#include <vector>

namespace squish::catalog {

namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::string_view kUntrusted = "untrusted comment: ";
constexpr std::string_view kTrusted = "trusted comment: ";
constexpr std::string_view kPlain = "Ed", kHashed = "ED", kChecksum = "B2";
constexpr std::size_t kIdBytes = 8, kSignatureBytes = crypto_sign_BYTES;
constexpr std::size_t kHashBytes = 64; // BLAKE2b-512
// algorithm, KDF, checksum (2 each), KDF salt 32, KDF limits 8 + 8, then id, key, checksum
constexpr std::size_t kSecretHead = 2 + 2 + 2 + 32 + 8 + 8;
constexpr std::size_t kChecksumBytes = 32;

// sodium_init(3) chooses the implementations for this machine; thread-safe, and it fails only without randomness.
void prepare() {
    static const int ready = sodium_init();
    (void) ready;
}

std::optional<Bytes> from_base64(std::string_view text) {
    if (text.empty())
        return std::nullopt;
    Bytes out(text.size());
    std::size_t size = 0;
    const char* end = nullptr;
    if (sodium_base642bin(out.data(), out.size(), text.data(), text.size(), nullptr, &size, &end,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        end != text.data() + text.size())
        return std::nullopt;
    out.resize(size);
    return out;
}

std::string to_base64(std::span<const std::uint8_t> bytes) {
    std::string out(sodium_base64_ENCODED_LEN(bytes.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
    sodium_bin2base64(out.data(), out.size(), bytes.data(), bytes.size(), sodium_base64_VARIANT_ORIGINAL);
    out.pop_back(); // the NUL
    return out;
}

void append(Bytes& out, std::string_view text) {
    out.insert(out.end(), text.begin(), text.end());
}
void append(Bytes& out, std::span<const std::uint8_t> bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
}

const std::uint8_t* bytes_of(std::string_view text) {
    return reinterpret_cast<const std::uint8_t*>(text.data());
}

std::array<std::uint8_t, kHashBytes> hash_of(std::string_view file) {
    std::array<std::uint8_t, kHashBytes> out;
    crypto_generichash(out.data(), out.size(), bytes_of(file), file.size(), nullptr, 0);
    return out;
}

bool begins_with(const Bytes& bytes, std::string_view text) {
    return bytes.size() >= text.size() && std::memcmp(bytes.data(), text.data(), text.size()) == 0;
}

std::string_view without_cr(std::string_view line) {
    if (line.ends_with('\r'))
        line.remove_suffix(1);
    return line;
}

struct Signature {
    bool hashed = false;
    KeyId id{};
    std::array<std::uint8_t, kSignatureBytes> of_file{};
    std::string trusted_comment;
    std::array<std::uint8_t, kSignatureBytes> of_comment{};
};

std::unexpected<Error> malformed(std::string_view why) {
    return fail(ErrorKind::denied, "the signature is malformed: " + std::string(why));
}

Result<Signature> parse_signature(std::string_view text) {
    if (text.size() > kMaxSignatureBytes)
        return malformed("it is longer than " + std::to_string(kMaxSignatureBytes) + " bytes");
    auto lines = split(text, '\n');
    while (!lines.empty() && trim(lines.back()).empty())
        lines.pop_back();
    if (lines.size() != 4)
        return malformed("it has " + std::to_string(lines.size()) + " lines instead of 4");
    if (!lines[0].starts_with(kUntrusted))
        return malformed("line 1 does not start with '" + std::string(kUntrusted) + "'");
    if (!lines[2].starts_with(kTrusted))
        return malformed("line 3 does not start with '" + std::string(kTrusted) + "'");
    const auto first = from_base64(trim(lines[1])), second = from_base64(trim(lines[3]));
    if (!first || first->size() != 2 + kIdBytes + kSignatureBytes)
        return malformed("line 2 is no signature in base64");
    if (!second || second->size() != kSignatureBytes)
        return malformed("line 4 is no signature in base64");
    Signature out;
    out.hashed = begins_with(*first, kHashed);
    if (!out.hashed && !begins_with(*first, kPlain))
        return malformed("line 2 has an unknown algorithm");
    std::copy_n(first->begin() + 2, kIdBytes, out.id.begin());
    std::copy_n(first->begin() + 2 + kIdBytes, kSignatureBytes, out.of_file.begin());
    out.trusted_comment = without_cr(lines[2].substr(kTrusted.size()));
    std::copy_n(second->begin(), kSignatureBytes, out.of_comment.begin());
    return out;
}

Bytes global_message(std::span<const std::uint8_t> signature, std::string_view trusted_comment) {
    Bytes out;
    append(out, signature);
    append(out, trusted_comment);
    return out;
}

// The one line of base64 in a key file, with or without its comment.
Result<Bytes> read_key_line(std::string_view text, std::size_t bytes, std::string_view what) {
    const auto refuse = [&](std::string_view why) {
        return fail(ErrorKind::invalid, "not a minisign " + std::string(what) + ": " + std::string(why));
    };
    if (text.size() > kMaxSignatureBytes)
        return refuse("it is too long");
    std::string_view key;
    for (auto line : split(text, '\n')) {
        line = trim(line);
        if (line.empty() || line.starts_with("untrusted comment:"))
            continue;
        if (!key.empty())
            return refuse("it has more than one line beside its comment");
        key = line;
    }
    auto out = from_base64(key);
    if (key.empty() || !out)
        return refuse("it has no line of base64");
    if (out->size() != bytes)
        return refuse("it has " + std::to_string(out->size()) + " bytes instead of " + std::to_string(bytes));
    if (!begins_with(*out, kPlain))
        return refuse("its algorithm is not Ed25519");
    return *std::move(out);
}

std::array<std::uint8_t, kChecksumBytes> checksum_of(const KeyId& id, std::span<const std::uint8_t> key) {
    Bytes message;
    append(message, kPlain);
    append(message, id);
    append(message, key);
    std::array<std::uint8_t, kChecksumBytes> out;
    crypto_generichash(out.data(), out.size(), message.data(), message.size(), nullptr, 0);
    sodium_memzero(message.data(), message.size());
    return out;
}

} // namespace

std::string to_string(const KeyId& id) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    std::string out;
    for (auto byte = id.rbegin(); byte != id.rend(); ++byte) { // a little-endian number
        out += kDigits[*byte >> 4];
        out += kDigits[*byte & 15];
    }
    return out;
}

Result<PublicKey> PublicKey::parse(std::string_view text) {
    const auto bytes = TRY(read_key_line(text, 2 + kIdBytes + 32, "public key"));
    PublicKey out;
    std::copy_n(bytes.begin() + 2, kIdBytes, out.id_.begin());
    std::copy_n(bytes.begin() + 2 + kIdBytes, out.key_.size(), out.key_.begin());
    return out;
}

std::string PublicKey::text() const {
    Bytes out;
    append(out, kPlain);
    append(out, id_);
    append(out, key_);
    return to_base64(out);
}

Result<std::string> PublicKey::verify(std::string_view file, std::string_view text) const {
    prepare();
    const auto signature = TRY(parse_signature(text));
    if (signature.id != id_)
        return fail(ErrorKind::denied,
                    "the signature was made with key " + to_string(signature.id) + ", not with " + to_string(id_));
    const auto hash = hash_of(file);
    const auto message = signature.hashed ? std::span<const std::uint8_t>(hash)
                                          : std::span<const std::uint8_t>(bytes_of(file), file.size());
    if (crypto_sign_verify_detached(signature.of_file.data(), message.data(), message.size(), key_.data()) != 0)
        return fail(ErrorKind::denied,
                    "the signature is wrong: the file is not what key " + to_string(id_) + " signed");
    const auto global = global_message(signature.of_file, signature.trusted_comment);
    if (crypto_sign_verify_detached(signature.of_comment.data(), global.data(), global.size(), key_.data()) != 0)
        return fail(ErrorKind::denied, "the signature of the trusted comment is wrong: it was changed");
    return signature.trusted_comment;
}

Result<SecretKey> SecretKey::parse(std::string_view text) {
    constexpr std::size_t kSize = kSecretHead + kIdBytes + 64 + kChecksumBytes;
    auto bytes = TRY(read_key_line(text, kSize, "secret key"));
    if (bytes[2] != 0 || bytes[3] != 0) {
        sodium_memzero(bytes.data(), bytes.size());
        return fail(ErrorKind::unsupported, "the secret key has a password",
                    "make one without: minisign -G -W -p squish.pub -s squish.key");
    }
    SecretKey out;
    std::copy_n(bytes.begin() + kSecretHead, kIdBytes, out.id_.begin());
    std::copy_n(bytes.begin() + kSecretHead + kIdBytes, out.key_.size(), out.key_.begin());
    // minisign -W leaves the checksum zero; the key then answers for itself: its second half follows from its first.
    const auto checksum = checksum_of(out.id_, out.key_);
    const auto* const written = bytes.data() + kSize - kChecksumBytes;
    const bool whole =
        sodium_is_zero(written, kChecksumBytes) != 0 || sodium_memcmp(checksum.data(), written, kChecksumBytes) == 0;
    sodium_memzero(bytes.data(), bytes.size());
    std::array<std::uint8_t, 32> derived;
    std::array<std::uint8_t, 64> unused;
    crypto_sign_seed_keypair(derived.data(), unused.data(), out.key_.data());
    sodium_memzero(unused.data(), unused.size());
    if (!whole || !std::equal(derived.begin(), derived.end(), out.key_.begin() + 32))
        return fail(ErrorKind::invalid, "not a minisign secret key: it was damaged");
    return out;
}

SecretKey SecretKey::generate() {
    prepare();
    SecretKey out;
    std::array<std::uint8_t, 32> unused;
    randombytes_buf(out.id_.data(), out.id_.size());
    crypto_sign_keypair(unused.data(), out.key_.data());
    return out;
}

SecretKey::~SecretKey() {
    sodium_memzero(key_.data(), key_.size());
}

PublicKey SecretKey::public_key() const {
    PublicKey out;
    out.id_ = id_;
    std::copy_n(key_.begin() + 32, out.key_.size(), out.key_.begin()); // libsodium: seed, then public key
    return out;
}

std::string SecretKey::text() const {
    Bytes bytes;
    append(bytes, kPlain);
    append(bytes, std::string_view("\0\0", 2)); // no KDF
    append(bytes, kChecksum);
    bytes.resize(kSecretHead);
    append(bytes, id_);
    append(bytes, key_);
    bytes.resize(bytes.size() + kChecksumBytes); // zero, as minisign -W leaves it
    auto out = std::string(kUntrusted) + "minisign secret key, without a password\n" + to_base64(bytes) + "\n";
    sodium_memzero(bytes.data(), bytes.size());
    return out;
}

std::string SecretKey::sign(std::string_view file, std::string_view trusted_comment) const {
    prepare();
    const auto hash = hash_of(file);
    std::array<std::uint8_t, kSignatureBytes> of_file, of_comment;
    crypto_sign_detached(of_file.data(), nullptr, hash.data(), hash.size(), key_.data());
    const auto global = global_message(of_file, trusted_comment);
    crypto_sign_detached(of_comment.data(), nullptr, global.data(), global.size(), key_.data());
    Bytes first;
    append(first, kHashed);
    append(first, id_);
    append(first, of_file);
    return std::string(kUntrusted) + "signature from minisign secret key " + to_string(id_) + "\n" + to_base64(first) +
           "\n" + std::string(kTrusted) + std::string(trusted_comment) + "\n" + to_base64(of_comment) + "\n";
}

} // namespace squish::catalog

// Signatures in minisign's format (minisign(1), "Signature format"; Ed25519 by libsodium).
//
// A signature file has four lines: an untrusted comment, the signature (of the file, or of its BLAKE2b-512 digest:
// "ED", what minisign writes since 0.6), a trusted comment, and a second signature that covers the first one and the
// trusted comment. Only the trusted comment may be believed, and only after verify().
#pragma once

#include "base/result.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace squish::catalog {

inline constexpr std::size_t kMaxSignatureBytes = 16 * 1024; // minisign's own limit on comments is 8 KiB

using KeyId = std::array<std::uint8_t, 8>;

// The way minisign(1) prints it: 16 hexadecimal digits in upper case.
[[nodiscard]] std::string to_string(const KeyId& id);

class PublicKey {
public:
    // "RWQ…", or the contents of a .pub file (a comment line, then that). Errors (invalid) say what is malformed.
    [[nodiscard]] static Result<PublicKey> parse(std::string_view text);

    [[nodiscard]] const KeyId& id() const { return id_; }
    [[nodiscard]] std::string text() const; // "RWQ…"

    // Should: accept `file` only where both signatures of the .minisig text were made with this key; the trusted
    // comment comes back. Must not: believe anything in the signature file before that.
    // Errors (denied): malformed, made with another key (both ids are named), wrong signature, wrong trusted comment.
    [[nodiscard]] Result<std::string> verify(std::string_view file, std::string_view signature) const;

private:
    friend class SecretKey;
    KeyId id_{};
    std::array<std::uint8_t, 32> key_{};
};

// For publishing. Only keys without a password (minisign -G -W): squish asks nobody for one.
class SecretKey {
public:
    // The contents of a secret key file. Errors: invalid (malformed, checksum), unsupported (it has a password).
    [[nodiscard]] static Result<SecretKey> parse(std::string_view text);
    // A new one, as minisign -G -W makes it.
    [[nodiscard]] static SecretKey generate();
    SecretKey(const SecretKey&) = default;
    SecretKey& operator=(const SecretKey&) = default;
    ~SecretKey(); // wipes the key

    [[nodiscard]] PublicKey public_key() const;
    // The contents of a secret key file.
    [[nodiscard]] std::string text() const;
    // The .minisig text. `trusted_comment` is one line; the signature is deterministic (RFC 8032).
    [[nodiscard]] std::string sign(std::string_view file, std::string_view trusted_comment) const;

private:
    SecretKey() = default;
    KeyId id_{};
    std::array<std::uint8_t, 64> key_{};
};

} // namespace squish::catalog

// Whether this is a build with AddressSanitizer, whose shadow takes terabytes of address space and much memory.
#pragma once

namespace squish {

#if defined(__SANITIZE_ADDRESS__) // GCC
inline constexpr bool kAddressSanitizer = true;
#elif defined(__has_feature) // clang
inline constexpr bool kAddressSanitizer = __has_feature(address_sanitizer);
#else
inline constexpr bool kAddressSanitizer = false;
#endif

} // namespace squish

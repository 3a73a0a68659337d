// libarchive, owned and with its errors as ours. The only files that know libarchive are reader.cpp, unpack.cpp
// (entries) and pack.cpp.
#pragma once

#include "base/result.h"

#include <locale.h>
#include <memory>
#include <string>
#include <utility>

struct archive;
struct archive_entry;

namespace squish::archive {

struct FreeReader {
    void operator()(::archive* reader) const noexcept;
};
using Reader = std::unique_ptr<::archive, FreeReader>;

// "gzip decompression failed", as text of ours: printable.
[[nodiscard]] std::string message_of(::archive* reader);

// libarchive converts names through the locale. For tar that is the C locale, in which every name comes as the bytes
// it is; for zip it is C.UTF-8, without which a name that is marked as UTF-8 does not come at all.
class NameLocale {
public:
    enum class Names { bytes, utf8 };
    // Unsupported where the system has no C.UTF-8.
    [[nodiscard]] static Result<NameLocale> enter(Names names);
    NameLocale(NameLocale&& other) noexcept : before_(std::exchange(other.before_, nullptr)) {}
    NameLocale& operator=(NameLocale&&) = delete;
    NameLocale(const NameLocale&) = delete;
    NameLocale& operator=(const NameLocale&) = delete;
    ~NameLocale();

private:
    explicit NameLocale(locale_t before) : before_(before) {}
    locale_t before_;
};

// Reads the locales, which are files of the system, for a process that is about to lose sight of them.
void prepare_names();

} // namespace squish::archive

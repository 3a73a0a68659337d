// libarchive, owned and with its errors as ours. The only files that know libarchive are reader.cpp, unpack.cpp
// (entries) and pack.cpp.
#pragma once

#include "base/result.h"

#include <locale.h>
#include <memory>
#include <string>

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
    explicit NameLocale(Names names);
    NameLocale(const NameLocale&) = delete;
    NameLocale& operator=(const NameLocale&) = delete;
    ~NameLocale();

private:
    locale_t ours_;
    locale_t before_;
};

} // namespace squish::archive

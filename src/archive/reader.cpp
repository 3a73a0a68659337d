#include "archive/reader.h"

#include "base/text.h"

#include <archive.h>

namespace squish::archive {

void FreeReader::operator()(::archive* reader) const noexcept {
    ::archive_read_free(reader);
}

std::string message_of(::archive* reader) {
    const char* text = ::archive_error_string(reader);
    return text ? printable(text) : "it is damaged";
}

namespace {

// Made once and kept: libc forgets what nobody uses.
locale_t locale_of(NameLocale::Names names) {
    static const locale_t bytes = ::newlocale(LC_CTYPE_MASK, "C", nullptr);
    static const locale_t utf8 = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    return names == NameLocale::Names::bytes ? bytes : utf8;
}

} // namespace

void prepare_names() {
    (void) locale_of(NameLocale::Names::utf8);
}

Result<NameLocale> NameLocale::enter(Names names) {
    const auto locale = locale_of(names);
    if (!locale)
        return fail(ErrorKind::unsupported,
                    "the names in this archive cannot be read: this system has no locale C.UTF-8",
                    "install Debian's libc-bin");
    return NameLocale(::uselocale(locale));
}

NameLocale::~NameLocale() {
    if (before_)
        ::uselocale(before_);
}

} // namespace squish::archive

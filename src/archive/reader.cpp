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

NameLocale::NameLocale(Names names)
    : ours_(::newlocale(LC_CTYPE_MASK, names == Names::utf8 ? "C.UTF-8" : "C", nullptr)),
      before_(ours_ ? ::uselocale(ours_) : nullptr) {}

NameLocale::~NameLocale() {
    if (!ours_)
        return;
    ::uselocale(before_);
    ::freelocale(ours_);
}

} // namespace squish::archive

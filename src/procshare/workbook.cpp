#include "procshare/workbook.h"

#include <algorithm>
#include <cstring>
#include <sys/mman.h>

namespace squish::procshare {

namespace {
constexpr std::size_t kRequestHeader = 40; // struct fuse_in_header, linux/fuse.h
}

Result<UniqueFd> Workbook::make() {
    auto memfd = TRY(Mapping::make("squish-workbook", sizeof(WorkbookMemory)));
    const auto mapping = TRY(Mapping::open(memfd.get(), sizeof(WorkbookMemory), Mapping::Access::write));
    auto& memory = *static_cast<WorkbookMemory*>(mapping.at());
    memory.shelf_version = kShelfVersion;
    memory.magic = kWorkbookMagic;
    return memfd;
}

Result<Workbook> Workbook::open(int memfd) {
    auto mapping = TRY(Mapping::open(memfd, sizeof(WorkbookMemory), Mapping::Access::write));
    auto& memory = *static_cast<WorkbookMemory*>(mapping.at());
    if (memory.magic != kWorkbookMagic)
        return fail(ErrorKind::invalid, "a workbook of another version of squish");
    if (memory.shelf_version != kShelfVersion) {
        if (::madvise(&memory.shelf, sizeof memory.shelf, MADV_REMOVE) < 0)
            return fail_errno("start the shelf anew");
        memory.shelf_version = kShelfVersion;
    }
    return Workbook(std::move(mapping));
}

Workbook::Workbook(Mapping mapping) : mapping_(std::move(mapping)) {
    for (std::size_t at = 0; at < kMaxRequest; at += 4096) { // written, so that the page is there and may be written to
        auto* const byte = reinterpret_cast<volatile unsigned char*>(&memory().request[at]);
        *byte = *byte; // NOLINT(clang-diagnostic-self-assign): the request in hand stays
    }
    shelf_ = std::make_unique<Shelf>(memory().shelf);
}

void Workbook::clear_request() {
    std::memset(memory().request, 0, kRequestHeader);
    memory().begun = 0;
}

void Workbook::keep_init(std::span<const std::byte> request) {
    if (request.size() > kMaxInit)
        return;
    std::memcpy(memory().init, request.data(), request.size());
    memory().init_size = static_cast<std::uint32_t>(request.size());
}

std::span<const std::byte> Workbook::init() const {
    return {memory().init, std::min<std::size_t>(memory().init_size, kMaxInit)};
}

} // namespace squish::procshare

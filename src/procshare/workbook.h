// The workbook of squish-procfs: what the next server needs to go on where this one was killed, in a memfd that the
// keeper holds.
//
// How this works
//   The first page is the same in every version of squish: the connection's INIT request as it came, and how often the
//   request in hand was begun. Then comes the request in hand itself: the kernel writes it here, not into memory of the
//   server's, so there is no moment in which it is nowhere. Its header is zeroed before each read; one that is there
//   when a server starts was perhaps answered and perhaps not, and is answered (again): the kernel knows of a request
//   that was answered, and says so (ENOENT). Then the shelf, which another version of squish starts anew.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "procshare/mapping.h"
#include "procshare/shelf.h"

#include <memory>
#include <span>

namespace squish::procshare {

inline constexpr std::uint64_t kWorkbookMagic = 0x3130424b51530a00; // never changes
inline constexpr std::uint64_t kShelfVersion = 1;                   // changes with the shelf
inline constexpr std::size_t kMaxInit = 1024;
inline constexpr std::size_t kMaxRequest = 32 << 10;

struct WorkbookMemory {
    std::uint64_t magic;
    std::uint64_t shelf_version;
    std::uint32_t begun; // how often the request in hand was begun
    std::uint32_t init_size;
    std::byte init[kMaxInit];
    std::byte reserved[3048];
    std::byte request[kMaxRequest];
    ShelfMemory shelf;
};
static_assert(offsetof(WorkbookMemory, request) == 4096 && offsetof(WorkbookMemory, shelf) % 4096 == 0);

// Owns a mapping.
class Workbook {
public:
    // A new one in a new memfd (sealed against growing and shrinking).
    [[nodiscard]] static Result<UniqueFd> make();
    // Errors: invalid, where it is none.
    [[nodiscard]] static Result<Workbook> open(int memfd);

    // Where the next request is to be read to; every page of it is there, so that a read never has to wait for one.
    [[nodiscard]] std::span<std::byte> request() { return memory().request; }
    // Forgets the request in hand: before each read.
    void clear_request();
    // Counts that it is begun; the number of times, with this one.
    std::uint32_t begin_request() { return ++memory().begun; }
    [[nodiscard]] std::uint32_t begun() const { return memory().begun; }

    void keep_init(std::span<const std::byte> request);
    // Empty: no INIT was seen yet.
    [[nodiscard]] std::span<const std::byte> init() const;

    [[nodiscard]] Shelf& shelf() { return *shelf_; }

private:
    explicit Workbook(Mapping mapping);
    [[nodiscard]] WorkbookMemory& memory() const { return *static_cast<WorkbookMemory*>(mapping_.at()); }

    Mapping mapping_;
    std::unique_ptr<Shelf> shelf_;
};

} // namespace squish::procshare

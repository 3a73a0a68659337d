// The shelf of squish-procfs's workbook: the texts of files that are open, as they were when they were opened, so that
// whoever reads in small pieces reads one text, even from two servers.
//
// How this works
//   16 KiB slots, lowest free first, so that the memory touched is that of the most files ever open at once (and slots
//   high up are given back when they are free). A longer text takes several. Each view may hold kSlotsOfView; beyond
//   that its own oldest texts are dropped, and where all slots are taken, the oldest of the view that holds most. A
//   server that is killed leaves texts that are whole, and texts that were being written, which the next one drops.
#pragma once

#include "procshare/layout.h"

#include <array>
#include <bitset>
#include <optional>
#include <span>
#include <string_view>
#include <sys/uio.h>
#include <vector>

namespace squish::procshare {

inline constexpr std::size_t kSlotBytes = 16 << 10;
inline constexpr std::uint32_t kSlots = 4096;
inline constexpr std::uint32_t kSlotsOfView = 256;
inline constexpr std::uint32_t kSlotsKept = 64; // free slots above these have no memory

struct Slot {
    std::atomic<std::uint32_t> state; // free, one that is being written, the first of a text, a further one
    std::uint32_t next;               // the slot that goes on, + 1; 0: none
    std::uint64_t serial;             // of the text
    Key view;
    std::uint64_t request; // the OPEN that it answers
    std::uint32_t size;    // of the text
    std::uint32_t reserved[7];
};
static_assert(sizeof(Slot) == 64);

struct ShelfMemory {
    std::uint64_t next_serial;
    std::uint32_t touched; // slots from here on were never taken: looking at them would cost memory
    std::uint32_t reserved[1021];
    Slot slots[kSlots];
    std::byte texts[kSlots][kSlotBytes];
};
static_assert(offsetof(ShelfMemory, texts) % 4096 == 0);

// Borrows its memory. A text is known by its handle: serial * 65536 + index of its first slot; 0 is none.
class Shelf {
public:
    using Handle = std::uint64_t;

    // Takes over what an earlier server left; what does not hold together is dropped.
    explicit Shelf(ShelfMemory& memory);

    // 0 where the text is longer than what a view may hold.
    [[nodiscard]] Handle put(Key view, std::uint64_t request, std::string_view text);
    // The part of a text as pieces of memory, and how many; none where the text was dropped. Nothing beyond its end.
    using Pieces = std::array<iovec, 16>;
    [[nodiscard]] std::optional<std::size_t> read(Handle handle, std::uint64_t offset, std::size_t size,
                                                  Pieces& pieces) const;
    // The text that answered this request.
    [[nodiscard]] std::optional<Handle> find_request(std::uint64_t request) const;
    void drop(Handle handle);
    [[nodiscard]] std::uint32_t slots_of(Key view) const { return of_view_[index_of(view)]; }
    [[nodiscard]] std::uint32_t slots_in_use() const { return static_cast<std::uint32_t>(taken_.count()); }

private:
    [[nodiscard]] bool is(Handle handle) const;
    [[nodiscard]] std::vector<std::uint32_t> chain(std::uint32_t first) const;
    [[nodiscard]] std::uint32_t take_lowest();
    enum class Memory { keep, give_back };
    void free_chain(std::uint32_t first, Memory memory);
    void drop_oldest(std::uint32_t view_index);

    ShelfMemory& memory_;
    std::bitset<kSlots> taken_;
    std::uint32_t above_taken_ = 0;      // no slot from here on is taken
    std::vector<std::uint32_t> of_view_; // slots, by index of the view
};

} // namespace squish::procshare

#include "procshare/shelf.h"

#include <algorithm>
#include <cstring>
#include <sys/mman.h>

namespace squish::procshare {

namespace {

enum State : std::uint32_t { kFree = 0, kBeingWritten = 1, kFirst = 2, kFurther = 3 };

std::uint32_t state_of(const Slot& slot) {
    return slot.state.load(std::memory_order_acquire);
}
void set_state(Slot& slot, State state) {
    slot.state.store(state, std::memory_order_release);
}
constexpr std::size_t slots_for(std::size_t bytes) {
    return bytes == 0 ? 1 : (bytes + kSlotBytes - 1) / kSlotBytes;
}
constexpr std::uint64_t kMaxSerial = (1ULL << 48) - 1;

} // namespace

Shelf::Shelf(ShelfMemory& memory) : memory_(memory), of_view_(kMaxViews) {
    memory_.touched = std::min(memory_.touched, kSlots);
    std::bitset<kSlots> held;
    std::uint64_t highest_serial = 0;
    for (std::uint32_t first = 0; first < memory_.touched; ++first) {
        const auto& slot = memory_.slots[first];
        if (state_of(slot) != kFirst || held[first])
            continue;
        const auto slots = chain(first);
        const bool whole = !slots.empty() && std::ranges::none_of(slots, [&](auto index) { return held[index]; }) &&
                           of_view_[index_of(slot.view)] + slots.size() <= kSlotsOfView;
        if (!whole)
            continue;
        for (const auto index : slots)
            held.set(index);
        of_view_[index_of(slot.view)] += static_cast<std::uint32_t>(slots.size());
        highest_serial = std::max(highest_serial, slot.serial);
    }
    for (std::uint32_t index = 0; index < memory_.touched; ++index) {
        if (held[index])
            above_taken_ = index + 1;
        else if (state_of(memory_.slots[index]) != kFree)
            set_state(memory_.slots[index], kFree);
    }
    taken_ = held;
    if (memory_.next_serial <= highest_serial || memory_.next_serial > kMaxSerial)
        memory_.next_serial = highest_serial + 1;
}

// The slots of the text that starts there, in order; none where they are not as many as it needs, or not its own.
std::vector<std::uint32_t> Shelf::chain(std::uint32_t first) const {
    const auto& head = memory_.slots[first];
    std::vector<std::uint32_t> slots{first};
    const auto needed = slots_for(head.size);
    if (needed > kSlotsOfView || head.serial == 0 || head.serial > kMaxSerial)
        return {};
    while (slots.size() < needed) {
        const auto next = memory_.slots[slots.back()].next;
        if (next == 0 || next > memory_.touched)
            return {};
        const auto& slot = memory_.slots[next - 1];
        if (state_of(slot) != kFurther || slot.serial != head.serial ||
            std::ranges::find(slots, next - 1) != slots.end())
            return {};
        slots.push_back(next - 1);
    }
    return slots;
}

bool Shelf::is(Handle handle) const {
    const auto first = handle & 0xffff;
    return first < kSlots && taken_[first] && state_of(memory_.slots[first]) == kFirst &&
           memory_.slots[first].serial == handle >> 16;
}

std::uint32_t Shelf::take_lowest() {
    std::uint32_t index = 0;
    while (taken_[index])
        ++index;
    taken_.set(index);
    above_taken_ = std::max(above_taken_, index + 1);
    memory_.touched = std::max(memory_.touched, index + 1);
    return index;
}

Shelf::Handle Shelf::put(Key view, std::uint64_t request, std::string_view text) {
    const auto needed = slots_for(text.size());
    if (needed > kSlotsOfView)
        return 0;
    while (of_view_[index_of(view)] + needed > kSlotsOfView)
        drop_oldest(index_of(view));
    while (taken_.count() + needed > kSlots)
        drop_oldest(static_cast<std::uint32_t>(std::ranges::max_element(of_view_) - of_view_.begin()));
    const auto serial = memory_.next_serial++;
    std::uint32_t first = 0;
    Slot* before = nullptr;
    for (std::size_t i = 0; i < needed; ++i) {
        const auto index = take_lowest();
        auto& slot = memory_.slots[index];
        set_state(slot, i == 0 ? kBeingWritten : kFurther);
        slot.next = 0;
        slot.serial = serial;
        slot.view = view;
        slot.request = request;
        slot.size = static_cast<std::uint32_t>(text.size());
        if (before != nullptr)
            before->next = index + 1;
        else
            first = index;
        before = &slot;
        const auto part = text.substr(i * kSlotBytes, kSlotBytes);
        std::memcpy(memory_.texts[index], part.data(), part.size());
    }
    of_view_[index_of(view)] += static_cast<std::uint32_t>(needed);
    set_state(memory_.slots[first], kFirst);
    return serial << 16 | first;
}

std::optional<std::size_t> Shelf::read(Handle handle, std::uint64_t offset, std::size_t size, Pieces& pieces) const {
    if (!is(handle))
        return std::nullopt;
    auto index = static_cast<std::uint32_t>(handle & 0xffff);
    const std::uint64_t length = memory_.slots[index].size;
    if (offset >= length)
        return 0;
    size = std::min<std::uint64_t>(size, length - offset);
    for (; offset >= kSlotBytes; offset -= kSlotBytes)
        index = memory_.slots[index].next - 1; // as put() or the constructor checked it
    std::size_t count = 0;
    for (; size > 0 && count < pieces.size(); ++count) {
        const auto here = std::min<std::size_t>(size, kSlotBytes - offset);
        pieces[count] = {memory_.texts[index] + offset, here};
        size -= here;
        offset = 0;
        if (size > 0)
            index = memory_.slots[index].next - 1;
    }
    return count;
}

std::optional<Shelf::Handle> Shelf::find_request(std::uint64_t request) const {
    for (std::uint32_t first = 0; first < above_taken_; ++first) {
        const auto& slot = memory_.slots[first];
        if (taken_[first] && state_of(slot) == kFirst && slot.request == request)
            return slot.serial << 16 | first;
    }
    return std::nullopt;
}

void Shelf::drop(Handle handle) {
    if (is(handle))
        free_chain(static_cast<std::uint32_t>(handle & 0xffff), Memory::give_back);
}

void Shelf::free_chain(std::uint32_t first, Memory memory) {
    auto index = first;
    auto left = slots_for(memory_.slots[first].size);
    of_view_[index_of(memory_.slots[first].view)] -= static_cast<std::uint32_t>(left);
    for (;;) {
        auto& slot = memory_.slots[index];
        const auto next = slot.next;
        set_state(slot, kFree);
        taken_.reset(index);
        if (memory == Memory::give_back && index >= kSlotsKept)
            (void) ::madvise(memory_.texts[index], kSlotBytes, MADV_REMOVE);
        if (--left == 0)
            break;
        index = next - 1;
    }
    while (above_taken_ > 0 && !taken_[above_taken_ - 1])
        --above_taken_;
}

// There is one: the view holds slots.
void Shelf::drop_oldest(std::uint32_t view_index) {
    std::optional<std::uint32_t> oldest;
    for (std::uint32_t first = 0; first < above_taken_; ++first) {
        const auto& slot = memory_.slots[first];
        if (taken_[first] && state_of(slot) == kFirst && index_of(slot.view) == view_index &&
            (!oldest || slot.serial < memory_.slots[*oldest].serial))
            oldest = first;
    }
    free_chain(oldest.value(), Memory::keep); // it is taken again at once
}

} // namespace squish::procshare

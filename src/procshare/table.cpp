#include "procshare/table.h"

#include "os/file.h"

#include <algorithm>
#include <bit>
#include <fcntl.h>

namespace squish::procshare {

namespace {

// Words are loaded and stored one by one: what a reader copies while they change, it throws away.
void store(Entry& entry, const Facts& facts) {
    const auto words = std::bit_cast<FactWords>(facts);
    const auto next = entry.sequence.load(std::memory_order_relaxed) + 1;
    // A reader that sees one of the words below sees the sequence number that was stored before them, too.
    std::atomic_thread_fence(std::memory_order_release);
    for (std::size_t i = 0; i < words.size(); ++i)
        entry.facts[next % 2][i].store(words[i], std::memory_order_relaxed);
    entry.sequence.store(next, std::memory_order_release);
}

std::optional<Facts> load(const Table& table, Key key) {
    const auto index = index_of(key);
    if (key == 0 || index >= table.in_use.load(std::memory_order_acquire))
        return std::nullopt;
    const auto& entry = table.entries[index];
    FactWords words;
    // Each time that it is not the same, squishd has written twice in the meantime. The bound is for a table that is
    // not squishd's.
    for (int attempt = 0; attempt < 10'000; ++attempt) {
        const auto sequence = entry.sequence.load(std::memory_order_acquire);
        for (std::size_t i = 0; i < words.size(); ++i)
            words[i] = entry.facts[sequence % 2][i].load(std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_acquire);
        if (entry.sequence.load(std::memory_order_relaxed) != sequence)
            continue;
        auto facts = std::bit_cast<Facts>(words);
        facts.cgroup.back() = '\0';
        return facts.key == key ? std::optional(facts) : std::nullopt;
    }
    return std::nullopt;
}

Result<Mapping> map(int memfd, Mapping::Access access) {
    auto mapping = TRY(Mapping::open(memfd, sizeof(Table), access));
    if (static_cast<const Table*>(mapping.at())->magic != kTableMagic)
        return fail(ErrorKind::invalid, "a table of views of another version of squish");
    return mapping;
}

} // namespace

Result<UniqueFd> TableWriter::make() {
    auto memfd = TRY(Mapping::make("squish-views", sizeof(Table)));
    const auto mapping = TRY(Mapping::open(memfd.get(), sizeof(Table), Mapping::Access::write));
    auto& table = *static_cast<Table*>(mapping.at());
    table.next_serial = 1;
    table.magic = kTableMagic;
    return memfd;
}

Result<TableWriter> TableWriter::open(int memfd) {
    TableWriter writer(TRY(map(memfd, Mapping::Access::write)));
    const auto in_use = std::min(writer.table().in_use.load(std::memory_order_relaxed), kMaxViews);
    for (std::uint32_t index = 0; index < in_use; ++index) {
        const auto& entry = writer.table().entries[index];
        const auto current = entry.sequence.load(std::memory_order_relaxed) % 2;
        writer.taken_[index] = entry.facts[current][offsetof(Facts, key) / sizeof(std::uint64_t)] != 0;
    }
    return writer;
}

Key TableWriter::add() {
    std::uint32_t index = 0;
    while (index < kMaxViews && taken_[index])
        ++index;
    if (index == kMaxViews)
        return 0;
    Facts facts;
    facts.key = index + kMaxViews * table().next_serial++; // counted first: a squishd that is killed here skips one
    taken_[index] = true;
    store(table().entries[index], facts);
    if (index >= table().in_use.load(std::memory_order_relaxed))
        table().in_use.store(index + 1, std::memory_order_release);
    return facts.key;
}

void TableWriter::put(const Facts& facts) {
    if (get(facts.key))
        store(table().entries[index_of(facts.key)], facts);
}

std::optional<Facts> TableWriter::get(Key key) const {
    return load(table(), key);
}

void TableWriter::remove(Key key) {
    if (!get(key))
        return;
    store(table().entries[index_of(key)], {});
    taken_[index_of(key)] = false;
}

void TableWriter::retain(const std::vector<Key>& keys) {
    std::bitset<kMaxViews> kept;
    for (const auto key : keys)
        if (get(key))
            kept.set(index_of(key));
    for (std::uint32_t index = 0; index < kMaxViews; ++index)
        if (taken_[index] && !kept[index]) {
            store(table().entries[index], {});
            taken_[index] = false;
        }
}

Result<TableReader> TableReader::open(int memfd) {
    return TableReader(TRY(map(memfd, Mapping::Access::read)));
}

std::optional<Facts> TableReader::get(Key key) const {
    return load(*static_cast<const Table*>(mapping_.at()), key);
}

Result<UniqueFd> read_only(int memfd) {
    return os::open_file(os::fd_path(memfd), O_RDONLY);
}

} // namespace squish::procshare

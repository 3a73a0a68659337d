// The table of procshare/layout.h, mapped.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "procshare/layout.h"
#include "procshare/mapping.h"

#include <bitset>
#include <optional>
#include <vector>

namespace squish::procshare {

// Owns a mapping. One process writes, at any time.
class TableWriter {
public:
    // A new table in a new memfd (sealed against growing and shrinking), which the caller hands on.
    [[nodiscard]] static Result<UniqueFd> make();
    // Errors: invalid, where it is none of ours or of another version.
    [[nodiscard]] static Result<TableWriter> open(int memfd);

    // A key for a new view, which is there (and shows the host's figures) from now on. 0: all kMaxViews are in use.
    [[nodiscard]] Key add();
    // Readers see the old facts or the new. `facts.key` is one that add() gave; nothing happens where it is gone.
    void put(const Facts& facts);
    [[nodiscard]] std::optional<Facts> get(Key key) const;
    void remove(Key key);
    // Removes all others: those of a squishd that ended in the middle.
    void retain(const std::vector<Key>& keys);

private:
    explicit TableWriter(Mapping mapping) : mapping_(std::move(mapping)) {}
    [[nodiscard]] Table& table() const { return *static_cast<Table*>(mapping_.at()); }

    Mapping mapping_;
    std::bitset<kMaxViews> taken_;
};

class TableReader {
public:
    // Maps read-only; the descriptor may be O_RDONLY.
    [[nodiscard]] static Result<TableReader> open(int memfd);
    // A consistent copy; none where there is no such view (any more). Waits for nobody.
    [[nodiscard]] std::optional<Facts> get(Key key) const;

private:
    explicit TableReader(Mapping mapping) : mapping_(std::move(mapping)) {}

    Mapping mapping_;
};

// A descriptor of the same memfd that can only be read, for the servers (open(2) of /proc/self/fd/N).
[[nodiscard]] Result<UniqueFd> read_only(int memfd);

} // namespace squish::procshare

#include "keeper/slices.h"

#include "base/text.h"

#include <algorithm>
#include <utility>

namespace squish::keeper {

std::vector<std::uint64_t> slice_bases(std::string_view own_map) {
    std::vector<std::uint64_t> bases;
    for (const auto line : split(own_map, '\n')) {
        std::vector<std::uint64_t> numbers;
        for (const auto word : split(line, ' '))
            if (const auto number = word.empty() ? std::nullopt : parse_number(word))
                numbers.push_back(*number);
        if (numbers.size() != 3)
            continue;
        const auto first = std::max(numbers[0], kFirstSliceId);
        const auto end = numbers[0] + numbers[2];
        for (auto base = end; base >= first + kSliceIds;) {
            base -= kSliceIds;
            if (base > kNobody || base + kSliceIds <= kNobody)
                bases.push_back(base);
        }
    }
    std::ranges::sort(bases, std::greater<>());
    return bases;
}

std::string slice_map(std::uint64_t base) {
    constexpr auto kFirstIds = kSliceIds - 1;
    return "0 " + std::to_string(base) + " " + std::to_string(kFirstIds) + "\n" + std::to_string(kNobody) + " " +
           std::to_string(base + kFirstIds) + " 1\n";
}

Slices::Lease::Lease(std::size_t index, const std::shared_ptr<std::vector<bool>>& taken, std::string uids,
                     std::string gids)
    : index_(index), taken_(taken), uid_map_(std::move(uids)), gid_map_(std::move(gids)) {}

Slices::Lease& Slices::Lease::operator=(Lease&& other) noexcept {
    if (this != &other) {
        give_back();
        index_ = other.index_;
        taken_ = std::move(other.taken_);
        uid_map_ = std::move(other.uid_map_);
        gid_map_ = std::move(other.gid_map_);
    }
    return *this;
}

void Slices::Lease::give_back() {
    if (const auto taken = std::exchange(taken_, nullptr))
        (*taken)[index_] = false;
}

Slices::Slices(std::string_view own_uid_map, std::string_view own_gid_map)
    : uids_(slice_bases(own_uid_map)), gids_(slice_bases(own_gid_map)) {
    const auto both = std::min(uids_.size(), gids_.size());
    uids_.resize(both);
    gids_.resize(both);
    taken_->resize(both);
}

std::optional<Slices::Lease> Slices::take() {
    for (std::size_t tried = 0; tried < count(); ++tried) {
        const auto index = next_;
        next_ = (next_ + 1) % count();
        if ((*taken_)[index])
            continue;
        (*taken_)[index] = true;
        return Lease(index, taken_, slice_map(uids_[index]), slice_map(gids_[index]));
    }
    return std::nullopt;
}

} // namespace squish::keeper

// Slices of the user's subordinate ids: ids of a container's own, so that it is a stranger to all others, and to the
// user.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace squish::keeper {

// What a slice holds: ids 0 to 1022, and 65534 (nobody).
inline constexpr std::uint64_t kSliceIds = 1024;
// No slice has these ids of ours, which containers with the user's ids may use: those below, and nobody's.
inline constexpr std::uint64_t kFirstSliceId = 2048, kNobody = 65534;

// Where slices can begin, given the map of the ids that we have (user_namespaces(7): "inside outside count" lines), the
// last first. A slice lies within one line, since an extent of a child's map must.
[[nodiscard]] std::vector<std::uint64_t> slice_bases(std::string_view own_map);

// The map of a slice, as it is written for a child of ours.
[[nodiscard]] std::string slice_map(std::uint64_t base);

class Slices {
public:
    // Of one slice, as long as processes with its ids live. Gives it back when destroyed; may outlive Slices.
    class Lease {
    public:
        Lease(Lease&&) noexcept = default;
        Lease& operator=(Lease&& other) noexcept;
        ~Lease() { give_back(); }
        [[nodiscard]] const std::string& uid_map() const { return uid_map_; }
        [[nodiscard]] const std::string& gid_map() const { return gid_map_; }

    private:
        friend class Slices;
        Lease(std::size_t index, const std::shared_ptr<std::vector<bool>>& taken, std::string uids, std::string gids);
        void give_back();
        std::size_t index_;
        std::shared_ptr<std::vector<bool>> taken_; // null: moved from
        std::string uid_map_, gid_map_;
    };

    Slices() = default;
    Slices(std::string_view own_uid_map, std::string_view own_gid_map);
    [[nodiscard]] std::size_t count() const { return uids_.size(); }
    // Nothing where all are taken. One that was given back is the last to be taken again.
    [[nodiscard]] std::optional<Lease> take();

private:
    std::vector<std::uint64_t> uids_, gids_; // where each begins
    std::shared_ptr<std::vector<bool>> taken_ = std::make_shared<std::vector<bool>>();
    std::size_t next_ = 0;
};

} // namespace squish::keeper

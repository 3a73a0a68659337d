// Rules about one layer that both its reader and its writer need.
#pragma once

#include "squishfile/squishfile.h"

#include <optional>
#include <string>
#include <string_view>

namespace squish {

// What is wrong with a layer's target, ready to follow its name: "must be absolute: …". "/" is not judged here.
[[nodiscard]] std::optional<std::string> target_problem(std::string_view target);

// `alpine` and `base` by version are the rootfs unless the file says otherwise.
[[nodiscard]] bool is_rootfs_by_name(const LayerSpec& layer);

} // namespace squish

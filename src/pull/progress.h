// How far a layer has come, for whoever waits for it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace squish {

struct LayerProgress {
    enum class Stage { finding, downloading, unpacking, verifying, done };
    std::string layer; // as the squishfile names it, or "python@3.11.2"
    Stage stage = Stage::finding;
    std::uint64_t bytes = 0;   // downloaded, or unpacked
    std::uint64_t total = 0;   // of the download; 0: not known
    std::uint64_t speed = 0;   // bytes per second
    std::uint64_t entries = 0; // unpacked or verified
};
using OnLayerProgress = std::function<void(const LayerProgress&)>;

[[nodiscard]] constexpr const char* to_string(LayerProgress::Stage stage) {
    switch (stage) {
    case LayerProgress::Stage::finding:
        return "finding";
    case LayerProgress::Stage::downloading:
        return "downloading";
    case LayerProgress::Stage::unpacking:
        return "unpacking";
    case LayerProgress::Stage::verifying:
        return "verifying";
    case LayerProgress::Stage::done:
        return "done";
    }
    return "";
}

} // namespace squish

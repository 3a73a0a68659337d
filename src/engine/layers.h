// From layers as they are provided to what a plan and an answer need of them.
#pragma once

#include "plan/container_plan.h"
#include "pull/provider.h"

#include <map>
#include <string>
#include <vector>

namespace squish {

[[nodiscard]] plan::Layer to_plan(const ProvidedLayer& layer);

// Keeps layers from being removed while a start that has no record yet is about to use them.
class InHand {
public:
    InHand(std::map<std::string, int>& counts, const std::vector<ProvidedLayer>& layers) : counts_(counts) {
        for (const auto& layer : layers)
            if (!layer.digest.empty()) {
                ++counts_[layer.digest];
                digests_.push_back(layer.digest);
            }
    }
    InHand(const InHand&) = delete;
    InHand& operator=(const InHand&) = delete;
    ~InHand() {
        for (const auto& digest : digests_)
            if (--counts_[digest] == 0)
                counts_.erase(digest);
    }

private:
    std::map<std::string, int>& counts_;
    std::vector<std::string> digests_;
};

} // namespace squish

// Writes launch plans (launch/format.h): the only producer of the bytes that squish-init executes.
#pragma once

#include "base/result.h"
#include "launch/format.h"

#include <string>
#include <string_view>
#include <vector>

namespace squish::launch {

class PlanBuilder {
public:
    struct Fields {
        std::uint16_t flags = 0;
        std::uint32_t a = 0, b = 0;
        std::uint64_t c = 0;
        std::string_view text1 = {}, text2 = {};
    };

    // Adds a step; `what` is for people: it is shown when this step fails ("mount '/data' (layer 'data')").
    void add(StepKind kind, Fields fields, std::string what);

    // The finished bytes. An error where a text holds a NUL or the plan grows beyond kMaxPlanBytes.
    [[nodiscard]] Result<std::string> bytes() const;
    [[nodiscard]] std::size_t size() const { return descriptions_.size(); }
    // What step number `index` was about.
    [[nodiscard]] const std::vector<std::string>& descriptions() const { return descriptions_; }

private:
    std::string steps_;
    std::vector<std::string> descriptions_;
    bool malformed_ = false;
};

} // namespace squish::launch

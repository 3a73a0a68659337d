#include "launch/plan_builder.h"

namespace squish::launch {

void PlanBuilder::add(StepKind kind, Fields fields, std::string what) {
    malformed_ |= fields.text1.contains('\0') || fields.text2.contains('\0');
    Step step{};
    step.kind = std::to_underlying(kind);
    step.flags = fields.flags;
    step.a = fields.a;
    step.b = fields.b;
    step.c = fields.c;
    step.text1_size = static_cast<std::uint32_t>(fields.text1.size());
    step.text2_size = static_cast<std::uint32_t>(fields.text2.size());
    const std::size_t unpadded = sizeof step + fields.text1.size() + fields.text2.size() + 2;
    const std::size_t padded = (unpadded + 7) / 8 * 8;
    step.size = static_cast<std::uint32_t>(padded);
    steps_.append(reinterpret_cast<const char*>(&step), sizeof step);
    steps_.append(fields.text1).push_back('\0');
    steps_.append(fields.text2).push_back('\0');
    steps_.append(padded - unpadded, '\0');
    descriptions_.push_back(std::move(what));
}

Result<std::string> PlanBuilder::bytes() const {
    if (malformed_)
        return fail(ErrorKind::invalid, "an argument, variable or path holds a NUL byte");
    if (steps_.size() + sizeof(PlanHeader) > kMaxPlanBytes || descriptions_.size() > kMaxSteps)
        return fail(ErrorKind::invalid, "arguments and environment are larger than 8 MiB");
    const PlanHeader header{kMagic, static_cast<std::uint32_t>(steps_.size() + sizeof(PlanHeader)),
                            static_cast<std::uint32_t>(descriptions_.size()), 0};
    return std::string(reinterpret_cast<const char*>(&header), sizeof header) + steps_;
}

} // namespace squish::launch

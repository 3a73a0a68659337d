// Feeds arbitrary bytes to the reader of launch plans, which squish-init trusts to stay within the plan.
//
// What must hold: nothing is read outside; a text ends with NUL within its step and has none before; no more steps are
// given than the header counts; what the reader takes to its end, the builder would write in the same way. A mask of
// CPUs is one to the last digit, and holds a CPU.
#include "launch/format.h"
#include "launch/plan_builder.h"
#include "require.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace {

using squish::test::require;

using namespace squish::launch;

// In a block of its own size, aligned as mmap(2) aligns, so that a read beyond the end is seen.
struct Aligned {
    explicit Aligned(std::size_t size) : bytes(static_cast<char*>(std::aligned_alloc(16, (size + 15) / 16 * 16))) {}
    ~Aligned() { std::free(bytes); }
    Aligned(const Aligned&) = delete;
    Aligned& operator=(const Aligned&) = delete;
    char* bytes;
};

void read_as_mask(const char* text, std::size_t size) {
    const auto mask = read_mask(text, size);
    require(mask.size == 0 || (mask.size * 2 == size && mask.size <= sizeof mask.bytes),
            "a mask is as long as its text");
    unsigned char any = 0;
    for (std::uint32_t i = 0; i < mask.size; ++i) {
        constexpr const char* kDigits = "0123456789abcdef";
        require(text[2 * i] == kDigits[mask.bytes[i] >> 4] && text[2 * i + 1] == kDigits[mask.bytes[i] & 15],
                "a mask is its digits");
        any |= mask.bytes[i];
    }
    require((mask.size > 0) == (any != 0), "a mask holds a CPU");
}

void walk(const char* bytes, std::size_t size) {
    PlanReader reader(bytes, size);
    PlanBuilder again;
    StepView view;
    std::uint32_t steps = 0;
    bool padded_as_built = true;
    while (reader.next(view)) {
        ++steps;
        const auto& step = *view.step;
        require(std::strlen(view.text1) == step.text1_size && std::strlen(view.text2) == step.text2_size,
                "texts are as long as they say");
        require(view.text2 + step.text2_size < bytes + size, "texts end within the plan");
        read_as_mask(view.text1, step.text1_size);
        padded_as_built &= step.size < sizeof step + step.text1_size + step.text2_size + 2 + 8;
        again.add(static_cast<StepKind>(step.kind), {step.flags, step.a, step.b, step.c, view.text1, view.text2}, "");
    }
    require(steps <= reader.steps(), "no more steps than counted");
    if (!reader.valid())
        return;
    require(steps == reader.steps(), "all steps of a valid plan are given");
    const auto built = again.bytes();
    require(built.has_value(), "what was read can be written");
    if (padded_as_built)
        require(built->size() == size, "nothing lies between or behind the steps");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Aligned raw(size + 1);
    std::memcpy(raw.bytes, data, size);
    walk(raw.bytes, size);
    // Most inputs fail at the header: the same behind one that fits.
    const std::size_t whole = size + sizeof(PlanHeader);
    const Aligned headed(whole + 1);
    const PlanHeader header{kMagic, static_cast<std::uint32_t>(whole), size > 0 ? data[size - 1] % 8U : 0U, 0};
    std::memcpy(headed.bytes, &header, sizeof header);
    std::memcpy(headed.bytes + sizeof header, data, size);
    walk(headed.bytes, whole);
    return 0;
}

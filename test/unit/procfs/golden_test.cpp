// Every file of every view of every sample, compared with what was looked at once and found right.
#include "samples.h"

#include <cstdlib>
#include <gmock/gmock.h>

namespace squish::procfs {
namespace {

void dump(const std::string& path, const Sample& sample, const View& view, std::string& out) {
    const auto node = find(path, view);
    ASSERT_TRUE(node) << path;
    if (!sample.has(node->host_path))
        return;
    if (node->kind == Node::Kind::folder) {
        for (const auto& name : list(path, view))
            dump(path + "/" + name, sample, view, out);
        return;
    }
    out += "==> " + path + " <==\n" + render(path, sample.text(node->host_path), view);
}

std::string whole_view(const Sample& sample, const View& view) {
    std::string out;
    for (const auto& file : files())
        out.append("==> ").append(file.path).append(" <==\n") += file.render(sample.text(file.host_path), view);
    for (const auto* const folder : {"cpu", "node"}) {
        auto with_folder = sample;
        with_folder.texts[std::string("/sys/devices/system/") + folder] = "";
        with_folder.texts["/sys/devices/system/node/node0"] = "";
        dump(folder, with_folder, view, out);
    }
    return out;
}

TEST(Golden, EveryViewOfEveryHostIsAsItWas) {
    ASSERT_GE(samples().size(), 6U);
    for (const auto& sample : samples()) {
        for (const auto& [name, make] : kViews) {
            const auto file = golden_folder() / sample.name / (std::string(name) + ".txt");
            const auto text = whole_view(sample, make(sample.cpus()));
            if (std::getenv("SQUISH_WRITE_GOLDEN") != nullptr)
                std::ofstream(file, std::ios::binary) << text;
            EXPECT_EQ(text_of(file), text) << file;
        }
    }
}

} // namespace
} // namespace squish::procfs

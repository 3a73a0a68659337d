// Node ids: every path of a view has one, and it leads back; whatever number the kernel sends is a path or nothing.
#include "procfsd/places.h"

#include "procfs/files.h"
#include "procfs/tree.h"

#include <gmock/gmock.h>
#include <random>
#include <set>

namespace squish::procfsd {
namespace {

void collect(const std::string& path, const procfs::View& view, std::vector<std::string>& paths) {
    paths.push_back(path);
    for (const auto& name : procfs::list(path, view))
        collect(path + "/" + name, view, paths);
}

TEST(Places, EveryPathOfAViewHasAnIdOfItsOwnThatLeadsBack) {
    procfs::View view;
    for (const std::size_t cpu : {0U, 1U, 9U, 10U, 1023U}) {
        view.host_cpus.set(cpu);
        view.own.limits.cpus.set(cpu);
    }
    std::vector<std::string> paths = {"", "proc", "proc/pressure"};
    for (const auto& file : procfs::files())
        paths.emplace_back(file.path);
    collect("cpu", view, paths);
    collect("node", view, paths);
    EXPECT_GT(paths.size(), 300U);
    std::set<Place> places;
    for (const auto& path : paths) {
        const auto place = place_of(path);
        ASSERT_TRUE(place) << path << ": add its pattern at the end of the list in places.cpp";
        EXPECT_TRUE(places.insert(*place).second) << path;
        EXPECT_EQ(path_of(*place), path);
        const auto node = node_id(kMaxKey, *place);
        EXPECT_EQ(key_of(node), kMaxKey);
        EXPECT_EQ(place_of_node(node), *place);
    }
}

TEST(Places, NumbersInPathsAreWrittenInOneWay) {
    for (const auto* path :
         {"cpu/cpu00", "cpu/cpu01", "cpu/cpu", "cpu/cpu1024", "cpu/cpu-1", "cpu/cpu99999999999999999999", "cpu/cpu1x",
          "cpu/cpu0/cache/index16", "proc/", "/proc", "proc/meminfo/", "cpu/../proc", "x"})
        EXPECT_FALSE(place_of(path)) << path;
    std::string_view text = "18446744073709551615x";
    EXPECT_FALSE(take_number(text, kMaxKey));
    text = "70x";
    EXPECT_EQ(take_number(text, 70), 70U);
    EXPECT_EQ(text, "x");
}

TEST(Places, AnyNumberIsAPathOrNothing) {
    std::minstd_rand random(3);
    for (int i = 0; i < 100'000; ++i) {
        const auto place = static_cast<Place>(random()) & 0xffffff;
        if (const auto path = path_of(place)) {
            EXPECT_EQ(place_of(*path), place) << *path;
        }
    }
}

} // namespace
} // namespace squish::procfsd

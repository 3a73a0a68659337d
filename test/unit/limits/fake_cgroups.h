// A tree of plain folders that looks like cgroups, and what was written into it.
#pragma once

#include "../os/scratch.h"

#include "limits/cgroup.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <map>
#include <optional>

namespace squish::limits {

class FakeCgroups : public test::Scratch {
protected:
    using Files = std::map<std::string, std::string>;

    // A cgroup below the scratch folder, with these files and those that every cgroup has.
    std::string make(const std::string& name, const Files& files = {}) const {
        std::filesystem::create_directories(at(name));
        Files all{{"cgroup.procs", ""},           {"cgroup.controllers", "cpuset cpu io memory pids\n"},
                  {"cgroup.subtree_control", ""}, {"cgroup.events", "populated 0\nfrozen 0\n"},
                  {"cgroup.freeze", "0\n"},       {"cgroup.kill", ""}};
        for (const auto& [file, text] : files)
            all[file] = text;
        for (const auto& [file, text] : all)
            put(name + "/" + file, text);
        return at(name);
    }
    DirFd folder(const std::string& name) const {
        auto opened = open_folder(at(name), Filesystem::any);
        EXPECT_TRUE(test::succeeded(opened));
        return opened ? *std::move(opened) : DirFd();
    }
    std::string value(const std::string& name) const {
        auto text = text_of(at(name));
        while (text.ends_with('\n'))
            text.pop_back();
        return text;
    }
    [[nodiscard]] bool exists(const std::string& name) const { return std::filesystem::exists(at(name)); }

    template <class T> static Result<T> run(asio::io_context& loop, Task<T> task) {
        std::optional<Result<T>> out;
        asio::co_spawn(
            loop, [&]() -> asio::awaitable<void> { out = co_await std::move(task); },
            [](const std::exception_ptr& broken) { EXPECT_FALSE(broken); });
        loop.restart();
        while (!out && loop.run_one_for(std::chrono::seconds(60)) > 0) {
        }
        if (!out)
            return fail(ErrorKind::unavailable, "it never came back");
        return *std::move(out);
    }
    template <class T> Result<T> run(Task<T> task) { return run(loop_, std::move(task)); }

    asio::io_context loop_{1};
};

} // namespace squish::limits

#define ASSERT_OK(expr) ASSERT_TRUE(::squish::test::succeeded(expr))

// A FUSE tree of views without squishd and the keeper: what they do for squish-procfs, done by a test.
#pragma once

#include "os/file.h"
#include "os/mount.h"
#include "os/process.h"
#include "procshare/table.h"
#include "procshare/workbook.h"
#include "user_network.h"

#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <sys/mman.h>
#include <sys/stat.h>

namespace squish::test {

// To be made in a process that is root of a user and a mount namespace of its own (in_child(), enter_user_namespace()).
class ProcfsTree {
public:
    static Result<std::unique_ptr<ProcfsTree>> make() {
        auto tree = std::unique_ptr<ProcfsTree>(new ProcfsTree);
        tree->table = TRY(procshare::TableWriter::make());
        tree->writer.emplace(TRY(procshare::TableWriter::open(tree->table.get())));
        tree->readable = TRY(procshare::read_only(tree->table.get()));
        tree->workbook = TRY(procshare::Workbook::make());
        tree->fuse = TRY(os::open_file("/dev/fuse", O_RDWR));
        const auto mount =
            TRY(os::new_filesystem("fuse",
                                   {{"source", "squish-procfs"},
                                    {"subtype", "squish-procfs"},
                                    {"fd", std::to_string(tree->fuse.get())},
                                    {"rootmode", "40000"},
                                    {"user_id", "0"},
                                    {"group_id", "0"},
                                    {"allow_other", ""},
                                    {"default_permissions", ""}},
                                   MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
        std::string pattern = (std::filesystem::temp_directory_path() / "squish-procfs.XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr)
            return fail_errno("mkdtemp");
        tree->at = pattern;
        const auto target = TRY(os::open_file(pattern, O_PATH | O_DIRECTORY));
        TRY(os::attach_mount(mount.get(), target.get()));
        return tree;
    }
    ~ProcfsTree() {
        kill_server();
        fuse.reset(); // the connection ends with its last descriptor
        ::umount2(at.c_str(), MNT_DETACH);
        ::rmdir(at.c_str());
    }

    Result<os::Child> spawn_server() const {
        return os::spawn_child({.program = SQUISH_BUILD_DIR "/libexec/squish/squish-procfs",
                                .args = {"squish-procfs"},
                                .environment = {},
                                .keep = {fuse.get(), readable.get(), workbook.get()},
                                .stderr_fd = 2});
    }
    void start_server() {
        auto started = spawn_server();
        ASSERT_TRUE(started) << started.error().text();
        server = std::move(*started);
    }
    // With SIGKILL, as the kernel's OOM killer would. Gone when it returns.
    void kill_server() {
        if (server.pid == 0)
            return;
        ::kill(server.pid, SIGKILL);
        ::waitpid(server.pid, nullptr, 0);
        server = {};
    }

    // A view with figures of its own.
    procshare::Key add_view(std::uint64_t memory, std::uint64_t cpus = 1) {
        procshare::Facts facts;
        facts.key = writer->add();
        facts.memory = memory;
        facts.cpus[0] = cpus;
        facts.own_cpus = 1;
        writer->put(facts);
        return facts.key;
    }
    [[nodiscard]] std::string path(procshare::Key key, const std::string& file) const {
        return at + "/" + std::to_string(key) + "/" + file;
    }
    // How many texts are on the server's shelf.
    [[nodiscard]] std::size_t texts_held() const {
        void* const mapped =
            ::mmap(nullptr, sizeof(procshare::WorkbookMemory), PROT_READ, MAP_SHARED, workbook.get(), 0);
        const auto& memory = *static_cast<const procshare::WorkbookMemory*>(mapped);
        std::size_t held = 0;
        for (std::uint32_t i = 0; i < memory.shelf.touched; ++i)
            held += memory.shelf.slots[i].state == 2;
        ::munmap(mapped, sizeof memory);
        return held;
    }

    UniqueFd fuse, table, readable, workbook;
    std::optional<procshare::TableWriter> writer;
    os::Child server;
    std::string at;

private:
    ProcfsTree() = default;
};

} // namespace squish::test

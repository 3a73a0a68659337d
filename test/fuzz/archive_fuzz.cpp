// Feeds arbitrary bytes to the unpacker, as an archive and as the tar within one, and to the reader of manifests.
//
// What must hold: nothing crashes or hangs; nothing appears or changes outside of the target; what was unpacked is what
// its manifest says, has no device, no setuid file, and no more than the limits; and it can be removed.
#include "archive/pack.h"
#include "archive/remove.h"
#include "archive/unpack.h"
#include "archive/verify.h"
#include "os/file.h"
#include "require.h"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sched.h>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

using squish::test::require;

using namespace squish;
using namespace squish::archive;

// In memory where there is such a place; with a neighbour that nothing may touch.
struct Ground {
    std::string path;
    UniqueFd base;
    struct stat before{};

    Ground() {
        path = ::access("/dev/shm", W_OK) == 0 ? "/dev/shm/squish-fuzz.XXXXXX" : "/tmp/squish-fuzz.XXXXXX";
        require(::mkdtemp(path.data()) != nullptr, "a folder to unpack into");
        base = *os::open_file(path, O_RDONLY | O_DIRECTORY);
        require(::mkdirat(base.get(), "outside", 0700) == 0, "a folder beside it");
        require(::fstatat(base.get(), "outside", &before, 0) == 0, "a folder beside it");
    }
    Ground(const Ground&) = delete;
    Ground& operator=(const Ground&) = delete;
    ~Ground() {
        (void) remove_tree(base.get(), "outside");
        (void) ::rmdir(path.c_str());
    }
    void look() const {
        struct stat now{};
        require(::fstatat(base.get(), "outside", &now, 0) == 0, "the neighbour is there");
        require(now.st_ctim.tv_sec == before.st_ctim.tv_sec && now.st_ctim.tv_nsec == before.st_ctim.tv_nsec,
                "the neighbour is as it was");
        require(list_names(base.get())->size() == 1, "nothing is left beside it");
    }
};

UnpackOptions strict() {
    UnpackOptions options;
    options.owners = Owners::ours;
    options.limits.total_bytes = 4 << 20;
    options.limits.file_bytes = 1 << 20;
    options.limits.entries = 200;
    options.limits.depth = 16;
    options.limits.ratio_floor = 1 << 20;
    options.plain_name = "plain";
    return options;
}

void check_tree(int target, const Unpacked& unpacked) {
    const auto verified = verify(target, unpacked.manifest);
    require(verified.has_value(), verified ? "" : verified.error().text().c_str());
    for (const auto& finding : verified->findings)
        std::fprintf(stderr, "%s: %s\n", finding.path.c_str(), finding.what.c_str());
    require(verified->found == 0, "the manifest tells what is there");
    const auto records = read_manifest(unpacked.manifest);
    require(records && records->size() <= 200 * 17 + 1, "not more entries than allowed, with their folders");
    std::uint64_t total = 0;
    for (const auto& record : *records) {
        total += record.type == Type::file ? record.size : 0;
        require((record.mode & 06000) == 0, "no setuid");
        require(record.path.find("..") == std::string::npos ||
                    ("/" + record.path + "/").find("/../") == std::string::npos,
                "no name leads upwards");
    }
    require(total <= 4 << 20, "not more bytes than allowed");
    const UniqueFd null(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    require(pack(target, null.get()).has_value(), "what was unpacked can be packed");
}

void unpack_once(Ground& ground, std::string_view bytes) {
    require(::mkdirat(ground.base.get(), "target", 0700) == 0, "a target");
    {
        const auto target = *os::open_at(ground.base.get(), "target", O_RDONLY | O_DIRECTORY);
        const UniqueFd input(::memfd_create("input", MFD_CLOEXEC));
        require(os::write_all(input.get(), bytes).has_value() && ::lseek(input.get(), 0, SEEK_SET) == 0, "an input");
        const auto unpacked = unpack(input.get(), target.get(), strict());
        if (unpacked)
            check_tree(target.get(), *unpacked);
        else
            require(!unpacked.error().message.empty(), "a refusal has a reason");
    }
    require(remove_tree(ground.base.get(), "target").has_value(), "it can be removed");
    ground.look();
}

// The fuzzer does not find checksums: they are put right, for every block that could be a header.
std::string with_checksums(std::string_view bytes) {
    std::string out(bytes);
    out.resize((out.size() + 511) / 512 * 512 + 1024);
    for (std::size_t at = 0; at + 1024 < out.size(); at += 512) {
        if (out.compare(at + 257, 5, "ustar") != 0 && at != 0)
            continue;
        unsigned sum = 0;
        for (std::size_t i = 0; i < 512; ++i)
            sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(out[at + i]);
        for (std::size_t i = 6; i-- > 0; sum >>= 3)
            out[at + 148 + i] = static_cast<char>('0' + (sum & 7));
        out[at + 154] = '\0';
        out[at + 155] = ' ';
    }
    return out;
}

} // namespace

// As in a job of squish-layers, where whoever unpacks reads files of any mode: root of a namespace of its own.
extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
    const auto uid = ::geteuid();
    const auto gid = ::getegid();
    if (uid == 0)
        return 0;
    require(::unshare(CLONE_NEWUSER) == 0, "a user namespace");
    const auto only = [](unsigned id) { return "0 " + std::to_string(id) + " 1"; };
    require(os::write_existing("/proc/self/setgroups", "deny").has_value(), "its groups");
    require(os::write_existing("/proc/self/uid_map", only(uid)).has_value(), "its uid");
    require(os::write_existing("/proc/self/gid_map", only(gid)).has_value(), "its gid");
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static Ground ground;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    unpack_once(ground, bytes);
    unpack_once(ground, with_checksums(bytes));
    const auto records = read_manifest(bytes);
    if (records)
        require(read_manifest(write_manifest(*records)).has_value(), "a manifest can be written again");
    return 0;
}

#include "archive/verify.h"

#include "archive/describe.h"
#include "archive/walk.h"
#include "base/text.h"

#include <algorithm>
#include <unordered_map>

namespace squish::archive {

namespace {

constexpr std::size_t kMaxDepth = 256; // twice what is unpacked

std::string octal(mode_t mode) {
    std::string out;
    for (int shift = 9; shift >= 0; shift -= 3)
        out += static_cast<char>('0' + (mode >> shift & 7));
    return out;
}

std::string time_text(const Record& record) {
    return std::to_string(record.seconds) + "." + std::to_string(record.nanoseconds);
}

const char* word(Type type) {
    switch (type) {
    case Type::folder:
        return "a folder";
    case Type::file:
        return "a file";
    case Type::symlink:
        return "a symbolic link";
    case Type::hard_link:
        return "a hard link";
    }
    std::unreachable();
}

// Every difference between two entries of one path.
std::vector<std::string> differences(const Record& was, const Record& is) {
    std::vector<std::string> out;
    if (was.type != is.type) {
        out.push_back(std::string("is ") + word(is.type) + ", was " + word(was.type));
        return out;
    }
    if (was.target != is.target)
        out.push_back("leads to '" + printable(is.target) + "', was '" + printable(was.target) + "'");
    if (was.type == Type::hard_link)
        return out;
    if (was.size != is.size && was.type == Type::file)
        out.push_back("has " + std::to_string(is.size) + " bytes, had " + std::to_string(was.size));
    if (was.digest != is.digest && was.size == is.size)
        out.emplace_back("content differs");
    if (was.mode != is.mode)
        out.push_back("mode is " + octal(is.mode) + ", was " + octal(was.mode));
    if (was.uid != is.uid || was.gid != is.gid)
        out.push_back("owner is " + std::to_string(is.uid) + ":" + std::to_string(is.gid) + ", was " +
                      std::to_string(was.uid) + ":" + std::to_string(was.gid));
    if (was.seconds != is.seconds || was.nanoseconds != is.nanoseconds)
        out.push_back("modified at " + time_text(is) + ", was " + time_text(was));
    if (was.xattrs != is.xattrs)
        out.emplace_back("extended attributes differ");
    return out;
}

// Walks the tree beside the manifest: both are in the same order.
class Comparison : public Visitor {
public:
    Comparison(const std::vector<Record>& records, const VerifyOptions& options)
        : records_(records), options_(options), reader_([this](std::uint64_t count) -> Result<void> {
              out_.bytes += count;
              return report();
          }) {
        for (const auto& record : records)
            if (record.type == Type::hard_link)
                ++links_[record.target];
    }

    Result<void> enter(const Node& node, int fd) override {
        auto record = reader_.folder(node, fd);
        if (!record)
            return problem(node.path, std::move(record).error());
        return compare(node, *record);
    }
    Result<void> leave(const Node& node, int fd) override {
        (void) node;
        (void) fd;
        return {};
    }
    Result<void> leaf(const Node& node) override {
        auto record = reader_.leaf(node);
        if (!record) {
            if (cancelled_)
                return std::unexpected(std::move(record).error());
            return problem(node.path, std::move(record).error());
        }
        TRY(compare(node, *record));
        const auto links = links_.find(node.path);
        const nlink_t expected = 1 + (links == links_.end() ? 0 : links->second);
        if (record->type != Type::hard_link && node.info.st_nlink != expected)
            find(node.path, "has " + std::to_string(node.info.st_nlink) + " names, had " + std::to_string(expected));
        return report();
    }
    Result<void> problem(const std::string& path, Error error) override {
        catch_up(path);
        if (at_ < records_.size() && records_[at_].path == path)
            ++at_;
        find(path, error.message);
        return {};
    }
    Verified finish() {
        while (at_ < records_.size())
            find(records_[at_++].path, "missing");
        return std::move(out_);
    }

private:
    void find(const std::string& path, std::string what) {
        ++out_.found;
        if (out_.findings.size() < options_.max_findings)
            out_.findings.push_back({path.empty() ? "." : printable(path), std::move(what)});
    }
    void catch_up(const std::string& path) {
        while (at_ < records_.size() && comes_before(records_[at_].path, path))
            find(records_[at_++].path, "missing");
    }
    Result<void> compare(const Node& node, const Record& is) {
        ++out_.files;
        catch_up(node.path);
        if (at_ == records_.size() || records_[at_].path != node.path) {
            find(node.path, "not in the manifest");
            return report();
        }
        for (auto& difference : differences(records_[at_], is))
            find(node.path, std::move(difference));
        ++at_;
        return report();
    }
    Result<void> report() {
        if (options_.on_progress(out_.bytes, out_.files))
            return {};
        cancelled_ = true;
        return fail(ErrorKind::conflict, "cancelled");
    }

    const std::vector<Record>& records_;
    const VerifyOptions& options_;
    Describer reader_;
    std::unordered_map<std::string, nlink_t> links_;
    std::size_t at_ = 0;
    bool cancelled_ = false;
    Verified out_;
};

class Listing : public Visitor {
public:
    Listing() : reader_([](std::uint64_t) -> Result<void> { return {}; }) {}
    Result<void> enter(const Node& node, int fd) override {
        records.push_back(TRY(reader_.folder(node, fd)));
        return {};
    }
    Result<void> leave(const Node& node, int fd) override {
        (void) node;
        (void) fd;
        return {};
    }
    Result<void> leaf(const Node& node) override {
        auto record = reader_.leaf(node);
        if (!record)
            return problem(node.path, std::move(record).error());
        records.push_back(std::move(*record));
        return {};
    }
    Result<void> problem(const std::string& path, Error error) override {
        return std::unexpected(std::move(error).within(quoted(path)));
    }
    std::vector<Record> records;

private:
    Describer reader_;
};

} // namespace

Result<Verified> verify(int tree, std::string_view manifest, const VerifyOptions& options) {
    const auto records = TRY(read_manifest(manifest));
    Comparison comparison(records, options);
    TRY(walk(tree, kMaxDepth, comparison));
    return comparison.finish();
}

Result<std::string> manifest_of(int tree) {
    Listing listing;
    TRY(walk(tree, kMaxDepth, listing));
    return write_manifest(listing.records);
}

Result<Digest> tree_digest_of(int tree) {
    return sha256_of(TRY(manifest_of(tree)));
}

} // namespace squish::archive

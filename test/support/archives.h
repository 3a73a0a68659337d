// Archives for tests, made byte by byte: also those that no archiver would write.
#pragma once

#include "base/unique_fd.h"

#include <archive.h>
#include <archive_entry.h>
#include <array>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>
#include <zlib.h>

namespace squish::test {

struct TarFields {
    char type = '0';
    std::string link = {};
    unsigned mode = 0644;
    std::uint64_t uid = 0, gid = 0;
    std::uint64_t mtime = 1'000'000'000;
    std::uint64_t size = ~0ULL; // as the header says; default: the content's
};

class TarBytes {
public:
    TarBytes& add(const std::string& name, const std::string& content = "", const TarFields& fields = {}) {
        const auto size = fields.size == ~0ULL ? content.size() : fields.size;
        std::array<char, 512> block{};
        std::memcpy(block.data(), name.data(), std::min<std::size_t>(name.size(), 100));
        octal(block, 100, 7, fields.mode);
        octal(block, 108, 7, fields.uid);
        octal(block, 116, 7, fields.gid);
        octal(block, 124, 11, size);
        octal(block, 136, 11, fields.mtime);
        block[156] = fields.type;
        std::memcpy(block.data() + 157, fields.link.data(), std::min<std::size_t>(fields.link.size(), 100));
        std::memcpy(block.data() + 257, "ustar\00000", 8);
        std::memset(block.data() + 148, ' ', 8);
        unsigned sum = 0;
        for (const char byte : block)
            sum += static_cast<unsigned char>(byte);
        octal(block, 148, 6, sum);
        block[154] = '\0';
        bytes_.append(block.data(), block.size()).append(content);
        bytes_.append((512 - content.size() % 512) % 512, '\0');
        return *this;
    }
    TarBytes& folder(const std::string& name, unsigned mode = 0755) {
        return add(name, "", {.type = '5', .mode = mode});
    }
    TarBytes& symlink(const std::string& name, const std::string& to) {
        return add(name, "", {.type = '2', .link = to, .mode = 0777});
    }
    TarBytes& hard_link(const std::string& name, const std::string& to) {
        return add(name, "", {.type = '1', .link = to});
    }
    // A pax header for the next entry: "key=value" each.
    TarBytes& pax(const std::vector<std::pair<std::string, std::string>>& records) {
        std::string text;
        for (const auto& [key, value] : records) {
            const auto rest = key.size() + value.size() + 3;
            auto length = rest + 1;
            while (std::to_string(length).size() + rest != length)
                length = std::to_string(length).size() + rest;
            text += std::to_string(length) + " " + key + "=" + value + "\n";
        }
        return add("PaxHeaders/x", text, {.type = 'x'});
    }
    TarBytes& gnu_long(char type, const std::string& name) { // 'L' for the name, 'K' for the link
        return add("././@LongLink", name + std::string(1, '\0'), {.type = type});
    }
    [[nodiscard]] const std::string& unfinished() const { return bytes_; }
    [[nodiscard]] std::string bytes() const { return bytes_ + std::string(1024, '\0'); }

private:
    static void octal(std::array<char, 512>& block, std::size_t at, std::size_t digits, std::uint64_t value) {
        for (std::size_t i = digits; i-- > 0; value >>= 3)
            block[at + i] = static_cast<char>('0' + (value & 7));
    }
    std::string bytes_;
};

// ARCHIVE_FILTER_GZIP and its like.
class Compressing {
public:
    explicit Compressing(int filter) : writer_(::archive_write_new()) {
        EXPECT_EQ(::archive_write_add_filter(writer_, filter), ARCHIVE_OK);
        EXPECT_EQ(::archive_write_set_format_raw(writer_), ARCHIVE_OK);
        ::archive_write_set_bytes_per_block(writer_, 0);
        ::archive_write_set_bytes_in_last_block(writer_, 1);
        EXPECT_EQ(::archive_write_open(
                      writer_, &out_, nullptr,
                      [](::archive*, void* out, const void* bytes, std::size_t size) {
                          static_cast<std::string*>(out)->append(static_cast<const char*>(bytes), size);
                          return static_cast<la_ssize_t>(size);
                      },
                      nullptr),
                  ARCHIVE_OK);
        auto* entry = ::archive_entry_new();
        ::archive_entry_set_pathname(entry, "x");
        ::archive_entry_set_filetype(entry, AE_IFREG);
        EXPECT_EQ(::archive_write_header(writer_, entry), ARCHIVE_OK);
        ::archive_entry_free(entry);
    }
    Compressing(const Compressing&) = delete;
    Compressing& operator=(const Compressing&) = delete;
    ~Compressing() { ::archive_write_free(writer_); }
    void add(std::string_view bytes) { EXPECT_GE(::archive_write_data(writer_, bytes.data(), bytes.size()), 0); }
    std::string finish() {
        EXPECT_EQ(::archive_write_close(writer_), ARCHIVE_OK);
        return out_;
    }

private:
    ::archive* writer_;
    std::string out_;
};

inline std::string compressed(std::string_view bytes, int filter) {
    Compressing compressing(filter);
    compressing.add(bytes);
    return compressing.finish();
}

inline std::string decompressed(std::string_view bytes) {
    std::string out;
    auto* reader = ::archive_read_new();
    ::archive_entry* entry = nullptr;
    EXPECT_EQ(::archive_read_support_filter_zstd(reader), ARCHIVE_OK);
    EXPECT_EQ(::archive_read_support_format_raw(reader), ARCHIVE_OK);
    EXPECT_EQ(::archive_read_open_memory(reader, bytes.data(), bytes.size()), ARCHIVE_OK);
    EXPECT_EQ(::archive_read_next_header(reader, &entry), ARCHIVE_OK);
    std::array<char, 65536> block;
    for (la_ssize_t got = 0; (got = ::archive_read_data(reader, block.data(), block.size())) > 0;)
        out.append(block.data(), static_cast<std::size_t>(got));
    ::archive_read_free(reader);
    return out;
}

struct ZipEntry {
    std::string name;
    std::string content;
    unsigned mode = 0644;
    unsigned type = AE_IFREG;
};
enum class ZipSizes { in_front, behind }; // behind: data descriptors

// Byte by byte (PKWARE's APPNOTE 4.3), stored without compression, modes in the list at the end as Info-ZIP writes
// them.
inline std::string zipped(const std::vector<ZipEntry>& entries, ZipSizes sizes) {
    const auto number = [](std::uint64_t value, std::size_t bytes) {
        std::string out;
        for (; bytes > 0; --bytes, value >>= 8)
            out += static_cast<char>(value & 0xff);
        return out;
    };
    std::string out, list;
    for (const auto& one : entries) {
        const bool behind = sizes == ZipSizes::behind && one.type == AE_IFREG;
        const auto crc =
            ::crc32(0, reinterpret_cast<const Bytef*>(one.content.data()), static_cast<uInt>(one.content.size()));
        const auto facts = number(crc, 4) + number(one.content.size(), 4) + number(one.content.size(), 4);
        // version, flags (8: sizes behind; 0x800: names are UTF-8), method, time and date
        const auto head = number(20, 2) + number((behind ? 8 : 0) | 0x800, 2) + number(0, 2) + number(0x2a210000, 4);
        const auto at = out.size();
        out += "PK\x03\x04" + head + (behind ? number(0, 12) : facts) + number(one.name.size(), 2) + number(0, 2) +
               one.name + one.content + (behind ? "PK\x07\x08" + facts : "");
        list += "PK\x01\x02" + number(3 << 8 | 20, 2) + head + facts + number(one.name.size(), 2) + number(0, 8) +
                number(std::uint64_t{one.type | one.mode} << 16, 4) + number(at, 4) + one.name;
    }
    return out + list + "PK\x05\x06" + number(0, 4) + number(entries.size(), 2) + number(entries.size(), 2) +
           number(list.size(), 4) + number(out.size(), 4) + number(0, 2);
}

// One file, deflated, as libarchive writes it.
inline std::string zipped_small(const std::string& name, const std::string& content) {
    std::string out;
    auto* writer = ::archive_write_new();
    EXPECT_EQ(::archive_write_set_format_zip(writer), ARCHIVE_OK);
    ::archive_write_set_bytes_per_block(writer, 0);
    ::archive_write_open(
        writer, &out, nullptr,
        [](::archive*, void* to, const void* bytes, std::size_t size) {
            static_cast<std::string*>(to)->append(static_cast<const char*>(bytes), size);
            return static_cast<la_ssize_t>(size);
        },
        nullptr);
    auto* entry = ::archive_entry_new();
    ::archive_entry_set_pathname(entry, name.c_str());
    ::archive_entry_set_filetype(entry, AE_IFREG);
    ::archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
    EXPECT_EQ(::archive_write_header(writer, entry), ARCHIVE_OK);
    EXPECT_GT(::archive_write_data(writer, content.data(), content.size()), 0);
    ::archive_entry_free(entry);
    EXPECT_EQ(::archive_write_close(writer), ARCHIVE_OK);
    ::archive_write_free(writer);
    return out;
}

// A file in memory, at its start.
inline UniqueFd file_of(std::string_view bytes) {
    UniqueFd fd(::memfd_create("archive", MFD_CLOEXEC));
    EXPECT_EQ(::write(fd.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    EXPECT_EQ(::lseek(fd.get(), 0, SEEK_SET), 0);
    return fd;
}

} // namespace squish::test

#include "archive/manifest.h"

#include "base/text.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace squish::archive {

namespace {

constexpr std::string_view kHeader = "squish-manifest 1";
constexpr std::string_view kDigits = "0123456789abcdef";

void append_hex(std::string& out, std::string_view bytes) {
    for (const char byte : bytes) {
        const auto value = static_cast<unsigned char>(byte);
        out += kDigits[value >> 4];
        out += kDigits[value & 15];
    }
}

std::optional<std::string> from_hex(std::string_view text) {
    if (text.size() % 2 != 0)
        return std::nullopt;
    std::string out;
    for (std::size_t i = 0; i < text.size(); i += 2) {
        const auto high = kDigits.find(text[i]), low = kDigits.find(text[i + 1]);
        if (high == std::string_view::npos || low == std::string_view::npos)
            return std::nullopt;
        out += static_cast<char>(high << 4 | low);
    }
    return out;
}

void append_octal(std::string& out, mode_t mode) {
    for (int shift = 9; shift >= 0; shift -= 3)
        out += static_cast<char>('0' + (mode >> shift & 7));
}

void append_record(std::string& out, const Record& record) {
    const auto path = record.path.empty() ? std::string(".") : escape_name(record.path);
    out += static_cast<char>(record.type);
    out += ' ';
    if (record.type == Type::hard_link) {
        out.append(path).append(" ").append(escape_name(record.target)).append("\n");
        return;
    }
    append_octal(out, record.mode);
    auto fraction = std::to_string(record.nanoseconds);
    fraction.insert(0, 9 - std::min<std::size_t>(9, fraction.size()), '0');
    out.append(" ").append(std::to_string(record.uid)).append(" ").append(std::to_string(record.gid));
    out.append(" ").append(std::to_string(record.size)).append(" ").append(std::to_string(record.seconds));
    out.append(".").append(fraction).append(" ");
    out += record.type == Type::file ? to_hex(record.digest) : "-";
    out.append(" ").append(path);
    if (record.type == Type::symlink)
        out.append(" ").append(escape_name(record.target));
    for (const auto& [name, value] : record.xattrs) {
        out.append(" @").append(escape_name(name)).append("=");
        append_hex(out, value);
    }
    out += '\n';
}

// Reads one line field by field; after the first that is wrong all are empty.
class Fields {
public:
    explicit Fields(std::string_view line) : rest_(line) {}
    std::string_view next() {
        if (ended_)
            ok_ = false;
        if (!ok_)
            return {};
        const auto blank = rest_.find(' ');
        const auto field = rest_.substr(0, blank);
        ended_ = blank == std::string_view::npos;
        rest_.remove_prefix(ended_ ? rest_.size() : blank + 1);
        return field;
    }
    template <class Number> Number number(std::string_view text, int base = 10) {
        Number value{};
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
        ok_ = ok_ && !text.empty() && error == std::errc{} && end == text.data() + text.size();
        return value;
    }
    std::string name() {
        auto text = unescape_name(next());
        ok_ = ok_ && text;
        return text ? std::move(*text) : std::string();
    }
    void require(bool holds) { ok_ = ok_ && holds; }
    [[nodiscard]] bool ended() const { return ended_; }
    [[nodiscard]] bool ok() const { return ok_; }

private:
    std::string_view rest_;
    bool ended_ = false;
    bool ok_ = true;
};

std::string read_path(Fields& fields) {
    auto path = fields.name();
    fields.require(!path.empty());
    return path == "." ? std::string() : path;
}

void read_xattr(Fields& fields, Record& record) {
    const auto field = fields.next();
    const auto equals = field.find('=');
    if (!field.starts_with('@') || equals == std::string_view::npos)
        return fields.require(false);
    const auto name = unescape_name(field.substr(1, equals - 1));
    const auto value = from_hex(field.substr(equals + 1));
    fields.require(name && value);
    if (name && value)
        record.xattrs[*name] = *value;
}

std::optional<Record> read_record(std::string_view line) {
    Fields fields(line);
    Record record;
    const auto type = fields.next();
    fields.require(type == "d" || type == "f" || type == "l" || type == "h");
    if (!fields.ok())
        return std::nullopt;
    record.type = static_cast<Type>(type[0]);
    if (record.type == Type::hard_link) {
        record.path = read_path(fields);
        record.target = fields.name();
    } else {
        record.mode = fields.number<mode_t>(fields.next(), 8);
        record.uid = fields.number<std::uint64_t>(fields.next());
        record.gid = fields.number<std::uint64_t>(fields.next());
        record.size = fields.number<std::uint64_t>(fields.next());
        const auto time = fields.next();
        const auto dot = time.find('.');
        record.seconds = fields.number<std::int64_t>(time.substr(0, dot));
        record.nanoseconds = fields.number<long>(dot == std::string_view::npos ? "" : time.substr(dot + 1));
        const auto hash = from_hex(record.type == Type::file ? fields.next() : std::string_view());
        if (record.type != Type::file)
            fields.require(fields.next() == "-");
        else if (hash && hash->size() == record.digest.size())
            std::ranges::copy(*hash, record.digest.begin());
        else
            fields.require(false);
        record.path = read_path(fields);
        if (record.type == Type::symlink)
            record.target = fields.name();
        while (fields.ok() && !fields.ended())
            read_xattr(fields, record);
    }
    if (!fields.ok() || !fields.ended())
        return std::nullopt;
    return record;
}

} // namespace

bool is_closed(const Record& record) {
    const mode_t needed = record.type == Type::folder ? S_IROTH | S_IXOTH : S_IROTH;
    return (record.type == Type::folder || record.type == Type::file) && (record.mode & needed) != needed;
}

Record record_of(const std::string& path, const struct stat& info) {
    Record record;
    record.type = S_ISDIR(info.st_mode) ? Type::folder : S_ISLNK(info.st_mode) ? Type::symlink : Type::file;
    record.mode = info.st_mode & 07777;
    record.uid = info.st_uid;
    record.gid = info.st_gid;
    record.size =
        S_ISDIR(info.st_mode) ? 0 : static_cast<std::uint64_t>(info.st_size); // a folder's is the filesystem's
    record.seconds = info.st_mtim.tv_sec;
    record.nanoseconds = info.st_mtim.tv_nsec;
    record.path = path;
    return record;
}

std::string escape_name(std::string_view name) {
    std::string out;
    out.reserve(name.size());
    for (const char byte : name) {
        if (byte > 0x20 && byte < 0x7f && byte != '\\') {
            out += byte;
        } else {
            out += "\\x";
            append_hex(out, std::string_view(&byte, 1));
        }
    }
    return out;
}

Result<std::string> unescape_name(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const char byte = text.front();
        if (byte == '\\') {
            const auto value = text.size() >= 4 && text[1] == 'x' ? from_hex(text.substr(2, 2)) : std::nullopt;
            if (!value)
                return fail(ErrorKind::invalid, "malformed name");
            out += *value;
            text.remove_prefix(4);
        } else {
            if (byte <= 0x20 || byte >= 0x7f)
                return fail(ErrorKind::invalid, "malformed name");
            out += byte;
            text.remove_prefix(1);
        }
    }
    return out;
}

std::string write_manifest(const std::vector<Record>& records) {
    std::string out(kHeader);
    out += '\n';
    out.reserve(records.size() * 160);
    for (const auto& record : records)
        append_record(out, record);
    return out;
}

Result<std::vector<Record>> read_manifest(std::string_view text) {
    const auto wrong = [](std::size_t line) {
        return fail(ErrorKind::invalid, "the manifest is damaged in line " + std::to_string(line));
    };
    std::vector<Record> records;
    std::size_t number = 0;
    while (!text.empty()) {
        ++number;
        const auto end = text.find('\n');
        if (end == std::string_view::npos)
            return wrong(number);
        const auto line = text.substr(0, end);
        text.remove_prefix(end + 1);
        if (number == 1) {
            if (line != kHeader)
                return wrong(number);
            continue;
        }
        auto record = read_record(line);
        if (!record || (records.empty() ? !record->path.empty() : !comes_before(records.back().path, record->path)))
            return wrong(number);
        records.push_back(std::move(*record));
    }
    if (records.empty())
        return wrong(number);
    return records;
}

// As bytes, but with the slash before everything: "a/b" stands before "a-b", since what is in "a" follows "a".
bool comes_before(std::string_view path, std::string_view other) {
    const auto rank = [](char byte) { return byte == '/' ? 0 : static_cast<unsigned char>(byte) + 1; };
    return std::ranges::lexicographical_compare(path, other, {}, rank, rank);
}

} // namespace squish::archive

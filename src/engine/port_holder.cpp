#include "engine/port_holder.h"

#include "base/text.h"
#include "os/file.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <netinet/in.h>
#include <pwd.h>
#include <vector>

namespace squish {

namespace {

constexpr std::string_view kListening = "0A"; // TCP_LISTEN (net/tcp_states.h)

using Bytes = std::array<unsigned char, sizeof(in6_addr)>;

bool is_zero(const Bytes& bytes, std::size_t size) {
    return std::all_of(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size), [](auto b) { return b == 0; });
}

// The kernel prints an address as 32-bit words, each as a number in its own byte order.
std::optional<Bytes> parse_hex_address(std::string_view text) {
    Bytes bytes{};
    if (text.size() != 8 && text.size() != 32)
        return std::nullopt;
    for (std::size_t word = 0; word < text.size() / 8; ++word) {
        std::uint32_t value = 0;
        const auto* begin = text.data() + 8 * word;
        if (std::from_chars(begin, begin + 8, value, 16).ptr != begin + 8)
            return std::nullopt;
        std::memcpy(bytes.data() + 4 * word, &value, sizeof value);
    }
    return bytes;
}

// Whether a socket bound to `held` is in the way of one at `wanted` (of `wanted_size` bytes).
bool collide(const Bytes& held, std::size_t held_size, const Bytes& wanted, std::size_t wanted_size) {
    if (is_zero(held, held_size) || is_zero(wanted, wanted_size))
        return held_size == wanted_size || is_zero(held, held_size); // "::" may serve IPv4 as well
    return held_size == wanted_size && held == wanted;
}

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    for (const auto word : split(line, ' '))
        if (!word.empty())
            words.push_back(word);
    return words;
}

std::string text_of(const std::string& path) {
    auto text = os::read_file(path, 16 << 20);
    return text ? std::move(*text) : std::string();
}

// The process that has `inode` open, among those whose descriptors we may see.
std::optional<std::string> find_process(std::uint64_t inode) {
    const auto wanted = "socket:[" + std::to_string(inode) + "]";
    std::error_code error;
    for (auto process = std::filesystem::directory_iterator("/proc", error);
         !error && process != std::filesystem::directory_iterator(); process.increment(error)) {
        const auto pid = process->path().filename().string();
        if (!parse_number(pid))
            continue;
        std::error_code denied;
        for (auto fd = std::filesystem::directory_iterator(process->path() / "fd", denied);
             !denied && fd != std::filesystem::directory_iterator(); fd.increment(denied)) {
            std::error_code gone;
            if (std::filesystem::read_symlink(fd->path(), gone) == wanted)
                return "'" + printable(trim(text_of("/proc/" + pid + "/comm"))) + "' (pid " + pid + ")";
        }
    }
    return std::nullopt;
}

} // namespace

std::optional<HoldingSocket> find_holding_socket(std::string_view text, bool ipv6_file, const PortSpec& port) {
    Bytes wanted{};
    const bool ipv6 = port.address.contains(':');
    if (::inet_pton(ipv6 ? AF_INET6 : AF_INET, port.address.c_str(), wanted.data()) != 1)
        return std::nullopt;
    for (const auto line : split(text, '\n')) {
        // sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …
        const auto words = words_of(line);
        if (words.size() < 10 || (port.protocol == Protocol::tcp && words[3] != kListening))
            continue;
        const auto colon = words[1].find(':');
        const auto held = parse_hex_address(words[1].substr(0, colon));
        unsigned number = 0;
        if (!held || colon == std::string_view::npos)
            continue;
        const auto digits = words[1].substr(colon + 1);
        (void) std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
        const auto inode = parse_number(words[9]);
        const auto uid = parse_number(words[7]);
        if (number != port.host || !inode || !uid || *inode == 0)
            continue;
        if (collide(*held, ipv6_file ? 16 : 4, wanted, ipv6 ? 16 : 4))
            return HoldingSocket{*inode, static_cast<std::uint32_t>(*uid)};
    }
    return std::nullopt;
}

std::optional<std::string> describe_holder(const PortSpec& port) {
    const std::string file = port.protocol == Protocol::udp ? "/proc/net/udp" : "/proc/net/tcp";
    auto socket = find_holding_socket(text_of(file), false, port);
    if (!socket)
        socket = find_holding_socket(text_of(file + "6"), true, port);
    if (!socket)
        return std::nullopt;
    if (auto process = find_process(socket->inode))
        return process;
    const auto* user = ::getpwuid(socket->uid);
    return "a process of user '" + (user ? printable(user->pw_name) : std::to_string(socket->uid)) + "'";
}

} // namespace squish

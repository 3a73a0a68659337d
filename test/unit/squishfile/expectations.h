// What the squishfile tests have in common: tables of malformed input, and shorthands for the good ones.
#pragma once

#include "squishfile/squishfile.h"

#include <gmock/gmock.h>
#include <span>
#include <string>
#include <string_view>

namespace squish {

struct Malformed {
    std::string_view text;
    std::uint32_t line, column;
    std::string_view message; // a part of it
};

// Each text must yield a diagnostic with that position and message; and none may yield anything else.
inline void expect_rejected(std::span<const Malformed> cases) {
    for (const auto& [text, line, column, message] : cases) {
        SCOPED_TRACE(text);
        const auto outcome = parse_toml(text);
        if (outcome) {
            ADD_FAILURE() << "was accepted";
            continue;
        }
        EXPECT_EQ(outcome.error().size(), 1U) << render("f", outcome.error());
        const auto& first = outcome.error().front();
        EXPECT_THAT(first.message, testing::HasSubstr(message));
        EXPECT_EQ(first.at.line, line) << first.message;
        EXPECT_EQ(first.at.column, column) << first.message;
    }
}

inline Squishfile parsed(std::string_view text) {
    auto outcome = parse_toml(text);
    if (!outcome) {
        ADD_FAILURE() << render("squishfile.toml", outcome.error());
        return {};
    }
    return *std::move(outcome);
}

inline Squishfile parsed_json(std::string_view text) {
    auto outcome = parse_json(text);
    if (!outcome) {
        ADD_FAILURE() << render("request", outcome.error());
        return {};
    }
    return *std::move(outcome);
}

// All messages of a text that must not parse, one a line.
inline std::string complaints(const ParseOutcome& outcome) {
    if (outcome) {
        ADD_FAILURE() << "was accepted";
        return {};
    }
    return render("f", outcome.error());
}

// The example of the documentation: every table, every key.
inline constexpr std::string_view kFullExample = R"(name = "web"

[layers]
alpine = "3.20"
python = "~3.11"
app = "./test/http-asm"
files = "./site"
conf = { path = "./web.conf", target = "/etc/web.conf" }
data = { path = "./data", target = "/data", rw = true }
tool = { url = "https://example.org/tool-1.2.tar.zst", sha256 = "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef", target = "/opt/tool" }
bundle = { path = "./bundle.zip" }

[run]
command = "/app/http-asm"
args = ["2000", "/app"]
workdir = "/app"
user = "1000:1001"

[env]
KEY = "value"
ANOTHER = "zwei"

[[ports]]
container = 2000
host = 42069
protocol = "tcp"
address = "127.0.0.1"

[[ports]]
container = 53
host = 5353
protocol = "udp"
address = "::"

[network]
mode = "bridge"
networks = ["backend"]
aliases = ["db"]

[resources]
memory = "256M"
memory_high = "200M"
memory_low = "64M"
swap = "0"
cpus = 0.5
cpu_period = "50ms"
cpu_burst = "10ms"
cpu_weight = 200
cpuset = "0-1"
pids = 64
io = { read_bps = "10M", write_bps = "10M", read_iops = 100, write_iops = 200 }
hugetlb = { "2M" = "64M" }

[security]
seccomp = "./profile.json"
capabilities = ["NET_BIND_SERVICE", "cap_chown"]

[procfs]
mode = "virtual"
memory = "128M"
cpus = 1

[restart]
policy = "on-failure"
max_retries = 5
delay = "500ms"
max_delay = "30s"

[health]
command = ["/bin/wget", "-qO-", "http://127.0.0.1:2000/"]
interval = "5s"
timeout = "2s"
retries = 4
start_period = "1m"
)";

} // namespace squish

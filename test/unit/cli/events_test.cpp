#include "cli/event_line.h"

#include <gmock/gmock.h>

namespace squish::cli {

namespace {

TEST(EventLines, AreTimeTypeContainerAndAttributes) {
    EXPECT_EQ(event_line(Json::parse(R"({"number": 7, "time": "2026-11-22T19:30:00.123456Z", "type": "exit",
        "id": "0123456789abcdef", "name": "web", "attributes": {"code": "137", "reason": "oom"}})")),
              "2026-11-22T19:30:00.123Z exit web (0123456789abcdef) code=137 reason=oom");
    EXPECT_EQ(event_line(Json::parse(R"({"time": "2026-11-22T19:30:00Z", "type": "start", "id": "1", "name": "a",
        "attributes": {}})")),
              "2026-11-22T19:30:00Z start a (1)");
}

TEST(EventLines, QuoteValuesThatWouldReadAsSeveral) {
    EXPECT_EQ(event_line(Json::parse(R"({"time": "t", "type": "health", "id": "1", "name": "a",
        "attributes": {"status": "", "output": "not \"ready\"", "code": 3}})")),
              R"(t health a (1) status="" output="not \"ready\"" code=3)");
}

TEST(EventLines, CannotSteerATerminal) {
    EXPECT_EQ(event_line(Json::parse(R"({"time": "\u001bt", "type": "start", "id": "1", "name": "\u001b[2J",
        "attributes": {"\n": "a\nb"}})")),
              "\\x1bt start \\x1b[2J (1) \\x0a=a\\x0ab");
}

TEST(EventLines, EndureWhatIsMissing) {
    EXPECT_EQ(event_line(Json::object()), "   ()");
    EXPECT_EQ(event_line(Json::parse(R"({"time": 1, "attributes": []})")), "   ()");
}

} // namespace

} // namespace squish::cli

// Progress of layers, as squishd tells it: on a terminal a line for each layer that is drawn again, with size, speed
// and what is left; elsewhere a plain line when a layer begins and when it is there.
#pragma once

#include "cli/client.h"

#include <map>
#include <string>
#include <vector>

namespace squish::cli {

class ProgressView {
public:
    ProgressView();
    ProgressView(const ProgressView&) = delete;
    ProgressView& operator=(const ProgressView&) = delete;
    ~ProgressView() { finish(); }

    void take(const Json& event); // {"event":"progress", …}
    // What is drawn stays; whatever is printed next begins on a line of its own.
    void finish();

private:
    void draw();
    void tell(const std::string& layer, const std::string& stage, const Json& event);

    bool terminal_;
    std::vector<std::string> order_;
    std::map<std::string, Json> latest_;
    std::map<std::string, std::string> told_; // the stage that was last told, without a terminal
    std::size_t drawn_ = 0;                   // lines on the screen
};

// "37.2 MiB"
[[nodiscard]] std::string size_text(std::uint64_t bytes);
// One line of the view, at most `width` columns.
[[nodiscard]] std::string progress_line(const std::string& layer, const Json& event, std::size_t width);

// A request whose answer may be a stream with progress: shows that, and returns the `result` of the last event, or the
// whole answer where it was none. Events that are no progress and carry no result come back as they are.
[[nodiscard]] Result<Json> call_with_progress(Client& client, const Call& call);

} // namespace squish::cli

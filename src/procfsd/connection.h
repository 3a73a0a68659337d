// The FUSE connection, taken over from a server that was killed.
//
// How this works
//   The keeper holds the connection's descriptor, so the kernel never sees it close; requests wait until somebody reads
//   them. libfuse knows a connection from its INIT request on, which came once, to the first server: it is in the
//   workbook, and each later server handles it again and swallows the answer. What the killed server had read but not
//   answered is in the workbook too (procshare/workbook.h) and is answered before the next request is read.
//   The answer to INIT must be the same in every version, since the kernel goes by the first: see service.cpp.
#pragma once

#include "base/result.h"
#include "procshare/workbook.h"

#include <fuse3/fuse_lowlevel.h>
#include <memory>

namespace squish::procfsd {

class Connection {
public:
    // `fuse` is read blocking; `book` and `service` outlive it.
    [[nodiscard]] static Result<Connection> open(int fuse, procshare::Workbook& book,
                                                 const fuse_lowlevel_ops& operations, void* service);

    // What the server before us left: call it once, before read().
    void take_over();

    enum class Read { request, interrupted, gone };
    // The next request, into the workbook. `interrupted` by a signal; `gone`: the tree is not mounted any more.
    [[nodiscard]] Result<Read> read();
    // Answers the request in hand.
    void answer();

private:
    struct Body;
    struct Close {
        void operator()(Body* body) const;
    };
    explicit Connection(std::unique_ptr<Body, Close> body) : body_(std::move(body)) {}

    std::unique_ptr<Body, Close> body_;
};

// The number of the request in hand, which libfuse does not hand out, and how often it was begun.
struct InHand {
    std::uint64_t unique = 0;
    std::uint32_t begun = 0;
};
[[nodiscard]] InHand in_hand(procshare::Workbook& book);

} // namespace squish::procfsd

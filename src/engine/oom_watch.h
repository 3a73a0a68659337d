// Hears of it when the kernel kills in a cgroup for lack of memory: inotify(7) on memory.events, which tells of changes
// (Documentation/admin-guide/cgroup-v2.rst).
#pragma once

#include "async/task.h"
#include "base/unique_fd.h"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <map>
#include <string>

namespace squish {

class OomWatch {
public:
    // `changed`: the file of this container has changed; what it says now is for the listener to read.
    OomWatch(const asio::any_io_executor& executor, std::function<void(const std::string& id)> changed);
    OomWatch(const OomWatch&) = delete;
    OomWatch& operator=(const OomWatch&) = delete;

    // `cgroup`: its folder, borrowed for the call.
    [[nodiscard]] Result<void> add(const std::string& id, int cgroup);
    void remove(const std::string& id);

private:
    static asio::awaitable<void> read_loop(std::shared_ptr<asio::posix::stream_descriptor> descriptor,
                                           std::weak_ptr<OomWatch*> self);
    void on_readable();

    asio::any_io_executor executor_;
    std::function<void(const std::string&)> changed_;
    std::shared_ptr<asio::posix::stream_descriptor> inotify_; // null until the first add()
    std::shared_ptr<OomWatch*> alive_ = std::make_shared<OomWatch*>(this);
    std::map<int, std::string> ids_; // by watch descriptor
};

} // namespace squish

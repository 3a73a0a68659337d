#include "procfsd/connection.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <linux/fuse.h>
#include <sys/uio.h>
#include <unistd.h>

namespace squish::procfsd {

using procshare::Workbook;

struct Connection::Body {
    int fuse;
    Workbook& book;
    fuse_session* session = nullptr;
};

namespace {

// The answer to a request that an earlier server answered. libfuse's user data is the service's; there is one
// connection in a process.
bool swallows_answers = false;

ssize_t write_answer(int fd, iovec* pieces, int count, void*) noexcept {
    if (!swallows_answers)
        return ::writev(fd, pieces, count);
    ssize_t size = 0;
    for (int i = 0; i < count; ++i)
        size += static_cast<ssize_t>(pieces[i].iov_len);
    return size;
}

ssize_t read_nothing(int, void*, std::size_t, void*) noexcept { // we read ourselves, into the workbook
    errno = EINVAL;
    return -1;
}

fuse_in_header header_in(std::span<const std::byte> request) {
    fuse_in_header header{};
    if (request.size() >= sizeof header)
        std::memcpy(&header, request.data(), sizeof header);
    return header;
}

// Empty: none is in hand.
std::span<std::byte> request_in_hand(Workbook& book) {
    const auto size = header_in(book.request()).len;
    if (size < sizeof(fuse_in_header) || size > book.request().size())
        return {};
    return book.request().first(size);
}

} // namespace

InHand in_hand(Workbook& book) {
    return {header_in(book.request()).unique, book.begun()};
}

void Connection::Close::operator()(Body* body) const {
    if (body->session != nullptr)
        ::fuse_session_destroy(body->session);
    delete body;
}

Result<Connection> Connection::open(int fuse, Workbook& book, const fuse_lowlevel_ops& operations, void* service) {
    Connection connection(std::unique_ptr<Body, Close>(new Body{.fuse = fuse, .book = book}));
    char name[] = "squish-procfs";
    char* arguments[] = {name, nullptr};
    fuse_args args = FUSE_ARGS_INIT(1, arguments);
    auto& session = connection.body_->session;
    session = ::fuse_session_new(&args, &operations, sizeof operations, service);
    ::fuse_opt_free_args(&args);
    if (session == nullptr)
        return fail(ErrorKind::system, "libfuse gives no session");
    const fuse_custom_io io{
        .writev = write_answer, .read = read_nothing, .splice_receive = nullptr, .splice_send = nullptr};
    if (const int error = ::fuse_session_custom_io(session, &io, fuse); error != 0)
        return fail_errno("libfuse takes no connection", -error);
    return connection;
}

namespace {

void process(fuse_session* session, std::span<std::byte> request) {
    fuse_buf buffer{};
    buffer.mem = request.data();
    buffer.size = request.size();
    ::fuse_session_process_buf(session, &buffer);
}

} // namespace

void Connection::take_over() {
    auto& book = body_->book;
    const auto left = request_in_hand(book);
    if (!book.init().empty() && (left.empty() || header_in(left).opcode != FUSE_INIT)) {
        std::vector<std::byte> init(book.init().begin(), book.init().end());
        swallows_answers = true;
        process(body_->session, init);
        swallows_answers = false;
    }
    if (!left.empty())
        answer();
}

Result<Connection::Read> Connection::read() {
    auto& book = body_->book;
    book.clear_request();
    const auto got = ::read(body_->fuse, book.request().data(), book.request().size());
    if (got >= 0)
        return request_in_hand(book).empty() ? fail(ErrorKind::system, "the kernel sent what is no request")
                                             : Result<Read>(Read::request);
    switch (errno) {
    case EINTR: // a signal of ours
    case EAGAIN:
    case ENOENT: // the request was taken back
        return Read::interrupted;
    case ENODEV:
        return Read::gone;
    default:
        return fail_errno("read a request");
    }
}

void Connection::answer() {
    auto& book = body_->book;
    const auto request = request_in_hand(book);
    const auto header = header_in(request);
    // Nobody waits for the answer to an interrupt; and what it means was answered, since we do one after another.
    if (header.opcode == FUSE_INTERRUPT)
        return;
    if (header.opcode == FUSE_INIT)
        book.keep_init(request);
    book.begin_request();
    process(body_->session, request);
}

} // namespace squish::procfsd

// What confines a container's payload, and every process that joins it.

#include "engine/impl.h"
#include "engine/own_ids.h"

#include <cerrno>
#include <set>

namespace squish {

Result<void> Engine::Impl::choose_filter(Record& record, const SecuritySpec& security) {
    auto& info = record.info;
    record.filter.reset();
    info.seccomp = {security.seccomp, {}, 0};
    if (security.seccomp == "unconfined") {
        info.warnings.emplace_back("[security] seccomp = \"unconfined\": the payload can make every system call that "
                                   "this account can, and reach all of the kernel behind them");
        return {};
    }
    if (security.seccomp == "default") {
        using seccomp::IoUring;
        record.filter = TRY(filters_.standard(security.io_uring ? IoUring::allowed : IoUring::refused));
        if (security.io_uring)
            info.seccomp.profile = "default, io_uring";
    } else {
        record.filter = TRY(filters_.custom(security.seccomp, security.capabilities));
    }
    info.seccomp.digest = record.filter->digest;
    info.seccomp.instructions = record.filter->instructions;
    info.warnings.insert(info.warnings.end(), record.filter->warnings.begin(), record.filter->warnings.end());
    return {};
}

// Null: unconfined. After a restart of squishd the filter comes from its file.
Result<seccomp::FilterPtr> Engine::Impl::filter_of(Record& record) {
    if (!record.filter && !record.info.seccomp.digest.empty())
        record.filter = TRY(filters_.kept(record.info.seccomp.digest));
    return record.filter;
}

void Engine::Impl::forget_filters() {
    std::set<std::string> in_use;
    for (const auto& [id, record] : records_)
        in_use.insert(record->info.seccomp.digest);
    filters_.retain(in_use);
}

namespace {

Error no_own_ids(const std::string& why) {
    return {ErrorKind::unsupported, "[security] ids = \"own\" cannot be had: " + why,
            "change that, or take ids = \"auto\" or \"user\"", 0};
}

} // namespace

Result<void> Engine::Impl::choose_ids(Record& record, const plan::ContainerPlan& plan, const CreateRequest& request) {
    const auto choice = request.file.security.ids;
    record.info.ids.why = choice == IdsChoice::user ? "[security] ids = \"user\"" : why_users_ids(plan, request.io);
    record.info.ids.own = record.info.ids.why.empty();
    if (choice == IdsChoice::own && !record.info.ids.own)
        return std::unexpected(no_own_ids(record.info.ids.why));
    if (record.info.ids.own)
        open_pipes_to_all(request.io);
    return {};
}

Task<PreparedCell> Engine::Impl::take_cell(RecordPtr record, CellKind kind) {
    auto& ids = record->info.ids;
    kind.own_ids = ids.own;
    auto cell = co_await ground_->take_cell(kind);
    if (cell || cell.error().sys_errno != EUSERS)
        co_return cell;
    const auto slices = ground_->facts().slices;
    ids.own = false;
    ids.why = slices == 0 ? "the account's range of subordinate ids is too small to be divided"
                          : "all " + std::to_string(slices) + " slices of the account's subordinate ids are in use";
    if (record->info.file.security.ids == IdsChoice::own)
        co_return std::unexpected(no_own_ids(ids.why));
    kind.own_ids = false;
    co_return co_await ground_->take_cell(std::move(kind));
}

} // namespace squish

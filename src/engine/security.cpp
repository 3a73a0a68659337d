// What confines a container's payload, and every process that joins it.

#include "engine/impl.h"

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

} // namespace squish

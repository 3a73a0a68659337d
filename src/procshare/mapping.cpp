#include "procshare/mapping.h"

#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>

namespace squish::procshare {

Result<UniqueFd> Mapping::make(const char* name, std::size_t size) {
    UniqueFd memfd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!memfd)
        return fail_errno("memfd_create");
    if (::ftruncate(memfd.get(), static_cast<off_t>(size)) < 0)
        return fail_errno(std::string("size of the memory '") + name + "'");
    if (::fcntl(memfd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return fail_errno(std::string("seal the memory '") + name + "'");
    return memfd;
}

Result<Mapping> Mapping::open(int memfd, std::size_t size, Access access) {
    struct stat info{};
    if (::fstat(memfd, &info) < 0)
        return fail_errno("look at shared memory");
    const int seals = ::fcntl(memfd, F_GET_SEALS);
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || static_cast<std::size_t>(info.st_size) != size)
        return fail(ErrorKind::invalid, "shared memory of another version of squish, or none at all");
    const int protection = access == Access::write ? PROT_READ | PROT_WRITE : PROT_READ;
    void* const at = ::mmap(nullptr, size, protection, MAP_SHARED, memfd, 0);
    if (at == MAP_FAILED)
        return fail_errno("map shared memory");
    return Mapping(at, size);
}

Mapping::~Mapping() {
    if (at_ != nullptr)
        ::munmap(at_, size_);
}

} // namespace squish::procshare

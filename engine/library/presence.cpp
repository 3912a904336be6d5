#include "library/presence.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/file.h"

namespace carrel {

Result<Presence> Presence::enter(const std::filesystem::path& file) {
    const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return systemError(errno, file.string());
    Presence out(fd);
    out.alone_ = ::flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (!out.alone_ && ::flock(fd, LOCK_SH) != 0) return systemError(errno, file.string());
    return out;
}

Presence::Presence(Presence&& other) noexcept : fd_(std::exchange(other.fd_, -1)), alone_(other.alone_) {}

Presence::~Presence() {
    if (fd_ >= 0) ::close(fd_);
}

void Presence::letOthersIn() {
    if (alone_) ::flock(fd_, LOCK_SH);
    alone_ = false;
}

}  // namespace carrel

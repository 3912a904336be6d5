#include "base/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

namespace carrel {

Error systemError(int errnoValue, const std::string& where) {
    const Code code = errnoValue == ENOENT || errnoValue == ENOTDIR                        ? Code::NotFound
                      : errnoValue == EACCES || errnoValue == EPERM || errnoValue == EROFS ? Code::NoPermission
                      : errnoValue == ENOSPC || errnoValue == EDQUOT                       ? Code::DiskFull
                      : errnoValue == ENOMEM                                               ? Code::NoMemory
                                                                                           : Code::Io;
    return {code, where, std::system_category().message(errnoValue)};
}

namespace {

/// What direct reads of this file must be multiples of: a page unless the kernel says that less will do.
std::uint32_t directAlignment([[maybe_unused]] int fd) {
    constexpr std::uint32_t page = 4096;
#ifdef STATX_DIOALIGN
    struct statx st {};
    if (::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st) == 0 && (st.stx_mask & STATX_DIOALIGN) != 0 &&
        st.stx_dio_offset_align > 0 && st.stx_dio_offset_align < page && st.stx_dio_mem_align <= page)
        return st.stx_dio_offset_align;
#endif
    return page;
}

class PosixFile final : public File {
  public:
    PosixFile(int fd, std::string name, std::uint32_t readAlignment = 1)
        : fd_(fd), alignment_(readAlignment), name_(std::move(name)) {}
    ~PosixFile() override { ::close(fd_); }

    Result<std::uint64_t> size() override {
        struct stat st {};
        if (::fstat(fd_, &st) != 0) return systemError(errno, name_);
        return static_cast<std::uint64_t>(st.st_size);
    }
    Status pread(std::span<std::byte> into, std::uint64_t offset) override {
        while (!into.empty()) {
            const ssize_t got = ::pread(fd_, into.data(), into.size(), static_cast<off_t>(offset));
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) return systemError(errno, name_);
            if (got == 0)
                return Error{Code::Truncated, name_ + " at byte " + std::to_string(offset), "the file ends here"};
            into = into.subspan(static_cast<std::size_t>(got));
            offset += static_cast<std::uint64_t>(got);
        }
        return {};
    }
    Status pwrite(std::span<const std::byte> from, std::uint64_t offset) override {
        while (!from.empty()) {
            const ssize_t put = ::pwrite(fd_, from.data(), from.size(), static_cast<off_t>(offset));
            if (put < 0 && errno == EINTR) continue;
            if (put < 0) return systemError(errno, name_);
            from = from.subspan(static_cast<std::size_t>(put));
            offset += static_cast<std::uint64_t>(put);
        }
        return {};
    }
    Status truncate(std::uint64_t size) override { return check(::ftruncate(fd_, static_cast<off_t>(size))); }
    Status sync() override { return check(::fdatasync(fd_)); }
    Status lock() override {
        if (::flock(fd_, LOCK_EX | LOCK_NB) == 0) return {};
        if (errno == EWOULDBLOCK) return Error{Code::Busy, name_, "another process holds the lock"};
        return systemError(errno, name_);
    }
    void dropCache() override { ::posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED); }
    std::uint32_t readAlignment() const override { return alignment_; }
    int descriptor() const override { return fd_; }

  private:
    Status check(int result) const {
        if (result == 0) return {};
        return systemError(errno, name_);
    }
    int fd_;
    std::uint32_t alignment_;
    std::string name_;
};

class PosixFileSystem final : public FileSystem {
  public:
    Result<std::unique_ptr<File>> open(const std::filesystem::path& path, OpenMode mode) override {
        const int flags = mode == OpenMode::Read        ? O_RDONLY
                          : mode == OpenMode::ReadWrite ? O_RDWR
                          : mode == OpenMode::Create    ? O_RDWR | O_CREAT
                                                        : O_RDONLY | O_DIRECT;
        const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
        if (fd < 0 && errno == EINVAL && mode == OpenMode::Direct)
            return Error{Code::Unsupported, path.string(), "no direct reads on this file system"};
        if (fd < 0) return systemError(errno, path.string());
        if (mode == OpenMode::Direct)
            return std::unique_ptr<File>(std::make_unique<PosixFile>(fd, path.string(), directAlignment(fd)));
        return std::unique_ptr<File>(std::make_unique<PosixFile>(fd, path.string()));
    }
    Status makeDirectories(const std::filesystem::path& path) override {
        if (path.empty() || ::access(path.c_str(), F_OK) == 0) return {};
        if (auto parent = makeDirectories(path.parent_path()); !parent) return parent;
        if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return systemError(errno, path.string());
        return {};
    }
    Status syncDirectory(const std::filesystem::path& path) override {
        const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) return systemError(errno, path.string());
        const int result = ::fsync(fd), reason = errno;
        ::close(fd);
        if (result != 0) return systemError(reason, path.string());
        return {};
    }
    Status remove(const std::filesystem::path& path) override {
        std::error_code failed;
        std::filesystem::remove_all(path, failed);
        if (failed) return systemError(failed.value(), path.string());
        return {};
    }
    Result<std::uint64_t> freeBytes(const std::filesystem::path& path) override {
        struct statvfs st {};
        if (::statvfs(path.c_str(), &st) != 0) return systemError(errno, path.string());
        return std::uint64_t{st.f_bavail} * st.f_frsize;
    }
};

}  // namespace

FileSystem& realFileSystem() {
    static PosixFileSystem files;  // holds no state
    return files;
}

Result<std::string> readFile(const std::filesystem::path& path, std::uint64_t limit) {
    struct stat st {};
    if (::stat(path.c_str(), &st) == 0 && !S_ISREG(st.st_mode))
        return Error{Code::InvalidArgument, path.string(), "not a file"};  // a FIFO would block in open()
    auto file = realFileSystem().open(path, OpenMode::Read);
    if (!file) return file.error();
    const auto size = (*file)->size();
    if (!size) return size.error();
    if (*size > limit)
        return Error{Code::Unsupported, path.string(),
                     std::to_string(*size) + " bytes; at most " + std::to_string(limit) + " are read"};
    std::string text(*size, '\0');
    if (auto read = (*file)->pread(std::as_writable_bytes(std::span(text)), 0); !read) return read.error();
    return text;
}

Status writeFileAtomically(const std::filesystem::path& path, std::span<const std::byte> bytes) {
    auto& files = realFileSystem();
    const std::filesystem::path part = path.string() + ".part";
    Status done = [&]() -> Status {
        auto file = files.open(part, OpenMode::Create);
        if (!file) return file.error();
        if (auto s = (*file)->truncate(0); !s) return s;
        if (auto s = (*file)->pwrite(bytes, 0); !s) return s;
        return (*file)->sync();
    }();
    if (done && ::rename(part.c_str(), path.c_str()) != 0) done = systemError(errno, path.string());
    if (done) return files.syncDirectory(path.has_parent_path() ? path.parent_path() : ".");
    ::unlink(part.c_str());
    return done;
}

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return systemError(errno, path.string());
    struct stat st {};
    void* at = MAP_FAILED;
    int reason = 0;
    if (::fstat(fd, &st) != 0)
        reason = errno;
    else if (!S_ISREG(st.st_mode))
        reason = EINVAL;
    else if (st.st_size == 0)
        at = nullptr;
    else if (at = ::mmap(nullptr, static_cast<std::size_t>(st.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
             at == MAP_FAILED)
        reason = errno;
    ::close(fd);
    if (reason != 0) return systemError(reason, path.string());
    return MappedFile({static_cast<const std::byte*>(at), static_cast<std::size_t>(st.st_size)});
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
}
MappedFile::~MappedFile() {
    if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace carrel

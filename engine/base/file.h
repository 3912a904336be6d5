#pragma once

#include <carrel/result.h>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace carrel {

/// An open file. pread and pwrite move all bytes or fail (a read past the end is Truncated). Any thread; closing is the
/// destructor's.
class File {
  public:
    virtual ~File() = default;
    virtual Result<std::uint64_t> size() = 0;
    virtual Status pread(std::span<std::byte> into, std::uint64_t offset) = 0;
    virtual Status pwrite(std::span<const std::byte> from, std::uint64_t offset) = 0;
    virtual Status truncate(std::uint64_t size) = 0;
    /// fdatasync. After a failure nothing about the file's newest bytes is known, and a second try proves nothing.
    virtual Status sync() = 0;
    /// flock, exclusive, without waiting. Busy when another process holds it; held until the File is closed.
    virtual Status lock() = 0;
    /// Takes what is synced out of the page cache, as far as the system does such a thing.
    virtual void dropCache() {}
    /// Offsets and sizes of reads are multiples of this, and memory starts at a page, where it is not 1 (Direct).
    virtual std::uint32_t readAlignment() const { return 1; }
    /// The system's own handle, for reads that the caller queues; -1 where all must go through pread.
    virtual int descriptor() const { return -1; }
};

/// Create: read-write, made when missing, mode 0600. Direct: to read past the page cache; Unsupported where the file
/// system cannot.
enum class OpenMode { Read, ReadWrite, Create, Direct };

/// Where files come from; tests put one that fails in its place. Any thread.
class FileSystem {
  public:
    virtual ~FileSystem() = default;
    virtual Result<std::unique_ptr<File>> open(const std::filesystem::path& path, OpenMode mode) = 0;
    virtual Status makeDirectories(const std::filesystem::path& path) = 0;  // mode 0700
    virtual Status syncDirectory(const std::filesystem::path& path) = 0;
    virtual Status remove(const std::filesystem::path& path) = 0;  // a file or a whole folder; missing is fine
    virtual Result<std::uint64_t> freeBytes(const std::filesystem::path& path) = 0;
};

/// The operating system's own.
FileSystem& realFileSystem();

/// Error for errno: NotFound, NoPermission, DiskFull or Io.
Error systemError(int errnoValue, const std::string& where);

/// Whole file into memory; `limit` bytes at most (Unsupported past it).
Result<std::string> readFile(const std::filesystem::path& path, std::uint64_t limit);
/// Through a temporary file, fsync and rename: the old content or the new, never half.
Status writeFileAtomically(const std::filesystem::path& path, std::span<const std::byte> bytes);

/// Read-only mapping. The file must not shrink while it lives: copy what must survive that.
class MappedFile {
  public:
    static Result<MappedFile> open(const std::filesystem::path& path);
    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;
    ~MappedFile();
    std::span<const std::byte> bytes() const { return bytes_; }

  private:
    explicit MappedFile(std::span<const std::byte> bytes) : bytes_(bytes) {}
    std::span<const std::byte> bytes_;
};

}  // namespace carrel

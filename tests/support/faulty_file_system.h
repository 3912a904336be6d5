#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "base/file.h"

namespace carrel {

/// Another FileSystem with faults. Counts steps (every call that changes something: create, write, truncate, sync, sync
/// of a directory, remove) and fails one of them; remembers what was not synced, so that a power cut can take it back.
/// Any thread.
class FaultyFileSystem final : public FileSystem {
  public:
    enum class Fault {
        NoSpace,    // a write does half of its bytes, then DiskFull; other steps pass
        SyncFails,  // a sync (of a file or a directory) is Io and proves nothing; other steps pass
        Crash,      // a write does half of its bytes; this step and everything after it is Io, until restart()
    };
    /// What of the unsynced writes a power cut leaves.
    enum class Keep { Nothing, EverySecond, All };

    explicit FaultyFileSystem(FileSystem& below) : below_(below) {}

    /// The step `step` from now, 0 being the next, fails.
    void failAt(Fault fault, std::size_t step);
    void failReads(bool fail);       // every pread is Io
    void refuseDirect(bool refuse);  // as a file system without direct reads
    enum class ReadFault {
        Fails,  // Io
        Short,  // half of the bytes, then Truncated
        Flips,  // a bit of every 512 bytes is another, and nobody says so
    };
    /// The read `read` from now, 0 being the next, goes wrong. Files have no descriptor: reads cannot go around this.
    void failRead(ReadFault fault, std::size_t read);
    bool readStruck() const { return readsLeft_ == SIZE_MAX; }  // the fault of failRead has happened
    void setSpace(std::uint64_t bytes);    // a write past this many more bytes is DiskFull; freeBytes does not know
    void claimSpace(std::uint64_t bytes);  // what freeBytes says, while writes pass
    void heal();                           // no more faults
    std::size_t steps() const { return steps_; }  // so far
    bool struck() const { return struck_; }       // the fault of failAt has happened
    /// After every File of this is closed: the disk as a power cut would leave it, and no more faults.
    void powerCut(Keep keep);

    Result<std::unique_ptr<File>> open(const std::filesystem::path& path, OpenMode mode) override;
    Status makeDirectories(const std::filesystem::path& path) override;
    Status syncDirectory(const std::filesystem::path& path) override;
    Status remove(const std::filesystem::path& path) override;
    Result<std::uint64_t> freeBytes(const std::filesystem::path& path) override;

  private:
    class FaultyFile;
    enum class Step { Create, Write, Truncate, Sync, Remove };
    struct Undo {  // one change that is not synced yet
        std::uint64_t size;
        std::uint64_t offset;
        std::vector<std::byte> old;
    };
    /// What a step may do: all of it, half of its bytes, or nothing, and the error that follows.
    struct Verdict {
        bool whole = true, half = false;
        Status status;
    };
    Verdict judge(Step step, std::uint64_t bytes, const std::filesystem::path& path);

    FileSystem& below_;
    mutable std::mutex mutex_;
    Fault fault_ = Fault::NoSpace;
    std::size_t steps_ = 0, failAt_ = SIZE_MAX;
    std::uint64_t space_ = UINT64_MAX, claimed_ = UINT64_MAX;
    ReadFault readFault_ = ReadFault::Fails;
    std::size_t readsLeft_ = SIZE_MAX;  // before the fault; SIZE_MAX: none to come
    bool crashed_ = false, struck_ = false, failReads_ = false, refuseDirect_ = false;
    std::map<std::filesystem::path, std::vector<Undo>> unsynced_;
    std::set<std::filesystem::path> newFiles_;  // whose directory was not synced
};

}  // namespace carrel

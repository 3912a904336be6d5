#pragma once

#include <deque>
#include <map>

#include "store/directory.h"
#include "store/read_buffers.h"
#include "store/read_queue.h"

namespace carrel {

/// GroupReader over segment files.
class DiskGroupReader final : public GroupReader {
  public:
    DiskGroupReader(FileSystem& files, std::shared_ptr<const GroupDirectory> directory, ReaderOptions options);
    ~DiskGroupReader() override;

    void submit(std::uint64_t tag, std::uint32_t layer, std::uint32_t head, std::uint32_t group, std::uint32_t count,
                std::span<std::byte> into) override;
    std::vector<Done> reap(std::size_t atLeast) override;
    Counters counters() const override { return counters_; }
    std::uint64_t memoryBytes() const override;

  private:
    struct Request {
        std::uint64_t tag = 0;
        std::size_t readsLeft = 0;
        bool good = true;
    };
    /// Neighbours that one read fetches: whole sectors [offset, offset + bytes) of the file.
    struct Read {
        std::uint32_t request = 0;
        GroupDirectory::Run groups;
        std::span<std::byte> into, buffer;
        File* file = nullptr;
        std::uint64_t offset = 0;
        std::size_t bytes = 0;
    };
    struct OpenFile {
        std::unique_ptr<File> file;  // null where it cannot be opened
        std::size_t reads = 0;       // that wait or are under way
    };

    File* fileOf(const GroupDirectory::Batch& batch);
    std::vector<Read> plan(std::uint32_t request, const GroupDirectory::Run& run, File& file,
                           std::span<std::byte> into) const;
    void startWaiting();
    void finish(const Read& read, bool arrived);

    FileSystem& files_;
    std::shared_ptr<const GroupDirectory> directory_;
    ReaderOptions options_;
    std::size_t groupBytes_;
    ReadBuffers buffers_;
    Decompressor zstd_;
    std::map<std::uint32_t, OpenFile> open_;  // by Batch::file
    std::unique_ptr<ReadQueue> queue_;        // made with the first file; last to be made, first to go
    std::deque<Read> waiting_;
    std::vector<Read> running_;  // [slot]
    std::vector<std::uint32_t> freeSlots_;
    std::map<std::uint32_t, Request> requests_;
    std::uint32_t lastRequest_ = 0;
    std::vector<Done> done_;
    Counters counters_;
};

}  // namespace carrel

#pragma once

#include "store/batch_stack.h"
#include "store/directory.h"
#include "store/loader.h"
#include "store/note.h"
#include "store/reading_lock.h"

namespace carrel {

/// Where a stream lives and what it may use.
struct StreamPlace {
    FileSystem& files;
    std::shared_ptr<Index> index;
    std::shared_ptr<ReadingLock> lock;
    std::filesystem::path root, folder;  // readings/, and where this stream's segments and sketch lie
    std::int64_t streamId = 0;           // row
    SegmentHeader identity;
    StoreLimits limits;
};

/// KvStream over segment files. A commit lays its batch behind the last visible byte; only its row decides which older
/// ones end.
class DiskStream final : public KvStream {
  public:
    /// Reads headers and ids of what the index shows; from the first batch that is not as its row says on, nothing is
    /// there.
    static Result<std::unique_ptr<DiskStream>> open(StreamPlace place);

    std::uint32_t tokens() const override { return stack_.tokens(); }
    const std::vector<std::int32_t>& ids() const override { return stack_.ids(); }
    std::uint32_t firstToken() const override { return place_.identity.firstToken; }
    DiskBytes diskBytes() const override;
    Status commit(const KvBatch& batch) override;
    Status truncate(std::uint32_t tokens) override;
    Result<std::uint32_t> load(const KvAllocate& allocate) override;
    Result<std::unique_ptr<GroupReader>> reader(ReaderOptions options) override;
    Result<Check> verify() override;
    Status keepNote(std::span<const std::byte> bytes) override;
    Result<std::vector<std::byte>> note() override;

    const StreamPlace& place() const { return place_; }
    const BatchStack& stack() const { return stack_; }

  private:
    /// Where the next commit goes.
    struct Target {
        std::uint32_t segment;
        std::uint64_t offset, sketchOffset;
        bool newSegment, newSketch;
    };
    explicit DiskStream(StreamPlace place);
    bool accept(const BatchRow& row, const StoredBatch& stored);
    Result<std::unique_ptr<File>> segmentFile(std::uint32_t number) const;
    Target target(std::uint32_t first) const;
    bool fits(const KvBatch& batch) const;
    Status checkRoom(std::uint32_t tokens) const;
    Status write(const Target& target, const KvBatch& batch, BatchRow& row, std::vector<GroupPlace>& places);
    Status makeDurable(const Target& target, bool sketched);
    Status prepare(const Target& target, bool sketched);
    void undo(const Target& target);
    void trim();
    std::vector<FoundBatch> findBatches() const;
    void fillDirectory(GroupDirectory& directory) const;
    NotePlace notePlace() const;
    std::filesystem::path sketchPath() const { return place_.folder / "sketch.bin"; }

    StreamPlace place_;
    std::uint64_t streamHash_;
    Loader loader_;
    BatchStack stack_;
    std::shared_ptr<GroupDirectory> directory_;  // from the first reader on
    std::unique_ptr<File> segment_, sketch_;     // of the last commit, kept open
    std::uint32_t segmentNumber_ = 0;
    bool untidy_ = true;  // files may hold more than rows show: a crash may have come between the two
};

}  // namespace carrel

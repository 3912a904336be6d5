#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>

#include "store/extent.h"
#include "store/index.h"

namespace carrel {

/// Where every whole group of a stream lies, in memory, 16 bytes each. The stream puts what it commits, readers look;
/// any thread.
class GroupDirectory {
  public:
    /// Never changed once it is here.
    struct Batch {
        std::uint32_t first = 0, stored = 0;  // groups: the first, and how many each head has
        std::uint32_t file = 0;               // equal numbers: the same file; a segment made anew is another one
        std::filesystem::path path;
        std::uint64_t offset = 0;
        std::vector<GroupPlace> places;  // [layers, kvHeads, stored], from offset
    };
    /// Of one batch: the places of groups [group, group + count) of a head.
    struct Run {
        std::shared_ptr<const Batch> batch;
        std::span<const GroupPlace> places;
    };

    GroupDirectory(KvShape shape, KvCodec codec) : shape_(shape), codec_(codec) {}
    KvShape shape() const { return shape_; }
    KvCodec codec() const { return codec_; }

    /// Cuts at row.first and puts the batch there. newFile: its segment was made for it.
    void put(const BatchRow& row, const std::filesystem::path& path, bool newFile, std::vector<GroupPlace> places);
    /// Drops what lies at and after token `from`, a multiple of 64.
    void cut(std::uint32_t from);
    /// Runs that hold [group, group + count) together, in order; empty where not all of it is here.
    std::vector<Run> find(std::uint32_t layer, std::uint32_t head, std::uint32_t group, std::uint32_t count) const;
    bool uses(std::uint32_t file) const;
    std::uint64_t memoryBytes() const;

  private:
    struct Visible {
        std::shared_ptr<const Batch> batch;
        std::uint32_t groups;  // of each head, from batch->first on
    };
    KvShape shape_;
    KvCodec codec_;
    mutable std::mutex mutex_;
    std::vector<Visible> batches_;                  // ascending, without gaps
    std::map<std::uint32_t, std::uint32_t> files_;  // segment -> number of its file
    std::uint32_t lastFile_ = 0;
};

}  // namespace carrel

#pragma once

#include "store/index.h"
#include "store/segment.h"
#include "store/sketch_file.h"

namespace carrel {

/// A visible batch, found again on disk to be loaded or checked. Null where its file cannot be opened, its header is
/// not the row's, or (sketch) it has none.
struct FoundBatch {
    const BatchRow* row = nullptr;
    std::shared_ptr<File> segment, sketch;
    std::optional<StoredBatch> stored;
};

/// Reads and checks batches of one stream with a few threads.
class Loader {
  public:
    Loader(KvShape shape, KvCodec codec, std::uint64_t streamHash)
        : shape_(shape), codec_(codec), streamHash_(streamHash) {}

    /// Sizes of the parts of a batch of so many visible tokens and layers (0: all).
    struct Sizes {
        std::size_t payload, codes, unfinished;
    };
    Sizes sizes(std::uint32_t tokens, std::size_t layers) const;
    /// memory: as batches; parts that are not wanted are empty. The first token (multiple of 64) that is bad, or `end`.
    std::uint32_t load(std::span<const FoundBatch> batches, std::span<const KvMemory> memory, std::uint32_t end) const;
    KvStream::Check check(std::span<const FoundBatch> batches, std::uint32_t end) const;

  private:
    std::uint32_t loadSketch(const FoundBatch& batch, const KvMemory& memory) const;
    std::uint32_t loadLayer(const FoundBatch& batch, const KvMemory& memory, std::uint32_t layer) const;
    struct Bad {
        std::uint64_t groups = 0;
        std::uint32_t first = UINT32_MAX;  // of them, in the batch
    };
    Bad badGroups(const FoundBatch& batch, std::uint32_t layer) const;
    SketchPlace sketchOf(const FoundBatch& batch) const;

    KvShape shape_;
    KvCodec codec_;
    std::uint64_t streamHash_;
};

}  // namespace carrel

#pragma once

#include <carrel/result.h>

#include <cstdint>
#include <functional>

#include "compute/backend.h"
#include "store/reading_store.h"

namespace carrel {

/// Whole groups of one stored batch, in memory for as long as the call that gets them.
struct LoadedBatch {
    std::uint32_t firstGroup = 0, groups = 0;  // those that are good
    /// Groups count from 0; parts that were not asked for are null.
    const std::byte* payload(std::size_t row, std::uint32_t group) const;
    const std::byte* codes(std::size_t row, std::uint32_t group) const;

    std::uint32_t stored = 0;  // groups that each row has in memory
    KvMemory memory;
    std::size_t payloadBytes = 0, codesBytes = 0;
};

struct LoadParts {
    bool payload = false, codes = false;
    std::size_t groupBytes(KvShape shape, KvCodec codec) const;
};

/// Groups of the largest stored batch, per layer and KV head: what a load needs memory for at once.
Result<std::uint32_t> largestBatch(KvStream& stream, KvCodec codec);

/// All of a stream, but for batches that end before firstGroup, through at most stagingBytes of memory, in as many
/// passes of KvStream::load as that takes. Gives the whole groups that are good. NoMemory where a single batch
/// (largestBatch) is larger.
Result<std::uint32_t> loadBatches(Backend& backend, KvStream& stream, KvShape shape, KvCodec codec, LoadParts parts,
                                  std::uint64_t stagingBytes, const std::function<void(const LoadedBatch&)>& take,
                                  std::uint32_t firstGroup = 0);

}  // namespace carrel

#pragma once

#include "store/format.h"

namespace carrel {

// sketch.bin is a row of records, one per batch, where batch header and index say. Sketch record v1:
//    0 u32 magic "CKSK"    4 u32 version    8 u64 xxh3 of bytes 16 to the record's end    16 u64 stream hash    24 u32
//    first
//   28 u32 groups    32 u32 layers    36 u32 kvHeads    40 u32 headDim    44 u32 tokens per leaf (16)    48 u8[16] zero
//   64 f16 mean keys [layers][kvHeads][groups][4][headDim]; a leaf's mean is over its tokens, zero where it has none
inline constexpr std::uint32_t kStoreLeafTokens = 16;
inline constexpr std::size_t kSketchHeaderBytes = 64;

std::uint64_t sketchRecordBytes(KvShape shape, std::uint32_t tokens);
/// payload [layers, kvHeads, groupsOf(tokens), groupBytes] as in KvBatch. Equal input gives equal bytes.
std::vector<std::byte> encodeSketch(std::uint64_t streamHash, std::uint32_t first, std::uint32_t tokens, KvShape shape,
                                    std::span<const std::byte> payload);
/// The record at offset, whole and checked: the batch's at first, with at least groupsOf(tokens) groups. Truncated,
/// Corrupt, Unsupported, Io.
Result<std::vector<std::byte>> readSketch(File& file, std::uint64_t offset, std::uint64_t bytes,
                                          std::uint64_t streamHash, std::uint32_t first, std::uint32_t tokens,
                                          KvShape shape);

}  // namespace carrel

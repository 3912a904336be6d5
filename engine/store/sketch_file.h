#pragma once

#include "store/format.h"

namespace carrel {

// sketch.bin is a row of records, one per batch with whole encoded groups, where batch header and index say. An f16
// stream has none. Sketch record v2:
//    0 u32 magic "CKSK"    4 u32 version    8 u64 xxh3 of bytes 16..64    16 u64 stream hash    24 u32 first
//   28 u32 groups    32 u32 layers    36 u32 kvHeads    40 u32 headDim    44 u32 flags (bit 0: codes are one zstd
//   frame)    48 u64 stored bytes of codes    56 u64 xxh3 of them    64 codes [layers][kvHeads][groups][bytes of
//   kv_layout.h]
inline constexpr std::size_t kSketchHeaderBytes = 64;

/// Whose a record is and where. groups: whole ones that it was written with.
struct SketchPlace {
    std::uint64_t offset = 0, bytes = 0, checksum = 0, streamHash = 0;  // checksum: as in its batch header
    std::uint32_t first = 0, groups = 0;
};

/// Where nothing is compressed; 0 without whole encoded groups.
std::uint64_t mostSketchBytes(KvShape shape, KvCodec codec, std::uint32_t tokens);
/// codes [layers, kvHeads, groups, bytes], not empty. Of place, streamHash, first and groups.
std::vector<std::byte> encodeSketch(const SketchPlace& place, KvShape shape, std::span<const std::byte> codes,
                                    bool compress);
std::uint64_t sketchChecksum(std::span<const std::byte> record);
/// The first `groups` groups of each head, [layers, kvHeads, groups, bytes]. Truncated, Corrupt, Unsupported, Io: and
/// then `codes` holds anything.
Status readSketch(File& file, const SketchPlace& place, KvShape shape, std::uint32_t groups,
                  std::span<std::byte> codes);
/// Every byte of the record that matters.
Status checkSketch(File& file, const SketchPlace& place, KvShape shape);

}  // namespace carrel

#pragma once

#include <carrel/result.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "store/reading_store.h"

namespace carrel {

// The bytes of a segment file, little-endian; the same tables with the why are in FORMAT.md. Parsers trust nothing:
// Corrupt where a checksum or a size cannot be, Unsupported where another version wrote it.

inline constexpr std::uint32_t kStoreFormat = 1;  // in every header and in the key of a reading
inline constexpr std::uint32_t kStoreGroupTokens =
    64;  // compute has the same two numbers for its kernels; here they are the file format's
inline constexpr std::size_t kPage = 4096;  // headers and payloads start on one, so that direct reads can fetch them
inline constexpr std::uint32_t kCodecF16 = 0;
inline constexpr std::uint32_t kMaxBatchTokens = 1u << 16;

constexpr std::uint64_t roundUp(std::uint64_t bytes, std::uint64_t to) {
    return (bytes + to - 1) / to * to;
}
constexpr std::uint32_t groupsOf(std::uint32_t tokens) {
    return tokens / kStoreGroupTokens + (tokens % kStoreGroupTokens != 0);
}

// Segment header v1, one page at byte 0 of kv-NNN.seg. Says whose the file is, so that the index can be made anew.
//    0 u32 magic "CKVS"    4 u32 version    8 u64 xxh3 of bytes 16..4095    16 u64 stream hash    24 u32 segment number
//   28 u32 layers    32 u32 kvHeads    36 u32 headDim    40 u32 first token    44 u32 zero    48 u64 chain before the
//   first token 56 five strings, each u16 length + bytes: document, model, settings, codec, tail name (empty: the
//   reading itself); then zeros
struct SegmentHeader {
    ReadingKey key;
    KvShape shape;
    std::string tail;
    std::uint32_t firstToken = 0;
    std::uint64_t prefixChain = 0;
    std::uint32_t number = 0;

    /// What every header of the stream repeats: xxh3 of all fields but the number.
    std::uint64_t streamHash() const;
    /// InvalidArgument where the strings do not fit the page.
    Result<std::vector<std::byte>> encode() const;
    static Result<SegmentHeader> parse(std::span<const std::byte> page, const std::string& where);
};

// Batch header v1, at a page: what one commit appended. The extents of all layers follow, in order.
//    0 u32 magic "CKVB"    4 u32 version    8 u64 xxh3 of bytes 16..72+4*tokens    16 u64 stream hash    24 u32 first
//    28 u32 tokens
//   32 u64 bytes of the whole batch    40 u64 chain before first    48 u64 sketch offset    56 u64 sketch bytes    64
//   u64 zero 72 i32 ids[tokens]; then zeros to the next page
struct BatchHeader {
    static constexpr std::size_t kBytes = 72;
    std::uint64_t streamHash = 0;
    std::uint32_t first = 0, tokens = 0;
    std::uint64_t bytes = 0, chain = 0, sketchOffset = 0, sketchBytes = 0;
    std::uint64_t checksum = 0;  // set by encode and parse

    static std::size_t paddedBytes(std::uint32_t tokens) { return roundUp(kBytes + std::size_t{4} * tokens, kPage); }
    std::vector<std::byte> encode(std::span<const std::int32_t> ids);
    /// Of a batch whose bytes start raw; Truncated where raw is shorter than header and ids (tokens in the error's
    /// place: parseTokens).
    static Result<BatchHeader> parse(std::span<const std::byte> raw, std::vector<std::int32_t>& ids,
                                     const std::string& where);
    /// The unchecked token count, to know how much to read before parse().
    static std::uint32_t peekTokens(std::span<const std::byte> raw);
};

// Group header v1. One per (KV head, 64 tokens) of an extent.
//    0 u32 codec    4 u32 key bytes    8 u32 value bytes    12 u32 flags (bits 0..7: tokens in the group, 1 to 64)
//   16 u64 xxh3 of the payload    24 u8[12] nonce    36 u8[16] tag (both zero: not encrypted)
struct GroupHeader {
    static constexpr std::size_t kBytes = 52;
    std::uint32_t codec = 0, keyBytes = 0, valueBytes = 0, flags = 0;
    std::uint64_t checksum = 0;
    static Result<GroupHeader> parse(std::span<const std::byte, kBytes> raw, const std::string& where);
};

// Extent header v1, at a page: one layer of a batch. Payloads follow from the next page, head-major, each at a page.
//    0 u32 magic "CKVX"    4 u32 version    8 u64 xxh3 of bytes 16..64+52*headers    16 u64 stream hash    24 u32 codec
//    28 u32 layer
//   32 u32 first    36 u32 tokens    40 u32 kvHeads    44 u32 groups per head    48 u64 bytes of the whole extent    56
//   u64 zero 64 group headers [kvHeads][groups]; then zeros to the next page
struct ExtentHeader {
    static constexpr std::size_t kBytes = 64;
    std::uint64_t streamHash = 0;
    std::uint32_t layer = 0, first = 0, tokens = 0;
};

/// Whether a model can have this shape, and sizes of a batch of it stay below 2^60.
bool possible(KvShape shape);

/// Sizes of a batch: all follow from shape and tokens while f16 is the only codec.
struct BatchLayout {
    BatchLayout(KvShape shape, std::uint32_t tokens);
    std::uint32_t groups;           // per head
    std::size_t headerBytes;        // batch header and ids, whole pages
    std::size_t extentHeaderBytes;  // whole pages
    std::size_t groupStride;        // from payload to payload: groupBytes, whole pages
    std::size_t extentBytes, bytes;
    std::uint64_t extentAt(std::uint32_t layer) const { return headerBytes + std::uint64_t{layer} * extentBytes; }
};

/// One extent as it lies on disk, into out (extentBytes). payload [kvHeads, groups, groupBytes].
void encodeExtent(const ExtentHeader& header, KvShape shape, std::span<const std::byte> payload,
                  std::span<std::byte> out);
/// raw: extentHeaderBytes. The group headers [kvHeads * groups] of exactly this extent, or Corrupt or Unsupported.
Result<std::vector<GroupHeader>> parseExtent(const ExtentHeader& expected, KvShape shape,
                                             std::span<const std::byte> raw, const std::string& where);

/// chain(k + 1) = xxh3 of the ids of group k, seeded with chain(k): equal chains mean equal ids from the reading's
/// first to here.
std::uint64_t extendChain(std::uint64_t chain, std::span<const std::int32_t> idsOfOneGroup);

}  // namespace carrel

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

inline constexpr std::uint32_t kStoreFormat = 2;  // in every header and in the key of a reading
inline constexpr std::size_t kPage = 4096;        // segment headers and batches start on one
inline constexpr std::size_t kAlignment = 64;     // of extents in their batch, and of payloads
inline constexpr std::uint32_t kMaxBatchTokens = 1u << 16;
inline constexpr std::uint64_t kMaxBatchBytes = std::uint64_t{1} << 38;  // a group's place in its batch fits 32 bits

constexpr std::uint64_t roundUp(std::uint64_t bytes, std::uint64_t to) {
    return (bytes + to - 1) / to * to;
}
constexpr std::uint32_t groupsOf(std::uint32_t tokens) {
    return tokens / kGroupTokens + (tokens % kGroupTokens != 0);
}

// Segment header v2, one page at byte 0 of kv-NNN.seg. Says whose the file is, so that the index can be made anew.
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

    /// Of the stream's groups: a tail is f16 whatever its reading is.
    KvCodec codec() const { return tail.empty() ? key.codec : KvCodec::F16; }
    /// What every header of the stream repeats: xxh3 of all fields but the number.
    std::uint64_t streamHash() const;
    /// InvalidArgument where the strings do not fit the page.
    Result<std::vector<std::byte>> encode() const;
    static Result<SegmentHeader> parse(std::span<const std::byte> page, const std::string& where);
};

// Batch header v2, at a page: what one commit appended. The extents of all layers follow, in order, then zeros to the
// next page.
//    0 u32 magic "CKVB"    4 u32 version    8 u64 xxh3 of bytes 16..72+4*tokens+16*layers    16 u64 stream hash
//   24 u32 first    28 u32 tokens    32 u64 bytes of the whole batch    40 u64 chain before first    48 u64 sketch
//   offset    56 u64 sketch bytes    64 u64 checksum in the sketch record    72 i32 ids[tokens], (u64 bytes, u64
//   checksum in its header) of each extent [layers]; then zeros to a multiple of 64
// So a row, which has the batch header's checksum, shows the very bytes of its commit and no others.
struct BatchHeader {
    static constexpr std::size_t kBytes = 72;
    std::uint64_t streamHash = 0;
    std::uint32_t first = 0, tokens = 0;
    std::uint64_t bytes = 0, chain = 0, sketchOffset = 0, sketchBytes = 0, sketchChecksum = 0;
    std::uint64_t checksum = 0;  // set by encode and parse

    static std::size_t paddedBytes(std::uint32_t tokens, std::uint32_t layers) {
        return roundUp(kBytes + std::size_t{4} * tokens + std::size_t{16} * layers, kAlignment);
    }
    std::vector<std::byte> encode(std::span<const std::int32_t> ids, std::span<const struct ExtentRef> extents);
    /// The unchecked token count, to know how much to read before parse().
    static std::uint32_t peekTokens(std::span<const std::byte> raw);
};

struct ExtentRef {
    std::uint64_t bytes = 0, checksum = 0;
};

/// A batch as found in a segment: header, ids and sizes checked, extents not.
struct StoredBatch {
    BatchHeader header;
    std::vector<std::int32_t> ids;
    std::vector<ExtentRef> extents;  // [layers]; with the header, and whole pages, they are header.bytes

    std::uint64_t extentAt(std::uint32_t layer) const;  // from the batch's first byte
    /// Of a batch whose bytes start raw; Truncated where raw is shorter than paddedBytes.
    static Result<StoredBatch> parse(std::span<const std::byte> raw, KvShape shape, const std::string& where);
};

/// Whether a model can have this shape, and sizes of a batch of it stay below 2^60.
bool possible(KvShape shape);

/// chain(k + 1) = xxh3 of the ids of group k, seeded with chain(k): equal chains mean equal ids from the reading's
/// first to here.
std::uint64_t extendChain(std::uint64_t chain, std::span<const std::int32_t> idsOfOneGroup);

}  // namespace carrel

#pragma once

#include "store/compression.h"
#include "store/format.h"

namespace carrel {

// Extent header v2, at a multiple of 64: one layer of a batch. Payloads follow, head-major, each at a multiple of 64,
// then zeros to the next one.
//    0 u32 magic "CKVX"    4 u32 version    8 u64 xxh3 of bytes 16..64+52*headers    16 u64 stream hash    24 u32 codec
//   28 u32 layer    32 u32 first    36 u32 tokens    40 u32 kvHeads    44 u32 groups per head    48 u64 bytes of the
//   whole extent    56 u64 zero    64 group headers [kvHeads][groups]; then zeros to a multiple of 64
//
// Group header v2, 52 bytes. One per (KV head, 64 tokens) of an extent.
//    0 u32 codec (the extent's, or f16 in a last group that is not full)    4 u32 stored bytes    8 u32 plain bytes
//   12 u32 flags (bits 0..7: tokens in the group, 1 to 64; bit 8: the payload is one zstd frame)
//   16 u64 xxh3 of the stored bytes    24 u8[12] nonce    36 u8[16] tag (both zero: not encrypted)
struct Extent {
    static constexpr std::size_t kBytes = 64, kGroupHeaderBytes = 52, kPayloadAlignment = kAlignment;
    std::uint64_t streamHash = 0;
    KvCodec codec = KvCodec::F16;
    std::uint32_t layer = 0, first = 0, tokens = 0;

    std::uint32_t groups() const { return groupsOf(tokens); }
    KvCodec codecOf(std::uint32_t group) const {
        return group < tokens / kGroupTokens ? codec : KvCodec::F16;  // what is not full is not encoded yet
    }
    std::size_t headerBytes(KvShape shape) const {
        return roundUp(kBytes + kGroupHeaderBytes * shape.kvHeads * groups(), kPayloadAlignment);
    }
    /// Where nothing is compressed.
    std::uint64_t mostBytes(KvShape shape) const;
};

/// Where a stored group lies and what it must be: the directory's entry. `bytes` 0: not known, its extent is damaged.
struct GroupPlace {
    std::uint64_t checksum = 0;
    std::uint32_t at = 0;  // in steps of 64 bytes from the batch's first byte
    std::uint32_t bytes : 31 = 0, zstd : 1 = 0;

    std::uint64_t offset() const { return std::uint64_t{at} * Extent::kPayloadAlignment; }
    /// Past the group: where the next one starts if it is its neighbour.
    std::uint64_t end() const { return offset() + roundUp(bytes, Extent::kPayloadAlignment); }
};
static_assert(sizeof(GroupPlace) == 16);

/// One extent as it lies on disk. payload [kvHeads, whole groups, groupBytes(codec)] (f16: all groups), unfinished
/// [kvHeads, f16 group] as in KvBatch. places [kvHeads * groups] get their bytes and, counted from the extent's start,
/// their place. compressor: null for none.
std::vector<std::byte> encodeExtent(const Extent& extent, KvShape shape, std::span<const std::byte> payload,
                                    std::span<const std::byte> unfinished, Compressor* compressor,
                                    std::span<GroupPlace> places);
ExtentRef refOf(std::span<const std::byte> encoded);
/// raw: headerBytes of the extent that its batch header refers to. The places [kvHeads * groups], from the extent's
/// start, of exactly this extent, or Corrupt or Unsupported.
Result<std::vector<GroupPlace>> parseExtent(const Extent& expected, KvShape shape, const ExtentRef& ref,
                                            std::span<const std::byte> raw, const std::string& where);
/// Stored bytes of a group, already checked, into `into` (plain size). False: they do not fill it.
bool decodeGroup(const GroupPlace& place, std::span<const std::byte> stored, std::span<std::byte> into,
                 Decompressor& decompressor);

}  // namespace carrel

#pragma once

#include <filesystem>
#include <functional>

#include "store/extent.h"

namespace carrel {

/// Neighbours on disk are read at once up to here; by then a read's start no longer costs anything.
inline constexpr std::size_t kMaxReadBytes = std::size_t{1} << 20;

/// The segment file at path, its header checked. Truncated, Corrupt, Unsupported, NotFound, Io.
struct OpenSegment {
    std::unique_ptr<File> file;
    SegmentHeader header;
};
Result<OpenSegment> openSegment(FileSystem& files, const std::filesystem::path& path);

/// Header, ids and extents at offset; sets header.bytes and header.checksum. Not synced. Returns the groups' places
/// [layers, kvHeads, groups], from the batch's first byte.
Result<std::vector<GroupPlace>> writeBatch(File& file, std::uint64_t offset, BatchHeader& header, KvShape shape,
                                           KvCodec codec, const KvBatch& batch, bool compress);
/// Where nothing is compressed: what a commit may need.
std::uint64_t mostBatchBytes(KvShape shape, KvCodec codec, std::uint32_t tokens);
/// The batch at offset: of this stream, whole in the file, header and ids checked, extents not. Truncated, Corrupt,
/// Unsupported, Io.
Result<StoredBatch> readBatch(File& file, std::uint64_t offset, KvShape shape, std::uint64_t streamHash);
/// Places of one layer's groups [kvHeads * groups], from the batch's first byte. Any thread. Corrupt, Unsupported, Io.
Result<std::vector<GroupPlace>> readPlaces(File& file, std::uint64_t offset, const StoredBatch& batch, KvShape shape,
                                           KvCodec codec, std::uint32_t layer);
/// The stored bytes of those places whose index is wanted, neighbours at once; take(index, bytes) each, with no bytes
/// where they could not be read or have another checksum. Any thread.
void readGroups(File& file, std::uint64_t offset, std::span<const GroupPlace> places,
                const std::function<bool(std::size_t)>& wanted,
                const std::function<void(std::size_t, std::span<const std::byte>)>& take);

}  // namespace carrel

#pragma once

#include <filesystem>

#include "store/format.h"

namespace carrel {

/// The segment file at path, its header checked. Truncated, Corrupt, Unsupported, NotFound, Io.
struct OpenSegment {
    std::unique_ptr<File> file;
    SegmentHeader header;
};
Result<OpenSegment> openSegment(FileSystem& files, const std::filesystem::path& path);

/// A batch as found in a segment.
struct StoredBatch {
    BatchHeader header;
    std::vector<std::int32_t> ids;
};

/// Header, ids and extents at offset; sets header.bytes and header.checksum. Not synced.
Status writeBatch(File& file, std::uint64_t offset, BatchHeader& header, KvShape shape, const KvBatch& batch);
/// The batch at offset: of this stream, whole in the file, header and ids checked, payload not. Truncated, Corrupt,
/// Unsupported, Io.
Result<StoredBatch> readBatch(File& file, std::uint64_t offset, KvShape shape, std::uint64_t streamHash);
/// One layer of the batch at offset, its groups of the first `tokens` tokens into `into` [kvHeads, groupsOf(tokens),
/// groupBytes]. Returns the first group that is bad in any head, or groupsOf(tokens). What cannot be read is bad from
/// group 0 on. Any thread.
std::uint32_t readExtent(File& file, std::uint64_t offset, const ExtentHeader& extent, KvShape shape,
                         std::uint32_t tokens, std::span<std::byte> into);

}  // namespace carrel

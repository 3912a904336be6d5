#include "store/segment.h"

#include "base/hash.h"

namespace carrel {

Result<OpenSegment> openSegment(FileSystem& files, const std::filesystem::path& path) {
    auto file = files.open(path, OpenMode::Read);
    if (!file) return file.error();
    std::vector<std::byte> page(kPage);
    if (auto s = (*file)->pread(page, 0); !s) return s.error();
    auto header = SegmentHeader::parse(page, path.string());
    if (!header) return header.error();
    return OpenSegment{std::move(*file), std::move(*header)};
}

Status writeBatch(File& file, std::uint64_t offset, BatchHeader& header, KvShape shape, const KvBatch& batch) {
    const BatchLayout layout(shape, header.tokens);
    header.bytes = layout.bytes;
    if (auto s = file.pwrite(header.encode(batch.ids), offset); !s) return s;
    std::vector<std::byte> extent(layout.extentBytes);
    const std::size_t layerBytes = batch.payload.size() / shape.layers;
    for (std::uint32_t layer = 0; layer < shape.layers; ++layer) {
        const ExtentHeader extentHeader{header.streamHash, layer, header.first, header.tokens};
        encodeExtent(extentHeader, shape, batch.payload.subspan(layer * layerBytes, layerBytes), extent);
        if (auto s = file.pwrite(extent, offset + layout.extentAt(layer)); !s) return s;
    }
    return {};
}

Result<StoredBatch> readBatch(File& file, std::uint64_t offset, KvShape shape, std::uint64_t streamHash) {
    const std::string where = "batch at byte " + std::to_string(offset);
    const auto size = file.size();
    if (!size) return size.error();
    if (offset > *size || *size - offset < kPage) return Error{Code::Truncated, where, "the segment ends here"};
    std::vector<std::byte> raw(kPage);
    if (auto s = file.pread(raw, offset); !s) return s.error();
    const std::uint32_t tokens = BatchHeader::peekTokens(raw);
    if (tokens == 0 || tokens > kMaxBatchTokens)
        return Error{Code::Corrupt, where, "a batch of " + std::to_string(tokens) + " tokens"};
    const BatchLayout layout(shape, tokens);
    if (layout.bytes > *size - offset) return Error{Code::Truncated, where, "the segment ends inside"};
    if (layout.headerBytes > raw.size()) {
        raw.resize(layout.headerBytes);
        if (auto s = file.pread(raw, offset); !s) return s.error();
    }
    StoredBatch batch;
    const auto header = BatchHeader::parse(raw, batch.ids, where);
    if (!header) return header.error();
    if (header->streamHash != streamHash || header->bytes != layout.bytes)
        return Error{Code::Corrupt, where, "a batch of another reading"};
    batch.header = *header;
    return batch;
}

std::uint32_t readExtent(File& file, std::uint64_t offset, const ExtentHeader& extent, KvShape shape,
                         std::uint32_t tokens, std::span<std::byte> into) {
    const BatchLayout layout(shape, extent.tokens);
    const std::uint32_t wanted = groupsOf(tokens);
    const std::size_t groupBytes = shape.groupBytes();
    const std::uint64_t at = offset + layout.extentAt(extent.layer);
    std::vector<std::byte> raw(layout.extentHeaderBytes);
    if (!file.pread(raw, at)) return 0;
    const auto groups = parseExtent(extent, shape, raw, "extent");
    if (!groups) return 0;
    // Payloads side by side on disk and in memory are read at once: all of the layer, or one head's, or a single group.
    const bool packed = layout.groupStride == groupBytes;
    const std::size_t all = std::size_t{shape.kvHeads} * wanted;
    const std::size_t run = !packed ? 1 : wanted == layout.groups ? all : wanted;
    for (std::size_t i = 0; i < all; i += run) {
        const std::size_t onDisk = i / wanted * layout.groups + i % wanted;
        if (!file.pread(into.subspan(i * groupBytes, run * groupBytes),
                        at + layout.extentHeaderBytes + onDisk * layout.groupStride))
            return 0;
    }
    std::uint32_t good = wanted;
    for (std::uint32_t head = 0; head < shape.kvHeads; ++head)
        for (std::uint32_t group = 0; group < good; ++group) {
            const auto payload = into.subspan((std::size_t{head} * wanted + group) * groupBytes, groupBytes);
            if (xxh3(payload) != (*groups)[std::size_t{head} * layout.groups + group].checksum) good = group;
        }
    return good;
}

}  // namespace carrel

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

Result<std::vector<GroupPlace>> writeBatch(File& file, std::uint64_t offset, BatchHeader& header, KvShape shape,
                                           KvCodec codec, const KvBatch& batch, bool compress) {
    Compressor zstd;
    const std::size_t perLayer = std::size_t{shape.kvHeads} * groupsOf(header.tokens);
    std::vector<GroupPlace> places(perLayer * shape.layers);
    std::vector<ExtentRef> extents;
    const std::size_t payload = batch.payload.size() / shape.layers,
                      unfinished = batch.unfinished.size() / shape.layers;
    std::uint64_t at = BatchHeader::paddedBytes(header.tokens, shape.layers);
    for (std::uint32_t layer = 0; layer < shape.layers; ++layer) {
        const auto own = std::span(places).subspan(layer * perLayer, perLayer);
        auto bytes =
            encodeExtent({header.streamHash, codec, layer, header.first, header.tokens}, shape,
                         batch.payload.subspan(layer * payload, payload),
                         batch.unfinished.subspan(layer * unfinished, unfinished), compress ? &zstd : nullptr, own);
        for (auto& place : own) place.at += static_cast<std::uint32_t>(at / Extent::kPayloadAlignment);
        extents.push_back(refOf(bytes));
        if (layer + 1 == shape.layers) bytes.resize(roundUp(at + bytes.size(), kPage) - at);
        if (auto s = file.pwrite(bytes, offset + at); !s) return s.error();
        at += bytes.size();
    }
    header.bytes = at;
    if (auto s = file.pwrite(header.encode(batch.ids, extents), offset); !s) return s.error();
    return places;
}

std::uint64_t mostBatchBytes(KvShape shape, KvCodec codec, std::uint32_t tokens) {
    return roundUp(
        BatchHeader::paddedBytes(tokens, shape.layers) + Extent{0, codec, 0, 0, tokens}.mostBytes(shape) * shape.layers,
        kPage);
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
    const std::size_t headerBytes = BatchHeader::paddedBytes(tokens, shape.layers);
    if (headerBytes > *size - offset) return Error{Code::Truncated, where, "the segment ends inside"};
    if (headerBytes > raw.size()) {
        raw.resize(headerBytes);
        if (auto s = file.pread(raw, offset); !s) return s.error();
    }
    auto batch = StoredBatch::parse(raw, shape, where);
    if (!batch) return batch.error();
    if (batch->header.streamHash != streamHash) return Error{Code::Corrupt, where, "a batch of another reading"};
    if (batch->header.bytes > *size - offset) return Error{Code::Truncated, where, "the segment ends inside"};
    return batch;
}

Result<std::vector<GroupPlace>> readPlaces(File& file, std::uint64_t offset, const StoredBatch& batch, KvShape shape,
                                           KvCodec codec, std::uint32_t layer) {
    const Extent extent{batch.header.streamHash, codec, layer, batch.header.first, batch.header.tokens};
    const std::uint64_t at = batch.extentAt(layer);
    const std::string where = "extent at byte " + std::to_string(offset + at);
    if (extent.headerBytes(shape) > batch.extents[layer].bytes)
        return Error{Code::Corrupt, where, "an extent too small"};
    std::vector<std::byte> raw(extent.headerBytes(shape));
    if (auto s = file.pread(raw, offset + at); !s) return s.error();
    auto places = parseExtent(extent, shape, batch.extents[layer], raw, where);
    if (!places) return places.error();
    for (auto& place : *places) place.at += static_cast<std::uint32_t>(at / Extent::kPayloadAlignment);
    return places;
}

void readGroups(File& file, std::uint64_t offset, std::span<const GroupPlace> places,
                const std::function<bool(std::size_t)>& wanted,
                const std::function<void(std::size_t, std::span<const std::byte>)>& take) {
    std::vector<std::byte> raw;
    for (std::size_t i = 0, next; i < places.size(); i = next) {
        next = i + 1;
        if (!wanted(i)) continue;
        const std::uint64_t from = places[i].offset();
        while (next < places.size() && wanted(next) && places[next].offset() == places[next - 1].end() &&
               places[next].end() - from <= kMaxReadBytes)
            ++next;
        raw.resize(places[next - 1].offset() + places[next - 1].bytes - from);
        const auto read = file.pread(raw, offset + from);
        for (std::size_t k = i; k < next; ++k) {
            const auto stored = std::span<const std::byte>(raw).subspan(places[k].offset() - from, places[k].bytes);
            take(k, read && xxh3(stored) == places[k].checksum ? stored : std::span<const std::byte>());
        }
    }
}

}  // namespace carrel

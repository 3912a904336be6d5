#include "store/rebuild.h"

#include "store/batch_stack.h"
#include "store/paths.h"

namespace carrel {

namespace {

struct FoundStream {
    SegmentHeader identity;
    std::vector<BatchRow> rows;
};

struct FoundBatch {
    std::uint32_t segment;
    std::uint64_t offset;
    StoredBatch stored;
};

bool payloadIsWhole(File& file, const FoundBatch& batch, KvShape shape, std::uint64_t streamHash) {
    const auto& h = batch.stored.header;
    std::vector<std::byte> layerBytes(shape.groupBytes() * shape.kvHeads * groupsOf(h.tokens));
    for (std::uint32_t layer = 0; layer < shape.layers; ++layer)
        if (readExtent(file, batch.offset, {streamHash, layer, h.first, h.tokens}, shape, h.tokens, layerBytes) !=
            groupsOf(h.tokens))
            return false;
    return true;
}

/// All batches of the stream in folder in the order they were written; nothing where no segment says whose it is.
std::optional<FoundStream> scan(FileSystem& files, const std::filesystem::path& folder) {
    std::optional<FoundStream> found;
    std::vector<FoundBatch> batches;
    std::uint64_t hash = 0;
    for (const std::uint32_t number : segmentsIn(folder)) {
        auto segment = openSegment(files, segmentPath(folder, number));
        if (!segment || segment->header.number != number) continue;
        if (!found) {
            found = FoundStream{segment->header, {}};
            hash = segment->header.streamHash();
        }
        if (segment->header.streamHash() != hash) continue;
        const auto shape = found->identity.shape;
        const std::size_t before = batches.size();
        for (std::uint64_t offset = kPage;;) {
            auto stored = readBatch(*segment->file, offset, shape, hash);
            if (!stored) break;
            batches.push_back({number, offset, std::move(*stored)});
            offset += batches.back().stored.header.bytes;
        }
        // Only a segment's last batch can be one whose commit never came to its end.
        if (batches.size() > before && !payloadIsWhole(*segment->file, batches.back(), shape, hash)) batches.pop_back();
    }
    if (!found) return found;
    BatchStack stack(found->identity.firstToken, found->identity.prefixChain);
    for (const auto& [number, offset, stored] : batches) {
        const auto& h = stored.header;
        if (!stack.continuesAt(h.first) || stack.chainBefore(h.first) != h.chain)
            continue;  // of ids that are no longer there
        stack.put({h.first, h.tokens, h.tokens, number, offset, h.bytes, h.sketchOffset, h.sketchBytes, h.checksum},
                  stored.ids);
    }
    found->rows = stack.rows();
    return found;
}

Status addFound(Index& index, const std::string& reading, const FoundStream& found) {
    const auto id =
        index.addStream(reading, {0, found.identity.tail, found.identity.firstToken, found.identity.prefixChain});
    if (!id) return id.error();
    for (const auto& row : found.rows)
        if (auto s = index.addBatch(*id, row); !s) return s;
    return {};
}

}  // namespace

Status rebuildIndex(FileSystem& files, const std::filesystem::path& readings, Index& index) {
    for (const auto& folder : foldersIn(readings)) {
        const auto main = scan(files, folder);
        if (!main || !main->identity.tail.empty() || main->identity.firstToken != 0) continue;
        const std::string name = folder.filename().string();
        if (const auto id = readingId(main->identity.key, main->identity.shape); !id || *id != name) continue;
        if (auto s = index.addReading({name, main->identity.key, main->identity.shape}); !s) return s;
        if (auto s = addFound(index, name, *main); !s) return s;
        for (const auto& tail : foldersIn(folder / "tails")) {
            const auto found = scan(files, tail);
            if (!found || found->identity.tail.empty() || tailFolder(folder, found->identity.tail) != tail) continue;
            if (found->identity.key != main->identity.key || found->identity.shape != main->identity.shape) continue;
            if (auto s = addFound(index, name, *found); !s) return s;
        }
    }
    return {};
}

}  // namespace carrel

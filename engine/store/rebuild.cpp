#include "store/rebuild.h"

#include "store/batch_stack.h"
#include "store/loader.h"
#include "store/paths.h"

namespace carrel {

namespace {

struct FoundStream {
    SegmentHeader identity;
    std::vector<BatchRow> rows;
};

BatchRow rowOf(std::uint32_t segment, std::uint64_t offset, const BatchHeader& h) {
    return {h.first, h.tokens, h.tokens, segment, offset, h.bytes, h.sketchOffset, h.sketchBytes, h.checksum};
}

/// All batches of the stream in folder in the order they were written; nothing where no segment says whose it is.
std::optional<FoundStream> scan(FileSystem& files, const std::filesystem::path& folder) {
    std::optional<FoundStream> found;
    std::vector<std::pair<BatchRow, StoredBatch>> batches;
    std::shared_ptr<File> sketch;
    if (auto file = files.open(folder / "sketch.bin", OpenMode::Read)) sketch = std::move(*file);
    for (const std::uint32_t number : segmentsIn(folder)) {
        auto segment = openSegment(files, segmentPath(folder, number));
        if (!segment || segment->header.number != number) continue;
        if (!found) found = FoundStream{segment->header, {}};
        const auto& identity = found->identity;
        const std::uint64_t hash = identity.streamHash();
        if (segment->header.streamHash() != hash) continue;
        const std::shared_ptr<File> file = std::move(segment->file);
        const std::size_t before = batches.size();
        for (std::uint64_t offset = kPage;;) {
            auto stored = readBatch(*file, offset, identity.shape, hash);
            if (!stored) break;
            const auto row = rowOf(number, offset, stored->header);
            batches.emplace_back(row, std::move(*stored));
            offset += row.bytes;
        }
        if (batches.size() == before) continue;
        // Only a segment's last batch can be one whose commit never came to its end.
        const std::vector<FoundBatch> last{{&batches.back().first, file, sketch, batches.back().second}};
        if (Loader(identity.shape, identity.codec(), hash).check(last, UINT32_MAX).bad > 0) batches.pop_back();
    }
    if (!found) return found;
    BatchStack stack(found->identity.firstToken, found->identity.prefixChain);
    for (const auto& [row, stored] : batches)
        if (stack.continuesAt(row.first) && stack.chainBefore(row.first) == stored.header.chain)
            stack.put(row, stored.ids);  // the others are of ids that are no longer there
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

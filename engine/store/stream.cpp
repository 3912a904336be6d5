#include "store/stream.h"

#include <algorithm>

#include "base/hash.h"
#include "store/group_reader.h"
#include "store/paths.h"

namespace carrel {

namespace {

// A commit that drops more than this goes to a new segment file, so that the old one can be cut to what is still
// visible.
constexpr std::uint64_t kHoleBytes = std::uint64_t{16} << 20;

/// For what is tried because it frees space early; the next commit cuts the files to the same size, or fails.
void attempt(const Status&) {}

}  // namespace

DiskStream::DiskStream(StreamPlace place)
    : place_(std::move(place)),
      streamHash_(place_.identity.streamHash()),
      loader_(place_.identity.shape, place_.identity.codec(), streamHash_),
      stack_(place_.identity.firstToken, place_.identity.prefixChain) {}

Result<std::unique_ptr<DiskStream>> DiskStream::open(StreamPlace place) {
    const auto rows = place.index->batches(place.streamId);
    if (!rows) return rows.error();
    std::unique_ptr<DiskStream> stream(new DiskStream(std::move(place)));
    std::unique_ptr<File> file;
    for (const auto& row : *rows) {
        if (!file || row.segment != stream->stack_.rows().back().segment) {
            auto opened = stream->segmentFile(row.segment);
            if (!opened) break;
            file = std::move(*opened);
        }
        const auto stored = readBatch(*file, row.offset, stream->place_.identity.shape, stream->streamHash_);
        if (!stored || !stream->accept(row, *stored)) break;
    }
    return stream;
}

Result<std::unique_ptr<File>> DiskStream::segmentFile(std::uint32_t number) const {
    const auto path = segmentPath(place_.folder, number);
    auto segment = openSegment(place_.files, path);
    if (!segment) return segment.error();
    if (segment->header.number != number || segment->header.streamHash() != streamHash_)
        return Error{Code::Corrupt, path.string(), "a segment of another reading"};
    return std::move(segment->file);
}

bool DiskStream::accept(const BatchRow& row, const StoredBatch& stored) {
    const auto& h = stored.header;
    const bool whole =
        row.tokens == h.tokens || (row.tokens > 0 && row.tokens < h.tokens && row.tokens % kGroupTokens == 0);
    if (row.first != tokens() || row.first != h.first || row.storedTokens != h.tokens || !whole ||
        row.bytes != h.bytes || row.checksum != h.checksum || row.sketchOffset != h.sketchOffset ||
        row.sketchBytes != h.sketchBytes || h.chain != stack_.chainBefore(row.first))
        return false;
    stack_.put(row, stored.ids);
    return true;
}

/// All that the files hold up to their last visible byte; what nothing shows any more in between counts as keys and
/// values.
DiskBytes DiskStream::diskBytes() const {
    const auto shape = place_.identity.shape;
    DiskBytes bytes;
    std::uint64_t all = 0, sketchEnd = 0;
    for (std::size_t i = 0; i < stack_.rows().size(); ++i) {
        const auto& row = stack_.rows()[i];
        const Extent extent{streamHash_, place_.identity.codec(), 0, row.first, row.storedTokens};
        bytes.headers +=
            BatchHeader::paddedBytes(row.storedTokens, shape.layers) + extent.headerBytes(shape) * shape.layers;
        sketchEnd = std::max(sketchEnd, row.sketchOffset + row.sketchBytes);
        if (i + 1 < stack_.rows().size() && stack_.rows()[i + 1].segment == row.segment) continue;
        bytes.headers += kPage;  // the segment's own
        all += row.offset + row.bytes;
    }
    bytes.keysValues = all - bytes.headers;
    bytes.sketch = roundUp(sketchEnd, kPage);
    return bytes;
}

DiskStream::Target DiskStream::target(std::uint32_t first) const {
    if (stack_.rows().empty()) return {0, kPage, 0, true, true};
    const auto& last = stack_.rows().back();
    const bool newSketch = last.sketchOffset + last.sketchBytes == 0;
    std::uint64_t dropped = 0;
    for (const auto& row : stack_.rows())
        if (row.first >= first) dropped += row.bytes;
    const std::uint64_t sketchOffset = last.sketchOffset + last.sketchBytes;
    if (dropped > kHoleBytes || last.offset + last.bytes >= place_.limits.segmentBytes)
        return {last.segment + 1, kPage, sketchOffset, true, newSketch};
    return {last.segment, last.offset + last.bytes, sketchOffset, false, newSketch};
}

/// Opens what is written to and cuts it to what is visible: whatever a crash or a failed commit left behind goes.
Status DiskStream::prepare(const Target& target, bool sketched) {
    // A segment after this one is left over; it would come after this commit when the index is made anew.
    for (const std::uint32_t number : segmentsIn(place_.folder))
        if (number > target.segment)
            if (auto s = place_.files.remove(segmentPath(place_.folder, number)); !s) return s;
    if (!segment_ || segmentNumber_ != target.segment) {
        auto file = place_.files.open(segmentPath(place_.folder, target.segment), OpenMode::Create);
        if (!file) return file.error();
        segment_ = std::move(*file);
        segmentNumber_ = target.segment;
    }
    const auto cutTo = [](File& file, std::uint64_t bytes) -> Status {
        const auto size = file.size();
        if (!size) return size.error();
        return *size == bytes ? Status{} : file.truncate(bytes);
    };
    if (sketched && !sketch_) {
        auto file = place_.files.open(sketchPath(), OpenMode::Create);
        if (!file) return file.error();
        sketch_ = std::move(*file);
    }
    if (sketched)
        if (auto s = cutTo(*sketch_, target.sketchOffset); !s) return s;
    if (!target.newSegment) return cutTo(*segment_, target.offset);
    if (auto s = segment_->truncate(0); !s) return s;
    auto header = place_.identity;
    header.number = target.segment;
    const auto page = header.encode();
    if (!page) return page.error();
    return segment_->pwrite(*page, 0);
}

Status DiskStream::checkRoom(std::uint32_t tokens) const {
    const auto& [shape, codec] = std::pair(place_.identity.shape, place_.identity.codec());
    const auto have = place_.files.freeBytes(place_.folder);
    if (!have) return have.error();
    const std::uint64_t need = mostBatchBytes(shape, codec, tokens) + mostSketchBytes(shape, codec, tokens) + kPage +
                               place_.limits.reserveBytes;
    if (*have >= need) return {};
    return Error{Code::DiskFull, place_.folder.string(),
                 "needs " + std::to_string(need) + " bytes, " + std::to_string(*have) + " are free"};
}

Status DiskStream::write(const Target& target, const KvBatch& batch, BatchRow& row, std::vector<GroupPlace>& places) {
    const auto shape = place_.identity.shape;
    const auto codec = place_.identity.codec();
    const auto tokens = static_cast<std::uint32_t>(batch.ids.size());
    std::vector<std::byte> sketch;
    if (mostSketchBytes(shape, codec, tokens) > 0)
        sketch = encodeSketch({0, 0, 0, streamHash_, batch.first, tokens / kGroupTokens}, shape, batch.codes,
                              place_.limits.compress);
    BatchHeader header{.streamHash = streamHash_,
                       .first = batch.first,
                       .tokens = tokens,
                       .bytes = 0,
                       .chain = stack_.chainBefore(batch.first),
                       .sketchOffset = target.sketchOffset,
                       .sketchBytes = sketch.size(),
                       .sketchChecksum = sketch.empty() ? 0 : sketchChecksum(sketch),
                       .checksum = 0};
    if (auto s = prepare(target, !sketch.empty()); !s) return s;
    auto written = writeBatch(*segment_, target.offset, header, shape, codec, batch, place_.limits.compress);
    if (!written) return written.error();
    places = std::move(*written);
    if (!sketch.empty())
        if (auto s = sketch_->pwrite(sketch, target.sketchOffset); !s) return s;
    if (auto s = makeDurable(target, !sketch.empty()); !s) return s;
    row = {.first = batch.first,
           .tokens = header.tokens,
           .storedTokens = header.tokens,
           .segment = target.segment,
           .offset = target.offset,
           .bytes = header.bytes,
           .sketchOffset = target.sketchOffset,
           .sketchBytes = header.sketchBytes,
           .checksum = header.checksum};
    return {};
}

Status DiskStream::makeDurable(const Target& target, bool sketched) {
    if (auto s = segment_->sync(); !s) return s;
    segment_->dropCache();  // what is read again goes past the cache, or once and in order
    if (sketched) {
        if (auto s = sketch_->sync(); !s) return s;
        sketch_->dropCache();
    }
    if (target.newSegment || (sketched && target.newSketch))
        if (auto s = place_.files.syncDirectory(place_.folder); !s) return s;
    if (!stack_.rows().empty()) return {};
    for (auto folder = place_.folder; folder != place_.root;) {  // the first commit: the folders are new too
        folder = folder.parent_path();
        if (auto s = place_.files.syncDirectory(folder); !s) return s;
    }
    return {};
}

/// After a failed write or sync nothing is known about the new bytes, so they go and the files are opened afresh: what
/// the kernel may still hold of them is never synced again.
void DiskStream::undo(const Target& target) {
    if (segment_ && segmentNumber_ == target.segment && !target.newSegment) attempt(segment_->truncate(target.offset));
    if (sketch_) attempt(sketch_->truncate(target.sketchOffset));
    segment_.reset();
    sketch_.reset();
    if (target.newSegment) attempt(place_.files.remove(segmentPath(place_.folder, target.segment)));
}

bool DiskStream::fits(const KvBatch& batch) const {
    if (batch.ids.empty() || batch.ids.size() > kMaxBatchTokens || !stack_.continuesAt(batch.first) ||
        batch.first > UINT32_MAX - batch.ids.size())
        return false;
    const auto tokens = static_cast<std::uint32_t>(batch.ids.size());
    const auto sizes = loader_.sizes(tokens, 0);
    return batch.payload.size() == sizes.payload && batch.codes.size() == sizes.codes &&
           batch.unfinished.size() == sizes.unfinished &&
           mostBatchBytes(place_.identity.shape, place_.identity.codec(), tokens) <= kMaxBatchBytes;
}

Status DiskStream::commit(const KvBatch& batch) {
    if (!fits(batch))
        return Error{Code::InvalidArgument, place_.folder.string(), "a batch that does not continue this stream"};
    if (auto s = checkRoom(static_cast<std::uint32_t>(batch.ids.size())); !s) return s;
    const Target where = target(batch.first);
    BatchRow row;
    std::vector<GroupPlace> places;
    auto done = write(where, batch, row, places);
    if (done) done = place_.index->replaceFrom(place_.streamId, batch.first, &row);
    if (!done) {
        undo(where);
        return done;
    }
    const bool dropped = !stack_.rows().empty() && stack_.rows().back().first >= batch.first;
    stack_.put(row, batch.ids);
    if (directory_) directory_->put(row, segmentPath(place_.folder, row.segment), where.newSegment, std::move(places));
    if (dropped || untidy_) trim();
    return {};
}

Status DiskStream::truncate(std::uint32_t to) {
    if (to % kGroupTokens != 0 || to < firstToken() || to > tokens())
        return Error{Code::InvalidArgument, place_.folder.string(), "no place to truncate at"};
    if (auto s = place_.index->replaceFrom(place_.streamId, to, nullptr); !s) return s;
    stack_.cut(to);
    if (directory_) directory_->cut(to);
    trim();
    return {};
}

/// Frees what no row shows any more, where that is the end of a file or a whole one.
void DiskStream::trim() {
    untidy_ = false;
    for (const std::uint32_t number : segmentsIn(place_.folder)) {
        std::uint64_t end = 0;
        for (const auto& row : stack_.rows())
            if (row.segment == number) end = std::max(end, row.offset + row.bytes);
        if (segment_ && segmentNumber_ == number && end == 0) segment_.reset();
        const auto path = segmentPath(place_.folder, number);
        if (end == 0) {
            attempt(place_.files.remove(path));
        } else if (auto file = place_.files.open(path, OpenMode::ReadWrite)) {
            if (const auto size = (*file)->size(); size && *size > end) attempt((*file)->truncate(end));
        }
    }
    std::uint64_t sketchEnd = 0;
    for (const auto& row : stack_.rows()) sketchEnd = std::max(sketchEnd, row.sketchOffset + row.sketchBytes);
    if (sketchEnd == 0) {
        sketch_.reset();
        attempt(place_.files.remove(sketchPath()));
    } else if (auto file = place_.files.open(sketchPath(), OpenMode::ReadWrite)) {
        if (const auto size = (*file)->size(); size && *size > sketchEnd) attempt((*file)->truncate(sketchEnd));
    }
}

std::vector<FoundBatch> DiskStream::findBatches() const {
    std::vector<FoundBatch> found;
    std::shared_ptr<File> sketch;
    if (auto file = place_.files.open(sketchPath(), OpenMode::Read)) sketch = std::move(*file);
    for (const auto& row : stack_.rows()) {
        FoundBatch batch{&row, nullptr, sketch, std::nullopt};
        if (!found.empty() && found.back().row->segment == row.segment)
            batch.segment = found.back().segment;
        else if (auto file = segmentFile(row.segment))
            batch.segment = std::move(*file);
        if (batch.segment)
            if (auto stored = readBatch(*batch.segment, row.offset, place_.identity.shape, streamHash_);
                stored && stored->header.checksum == row.checksum)
                batch.stored = std::move(*stored);
        found.push_back(std::move(batch));
    }
    return found;
}

Result<std::uint32_t> DiskStream::load(const KvAllocate& allocate) {
    std::vector<KvMemory> memory;
    for (const auto& row : stack_.rows()) {
        const auto own = allocate(row.first, row.tokens);
        if (!own)
            return Error{Code::NoMemory, place_.folder.string(),
                         "no room for tokens from " + std::to_string(row.first)};
        const auto sizes = loader_.sizes(row.tokens, own->layers.size());
        const auto fits = [](std::span<std::byte> part, std::size_t bytes) {
            return part.empty() || part.size() == bytes;
        };
        if (!fits(own->payload, sizes.payload) || !fits(own->codes, sizes.codes) ||
            !fits(own->unfinished, sizes.unfinished))
            return Error{Code::InvalidArgument, place_.folder.string(), "memory of another shape"};
        memory.push_back(*own);
    }
    return loader_.load(findBatches(), memory, tokens());
}

Result<KvStream::Check> DiskStream::verify() {
    return loader_.check(findBatches(), tokens());
}

Result<std::unique_ptr<GroupReader>> DiskStream::reader(ReaderOptions options) {
    if (!directory_) {
        auto directory = std::make_shared<GroupDirectory>(place_.identity.shape, place_.identity.codec());
        fillDirectory(*directory);
        directory_ = std::move(directory);
    }
    return std::unique_ptr<GroupReader>(std::make_unique<DiskGroupReader>(place_.files, directory_, options));
}

/// Of what is damaged nothing is known: its groups are there and never good.
void DiskStream::fillDirectory(GroupDirectory& directory) const {
    const auto shape = place_.identity.shape;
    for (const auto& batch : findBatches()) {
        const auto path = segmentPath(place_.folder, batch.row->segment);
        const std::size_t perLayer = std::size_t{shape.kvHeads} * groupsOf(batch.row->storedTokens);
        std::vector<GroupPlace> places;
        places.reserve(perLayer * shape.layers);
        for (std::uint32_t layer = 0; layer < shape.layers && batch.stored; ++layer) {
            const auto own =
                readPlaces(*batch.segment, batch.row->offset, *batch.stored, shape, place_.identity.codec(), layer);
            if (own)
                places.insert(places.end(), own->begin(), own->end());
            else
                places.resize(places.size() + perLayer);
        }
        places.resize(perLayer * shape.layers);
        directory.put(*batch.row, path, false, std::move(places));
    }
}

NotePlace DiskStream::notePlace() const {
    return {streamHash_, xxh3(std::as_bytes(std::span(ids()))), tokens()};
}

Status DiskStream::keepNote(std::span<const std::byte> bytes) {
    return writeNote(place_.files, place_.folder / "note.bin", notePlace(), bytes);
}

Result<std::vector<std::byte>> DiskStream::note() {
    return readNote(place_.files, place_.folder / "note.bin", notePlace());
}

}  // namespace carrel

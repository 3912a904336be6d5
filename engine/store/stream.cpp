#include "store/stream.h"

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>

#include "store/paths.h"
#include "store/sketch_file.h"

namespace carrel {

namespace {

// A commit that drops more than this goes to a new segment file, so that the old one can be cut to what is still
// visible.
constexpr std::uint64_t kHoleBytes = std::uint64_t{16} << 20;
constexpr unsigned kLoadThreads = 4;  // reads in flight

/// For what is tried because it frees space early; the next commit cuts the files to the same size, or fails.
void attempt(const Status&) {}

}  // namespace

DiskStream::DiskStream(StreamPlace place)
    : place_(std::move(place)),
      streamHash_(place_.identity.streamHash()),
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
        row.tokens == h.tokens || (row.tokens > 0 && row.tokens < h.tokens && row.tokens % kStoreGroupTokens == 0);
    if (row.first != tokens() || row.first != h.first || row.storedTokens != h.tokens || !whole ||
        row.bytes != h.bytes || row.checksum != h.checksum || row.sketchOffset != h.sketchOffset ||
        row.sketchBytes != h.sketchBytes || h.chain != stack_.chainBefore(row.first))
        return false;
    stack_.put(row, stored.ids);
    return true;
}

std::uint64_t DiskStream::diskBytes() const {
    std::uint64_t bytes = 0;
    for (const auto& row : stack_.rows()) bytes += row.bytes + row.sketchBytes;
    return bytes;
}

DiskStream::Target DiskStream::target(std::uint32_t first) const {
    if (stack_.rows().empty()) return {0, kPage, 0, true, true};
    const auto& last = stack_.rows().back();
    std::uint64_t dropped = 0;
    for (const auto& row : stack_.rows())
        if (row.first >= first) dropped += row.bytes;
    const std::uint64_t sketchOffset = last.sketchOffset + last.sketchBytes;
    if (dropped > kHoleBytes || last.offset + last.bytes >= place_.limits.segmentBytes)
        return {last.segment + 1, kPage, sketchOffset, true, false};
    return {last.segment, last.offset + last.bytes, sketchOffset, false, false};
}

/// Opens both files and cuts them to what is visible: whatever a crash or a failed commit left behind goes.
Status DiskStream::prepare(const Target& target) {
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
    if (!sketch_) {
        auto file = place_.files.open(sketchPath(), OpenMode::Create);
        if (!file) return file.error();
        sketch_ = std::move(*file);
    }
    const auto cutTo = [](File& file, std::uint64_t bytes) -> Status {
        const auto size = file.size();
        if (!size) return size.error();
        return *size == bytes ? Status{} : file.truncate(bytes);
    };
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
    const auto shape = place_.identity.shape;
    const auto have = place_.files.freeBytes(place_.folder);
    if (!have) return have.error();
    const std::uint64_t need =
        BatchLayout(shape, tokens).bytes + sketchRecordBytes(shape, tokens) + kPage + place_.limits.reserveBytes;
    if (*have >= need) return {};
    return Error{Code::DiskFull, place_.folder.string(),
                 "needs " + std::to_string(need) + " bytes, " + std::to_string(*have) + " are free"};
}

Status DiskStream::write(const Target& target, const KvBatch& batch, BatchRow& row) {
    const auto shape = place_.identity.shape;
    BatchHeader header{.streamHash = streamHash_,
                       .first = batch.first,
                       .tokens = static_cast<std::uint32_t>(batch.ids.size()),
                       .bytes = 0,
                       .chain = stack_.chainBefore(batch.first),
                       .sketchOffset = target.sketchOffset,
                       .sketchBytes = sketchRecordBytes(shape, static_cast<std::uint32_t>(batch.ids.size())),
                       .checksum = 0};
    if (auto s = prepare(target); !s) return s;
    if (auto s = writeBatch(*segment_, target.offset, header, shape, batch); !s) return s;
    if (auto s = sketch_->pwrite(encodeSketch(streamHash_, batch.first, header.tokens, shape, batch.payload),
                                 target.sketchOffset);
        !s)
        return s;
    if (auto s = segment_->sync(); !s) return s;
    if (auto s = sketch_->sync(); !s) return s;
    if (target.newSegment)
        if (auto s = place_.files.syncDirectory(place_.folder); !s) return s;
    if (target.newSketch)  // the stream's first commit: its folders are new too
        for (auto folder = place_.folder; folder != place_.root;) {
            folder = folder.parent_path();
            if (auto s = place_.files.syncDirectory(folder); !s) return s;
        }
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

/// After a failed write or sync nothing is known about the new bytes, so they go and the files are opened afresh: what
/// the kernel may still hold of them is never synced again.
void DiskStream::undo(const Target& target) {
    if (segment_ && segmentNumber_ == target.segment && !target.newSegment) attempt(segment_->truncate(target.offset));
    if (sketch_) attempt(sketch_->truncate(target.sketchOffset));
    segment_.reset();
    sketch_.reset();
    if (target.newSegment) attempt(place_.files.remove(segmentPath(place_.folder, target.segment)));
}

Status DiskStream::commit(const KvBatch& batch) {
    const auto shape = place_.identity.shape;
    const std::size_t payload =
        shape.groupBytes() * shape.layers * shape.kvHeads * groupsOf(static_cast<std::uint32_t>(batch.ids.size()));
    if (batch.ids.empty() || batch.ids.size() > kMaxBatchTokens || batch.payload.size() != payload ||
        !stack_.continuesAt(batch.first) || batch.first > UINT32_MAX - batch.ids.size())
        return Error{Code::InvalidArgument, place_.folder.string(), "a batch that does not continue this stream"};
    if (auto s = checkRoom(static_cast<std::uint32_t>(batch.ids.size())); !s) return s;
    const Target where = target(batch.first);
    BatchRow row;
    auto done = write(where, batch, row);
    if (done) done = place_.index->replaceFrom(place_.streamId, batch.first, &row);
    if (!done) {
        undo(where);
        return done;
    }
    const bool dropped = !stack_.rows().empty() && stack_.rows().back().first >= batch.first;
    stack_.put(row, batch.ids);
    if (dropped || untidy_) trim();
    return {};
}

Status DiskStream::truncate(std::uint32_t to) {
    if (to % kStoreGroupTokens != 0 || to < firstToken() || to > tokens())
        return Error{Code::InvalidArgument, place_.folder.string(), "no place to truncate at"};
    if (auto s = place_.index->replaceFrom(place_.streamId, to, nullptr); !s) return s;
    stack_.cut(to);
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
    if (!stack_.rows().empty()) return;
    sketch_.reset();
    attempt(place_.files.remove(sketchPath()));
}

Result<std::uint32_t> DiskStream::load(const KvAllocate& allocate) {
    const auto shape = place_.identity.shape;
    std::vector<std::unique_ptr<File>> files;
    std::vector<Loading> parts;
    std::uint32_t open = 0;  // number of the segment in files.back()
    for (const auto& row : stack_.rows()) {
        const auto memory = allocate(row.first, row.tokens);
        if (memory.empty())
            return Error{Code::NoMemory, place_.folder.string(),
                         "no room for tokens from " + std::to_string(row.first)};
        if (memory.size() != shape.groupBytes() * shape.layers * shape.kvHeads * groupsOf(row.tokens))
            return Error{Code::InvalidArgument, place_.folder.string(), "memory of another shape"};
        if (files.empty() || row.segment != open) {
            auto file = segmentFile(row.segment);
            files.push_back(file ? std::move(*file) : nullptr);
            open = row.segment;
        }
        parts.push_back({&row, files.back().get(), memory});
    }
    const std::uint32_t good = verify(parts);
    if (good == tokens()) mendSketches(parts);
    return good;
}

std::uint32_t DiskStream::verify(const std::vector<Loading>& parts) {
    const auto shape = place_.identity.shape;
    std::atomic<std::size_t> next{0};
    std::atomic<std::uint32_t> bad{tokens()};
    const auto work = [&] {
        for (std::size_t i; (i = next++) < parts.size() * shape.layers;) {
            const auto& [row, file, memory] = parts[i / shape.layers];
            if (row->first >= bad) return;
            const auto layer = static_cast<std::uint32_t>(i % shape.layers);
            const std::size_t layerBytes = memory.size() / shape.layers;
            const ExtentHeader extent{streamHash_, layer, row->first, row->storedTokens};
            const std::uint32_t groups = file ? readExtent(*file, row->offset, extent, shape, row->tokens,
                                                           memory.subspan(layer * layerBytes, layerBytes))
                                              : 0;
            if (groups == groupsOf(row->tokens)) continue;
            const std::uint32_t from = row->first + groups * kStoreGroupTokens;
            for (std::uint32_t seen = bad; from < seen && !bad.compare_exchange_weak(seen, from);) {
            }
        }
    };
    std::vector<std::thread> helpers;
    try {
        while (helpers.size() + 1 < kLoadThreads) helpers.emplace_back(work);
    } catch (const std::system_error&) {  // no more threads: this one does what is left
    }
    work();
    for (auto& helper : helpers) helper.join();
    return bad;
}

/// The sketch follows from the payload, which has just been verified. What cannot be mended now is tried again at the
/// next load.
void DiskStream::mendSketches(const std::vector<Loading>& parts) {
    auto file = place_.files.open(sketchPath(), OpenMode::Create);
    if (!file) return;
    bool mended = false;
    for (const auto& [row, segment, memory] : parts) {
        const auto shape = place_.identity.shape;
        if (readSketch(**file, row->sketchOffset, row->sketchBytes, streamHash_, row->first, row->tokens, shape))
            continue;
        attempt((*file)->pwrite(encodeSketch(streamHash_, row->first, row->tokens, shape, memory), row->sketchOffset));
        mended = true;
    }
    if (mended) attempt((*file)->sync());
}

}  // namespace carrel

#include "store/group_reader.h"

#include <algorithm>
#include <numeric>

#include "base/hash.h"
#include "store/segment.h"

namespace carrel {

namespace {

// A quarter of the queue in reads of the largest size fills a disk, and the whole of it in small ones.
std::size_t bufferLimit(const ReaderOptions& options, std::size_t groupBytes) {
    const std::size_t largest = ReadBuffers::sizeFor(std::max(options.mostReadBytes, groupBytes) + 2 * kPage);
    return std::max(largest, options.queueDepth * options.mostReadBytes / 4);
}

}  // namespace

DiskGroupReader::DiskGroupReader(FileSystem& files, std::shared_ptr<const GroupDirectory> directory,
                                 ReaderOptions options)
    : files_(files),
      directory_(std::move(directory)),
      options_(options),
      groupBytes_(directory_->shape().groupBytes(directory_->codec())),
      buffers_(bufferLimit(options, groupBytes_)) {
    options_.queueDepth = std::max(options_.queueDepth, 1u);
    running_.resize(options_.queueDepth);
    freeSlots_.resize(options_.queueDepth);
    std::iota(freeSlots_.begin(), freeSlots_.end(), 0u);
}

DiskGroupReader::~DiskGroupReader() {
    waiting_.clear();
    queue_.reset();  // waits: buffers and files must outlive what is under way
}

File* DiskGroupReader::fileOf(const GroupDirectory::Batch& batch) {
    if (const auto known = open_.find(batch.file); known != open_.end()) return known->second.file.get();
    std::erase_if(open_, [&](const auto& entry) { return entry.second.reads == 0 && !directory_->uses(entry.first); });
    auto file = files_.open(batch.path, options_.direct ? OpenMode::Direct : OpenMode::Read);
    if (!file && options_.direct && file.error().code == Code::Unsupported)
        file = files_.open(batch.path, OpenMode::Read);
    if (!file) return nullptr;  // and not remembered: it may work the next time
    auto& entry = open_[batch.file];
    entry.file = std::move(*file);
    if (!queue_) queue_ = ReadQueue::make(options_.queueDepth, options_.ring && entry.file->descriptor() >= 0);
    return entry.file.get();
}

/// Cuts a run where its groups are no neighbours or a read would become too long.
std::vector<DiskGroupReader::Read> DiskGroupReader::plan(std::uint32_t request, const GroupDirectory::Run& run,
                                                         File& file, std::span<std::byte> into) const {
    std::vector<Read> reads;
    const std::uint64_t align = file.readAlignment(), base = run.batch->offset;
    for (std::size_t i = 0, next; i < run.places.size(); i = next) {
        const std::uint64_t from = (base + run.places[i].offset()) / align * align;
        std::uint64_t to = 0;
        for (next = i; next < run.places.size(); ++next) {
            const auto& place = run.places[next];
            if (next > i && place.offset() != run.places[next - 1].end()) break;
            const std::uint64_t end = roundUp(base + place.offset() + place.bytes, align);
            if (next > i && end - from > options_.mostReadBytes) break;
            to = end;
        }
        reads.push_back({request,
                         {run.batch, run.places.subspan(i, next - i)},
                         into.subspan(i * groupBytes_, (next - i) * groupBytes_),
                         {},
                         &file,
                         from,
                         static_cast<std::size_t>(to - from)});
    }
    return reads;
}

void DiskGroupReader::submit(std::uint64_t tag, std::uint32_t layer, std::uint32_t head, std::uint32_t group,
                             std::uint32_t count, std::span<std::byte> into) {
    const auto runs = directory_->find(layer, head, group, count);
    std::vector<Read> reads;
    bool good = !runs.empty() && into.size() == count * groupBytes_;
    const std::uint32_t request = ++lastRequest_;
    for (const auto& run : runs) {
        File* const file = good ? fileOf(*run.batch) : nullptr;
        const auto damaged = [](const GroupPlace& place) { return place.bytes == 0; };
        good = file != nullptr && std::none_of(run.places.begin(), run.places.end(), damaged);
        if (!good) break;
        const auto own = plan(request, run, *file, into.first(run.places.size() * groupBytes_));
        into = into.subspan(run.places.size() * groupBytes_);
        open_[run.batch->file].reads += own.size();
        reads.insert(reads.end(), own.begin(), own.end());
    }
    if (!good) {
        for (const auto& read : reads) --open_[read.groups.batch->file].reads;
        done_.push_back({tag, false});
        return;
    }
    requests_[request] = {tag, reads.size(), true};
    for (auto& read : reads) waiting_.push_back(std::move(read));
    startWaiting();
}

void DiskGroupReader::startWaiting() {
    while (!waiting_.empty() && !freeSlots_.empty()) {
        const auto buffer = buffers_.take(waiting_.front().bytes);
        const bool idle = freeSlots_.size() == running_.size();
        if (buffer.empty() && !idle) break;
        Read read = std::move(waiting_.front());
        waiting_.pop_front();
        if (buffer.empty()) {  // nothing will be given back: memory is short
            finish(read, false);
            continue;
        }
        read.buffer = buffer;
        const std::uint32_t slot = freeSlots_.back();
        freeSlots_.pop_back();
        counters_.bytesRead += read.bytes;
        ++counters_.reads;
        queue_->start(slot, *read.file, buffer.first(read.bytes), read.offset);
        running_[slot] = std::move(read);
    }
    if (queue_) queue_->send();
}

void DiskGroupReader::finish(const Read& read, bool arrived) {
    bool good = arrived;
    for (std::size_t i = 0; good && i < read.groups.places.size(); ++i) {
        const auto& place = read.groups.places[i];
        const auto stored = std::span<const std::byte>(read.buffer)
                                .subspan(read.groups.batch->offset + place.offset() - read.offset, place.bytes);
        good = xxh3(stored) == place.checksum &&
               decodeGroup(place, stored, read.into.subspan(i * groupBytes_, groupBytes_), zstd_);
    }
    --open_[read.groups.batch->file].reads;
    auto& request = requests_[read.request];
    request.good = request.good && good;
    if (--request.readsLeft > 0) return;
    done_.push_back({request.tag, request.good});
    requests_.erase(read.request);
}

std::vector<GroupReader::Done> DiskGroupReader::reap(std::size_t atLeast) {
    std::vector<ReadQueue::Finished> finished;
    while (queue_) {
        const bool running = freeSlots_.size() < running_.size();
        queue_->reap(running && done_.size() < atLeast, finished);
        if (finished.empty() && (!running || done_.size() >= atLeast)) break;
        for (const auto& [slot, good] : finished) {
            finish(running_[slot], good);
            buffers_.giveBack(running_[slot].buffer);
            running_[slot] = {};
            freeSlots_.push_back(slot);
        }
        finished.clear();
        startWaiting();
    }
    return std::exchange(done_, {});
}

std::uint64_t DiskGroupReader::memoryBytes() const {
    return buffers_.limit() + directory_->memoryBytes() + zstd_.memoryBytes();
}

}  // namespace carrel

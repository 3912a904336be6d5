#include "kv/tiered_kv.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <string>

namespace carrel {

namespace {

// Of the reader's directory, per group that is still to come.
constexpr std::uint64_t kDirectoryBytes = 32;

}  // namespace

TieredKv::TieredKv(Backend& backend, KvStream& stream, KvShape shape, KvCodec codec, std::uint32_t capacityGroups,
                   const TierOptions& options)
    : backend_(backend),
      stream_(stream),
      shape_(shape),
      codec_(codec),
      capacity_(capacityGroups),
      options_(options),
      chunker_(shape, capacityGroups * kGroupLeaves, options.adaptiveChunks ? 0 : options.fixedChunkTokens,
               ChunkCosts(shape.groupBytes(codec))),
      predicted_(shape.rows() * capacityGroups) {}

Result<std::unique_ptr<DocumentKv>> TieredKv::open(Backend& backend, KvStream& stream, KvShape shape, KvCodec codec,
                                                   std::uint32_t capacityGroups, std::uint32_t batchGroups,
                                                   const TierOptions& options) {
    std::unique_ptr<TieredKv> kv(new TieredKv(backend, stream, shape, codec, capacityGroups, options));
    auto reader = stream.reader(options.reader);
    if (!reader) return reader.error();
    kv->reader_ = std::move(*reader);
    const std::uint64_t toCome = capacityGroups - std::min(capacityGroups, stream.tokens() / kGroupTokens);
    auto plan = TierPlan::make(shape, codec, capacityGroups, batchGroups,
                               kv->reader_->memoryBytes() + toCome * shape.rows() * kDirectoryBytes, options);
    if (!plan) return plan.error();
    kv->plan_ = *plan;
    if (auto loaded = kv->load(*plan); !loaded) return loaded.error();

    auto staging = backend.allocate(plan->stagingBytes);
    if (!staging) return staging.error();
    kv->staging_ = std::move(*staging);
    if (options.ownDevice) {
        auto rows = backend.allocate(Windows::unpackedBytes(shape, codec, plan->windowGroups), MemoryKind::Device);
        if (!rows) return rows.error();
        kv->windowRows_ = std::move(*rows);
    }
    const std::uint32_t perLayer = shape.kvHeads * capacityGroups;
    auto device = MemoryTier::make(backend, MemoryKind::Device, rowsBytes(shape.headDim), plan->deviceSlots,
                                   shape.layers, perLayer * kGroupLeaves);
    if (!device) return device.error();
    kv->device_ = std::move(*device);
    auto host =
        MemoryTier::make(backend, MemoryKind::Host, shape.groupBytes(codec), plan->hostSlots, shape.layers, perLayer);
    if (!host) return host.error();
    kv->host_ = std::move(*host);
    kv->leaveWindows();
    kv->resetCounters();
    return std::unique_ptr<DocumentKv>(std::move(kv));
}

Status TieredKv::load(const TierPlan& plan) {
    auto sketch = Sketch::make(backend_, shape_, codec_, capacity_, plan.sketch);
    if (!sketch) return sketch.error();
    sketch_ = std::move(*sketch);
    Status put;
    const auto good = loadBatches(backend_, stream_, shape_, codec_, plan.loaded(codec_), plan.loadingBytes,
                                  [&](const LoadedBatch& batch) {
                                      if (codec_ != KvCodec::F16 && put) put = sketch_.put(backend_, codec_, batch);
                                  });
    if (!good) return good.error();
    if (!put) return put.error();
    groups_ = *good;
    hostPeak_ = plan.loadPeakBytes + reader_->memoryBytes();
    sketch_.setGroups(groups_);
    chunker_.setLeaves(groups_ * kGroupLeaves);
    return {};
}

Status TieredKv::append(KvGroups groups) {
    assert(groups.firstGroup() == groups_ && !pinned_);
    if (groups.groups() > capacity_ - groups_)
        return Error{Code::NoMemory, "document", "it grew past the size that its memory was planned for"};
    if (auto done = landed(); !done) return done;
    if (codec_ != KvCodec::F16)
        if (auto done = sketch_.put(backend_, codec_, groups); !done) return done;
    if (auto done = backend_.wait(backend_.record()); !done) return done;  // `groups` goes
    for (std::uint32_t layer = 0; layer < shape_.layers; ++layer)
        for (std::uint32_t head = 0; head < shape_.kvHeads; ++head)
            for (std::uint32_t i = 0; i < groups.groups() && host_.freeSlots() > 0; ++i)
                std::memcpy(host_.insert(groupIndex(layer, head, groups_ + i)), groups.payload(layer, head, i),
                            shape_.groupBytes(codec_));
    groups_ += groups.groups();
    hostPeak_ = std::max(hostPeak_, hostUsed());
    sketch_.setGroups(groups_);
    chunker_.setLeaves(groups_ * kGroupLeaves);
    return {};
}

void TieredKv::leaveWindows() {
    windows_.reset();
    if (flights_ == nullptr)
        flights_ =
            std::make_unique<Flights>(*reader_, shape_, codec_, capacity_, staging_.as<std::byte>(),
                                      static_cast<std::uint32_t>(plan_.stagingBytes / shape_.groupBytes(codec_)));
}

void TieredKv::enterWindows() {
    if (windows_ != nullptr) return;
    flights_.reset();
    std::ranges::fill(predicted_, 0);
    windows_ = std::make_unique<Windows>(
        Windows::Source{backend_, *reader_, device_, host_, sketch_, chunker_, shape_, codec_, capacity_},
        staging_.as<std::byte>(),
        windowRows_.bytes() > 0 ? windowRows_.as<std::byte>()
                                : staging_.as<std::byte>(Windows::payloadBytes(shape_, codec_, plan_.windowGroups)),
        plan_.windowGroups);
}

Status TieredKv::refuse(std::uint32_t layer, std::uint32_t head, std::uint32_t group) {
    sound_ = std::min(sound_, group);
    return Error{
        Code::Corrupt, "reading",
        "layer " + std::to_string(layer) + ", KV head " + std::to_string(head) + ", group " + std::to_string(group)};
}

Result<std::span<const std::vector<KvRun>>> TieredKv::window(std::uint32_t layer, std::uint32_t first,
                                                             std::uint32_t count) {
    assert(first + count <= groups_ && !pinned_);
    if (count > plan_.windowGroups)
        return Error{Code::InvalidArgument, "window",
                     std::to_string(count) + " groups, at most " + std::to_string(plan_.windowGroups)};
    if (auto done = landed(); !done) return done.error();
    enterWindows();
    Windows::Bad bad{};
    if (!windows_->get(layer, first, count, groups_, counters_, bad))
        return refuse(bad.layer, bad.head, bad.group).error();
    hostPeak_ = std::max(hostPeak_, hostUsed());
    return windows_->runs();
}

std::uint64_t TieredKv::hostUsed() const {
    return plan_.fixedBytes + reader_->memoryBytes() + host_.usedBytes();
}

std::uint64_t TieredKv::deviceUsed() const {
    const std::uint64_t leaves = shape_.rows() * capacity_ * kGroupLeaves;
    return options_.localBytes + plan_.deviceFixedBytes +
           (device_.slots() == 0 ? 0 : MemoryTier::bytes(0, device_.slots(), leaves) + device_.usedBytes());
}

TierCounters TieredKv::counters() const {
    TierCounters counters = counters_;
    counters.device.budgetBytes = options_.deviceBytes;
    counters.device.usedBytes = deviceUsed();
    counters.device.peakBytes = std::max(devicePeak_, deviceUsed());
    counters.host.budgetBytes = options_.hostBytes;
    counters.host.usedBytes = hostUsed();
    counters.host.peakBytes = std::max(hostPeak_, hostUsed());
    counters.disk.usedBytes = counters.disk.budgetBytes = stream_.diskBytes().keysValues;
    counters.device.leaves = device_.slots() - device_.freeSlots();
    counters.host.leaves = std::uint64_t{host_.slots() - host_.freeSlots()} * kGroupLeaves;
    counters.disk.leaves = shape_.rows() * groups_ * kGroupLeaves;
    counters.disk.bytesRead = reader_->counters().bytesRead - readerStart_.bytesRead;
    return counters;
}

void TieredKv::resetCounters() {
    counters_ = {};
    chunker_.resetReads();
    readerStart_ = reader_->counters();
}

std::vector<LeafRow> TieredKv::places() const {
    return chunker_.places([this](std::size_t row, std::uint32_t leaf, LeafPlace& place) {
        const auto index = static_cast<std::uint32_t>(row * capacity_ * kGroupLeaves + leaf);
        place.inHost = host_.has(index / kGroupLeaves);
        place.tier = device_.has(index) ? Tier::Device : place.inHost ? Tier::Host : Tier::Disk;
    });
}

}  // namespace carrel

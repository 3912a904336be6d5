#include "kv/resident_kv.h"

#include <algorithm>
#include <bit>
#include <cassert>

#include "kv/loading.h"

namespace carrel {

namespace {

constexpr std::uint64_t kLoadBytes = std::uint64_t{64} << 20;  // staging of a load: larger is no faster

std::size_t unitBytesOf(KvShape shape, KvCodec codec) {
    return codec == KvCodec::F16 ? shape.groupBytes() : kGroupLeaves * rowsBytes(shape.headDim);
}

std::uint32_t fixedTokens(const TierOptions& options) {
    return options.adaptiveChunks ? 0 : options.fixedChunkTokens;
}

/// KvGroups as LoadedBatch hands its parts out.
struct Appended {
    const KvGroups& groups;
    std::uint32_t heads;
    const std::byte* payload(std::size_t row, std::uint32_t group) const {
        return groups.payload(layer(row), head(row), group);
    }
    const std::byte* codes(std::size_t row, std::uint32_t group) const {
        return groups.codes(layer(row), head(row), group);
    }
    std::uint32_t layer(std::size_t row) const { return static_cast<std::uint32_t>(row / heads); }
    std::uint32_t head(std::size_t row) const { return static_cast<std::uint32_t>(row % heads); }
};

}  // namespace

std::uint64_t ResidentKv::deviceBytes(KvShape shape, KvCodec codec, std::uint32_t capacityGroups) {
    return shape.rows() * capacityGroups * unitBytesOf(shape, codec);
}

std::uint64_t ResidentKv::hostBytes(KvShape shape, KvCodec codec, std::uint32_t capacityGroups,
                                    std::uint32_t batchGroups) {
    return Chunker::bytes(shape, capacityGroups * kGroupLeaves) +
           shape.rows() * batchGroups * LoadParts{true, true}.groupBytes(shape, codec);
}

ResidentKv::ResidentKv(Backend& backend, KvShape shape, KvCodec codec, std::uint32_t capacityGroups,
                       const TierOptions& options)
    : backend_(backend),
      shape_(shape),
      codec_(codec),
      capacity_(capacityGroups),
      chunker_(shape, capacityGroups * kGroupLeaves, fixedTokens(options), ChunkCosts(shape.groupBytes(codec))) {}

Result<std::unique_ptr<DocumentKv>> ResidentKv::open(Backend& backend, KvStream& stream, KvShape shape, KvCodec codec,
                                                     std::uint32_t capacityGroups, const TierOptions& options,
                                                     Sketch::Parts parts) {
    std::unique_ptr<ResidentKv> kv(new ResidentKv(backend, shape, codec, capacityGroups, options));
    auto sketch = Sketch::make(backend, shape, codec, capacityGroups, parts);
    if (!sketch) return sketch.error();
    kv->sketch_ = std::move(*sketch);
    auto arena = backend.allocate(deviceBytes(shape, codec, capacityGroups), MemoryKind::Device);
    if (!arena) return arena.error();
    kv->arena_ = std::move(*arena);

    const std::uint64_t abstracts = Sketch::bytes(shape, codec, capacityGroups, parts);
    const std::uint64_t fixed = hostBytes(shape, codec, capacityGroups, 0) + (options.ownDevice ? 0 : abstracts);
    const std::uint64_t staging = std::min(kLoadBytes, options.hostBytes - fixed);
    Status put;
    const auto good = loadBatches(backend, stream, shape, codec, {true, true}, staging, [&](const LoadedBatch& batch) {
        if (codec != KvCodec::F16 && put) put = kv->sketch_.put(backend, codec, batch);
        kv->put(batch, batch.firstGroup, batch.groups);
    });
    if (!good) return good.error();
    if (!put) return put.error();
    kv->groups_ = *good;
    kv->sketch_.setGroups(*good);
    kv->chunker_.setLeaves(*good * kGroupLeaves);
    kv->counters_.device.budgetBytes = options.deviceBytes;
    kv->counters_.device.usedBytes = options.localBytes + (options.ownDevice ? abstracts : 0);
    kv->counters_.host = {options.hostBytes, fixed, *good > 0 ? fixed + staging : fixed};
    kv->counters_.disk.usedBytes = stream.diskBytes().keysValues;
    return std::unique_ptr<DocumentKv>(std::move(kv));
}

std::size_t ResidentKv::unitBytes() const {
    return unitBytesOf(shape_, codec_);
}

std::byte* ResidentKv::group(std::size_t row, std::uint32_t group) const {
    return arena_.as<std::byte>((row * capacity_ + group) * unitBytes());
}

template <class Groups>
void ResidentKv::put(const Groups& from, std::uint32_t firstGroup, std::uint32_t groups) {
    if (codec_ == KvCodec::F16) {
        std::vector<CopyPiece> pieces;
        for (std::size_t row = 0; row < shape_.rows(); ++row)
            for (std::uint32_t i = 0; i < groups; ++i)
                pieces.push_back({group(row, firstGroup + i), from.payload(row, i), unitBytes()});
        return backend_.copy(pieces);
    }
    unpack_.clear();
    for (std::size_t row = 0; row < shape_.rows(); ++row)
        for (std::uint32_t i = 0; i < groups; ++i)
            for (std::uint32_t leaf = 0; leaf < kGroupLeaves; ++leaf)
                unpack_.push_back(packedLeaf(codec_, shape_.headDim, from.payload(row, i), from.codes(row, i), leaf,
                                             group(row, firstGroup + i) + leaf * rowsBytes(shape_.headDim)));
    backend_.unpack(codec_, shape_.headDim, unpack_);
}

Status ResidentKv::append(KvGroups groups) {
    assert(groups.firstGroup() == groups_ && !pinned_);
    if (groups.groups() > capacity_ - groups_)
        return Error{Code::NoMemory, "document", "it grew past the size that its memory was planned for"};
    if (codec_ != KvCodec::F16)
        if (auto done = sketch_.put(backend_, codec_, groups); !done) return done;
    put(Appended{groups, shape_.kvHeads}, groups_, groups.groups());
    if (auto done = backend_.wait(backend_.record()); !done) return done;  // `groups` goes
    groups_ += groups.groups();
    sketch_.setGroups(groups_);
    chunker_.setLeaves(groups_ * kGroupLeaves);
    return {};
}

std::uint32_t ResidentKv::windowGroups() const {
    return (capacity_ + kWindowStep - 1) / kWindowStep * kWindowStep;
}

Result<std::span<const std::vector<KvRun>>> ResidentKv::window(std::uint32_t layer, std::uint32_t first,
                                                               std::uint32_t count) {
    assert(first + count <= groups_);
    runs_.begin(shape_, count);
    for (std::uint32_t head = 0; head < shape_.kvHeads; ++head) {
        const std::size_t row = std::size_t{layer} * shape_.kvHeads + head;
        for (std::uint32_t leaf = first * kGroupLeaves; leaf < (first + count) * kGroupLeaves; ++leaf)
            chunker_.read(row, leaf, Tier::Device);
        for (std::uint32_t i = first; i < first + count; ++i) {
            const std::byte* at = group(row, i);
            if (codec_ == KvCodec::F16) {
                runs_.add(head, i, at);
                continue;
            }
            std::array<const std::byte*, kGroupLeaves> leaves{};
            for (std::uint32_t leaf = 0; leaf < kGroupLeaves; ++leaf)
                leaves[leaf] = at + leaf * rowsBytes(shape_.headDim);
            runs_.add(head, i, sketch_.grid(row, i), leaves);
        }
    }
    const std::uint64_t groups = std::uint64_t{shape_.kvHeads} * count;
    counters_.device.hits += groups * kGroupLeaves;
    counters_.device.bytesRead +=
        codec_ == KvCodec::F16 ? groups * unitBytes() : attendedBytes(shape_.headDim, groups * kGroupTokens);
    return runs_.runs();
}

Result<KvPins> ResidentKv::claim(std::uint32_t layer, View<const std::uint16_t, 3> chosen) {
    assert(!pinned_ && codec_ != KvCodec::F16);
    chosen_.unite(chosen, groups_ * kGroupLeaves);
    chosen_.each([&](std::uint32_t head, std::uint32_t leaf, std::uint16_t tokens) {
        ++counters_.device.hits;
        chunker_.read(std::size_t{layer} * shape_.kvHeads + head, leaf, Tier::Device);
        counters_.device.bytesRead += attendedBytes(shape_.headDim, static_cast<std::uint64_t>(std::popcount(tokens)));
    });
    chunker_.choose(layer, chosen_);
    pinned_ = true;
    return pinned(layer);
}

const std::byte* ResidentKv::rows(std::uint32_t layer, std::uint32_t head, std::uint32_t leaf) const {
    if (chosen_.tokens(head, leaf) == 0) return nullptr;
    return group(std::size_t{layer} * shape_.kvHeads + head, 0) + leaf * rowsBytes(shape_.headDim);
}

void ResidentKv::unpin(std::uint32_t) {
    pinned_ = false;
}

TierCounters ResidentKv::counters() const {
    TierCounters counters = counters_;
    counters.device.usedBytes = counters.device.peakBytes =
        shape_.rows() * groups_ * unitBytes() + counters_.device.usedBytes;
    counters.device.leaves = counters.disk.leaves = shape_.rows() * groups_ * kGroupLeaves;
    return counters;
}

void ResidentKv::resetCounters() {
    TierCounters fresh;
    fresh.device.budgetBytes = counters_.device.budgetBytes;
    fresh.device.usedBytes = counters_.device.usedBytes;
    fresh.host = {counters_.host.budgetBytes, counters_.host.usedBytes, counters_.host.peakBytes};
    fresh.disk.usedBytes = counters_.disk.usedBytes;
    counters_ = fresh;
    chunker_.resetReads();
}

std::vector<LeafRow> ResidentKv::places() const {
    return chunker_.places([](std::size_t, std::uint32_t, LeafPlace& place) { place.tier = Tier::Device; });
}

}  // namespace carrel

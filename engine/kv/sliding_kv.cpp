#include "kv/sliding_kv.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

#include "kv/chosen.h"
#include "kv/loading.h"

namespace carrel {

namespace {

std::vector<std::uint32_t> globalLayers(const LocalLayers& local) {
    std::vector<std::uint32_t> out;
    for (std::uint32_t layer = 0; layer < local.which.size(); ++layer)
        if (!local.which[layer]) out.push_back(layer);
    return out;
}

}  // namespace

SlidingKv::SlidingKv(Backend& backend, KvStream& stream, KvShape shape, KvCodec codec, const LocalLayers& local)
    : backend_(backend), shape_(shape), codec_(codec), local_(local), stream_(stream, globalLayers(local)) {
    std::uint32_t global = 0;
    for (std::uint32_t layer = 0; layer < shape.layers; ++layer)
        at_.push_back(local.has(layer) ? localLayers_++ : global++);
}

Result<std::unique_ptr<DocumentKv>> SlidingKv::open(Backend& backend, KvStream& stream, KvShape shape, KvCodec codec,
                                                    std::uint32_t capacityGroups, const TierOptions& options,
                                                    const LocalLayers& local) {
    std::unique_ptr<SlidingKv> kv(new SlidingKv(backend, stream, shape, codec, local));
    // A token behind whole groups sees window - 1 tokens before it.
    kv->slots_ = std::clamp((local.window - 1 + kGroupTokens - 1) / kGroupTokens, 1u, capacityGroups);
    kv->capacity_ = capacityGroups;
    kv->reads_.assign(std::size_t{kv->localLayers_} * shape.kvHeads * capacityGroups, 0);
    TierOptions rest = options;
    rest.localBytes =
        std::uint64_t{kv->localLayers_} * shape.kvHeads * kv->slots_ * (kv->rowsBytesOfGroup() + kv->gridBytes());
    const KvShape global{shape.layers - kv->localLayers_, shape.kvHeads, shape.headDim};
    auto inner = DocumentKv::open(backend, kv->stream_, global, codec, capacityGroups * kGroupTokens, rest);
    if (!inner) return inner;
    kv->global_ = std::move(*inner);
    kv->groups_ = kv->global_->tokens() / kGroupTokens;
    auto ring = backend.allocate(rest.localBytes, MemoryKind::Device);
    if (!ring) return ring.error();
    kv->ring_ = std::move(*ring);
    const auto good = kv->load(stream);
    if (!good) return good.error();
    kv->groups_ = std::min(kv->groups_, *good);
    return std::unique_ptr<DocumentKv>(std::move(kv));
}

/// Layer by layer, so that little memory is needed at once.
Result<std::uint32_t> SlidingKv::load(KvStream& stream) {
    std::uint32_t good = groups_;
    const auto batch = largestBatch(stream, codec_);
    if (!batch) return batch.error();
    const KvShape one{1, shape_.kvHeads, shape_.headDim};
    const LoadParts parts{true, true};
    const std::uint32_t first = groups_ - std::min(groups_, slots_);
    for (std::uint32_t layer = 0; layer < shape_.layers; ++layer) {
        if (!local_.has(layer)) continue;
        LayerStream only(stream, {layer});
        const auto loaded = loadBatches(
            backend_, only, one, codec_, parts, one.rows() * *batch * parts.groupBytes(one, codec_),
            [&](const LoadedBatch& of) {
                copies_.clear();
                unpack_.clear();
                for (std::uint32_t head = 0; head < shape_.kvHeads; ++head)
                    for (std::uint32_t i = 0; i < of.groups; ++i)
                        if (const std::uint32_t group = of.firstGroup + i; group >= first && group < groups_)
                            put(layer, head, group, of.payload(head, i), of.codes(head, i));
                place();
            },
            first);
        if (!loaded) return loaded.error();
        good = std::min(good, *loaded);
    }
    return good;
}

std::size_t SlidingKv::rowsBytesOfGroup() const {
    return codec_ == KvCodec::F16 ? shape_.groupBytes() : kGroupLeaves * rowsBytes(shape_.headDim);
}

std::size_t SlidingKv::gridBytes() const {
    return codec_ == KvCodec::F16 ? 0 : (codesBytes(shape_.headDim) - kGroupLeaves * planeLeafBytes(shape_.headDim));
}

std::byte* SlidingKv::slot(std::uint32_t layer, std::uint32_t head, std::uint32_t group) const {
    const std::size_t row = std::size_t{at_[layer]} * shape_.kvHeads + head;
    return ring_.as<std::byte>((row * slots_ + group % slots_) * (rowsBytesOfGroup() + gridBytes()));
}

/// What has to be copied and unpacked, which place() does.
void SlidingKv::put(std::uint32_t layer, std::uint32_t head, std::uint32_t group, const std::byte* payload,
                    const std::byte* codes) {
    std::byte* to = slot(layer, head, group);
    if (codec_ == KvCodec::F16) {
        copies_.push_back({to, payload, rowsBytesOfGroup()});
        return;
    }
    for (std::uint32_t leaf = 0; leaf < kGroupLeaves; ++leaf)
        unpack_.push_back(
            packedLeaf(codec_, shape_.headDim, payload, codes, leaf, to + leaf * rowsBytes(shape_.headDim)));
    copies_.push_back({to + rowsBytesOfGroup(), codes + kGroupLeaves * planeLeafBytes(shape_.headDim), gridBytes()});
}

void SlidingKv::place() {
    if (!copies_.empty()) backend_.copy(copies_);
    if (!unpack_.empty()) backend_.unpack(codec_, shape_.headDim, unpack_);
}

Status SlidingKv::append(KvGroups groups) {
    assert(groups.firstGroup() == groups_);
    const std::uint32_t count = groups.groups(), skipped = count - std::min(count, slots_);
    auto rest = KvGroups::make(backend_, global_->shape(), codec_, groups.firstGroup(), count);
    if (!rest) return rest.error();
    backend_.settle();
    copies_.clear();
    unpack_.clear();
    for (std::uint32_t layer = 0; layer < shape_.layers; ++layer)
        for (std::uint32_t head = 0; head < shape_.kvHeads; ++head)
            for (std::uint32_t i = 0; i < count; ++i) {
                const std::byte* codes = codec_ == KvCodec::F16 ? nullptr : groups.codes(layer, head, i);
                if (local_.has(layer)) {
                    if (i >= skipped) put(layer, head, groups_ + i, groups.payload(layer, head, i), codes);
                    continue;
                }
                std::memcpy(rest->payload(at_[layer], head, i), groups.payload(layer, head, i),
                            shape_.groupBytes(codec_));
                if (codes == nullptr) continue;
                std::memcpy(rest->codes(at_[layer], head, i), codes, codesBytes(shape_.headDim));
                std::memcpy(rest->means(at_[layer], head, i), groups.means(layer, head, i), meansBytes(shape_.headDim));
            }
    if (auto done = global_->append(std::move(*rest)); !done) return done;
    place();
    if (auto done = backend_.wait(backend_.record()); !done) return done;  // `groups` goes
    groups_ += count;
    return {};
}

Result<std::span<const std::vector<KvRun>>> SlidingKv::window(std::uint32_t layer, std::uint32_t first,
                                                              std::uint32_t count) {
    if (!local_.has(layer)) return global_->window(at_[layer], first, count);
    assert(first + slots_ >= groups_ && first + count <= groups_);
    runs_.begin(shape_, count);
    for (std::uint32_t head = 0; head < shape_.kvHeads; ++head)
        for (std::uint32_t group = first; group < first + count; ++group) {
            ++reads_[(std::size_t{at_[layer]} * shape_.kvHeads + head) * capacity_ + group];
            const std::byte* at = slot(layer, head, group);
            if (codec_ == KvCodec::F16) {
                runs_.add(head, group, at);
                continue;
            }
            std::array<const std::byte*, kGroupLeaves> leaves{};
            for (std::uint32_t leaf = 0; leaf < kGroupLeaves; ++leaf)
                leaves[leaf] = at + leaf * rowsBytes(shape_.headDim);
            runs_.add(head, group, reinterpret_cast<const std::uint16_t*>(at + rowsBytesOfGroup()), leaves);
        }
    const std::uint64_t groups = std::uint64_t{shape_.kvHeads} * count;
    hits_ += groups * kGroupLeaves;
    bytesRead_ +=
        codec_ == KvCodec::F16 ? groups * rowsBytesOfGroup() : attendedBytes(shape_.headDim, groups * kGroupTokens);
    return runs_.runs();
}

TierCounters SlidingKv::counters() const {
    TierCounters out = global_->counters();
    const std::uint64_t rows = std::uint64_t{localLayers_} * shape_.kvHeads;
    out.device.hits += hits_;
    out.device.bytesRead += bytesRead_;
    out.device.leaves += rows * std::min(groups_, slots_) * kGroupLeaves;
    out.disk.leaves += rows * groups_ * kGroupLeaves;
    return out;
}

void SlidingKv::resetCounters() {
    hits_ = bytesRead_ = 0;
    std::ranges::fill(reads_, 0);
    global_->resetCounters();
}

LeafRow SlidingKv::localPlaces(std::uint32_t layer, std::uint32_t head) const {
    LeafRow out{layer, head, std::vector<LeafPlace>(std::size_t{groups_} * kGroupLeaves)};
    const std::uint32_t* reads = reads_.data() + (std::size_t{at_[layer]} * shape_.kvHeads + head) * capacity_;
    for (std::uint32_t leaf = 0; leaf < out.leaves.size(); ++leaf) {
        const std::uint32_t group = leaf / kGroupLeaves;
        LeafPlace& place = out.leaves[leaf];
        place.reads[0] = reads[group];
        place.tier = group + slots_ < groups_ ? Tier::Unused : Tier::Device;
        place.startsChunk = leaf % kGroupLeaves == 0;
    }
    return out;
}

std::vector<LeafRow> SlidingKv::places() const {
    auto global = global_->places();
    std::vector<LeafRow> out;
    for (std::uint32_t layer = 0; layer < shape_.layers; ++layer)
        for (std::uint32_t head = 0; head < shape_.kvHeads; ++head)
            if (local_.has(layer)) {
                out.push_back(localPlaces(layer, head));
            } else {
                out.push_back(std::move(global[std::size_t{at_[layer]} * shape_.kvHeads + head]));
                out.back().layer = layer;
            }
    return out;
}

}  // namespace carrel

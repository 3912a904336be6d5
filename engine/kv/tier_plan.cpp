#include <algorithm>
#include <string>

#include "kv/tiered_kv.h"

namespace carrel {

namespace {

// What a call must be able to pin: 16 runs of 64 tokens, each in a leaf of its own (DocumentKv::pinLeaves), and what is
// read always of every KV head.
constexpr std::uint32_t kLeastPinned = 1024, kAlwaysRead = 80 / kLeafTokens;
// Windows larger than this gain nothing: two of them keep 8 reads of 1 MiB under way.
constexpr std::uint64_t kMostStaging = std::uint64_t{32} << 20;
constexpr std::uint64_t kSketchOfDevice = 2;  // a larger one stays with the host: leaves need the device more
constexpr std::uint64_t kMostLoading = std::uint64_t{64} << 20;  // larger is no faster

std::string mebibytes(std::uint64_t bytes) {
    return std::to_string((bytes + (1u << 20) - 1) >> 20);
}

/// Memory of a document, by what it depends on.
struct Sizes {
    KvShape shape;
    KvCodec codec;
    std::uint32_t capacityGroups, batchGroups;
    bool ownDevice;

    std::uint64_t windowRows(std::uint32_t windowGroups) const {
        return Windows::unpackedBytes(shape, codec, windowGroups);
    }
    std::uint64_t staging(std::uint32_t windowGroups) const {
        return Windows::payloadBytes(shape, codec, windowGroups) + (ownDevice ? 0 : windowRows(windowGroups));
    }
    bool sketchOnDevice(const TierPlan& plan) const { return ownDevice && plan.sketch.kind == MemoryKind::Device; }
    std::uint64_t sketch(const TierPlan& plan) const {
        return Sketch::bytes(shape, codec, capacityGroups, plan.sketch);
    }
    /// Of device memory of its own.
    std::uint64_t deviceFixed(const TierPlan& plan, std::uint32_t windowGroups) const {
        return (sketchOnDevice(plan) ? sketch(plan) : 0) + (ownDevice ? windowRows(windowGroups) : 0);
    }
    std::uint64_t loading(const TierPlan& plan) const {
        return shape.rows() * batchGroups * plan.loaded(codec).groupBytes(shape, codec);
    }
    /// All but staging, slots and the reader.
    std::uint64_t tables(const TierPlan& plan, std::uint64_t stagingBytes) const {
        const std::uint32_t leaves = capacityGroups * kGroupLeaves;
        // Lists of a step: what is wanted, unpacked and picked, each leaf of a layer at most once.
        const std::uint64_t lists = std::uint64_t{shape.kvHeads} * leaves * (sizeof(UnpackLeaf) + sizeof(KvPick) + 16);
        return (sketchOnDevice(plan) ? 0 : sketch(plan)) + Chunker::bytes(shape, leaves) +
               shape.rows() * capacityGroups + lists +
               Flights::bytes(shape, capacityGroups, stagingBytes / shape.groupBytes(codec));
    }
    std::uint64_t least(const TierPlan& plan) const {
        const std::uint64_t window = staging(kWindowStep);
        return tables(plan, window) + std::max(window, loading(plan));
    }
};

}  // namespace

Result<TierPlan> TierPlan::make(KvShape shape, KvCodec codec, std::uint32_t capacityGroups, std::uint32_t batchGroups,
                                std::uint64_t readerBytes, const TierOptions& options) {
    const bool encoded = codec != KvCodec::F16;
    const std::uint64_t groups = shape.rows() * capacityGroups, leaves = groups * kGroupLeaves;
    const std::uint32_t layerLeaves = capacityGroups * kGroupLeaves;
    const std::uint64_t leastLeaves =
        encoded ? std::max(std::min(layerLeaves, kLeastPinned), shape.kvHeads * std::min(layerLeaves, kAlwaysRead)) : 0;
    const Sizes sizes{shape, codec, capacityGroups, batchGroups, options.ownDevice};

    TierPlan plan;
    if (encoded) plan.sketch.boundsTokens = options.boundsTokens;
    plan.sketch.means = plan.sketch.keyMeans = encoded && options.keyMeans;  // judged by: nothing to do without
    const auto leastDevice = [&](std::uint32_t windowGroups) {
        return options.localBytes + sizes.deviceFixed(plan, windowGroups) +
               (encoded ? MemoryTier::bytes(rowsBytes(shape.headDim), leastLeaves, leaves) : 0);
    };
    if (sizes.sketch(plan) > options.deviceBytes / kSketchOfDevice || leastDevice(kWindowStep) > options.deviceBytes)
        plan.sketch.kind = MemoryKind::Host;
    const std::uint64_t leastHost = sizes.least(plan) + readerBytes;
    if (options.deviceBytes < leastDevice(kWindowStep) || options.hostBytes < leastHost) {
        return Error{Code::NoMemory, "document",
                     "needs at least " + mebibytes(leastDevice(kWindowStep)) + " MiB of device and " +
                         mebibytes(leastHost) + " MiB of host memory, and may use " + mebibytes(options.deviceBytes) +
                         " and " + mebibytes(options.hostBytes)};
    }
    plan.sketch.means = encoded && (options.means || options.keyMeans);
    if (sizes.least(plan) + readerBytes > options.hostBytes || leastDevice(kWindowStep) > options.deviceBytes)
        plan.sketch.means = false;

    // An eighth of what is left for staging; the rest caches.
    const std::uint64_t left = options.hostBytes - sizes.least(plan) - readerBytes;
    const std::uint64_t step = sizes.staging(kWindowStep);
    const std::uint64_t steps = std::max<std::uint64_t>(1, std::min(step + left / 8, kMostStaging) / step);
    const std::uint64_t layer = (capacityGroups + kWindowStep - 1) / kWindowStep;
    plan.windowGroups = kWindowStep * static_cast<std::uint32_t>(std::min(steps, layer));
    while (plan.windowGroups > kWindowStep &&
           (sizes.tables(plan, sizes.staging(plan.windowGroups)) + readerBytes + sizes.staging(plan.windowGroups) >
                options.hostBytes ||
            leastDevice(plan.windowGroups) > options.deviceBytes))
        plan.windowGroups -= kWindowStep;
    plan.deviceFixedBytes = sizes.deviceFixed(plan, plan.windowGroups);
    if (encoded)
        plan.deviceSlots = MemoryTier::slotsIn(options.deviceBytes - options.localBytes - plan.deviceFixedBytes,
                                               rowsBytes(shape.headDim), leaves);
    plan.stagingBytes = sizes.staging(plan.windowGroups);
    plan.fixedBytes = sizes.tables(plan, plan.stagingBytes) + plan.stagingBytes;
    const std::uint64_t room = options.hostBytes - plan.fixedBytes - readerBytes;
    plan.loadingBytes = std::min(std::max(kMostLoading, sizes.loading(plan)), room + plan.stagingBytes);
    plan.loadPeakBytes = plan.fixedBytes - plan.stagingBytes + plan.loadingBytes;
    plan.hostSlots = MemoryTier::slotsIn(room, shape.groupBytes(codec), groups);
    if (plan.hostSlots > 0) plan.fixedBytes += MemoryTier::bytes(0, plan.hostSlots, groups);
    return plan;
}

}  // namespace carrel

#include <algorithm>
#include <string>

#include "kv/tiered_kv.h"

namespace carrel {

namespace {

// A step reads an eighth of a layer at most (callers cap what they choose), and what is read always.
constexpr std::uint32_t kMostChosen = 8, kAlwaysRead = 512 / kLeafTokens;
// Windows larger than this gain nothing: three of them keep 8 reads of 1 MiB under way.
constexpr std::uint64_t kMostStaging = std::uint64_t{32} << 20;
constexpr std::uint32_t kWindowStep = 16;  // attention over windows gives the bits of one call (AttendArgs)

std::string mebibytes(std::uint64_t bytes) {
    return std::to_string((bytes + (1u << 20) - 1) >> 20);
}

}  // namespace

Result<TierPlan> TierPlan::make(KvShape shape, KvCodec codec, std::uint32_t capacityGroups, std::uint64_t readerBytes,
                                const TierOptions& options) {
    const bool encoded = codec != KvCodec::F16;
    const std::size_t groupBytes = shape.groupBytes(codec), leafBytes = rowsBytes(shape.headDim);
    const std::uint64_t groups = shape.rows() * capacityGroups, leaves = groups * kGroupLeaves;
    const std::uint32_t layerLeaves = capacityGroups * kGroupLeaves;
    const std::uint64_t leastLeaves =
        encoded ? std::uint64_t{shape.kvHeads} * std::min(layerLeaves, layerLeaves / kMostChosen + kAlwaysRead) : 0;
    const std::uint64_t leastDevice = encoded ? MemoryTier::bytes(leafBytes, leastLeaves, leaves) : 0;

    TierPlan plan;
    plan.sketch.boundsTokens = options.boundsTokens;
    plan.deviceSlots = encoded ? MemoryTier::slotsIn(options.deviceBytes, leafBytes, leaves) : 0;
    // Lists of a step: of what is unpacked and of what is wanted, each leaf of a layer at most once.
    const std::uint64_t lists = std::uint64_t{shape.kvHeads} * layerLeaves * (sizeof(UnpackLeaf) + sizeof(KvPick) + 16);
    const auto stagingOf = [&](std::uint32_t windowGroups) { return Windows::bytes(shape, codec, windowGroups); };
    const auto fixedOf = [&](std::uint64_t stagingBytes) {
        return Sketch::bytes(shape, codec, capacityGroups, plan.sketch) + Chunker::bytes(shape, layerLeaves) + groups +
               Flights::bytes(shape, capacityGroups, stagingBytes / groupBytes) + lists + stagingBytes;
    };
    const std::uint64_t leastHost = fixedOf(stagingOf(kWindowStep)) + readerBytes;
    if (plan.deviceSlots < leastLeaves || options.hostBytes < leastHost)
        return Error{Code::NoMemory, "document",
                     "needs at least " + mebibytes(leastDevice) + " MiB of device and " + mebibytes(leastHost) +
                         " MiB of host memory, and may use " + mebibytes(options.deviceBytes) + " and " +
                         mebibytes(options.hostBytes)};
    if (options.means && encoded) {
        plan.sketch.means = true;
        plan.sketch.means = fixedOf(stagingOf(kWindowStep)) + readerBytes <= options.hostBytes;
    }
    // An eighth of what is left for staging; the rest caches.
    const std::uint64_t left = options.hostBytes - readerBytes - fixedOf(stagingOf(kWindowStep));
    const std::uint64_t staging = std::min(stagingOf(kWindowStep) + left / 8, kMostStaging);
    const auto steps = static_cast<std::uint32_t>(staging / stagingOf(kWindowStep));
    plan.windowGroups = kWindowStep * std::clamp(steps, 1u, (capacityGroups + kWindowStep - 1) / kWindowStep);
    while (plan.windowGroups > kWindowStep && fixedOf(stagingOf(plan.windowGroups)) + readerBytes > options.hostBytes)
        plan.windowGroups -= kWindowStep;
    plan.stagingBytes = stagingOf(plan.windowGroups);
    plan.fixedBytes = fixedOf(plan.stagingBytes);
    plan.hostSlots = MemoryTier::slotsIn(options.hostBytes - plan.fixedBytes - readerBytes, groupBytes, groups);
    if (plan.hostSlots > 0) plan.fixedBytes += MemoryTier::bytes(0, plan.hostSlots, groups);
    return plan;
}

}  // namespace carrel

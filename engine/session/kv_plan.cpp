#include "session/kv_plan.h"

#include <algorithm>
#include <cmath>

namespace carrel {

namespace {

constexpr double kHostShare = 0.4, kDeviceOfHost = 0.25, kDeviceShare = 0.8;

// Defaults of selection, measured (tests/bench/RESULTS.md). Where all rows are in memory tokens are chosen one by one;
// where leaves come from disk, tokens inside leaves that are worth a read.
constexpr float kTokenShare = 1.7e-4f;
// Leaves from disk. What is new must be read, what was chosen lately is mostly near: for the same KLD about a third
// less is read where the new must be worth more.
constexpr float kTokenShareInLeaves = 9e-5f, kLeafShare = 1.4e-3f, kNewLeaf = 3;
constexpr std::size_t kLeafShareTokens = 16384;
// Where no profile says it: of what was measured (tests/bench/RESULTS.md), it gains most.
constexpr const char* kGainsByEstimates = "qwen2";
constexpr double kCapShare = 0.2;
constexpr std::uint32_t kLeastCap = 512;

// A small host tier has better use for memory than the reader's 8 MiB of buffers: chosen groups are a few KiB each, and
// where everything is read half the queue does.
constexpr std::uint64_t kSmallHost = std::uint64_t{128} << 20;
constexpr std::size_t kSmallReadBytes = std::size_t{128} << 10;
constexpr unsigned kSmallQueueDepth = 16;

/// Where the unread is estimated, leaves of short documents are less worth a read, and those of long ones more: the
/// same KLD comes out (measured at 8, 16 and 32 thousand tokens).
float leafShare(bool estimate, std::size_t tokens) {
    if (!estimate || tokens == 0) return kLeafShare;
    const double scale = std::sqrt(static_cast<double>(kLeafShareTokens) / static_cast<double>(tokens));
    return kLeafShare * static_cast<float>(std::clamp(scale, 0.5, 2.0));
}

/// Tokens that share bounds: as the paper has it; as many as move together where chunks are fixed.
std::uint32_t boundsTokens(const KvSettings& settings) {
    if (settings.judge == Judge::LeoAm) return 2 * kLeafTokens;
    return settings.adaptiveChunks ? kLeafTokens : std::min(settings.fixedChunkTokens, 8 * kLeafTokens);
}

TierUsage usageOf(const TierUse& use) {
    return {use.budgetBytes, use.peakBytes, use.usedBytes, use.bytesRead, use.hits, use.misses, use.stallS, use.leaves};
}

}  // namespace

Result<KvCodec> codecOf(const KvSettings& settings, const ModelConfig& config) {
    if (settings.codec.empty()) return encodable(config.headDim) ? KvCodec::K8V6 : KvCodec::F16;
    const auto codec = codecNamed(settings.codec);
    if (!codec) return Error{Code::Unsupported, settings.codec, "no such KV codec"};
    if (*codec != KvCodec::F16 && !encodable(config.headDim))
        return Error{Code::Unsupported, settings.codec,
                     "heads of " + std::to_string(config.headDim) + " channels are kept as f16 only"};
    return *codec;
}

TierOptions tiersOf(const KvSettings& settings, const Backend& backend) {
    const auto free = static_cast<double>(availableMemory());
    TierOptions out;
    out.hostBytes = settings.hostBytes > 0 ? settings.hostBytes : static_cast<std::uint64_t>(kHostShare * free);
    const auto own = backend.freeDeviceBytes();
    const double device = own ? kDeviceShare * static_cast<double>(*own) : kHostShare * kDeviceOfHost * free;
    out.deviceBytes = settings.deviceBytes > 0 ? settings.deviceBytes : static_cast<std::uint64_t>(device);
    if (out.hostBytes < kSmallHost && settings.keep < 1) out.reader.mostReadBytes = kSmallReadBytes;
    if (out.hostBytes < kSmallHost && settings.keep >= 1) out.reader.queueDepth = kSmallQueueDepth;
    out.keyMeans = settings.judge == Judge::Means;
    out.means = settings.estimate;
    out.adaptiveChunks = settings.adaptiveChunks;
    out.fixedChunkTokens = settings.fixedChunkTokens;
    out.pipeline = settings.pipeline != Pipeline::Off;
    out.reuse = settings.reuse;
    if (settings.judge == Judge::MinMax || settings.judge == Judge::LeoAm) out.boundsTokens = boundsTokens(settings);
    return out;
}

std::optional<ReadPolicy> policyOf(const KvSettings& settings, const LoadedModel& model, const DocumentKv& document,
                                   std::size_t tokens) {
    if (settings.keep >= 1 || document.codec() == KvCodec::F16) return std::nullopt;
    ReadPolicy out;
    const ModelProfile* profile = settings.profile && model.profile() ? &*model.profile() : nullptr;
    const bool gains = profile != nullptr ? profile->estimate : model.model().config.architecture == kGainsByEstimates;
    SelectRule& rule = out.rule;
    if (settings.judge == Judge::Means) rule.scorer = Scorer::Means;
    if (settings.judge == Judge::MinMax || settings.judge == Judge::LeoAm) rule.scorer = Scorer::MinMax;
    // Bounds say which tokens may matter, not how much.
    out.estimate = settings.estimate && document.hasMeans() && gains && rule.scorer != Scorer::MinMax;
    rule.layerChoice = settings.judge == Judge::LeoAm;
    rule.chunkTokens = boundsTokens(settings);
    rule.wholeLeaves = settings.leaves;
    if (settings.keep >= 0) {
        out.capShare = settings.keep;
    } else {
        out.capShare = kCapShare;
        out.leastCap = kLeastCap;
        const bool fromDisk =
            settings.rule == ReadRule::Disk || (settings.rule == ReadRule::ByTier && !document.resident());
        const bool inLeaves = fromDisk && !settings.leaves;
        rule.tokenShare = settings.threshold > 0 ? static_cast<float>(settings.threshold)
                                                 : (inLeaves ? kTokenShareInLeaves : kTokenShare);
        if (inLeaves || settings.leaves)
            rule.leafShare = settings.leafThreshold > 0 ? static_cast<float>(settings.leafThreshold)
                                                        : leafShare(out.estimate, tokens);
        if (inLeaves && settings.hysteresis) rule.newLeafShare = kNewLeaf * rule.leafShare;
    }
    out.oracle = settings.judge == Judge::Oracle;
    out.predict = settings.pipeline == Pipeline::Ahead && !out.oracle && rule.scorer == Scorer::Plane;
    return out;
}

TierReport reportOf(const DocumentKv& document, const ReadStats& stats, double decodeSeconds) {
    const TierCounters counters = document.counters();
    TierReport out;
    out.device = usageOf(counters.device);
    out.host = usageOf(counters.host);
    out.disk = usageOf(counters.disk);
    out.steps = stats.steps;
    if (stats.tokensThere > 0)
        out.tokensReadShare = static_cast<double>(stats.tokensRead) / static_cast<double>(stats.tokensThere);
    if (stats.heads > 0) out.estimatedMass = stats.estimatedMass / static_cast<double>(stats.heads);
    if (decodeSeconds > 0) out.judgingShare = stats.judgeS / decodeSeconds;
    out.resident = document.resident();
    out.codec = codecName(document.codec());
    return out;
}

}  // namespace carrel

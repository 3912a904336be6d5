#include "session/forecast.h"

#include <algorithm>

#include "session/kv_plan.h"
#include "session/reading.h"
#include "store/extent.h"

namespace carrel {

Result<ReadingForecast> forecastOf(const LoadedModel& model, const KvSettings& settings, std::size_t tokens) {
    const ModelConfig& config = model.model().config;
    const auto codec = codecOf(settings, config);
    if (!codec) return codec.error();
    const KvShape shape = config.kvShape();
    ReadingForecast out;
    out.tokensTotal = tokens;
    out.tokens = std::min(tokens, Reading::room(model));

    const std::uint64_t all = out.tokens + model.prompt().opening().size();
    const std::uint64_t groups = (all + kGroupTokens - 1) / kGroupTokens * shape.rows();
    const bool encoded = *codec != KvCodec::F16;
    const std::uint64_t payload = roundUp(shape.groupBytes(*codec), kAlignment);
    const std::uint64_t codes = encoded ? codesBytes(shape.headDim) : 0;
    // Ids and batch headers are a fiftieth of the least of it.
    out.diskBytes = groups * (payload + Extent::kGroupHeaderBytes + codes) + all * sizeof(std::int32_t);

    const TierOptions tiers = tiersOf(settings, model.backend());
    const std::uint64_t rows = encoded ? groups * kGroupLeaves * rowsBytes(shape.headDim) : groups * payload;
    const bool resident = encoded && rows <= tiers.deviceBytes;
    out.deviceBytes = encoded ? std::min(rows, tiers.deviceBytes) : 0;
    out.hostBytes = std::min(tiers.hostBytes, groups * (codes + (resident ? 0 : payload)));
    return out;
}

}  // namespace carrel

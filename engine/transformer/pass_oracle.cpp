#include <algorithm>
#include <bit>
#include <numeric>

#include "transformer/pass_attention.h"

namespace carrel {

/// Full attention of this layer, for nothing but every leaf's mass.
Status PassAttention::measureMass() {
    MassSink own = [this](std::uint32_t, View<const float, 3> mass) {
        trueMass_.assign(mass.data(), mass.data() + mass.size(0) * mass.size(1) * mass.size(2));
    };
    std::swap(massSink_, own);
    begin(layer_, q_, out_, nextQuery_);
    Result<bool> done = false;
    while (done && !*done) done = window_ < documentGroups_ / kWindowStep * kWindowStep ? windowSlice() : lastSlice();
    std::swap(massSink_, own);
    begin(layer_, q_, out_, nextQuery_);
    return done ? Status() : Status(done.error());
}

/// What the rule chose makes way for the leaves with the most mass, summed over a KV head's query heads: as many
/// tokens in the same row and head, to whole leaves.
void PassAttention::chooseByMass(View<std::uint16_t, 3> chosen) {
    const std::size_t group = config_.heads / config_.kvHeads, leaves = chosen.size(2);
    const std::size_t seen = lastPosition_ / kLeafTokens + 1u, judged = leaves - newestLeaves_;
    std::vector<float> sum(leaves);
    std::vector<std::uint32_t> order(judged - 1);
    for (std::size_t row = 0; row < rows(); ++row)
        for (std::size_t head = 0; head < config_.kvHeads; ++head) {
            std::uint16_t* mask = chosen.row(row) + head * leaves;
            std::size_t tokens = 0;
            for (std::size_t leaf = 0; leaf < leaves; ++leaf)
                tokens += static_cast<std::size_t>(std::popcount(mask[leaf]));
            std::fill(sum.begin(), sum.end(), 0.0f);
            for (std::size_t h = head * group; h < (head + 1) * group; ++h) {
                const float* mass = trueMass_.data() + (row * config_.heads + h) * seen;
                for (std::size_t leaf = 0; leaf < leaves; ++leaf) sum[leaf] += mass[leaf];
            }
            std::iota(order.begin(), order.end(), 1u);
            const auto end = order.begin() + static_cast<std::ptrdiff_t>(
                                                 std::min(order.size(), (tokens + kLeafTokens / 2) / kLeafTokens));
            std::partial_sort(order.begin(), end, order.end(), [&](std::uint32_t a, std::uint32_t b) {
                return sum[a] != sum[b] ? sum[a] > sum[b] : a < b;
            });
            std::fill_n(mask, leaves, std::uint16_t{0});
            for (auto leaf = order.begin(); leaf != end; ++leaf) mask[*leaf] = 0xFFFF;
        }
}

/// The rest is what the rule would leave if it chose nothing, less the leaves that were chosen.
void PassAttention::weighOthers(View<const std::uint16_t, 3> chosen) {
    JudgeArgs a;
    a.q = q_;
    a.sketch = document_->sketch(layer_);
    a.first = 1;
    a.end = static_cast<std::uint32_t>(chosen.size(2)) - newestLeaves_;
    a.scale = config_.attentionScale;
    a.exact = lseView(lse_);
    a.rule.scorer = policy_->rule.scorer;
    a.rule.cap = 0;
    a.chosen = masks(predicted_);
    a.rest = restView();
    a.origin = originView();
    if (!memoryStatus_) return;
    backend_.judge(a);
    backend_.settle();
    const std::size_t group = config_.heads / config_.kvHeads, leaves = chosen.size(2);
    for (std::size_t row = 0; row < rows(); ++row)
        for (std::size_t head = 0; head < config_.heads; ++head) {
            const std::uint16_t* mask = chosen.row(row) + head / group * leaves;
            float* weights = a.rest.row(row) + head * leaves;
            for (std::size_t leaf = 0; leaf < leaves; ++leaf)
                if (mask[leaf] != 0) weights[leaf] = 0;
        }
}

}  // namespace carrel

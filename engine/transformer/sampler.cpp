#include "transformer/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace carrel {

std::int32_t Sampler::next(std::span<const float> logits) {
    const auto best = std::max_element(logits.begin(), logits.end());
    if (greedy()) return static_cast<std::int32_t>(best - logits.begin());

    std::vector<std::int32_t> order(logits.size());
    std::iota(order.begin(), order.end(), 0);
    std::size_t keep = options_.topK > 0 ? std::min<std::size_t>(options_.topK, order.size()) : order.size();
    // Equal logits are ordered by id, so that the choice does not depend on the sort.
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(keep), order.end(),
                      [&](std::int32_t a, std::int32_t b) {
                          const float x = logits[static_cast<std::size_t>(a)], y = logits[static_cast<std::size_t>(b)];
                          return x > y || (x == y && a < b);
                      });
    std::vector<double> weight(keep);
    double sum = 0;
    for (std::size_t i = 0; i < keep; ++i)
        sum += weight[i] =
            std::exp((logits[static_cast<std::size_t>(order[i])] - *best) / static_cast<double>(options_.temperature));
    double running = 0;
    for (std::size_t i = 0; i < keep; ++i) {
        if (i > 0 && (running >= options_.topP * sum || weight[i] < options_.minP * weight[0])) {
            keep = i;
            break;
        }
        running += weight[i];
    }
    // 53 random bits by hand: the standard's distributions differ between libraries.
    double point = static_cast<double>(random_() >> 11) * 0x1p-53 *
                   std::accumulate(weight.begin(), weight.begin() + static_cast<std::ptrdiff_t>(keep), 0.0);
    for (std::size_t i = 0; i + 1 < keep; ++i) {
        point -= weight[i];
        if (point < 0) return order[i];
    }
    return order[keep - 1];
}

}  // namespace carrel

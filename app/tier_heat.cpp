#include "tier_heat.h"

#include <algorithm>
#include <cmath>

namespace carrel::app {

// Long enough to be seen, short enough that what is bright is what this word reads.
constexpr double kReadHalfLife = 0.35, kMovedHalfLife = 0.8;  // s
constexpr float kGone = 0.02f;

namespace {

void fade(float& value, float by) {
    value *= by;
    if (value < kGone) value = 0;
}

}  // namespace

void TierHeat::clear() {
    rows_.clear();
    reads_ = {};
    looked_ = fading_ = false;
}

void TierHeat::look(const TierView& view, double seconds) {
    const bool anew = view.counting != counting_ || view.rows.size() != rows_.size();
    const bool first = !looked_;  // what was read before anybody looked is not news
    counting_ = view.counting;
    looked_ = true;
    fading_ = false;
    reads_ = {};
    rows_.resize(view.rows.size());
    const auto slow = static_cast<float>(std::exp2(-seconds / kReadHalfLife));
    const auto slower = static_cast<float>(std::exp2(-seconds / kMovedHalfLife));
    for (std::size_t row = 0; row < rows_.size(); ++row) {
        const auto& places = view.rows[row].leaves;
        rows_[row].resize(places.size());
        for (std::size_t i = 0; i < places.size(); ++i) {
            Leaf& leaf = rows_[row][i];
            const auto& now = places[i].reads;
            if (anew) leaf.seen = {};
            fade(leaf.read, slow);
            fade(leaf.moved, slower);
            std::array<std::uint32_t, 3> fresh{};
            for (std::size_t tier = 0; tier < 3; ++tier) fresh[tier] = now[tier] - leaf.seen[tier];
            leaf.seen = now;
            if (first) continue;
            for (std::size_t tier = 0; tier < 3; ++tier) reads_[tier] += fresh[tier];
            if (fresh[0] + fresh[1] + fresh[2] > 0) leaf.read = 1;
            if (fresh[1] + fresh[2] > 0) {
                leaf.moved = 1;
                leaf.from = fresh[2] > 0 ? 2 : 1;
            }
            fading_ = fading_ || leaf.read > 0 || leaf.moved > 0;
        }
    }
}

}  // namespace carrel::app

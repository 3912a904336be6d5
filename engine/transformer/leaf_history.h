#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tensor/view.h"

namespace carrel {

/// Leaves that a sequence has chosen lately, layer by layer (SelectRule::newLeafShare). A sequence's own, and nothing
/// that a batch or a tier could change; it begins empty with each answer, and to its first token no leaf is new.
class LeafHistory {
  public:
    /// [kvHeads, leaves]: 0 where a leaf is new; null where all are as good as known.
    const std::uint8_t* of(std::uint32_t layer, std::size_t size) const {
        return layer < left_.size() && left_[layer].size() == size ? left_[layer].data() : nullptr;
    }
    /// A token's choice [kvHeads, leaves], remembered for `steps` tokens.
    void add(std::uint32_t layer, const std::uint16_t* chosen, std::size_t size, std::uint8_t steps) {
        left_.resize(std::max<std::size_t>(left_.size(), layer + 1));
        auto& left = left_[layer];
        if (left.size() != size) left.assign(size, 0);
        for (std::size_t i = 0; i < size; ++i)
            left[i] = chosen[i] != 0 ? steps : static_cast<std::uint8_t>(left[i] - (left[i] != 0 ? 1 : 0));
    }
    void clear() { left_.clear(); }

  private:
    std::vector<std::vector<std::uint8_t>> left_;  // per layer and leaf: tokens until it is forgotten
};

}  // namespace carrel

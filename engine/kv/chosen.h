#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "compute/backend.h"
#include "store/reading_store.h"

namespace carrel {

/// What all sequences of a step choose of one layer, together.
class Chosen {
  public:
    /// chosen [nTokens, kvHeads, nLeaves]; leaves past the document's whole groups are not its business.
    void unite(View<const std::uint16_t, 3> chosen, std::uint32_t nLeaves) {
        stride_ = nLeaves;
        heads_ = static_cast<std::uint32_t>(chosen.size(1));
        mask_.assign(std::size_t{heads_} * nLeaves, 0);
        const std::size_t width = chosen.size(2), common = std::min<std::size_t>(width, nLeaves);
        for (std::size_t t = 0; t < chosen.size(0); ++t)
            for (std::uint32_t head = 0; head < heads_; ++head) {
                const std::uint16_t* from = chosen.row(t) + head * width;
                std::uint16_t* to = mask_.data() + std::size_t{head} * nLeaves;
                for (std::size_t leaf = 0; leaf < common; ++leaf) to[leaf] |= from[leaf];
            }
        found_.clear();
        for (std::uint32_t i = 0; i < mask_.size(); i += kGroupLeaves) {  // most groups have nothing: 64 bits at once
            std::uint64_t group = 0;
            std::memcpy(&group, mask_.data() + i, sizeof group);
            for (std::uint32_t leaf = i; group != 0 && leaf < i + kGroupLeaves; ++leaf)
                if (mask_[leaf] != 0) found_.push_back(leaf);
        }
    }
    std::uint16_t tokens(std::uint32_t head, std::uint32_t leaf) const {
        return head < heads_ && leaf < stride_ ? mask_[std::size_t{head} * stride_ + leaf] : 0;
    }
    /// call(head, leaf, tokens) for every leaf with chosen tokens, ascending.
    template <class Call>
    void each(Call&& call) const {
        std::uint32_t head = 0, first = 0;
        for (const std::uint32_t i : found_) {
            for (; i - first >= stride_; first += stride_) ++head;
            call(head, i - first, mask_[i]);
        }
    }

  private:
    std::uint32_t heads_ = 0, stride_ = 0;
    std::vector<std::uint16_t> mask_;   // [heads, leaves]
    std::vector<std::uint32_t> found_;  // where it is not 0
};

/// Bytes that attention reads for so many tokens of a leaf's rows.
inline std::uint64_t attendedBytes(std::uint32_t headDim, std::uint64_t tokens) {
    return tokens * (2 * std::uint64_t{headDim} + 4 * valueBlocks(headDim));
}

}  // namespace carrel

#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "kv/chosen.h"
#include "kv/tier.h"

namespace carrel {

/// Which leaves move between tiers together: per layer and KV head a partition into chunks of 1 to 32 leaves, from what
/// was chosen and attended. row = layer * kvHeads + head.
class Chunker {
  public:
    struct Span {
        std::uint32_t first = 0, leaves = 0;
    };
    /// fixedTokens: 16 to 512; 0 for adaptive chunks.
    Chunker(KvShape shape, std::uint32_t capacityLeaves, std::uint32_t fixedTokens);
    static std::uint64_t bytes(KvShape shape, std::uint32_t capacityLeaves);

    void setLeaves(std::uint32_t leaves) { leaves_ = leaves; }
    Span chunkOf(std::size_t row, std::uint32_t leaf) const;
    /// Recent choices of a leaf per step.
    float use(std::size_t row, std::uint32_t leaf) const { return use_[row * capacity_ + leaf]; }

    /// A step's choice of one layer.
    void choose(std::uint32_t layer, const Chosen& chosen);
    /// mass [kvHeads, nLeaves]: attention seen while reading.
    void observe(std::uint32_t layer, View<const float, 2> mass);

    /// The partition, each chunk where most of its leaves are (the nearer tier of two equals).
    std::vector<LayerChunks> chunks(const std::function<Tier(std::size_t row, std::uint32_t leaf)>& tierOf) const;

  private:
    KvShape shape_;
    std::uint32_t capacity_, fixed_, leaves_ = 0;
    std::vector<float> use_;
};

}  // namespace carrel

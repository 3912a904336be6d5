#include "kv/chunker.h"

#include <algorithm>
#include <array>

namespace carrel {

namespace {

// A step's weight in what is recent: a choice is forgotten by half in 22 steps, about as long as it tends to come back.
constexpr float kRecent = 1.0f / 32;

}  // namespace

Chunker::Chunker(KvShape shape, std::uint32_t capacityLeaves, std::uint32_t fixedTokens)
    : shape_(shape),
      capacity_(capacityLeaves),
      fixed_(std::clamp(fixedTokens / kLeafTokens, 1u, 32u)),
      use_(shape.rows() * capacityLeaves) {}

std::uint64_t Chunker::bytes(KvShape shape, std::uint32_t capacityLeaves) {
    return shape.rows() * capacityLeaves * sizeof(float);
}

Chunker::Span Chunker::chunkOf(std::size_t, std::uint32_t leaf) const {
    const std::uint32_t first = leaf / fixed_ * fixed_;
    return {first, std::min(fixed_, leaves_ - first)};
}

void Chunker::choose(std::uint32_t layer, const Chosen& chosen) {
    for (std::uint32_t head = 0; head < shape_.kvHeads; ++head) {
        float* use = use_.data() + (std::size_t{layer} * shape_.kvHeads + head) * capacity_;
        for (std::uint32_t leaf = 0; leaf < leaves_; ++leaf) use[leaf] -= kRecent * use[leaf];
    }
    chosen.each([&](std::uint32_t head, std::uint32_t leaf, std::uint16_t) {
        use_[(std::size_t{layer} * shape_.kvHeads + head) * capacity_ + leaf] += kRecent;
    });
}

std::vector<LayerChunks> Chunker::chunks(const std::function<Tier(std::size_t, std::uint32_t)>& tierOf) const {
    std::vector<LayerChunks> all;
    for (std::size_t row = 0; row < shape_.rows(); ++row) {
        LayerChunks& of = all.emplace_back();
        of.layer = static_cast<std::uint32_t>(row / shape_.kvHeads);
        of.head = static_cast<std::uint32_t>(row % shape_.kvHeads);
        for (std::uint32_t leaf = 0; leaf < leaves_;) {
            const Span span = chunkOf(row, leaf);
            std::array<std::uint32_t, 3> in{};
            Chunk chunk{span.first, span.leaves, Tier::Disk, 0};
            for (std::uint32_t i = span.first; i < span.first + span.leaves; ++i) {
                ++in[static_cast<std::size_t>(tierOf(row, i))];
                chunk.use += use(row, i) / static_cast<float>(span.leaves);
            }
            chunk.tier = static_cast<Tier>(std::ranges::max_element(in) - in.begin());
            of.chunks.push_back(chunk);
            leaf = span.first + span.leaves;
        }
    }
    return all;
}

void Chunker::observe(std::uint32_t, View<const float, 2>) {}

}  // namespace carrel

#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "compute/backend.h"

namespace carrel {

inline constexpr std::uint32_t kLayerChunkTokens = 128;

/// SelectRule::layerChoice for one sequence. score(first, end): of the leaves [first, end), aligned, that are judged.
/// chosen [nLeaves] out; zero before.
template <class Score>
class LayerChoice {
  public:
    LayerChoice(const JudgeArgs& args, Score score) : args_(args), score_(std::move(score)) {}

    void choose(std::uint16_t* chosen) {
        const std::uint32_t coarse = kLayerChunkTokens / kLeafTokens, fine = args_.rule.chunkTokens / kLeafTokens;
        for (std::uint32_t leaf = args_.first / coarse * coarse; leaf < args_.end; leaf += coarse)
            add(leaf, leaf + coarse);
        for (std::uint32_t size = coarse; size > fine; size /= 2) {
            const std::size_t taken = take();
            for (std::size_t i = 0; i < taken; ++i) {
                const Node node = nodes_[i];
                const std::uint32_t half = (node.end - node.first) / 2;
                if (half < fine) continue;
                nodes_[i].score = kGone;
                add(node.first, node.first + half);
                add(node.first + half, node.end);
            }
            std::erase_if(nodes_, [](const Node& node) { return node.score == kGone; });
        }
        const std::size_t taken = take();
        std::uint32_t left = args_.rule.cap;
        for (std::size_t i = 0; i < taken; ++i)
            for (std::uint32_t leaf = std::max(nodes_[i].first, args_.first);
                 leaf < std::min(nodes_[i].end, args_.end) && left > 0; ++leaf) {
                const std::uint32_t tokens = std::min(left, kLeafTokens);
                chosen[leaf] = static_cast<std::uint16_t>((1u << tokens) - 1);
                left -= tokens;
            }
    }

  private:
    /// Part of the document that is taken or left as one: leaves [first, end), aligned.
    struct Node {
        std::uint32_t first, end;
        float score;
    };
    static constexpr float kGone = -std::numeric_limits<float>::infinity();

    std::uint32_t tokens(const Node& node) const {
        return (std::min(node.end, args_.end) - std::max(node.first, args_.first)) * kLeafTokens;
    }

    /// The best first; how many reach the cap.
    std::size_t take() {
        std::sort(nodes_.begin(), nodes_.end(), [](const Node& a, const Node& b) {
            return a.score != b.score ? a.score > b.score : a.first < b.first;
        });
        std::size_t taken = 0;
        for (std::uint32_t sum = 0; taken < nodes_.size() && sum < args_.rule.cap; ++taken)
            sum += tokens(nodes_[taken]);
        return taken;
    }

    void add(std::uint32_t first, std::uint32_t end) {
        if (end <= args_.first || first >= args_.end) return;
        const float score = score_(first, end);
        constexpr float kMost = std::numeric_limits<float>::max();
        nodes_.push_back({first, end, score > -kMost ? std::min(score, kMost) : -kMost});  // a bad bound comes last
    }

    const JudgeArgs& args_;
    Score score_;
    std::vector<Node> nodes_;
};

}  // namespace carrel

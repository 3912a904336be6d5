#include <algorithm>
#include <limits>
#include <vector>

#include "compute/cpu/judge_math.h"
#include "compute/cpu/math.h"
#include "compute/cpu/scratch.h"

namespace carrel {

namespace {

constexpr std::size_t kLanes = 16;
constexpr std::uint32_t kCoarseTokens = 128;

template <bool Fused>
CARREL_INLINE void unitScores(const JudgeRows& rows, const float* low, const float* high, float* out) {
    for (std::size_t r = 0; r < rows.rows; ++r) {
        const float *above = rows.above + r * rows.headDim, *below = rows.below + r * rows.headDim;
        float sums[kLanes] = {};
        for (std::size_t d = 0; d < rows.headDim; d += kLanes)
            for (std::size_t i = 0; i < kLanes; ++i)
                sums[i] = madd<Fused>(above[d + i], high[d + i], madd<Fused>(below[d + i], low[d + i], sums[i]));
        out[r] = sumLanes(sums);
    }
}
void unitScoresScalar(const JudgeRows& rows, const float* low, const float* high, float* out) {
    unitScores<false>(rows, low, high, out);
}
#if defined(__x86_64__)
CARREL_AVX2 void unitScoresAvx2(const JudgeRows& rows, const float* low, const float* high, float* out) {
    unitScores<true>(rows, low, high, out);
}
CARREL_AVX512 void unitScoresAvx512(const JudgeRows& rows, const float* low, const float* high, float* out) {
    unitScores<true>(rows, low, high, out);
}
#endif

struct Lanes {
    float *low, *high;      // [headDim]
    float *scores, *exp;    // [rows]
    std::int16_t* rounded;  // [rows]
};
Lanes lanesIn(Carver carver, std::size_t rows, std::size_t headDim, std::size_t* used = nullptr) {
    Lanes out{};
    out.low = carver.take<float>(headDim);
    out.high = carver.take<float>(headDim);
    out.scores = carver.take<float>(rows);
    out.exp = carver.take<float>(rows);
    out.rounded = carver.take<std::int16_t>(rows);
    if (used != nullptr) *used = carver.used();
    return out;
}

/// The mean key of a leaf.
void loadMean(const SketchView& sketch, std::size_t leaf, std::size_t headDim, FromF16Fn fromF16, float* key,
              float* step) {
    const auto dim = static_cast<std::uint32_t>(headDim);
    const std::size_t group = leaf / kGroupLeaves;
    const auto* grid = reinterpret_cast<const std::uint16_t*>(sketch.codes + group * codesBytes(dim) +
                                                              kGroupLeaves * planeLeafBytes(dim));
    const auto* codes =
        reinterpret_cast<const std::uint8_t*>(sketch.means + group * meansBytes(dim)) + leaf % kGroupLeaves * headDim;
    fromF16(grid, headDim, key);
    fromF16(grid + headDim, headDim, step);
    for (std::size_t d = 0; d < headDim; ++d) key[d] += step[d] * static_cast<float>(codes[d]);
}

/// Part of the document that is taken or left as one: leaves [first, end), aligned.
struct Node {
    std::uint32_t first, end;
    float score;
};

class LayerChooser {
  public:
    LayerChooser(Isa isa, const JudgeArgs& args, std::size_t headDim, const float* above, const float* below)
        : args_(args),
          headDim_(headDim),
          fromF16_(kFromF16.at(isa)),
          scores_(kUnitScores.at(isa)),
          above_(above),
          below_(below),
          low_(headDim),
          high_(headDim),
          fine_(headDim) {}

    void choose(std::uint16_t* chosen) {
        const std::uint32_t coarse = kCoarseTokens / kLeafTokens, fine = args_.rule.chunkTokens / kLeafTokens;
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
        const std::uint32_t from = std::max(first, args_.first), to = std::min(end, args_.end);
        if (from >= to) return;
        const std::size_t chunkLeaves = args_.rule.chunkTokens / kLeafTokens;
        float score = 0;
        for (std::size_t head = 0; head < args_.bounds.size(); ++head) {
            for (std::size_t chunk = from / chunkLeaves; chunk * chunkLeaves < to; ++chunk) {
                const std::uint16_t* at = args_.bounds[head] + chunk * 2 * headDim_;
                const bool begins = chunk == from / chunkLeaves;
                merge(at, begins, low_, [](float a, float b) { return std::min(a, b); });
                merge(at + headDim_, begins, high_, [](float a, float b) { return std::max(a, b); });
            }
            float ofHead = 0;
            const JudgeRows sums{nullptr, above_ + head * headDim_, below_ + head * headDim_, nullptr, 1, headDim_};
            scores_(sums, low_.data(), high_.data(), &ofHead);
            score += ofHead;
        }
        constexpr float kMost = std::numeric_limits<float>::max();
        nodes_.push_back({first, end, score > -kMost ? std::min(score, kMost) : -kMost});  // a bad bound comes last
    }
    template <class Better>
    void merge(const std::uint16_t* from, bool begins, std::vector<float>& into, const Better& better) {
        fromF16_(from, headDim_, begins ? into.data() : fine_.data());
        if (begins) return;
        for (std::size_t d = 0; d < headDim_; ++d) into[d] = better(into[d], fine_[d]);
    }

    const JudgeArgs& args_;
    std::size_t headDim_;
    FromF16Fn fromF16_;
    UnitScoresFn scores_;
    const float *above_, *below_;
    std::vector<float> low_, high_, fine_;
    std::vector<Node> nodes_;
};

}  // namespace

const Variants<UnitScoresFn> kUnitScores {
#if defined(__x86_64__)
    {Isa::Avx512, unitScoresAvx512}, {Isa::Avx2, unitScoresAvx2},
#endif
    {
        Isa::Scalar, unitScoresScalar
    }
};

std::size_t unitScratchBytes(std::size_t rows, std::size_t headDim) {
    std::size_t used = 0;
    lanesIn(Carver(), rows, headDim, &used);
    return used;
}

void scanUnits(Isa isa, const JudgeArgs& args, const JudgeRows& rows, std::size_t kvHead, std::size_t firstGroup,
               const JudgePart& part) {
    const auto scoresOf = kUnitScores.at(isa);
    const auto fromF16 = kFromF16.at(isa);
    const Lanes lanes = lanesIn(Carver(part.scratch), rows.rows, rows.headDim);
    const bool means = args.rule.scorer == Scorer::Means;
    const std::size_t unitLeaves = means ? 1 : args.rule.chunkTokens / kLeafTokens;
    std::size_t scored = SIZE_MAX;
    std::fill_n(part.sums, rows.rows, 0.0f);
    for (std::size_t at = part.first; at < part.end; ++at) {
        const std::size_t leaf = firstGroup * kGroupLeaves + at, unit = leaf / unitLeaves;
        if (unit != scored) {
            if (means) {
                loadMean(args.sketch[kvHead], leaf, rows.headDim, fromF16, lanes.low, lanes.high);
                std::copy_n(lanes.low, rows.headDim, lanes.high);
            } else {
                fromF16(args.bounds[kvHead] + unit * 2 * rows.headDim, rows.headDim, lanes.low);
                fromF16(args.bounds[kvHead] + (unit * 2 + 1) * rows.headDim, rows.headDim, lanes.high);
            }
            scoresOf(rows, lanes.low, lanes.high, lanes.scores);
            for (std::size_t r = 0; r < rows.rows; ++r) {
                const float score = limitScore(lanes.scores[r] - rows.exact[r]);
                lanes.rounded[r] = roundScore(score);
                lanes.exp[r] = exp2Score(score);
            }
            scored = unit;
        }
        std::int16_t* scores =
            part.scores + at / kGroupLeaves * rows.rows * kGroupTokens + at % kGroupLeaves * kLeafTokens;
        for (std::size_t r = 0; r < rows.rows; ++r) {
            std::fill_n(scores + r * kGroupTokens, kLeafTokens, lanes.rounded[r]);
            part.sums[r] += float{kLeafTokens} * lanes.exp[r];
        }
    }
}

void chooseForLayer(Isa isa, const JudgeArgs& args, std::size_t headDim, const float* above, const float* below,
                    std::uint16_t* chosen) {
    LayerChooser(isa, args, headDim, above, below).choose(chosen);
}

}  // namespace carrel

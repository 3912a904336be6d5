#include <algorithm>
#include <limits>
#include <vector>

#include "compute/cpu/judge_math.h"
#include "compute/cpu/math.h"
#include "compute/cpu/scratch.h"
#include "compute/layer_choice.h"

namespace carrel {

namespace {

constexpr std::size_t kLanes = 16;

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
/// From raw scores: limited, relative to `exact`, in 16 bits; and 2^ of them.
CARREL_INLINE void finish(const float* raw, const float* exact, std::size_t rows, std::int16_t* rounded, float* exp) {
    for (std::size_t r = 0; r < rows; ++r) {
        const float score = limitScore(raw[r] - exact[r]);
        rounded[r] = roundScore(score);
        exp[r] = exp2Score(score);
    }
}
CARREL_INLINE void meanKey(const std::uint8_t* codes, const float* least, const float* step, std::size_t n, float* to) {
    for (std::size_t d = 0; d < n; ++d) to[d] = least[d] + step[d] * static_cast<float>(codes[d]);
}
using FinishFn = decltype(&finish);
using MeanKeyFn = decltype(&meanKey);

void unitScoresScalar(const JudgeRows& rows, const float* low, const float* high, float* out) {
    unitScores<false>(rows, low, high, out);
}
void finishScalar(const float* raw, const float* exact, std::size_t rows, std::int16_t* rounded, float* exp) {
    finish(raw, exact, rows, rounded, exp);
}
void meanKeyScalar(const std::uint8_t* codes, const float* least, const float* step, std::size_t n, float* to) {
    meanKey(codes, least, step, n, to);
}
#if defined(__x86_64__)
CARREL_AVX2 void unitScoresAvx2(const JudgeRows& rows, const float* low, const float* high, float* out) {
    unitScores<true>(rows, low, high, out);
}
CARREL_AVX2 void finishAvx2(const float* raw, const float* exact, std::size_t rows, std::int16_t* rounded, float* exp) {
    finish(raw, exact, rows, rounded, exp);
}
CARREL_AVX2 void meanKeyAvx2(const std::uint8_t* codes, const float* least, const float* step, std::size_t n,
                             float* to) {
    meanKey(codes, least, step, n, to);
}
// `Rows` rows from row `first` on; OneKey: low and high are one.
template <std::size_t Rows, bool OneKey>
CARREL_AVX512 void unitRows512(const JudgeRows& rows, std::size_t first, const float* low, const float* high,
                               float* out) {
    const std::size_t headDim = rows.headDim, at = first * headDim;
    __m512 sums[kJudgeRows];
#pragma GCC unroll 8
    for (__m512& sum : sums) sum = _mm512_setzero_ps();
    for (std::size_t d = 0; d < headDim; d += kLanes) {
        const __m512 least = _mm512_loadu_ps(low + d), most = _mm512_loadu_ps(high + d);
#pragma GCC unroll 8
        for (std::size_t r = 0; r < Rows; ++r) {
            const std::size_t from = at + r * headDim + d;
            if constexpr (OneKey) {
                sums[r] = _mm512_fmadd_ps(_mm512_loadu_ps(rows.q + from), least, sums[r]);
            } else {
                sums[r] = _mm512_fmadd_ps(_mm512_loadu_ps(rows.below + from), least, sums[r]);
                sums[r] = _mm512_fmadd_ps(_mm512_loadu_ps(rows.above + from), most, sums[r]);
            }
        }
    }
    _mm256_mask_storeu_ps(out + first, static_cast<__mmask8>((1u << Rows) - 1), sumEach512(sums));
}
template <bool OneKey>
CARREL_AVX512 void unitScores512(const JudgeRows& rows, const float* low, const float* high, float* out) {
    static constexpr decltype(&unitRows512<1, OneKey>) kRows[kJudgeRows] = {
        unitRows512<1, OneKey>, unitRows512<2, OneKey>, unitRows512<3, OneKey>, unitRows512<4, OneKey>,
        unitRows512<5, OneKey>, unitRows512<6, OneKey>, unitRows512<7, OneKey>, unitRows512<8, OneKey>};
    for (std::size_t first = 0; first < rows.rows; first += kJudgeRows)
        kRows[std::min(kJudgeRows, rows.rows - first) - 1](rows, first, low, high, out);
}
CARREL_AVX512 void unitScoresAvx512(const JudgeRows& rows, const float* low, const float* high, float* out) {
    if (low == high && rows.q != nullptr) return unitScores512<true>(rows, low, high, out);
    unitScores512<false>(rows, low, high, out);
}
CARREL_AVX512 void finishAvx512(const float* raw, const float* exact, std::size_t rows, std::int16_t* rounded,
                                float* exp) {
    for (std::size_t r = 0; r < rows; r += kLanes) {
        const auto some = static_cast<__mmask16>(rows - r < kLanes ? (1u << (rows - r)) - 1 : 0xFFFF);
        const __m512 score =
            limitScore512(_mm512_sub_ps(_mm512_maskz_loadu_ps(some, raw + r), _mm512_maskz_loadu_ps(some, exact + r)));
        _mm256_mask_storeu_epi16(rounded + r, some, roundScore512(score));
        _mm512_mask_storeu_ps(exp + r, some, exp2Score512(score));
    }
}
#endif
const Variants<FinishFn> kFinish {
#if defined(__x86_64__)
    {Isa::Avx512, finishAvx512}, {Isa::Avx2, finishAvx2},
#endif
    {
        Isa::Scalar, finishScalar
    }
};
const Variants<MeanKeyFn> kMeanKey {
#if defined(__x86_64__)
    {Isa::Avx2, meanKeyAvx2},
#endif
    {
        Isa::Scalar, meanKeyScalar
    }
};

struct Lanes {
    float *low, *high;      // [headDim]
    float *least, *step;    // [headDim], of one group
    float *scores, *exp;    // [rows]
    std::int16_t* rounded;  // [rows]
};
Lanes lanesIn(Carver carver, std::size_t rows, std::size_t headDim, std::size_t* used = nullptr) {
    Lanes out{};
    out.low = carver.take<float>(headDim);
    out.high = carver.take<float>(headDim);
    out.least = carver.take<float>(headDim);
    out.step = carver.take<float>(headDim);
    out.scores = carver.take<float>(rows);
    out.exp = carver.take<float>(rows);
    out.rounded = carver.take<std::int16_t>(rows);
    if (used != nullptr) *used = carver.used();
    return out;
}

class LayerScores {
  public:
    LayerScores(Isa isa, const JudgeArgs& args, std::size_t headDim, const float* above, const float* below)
        : args_(args),
          headDim_(headDim),
          fromF16_(kFromF16.at(isa)),
          scores_(kUnitScores.at(isa)),
          above_(above),
          below_(below),
          low_(headDim),
          high_(headDim),
          fine_(headDim) {}

    /// Bounds of the chunks in it, merged.
    float operator()(std::uint32_t first, std::uint32_t end) {
        const std::uint32_t from = std::max(first, args_.first), to = std::min(end, args_.end);
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
        return score;
    }

  private:
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
    const auto finishRows = kFinish.at(isa);
    const auto meanOf = kMeanKey.at(isa);
    const std::size_t headDim = rows.headDim;
    const auto dim = static_cast<std::uint32_t>(headDim);
    const Lanes lanes = lanesIn(Carver(part.scratch), rows.rows, headDim);
    const bool means = args.rule.scorer == Scorer::Means;
    const std::size_t unitLeaves = means ? 1 : args.rule.chunkTokens / kLeafTokens;
    std::size_t scored = SIZE_MAX;
    std::fill_n(part.sums, rows.rows, 0.0f);
    for (std::size_t at = part.first; at < part.end; ++at) {
        const std::size_t leaf = firstGroup * kGroupLeaves + at, group = leaf / kGroupLeaves, unit = leaf / unitLeaves;
        if (means && (leaf % kGroupLeaves == 0 || at == part.first)) {
            const auto* grid = reinterpret_cast<const std::uint16_t*>(
                args.sketch[kvHead].codes + group * codesBytes(dim) + kGroupLeaves * planeLeafBytes(dim));
            fromF16(grid, headDim, lanes.least);
            fromF16(grid + headDim, headDim, lanes.step);
        }
        if (unit != scored) {
            const float* high = lanes.low;
            if (means) {
                const auto* codes =
                    reinterpret_cast<const std::uint8_t*>(args.sketch[kvHead].keyMeans + group * keyMeansBytes(dim));
                meanOf(codes + leaf % kGroupLeaves * headDim, lanes.least, lanes.step, headDim, lanes.low);
            } else {
                fromF16(args.bounds[kvHead] + unit * 2 * headDim, headDim, lanes.low);
                fromF16(args.bounds[kvHead] + (unit * 2 + 1) * headDim, headDim, lanes.high);
                high = lanes.high;
            }
            scoresOf(rows, lanes.low, high, lanes.scores);
            finishRows(lanes.scores, rows.exact, rows.rows, lanes.rounded, lanes.exp);
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
    LayerChoice(args, LayerScores(isa, args, headDim, above, below)).choose(chosen);
}

}  // namespace carrel

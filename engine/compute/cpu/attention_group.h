#pragma once

#include "compute/cpu/attention_math.h"
#include "compute/cpu/scratch.h"

// A whole encoded group against a block of rows, in integers: its codes are integers already, queries and weights are
// rounded to 16 bits, and sums of their products are exact, so that neither lanes nor order show in the bits.
//   turned = q * step per channel, in 15 bits and a sign of the row's largest; code - 128
//   score  = base + unit * (turned · code), base = q · (least + 128 step)
//   weight = exp(score - the row's greatest) * value step, in 15 bits of the group's largest step
//   out    = … + unit of weights * (weight · value code)
// One score is so exact to about 1e-5 of the range that its group's scores have, a weight to 1e-5 of the largest.

namespace carrel {

inline constexpr float kMost16 = 32767;  // of what is rounded to 16 bits

struct Group {
    const KvPick* leaves;
    std::size_t headDim, valueBlocks;

    Group(const KvRun& run, std::size_t dim)
        : leaves(run.picks.data()), headDim(dim), valueBlocks(carrel::valueBlocks(static_cast<std::uint32_t>(dim))) {}
    const std::uint8_t* keys(std::size_t leaf) const {
        return reinterpret_cast<const std::uint8_t*>(leaves[leaf].rows);
    }
    const std::int8_t* values(std::size_t leaf) const {
        return reinterpret_cast<const std::int8_t*>(leaves[leaf].rows + kLeafTokens * headDim);
    }
    const std::byte* valueGrid(std::size_t leaf) const { return leaves[leaf].rows + 2 * kLeafTokens * headDim; }
    const std::uint16_t* grid() const { return leaves[0].grid; }
};

// What a group's weights are multiplied with before they are rounded, [64], and what one unit of the sums is worth.
struct ValueSteps {
    alignas(64) float of[kGroupTokens];
    float unit;
};

#if defined(__x86_64__)
CARREL_AVX512 CARREL_INLINE ValueSteps valueSteps512(const Group& group) {
    ValueSteps out;
    const __m512i places = _mm512_mullo_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                                              _mm512_set1_epi32(static_cast<int>(group.valueBlocks)));
    __m512 step[kGroupLeaves], most = _mm512_setzero_ps();
    for (std::size_t leaf = 0; leaf < kGroupLeaves; ++leaf) {
        const __m512i grids = _mm512_i32gather_epi32(places, group.valueGrid(leaf), 4);
        step[leaf] = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(grids, 16)));
        most = _mm512_max_ps(most, step[leaf]);
    }
    const float greatest = _mm512_reduce_max_ps(most), to16 = greatest > 0 ? kMost16 / greatest : 0;
    for (std::size_t leaf = 0; leaf < kGroupLeaves; ++leaf)
        _mm512_store_ps(out.of + leaf * kLeafTokens,
                        _mm512_min_ps(_mm512_mul_ps(step[leaf], _mm512_set1_ps(to16)), _mm512_set1_ps(kMost16)));
    out.unit = greatest / kMost16;
    return out;
}

// 16 channels' steps, and the middle of their keys' range.
CARREL_AVX512 CARREL_INLINE void storeGrid512(const Group& group, float* step, float* middle) {
    for (std::size_t d = 0; d < group.headDim; d += 16) {
        const auto* least = reinterpret_cast<const __m256i*>(group.grid() + d);
        const auto* steps = reinterpret_cast<const __m256i*>(group.grid() + group.headDim + d);
        const __m512 s = _mm512_cvtph_ps(_mm256_loadu_si256(steps));
        _mm512_store_ps(step + d, s);
        _mm512_store_ps(middle + d, _mm512_add_ps(_mm512_cvtph_ps(_mm256_loadu_si256(least)),
                                                  _mm512_mul_ps(s, _mm512_set1_ps(128))));
    }
}

// 32 channels of two tokens, paired: low has channels 8j to 8j + 3, high 8j + 4 to 8j + 7.
CARREL_AVX512 CARREL_INLINE void valuePairs512(const std::int8_t* one, const std::int8_t* two, __mmask32 there,
                                               __m512i& low, __m512i& high) {
    const __m512i a = _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(there, one));
    const __m512i b = _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(there, two));
    low = _mm512_unpacklo_epi16(a, b);
    high = _mm512_unpackhi_epi16(a, b);
}

/// AttendGroupFn of up to kFewRows rows.
void attendFewGroupAvx512(const float* q, std::size_t rows, std::size_t headDim, const KvRun& run,
                          const AttendState& state, std::byte* scratch, float* sums, float* runMax, const KvRun* ahead);
#endif

}  // namespace carrel

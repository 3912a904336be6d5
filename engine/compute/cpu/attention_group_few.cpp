#include <algorithm>
#include <cstring>

#include "compute/cpu/attention_group.h"

namespace carrel {

#if defined(__x86_64__)

namespace {

// Of a handful of rows, keys are in lanes for the scores and channels for the sums.
struct FewScratch {
    std::int32_t *columns,
        *turned;  // pairs of 16 bits: [d/2][64] and [d/2][8], channels 4j and 4j + 2, 4j + 1 and 4j + 3
    float *scores, *step, *middle;  // [8][64]
    std::int16_t* weights;          // [8][64]

    FewScratch(Carver carver, std::size_t headDim)
        : columns(carver.take<std::int32_t>(kGroupTokens * headDim / 2)),
          turned(carver.take<std::int32_t>(kFewRows * headDim / 2)),
          scores(carver.take<float>(kFewRows * kGroupTokens)),
          step(carver.take<float>(headDim)),
          middle(carver.take<float>(headDim)),
          weights(carver.take<std::int16_t>(kFewRows * kGroupTokens)) {}
};

// A whole group that follows is asked for a little at a time: of many lines at once all loads have to wait.
struct Ahead {
    const KvPick* leaves = nullptr;
    std::size_t lines = 0, at = 0;
    Ahead(const KvRun* run, std::size_t headDim) {
        if (run == nullptr) return;
        if (run->picks.size() != kGroupLeaves || run->tokens != kGroupTokens) {
            fetchRun(*run, headDim);
            return;
        }
        leaves = run->picks.data();
        lines = rowsBytes(static_cast<std::uint32_t>(headDim)) / 64;
        fetch(leaves[0].grid, 4 * headDim);
    }
    CARREL_INLINE void some(std::size_t n) {
        if (leaves == nullptr) return;
        for (std::size_t end = std::min(at + n, 4 * lines); at < end; ++at)
            fetch(leaves[at / lines].rows + at % lines * 64, 64);
    }
};

CARREL_AVX512 void loadFew512(const Group& group, const FewScratch& to, Ahead& ahead) {
    const __m512i bytes = _mm512_set1_epi16(0xff), middle = _mm512_set1_epi16(128);
    for (std::size_t leaf = 0; leaf < kGroupLeaves; ++leaf)
        for (std::size_t d = 0; d < group.headDim; d += 64) {
            const std::uint8_t* codes = group.keys(leaf);
            const std::size_t fours = std::min<std::size_t>(16, (group.headDim - d) / 4);
            __m512 rows[16];
#pragma GCC unroll 16
            for (std::size_t k = 0; k < 16; ++k)
                rows[k] = _mm512_castsi512_ps(
                    _mm512_maskz_loadu_epi32(static_cast<__mmask16>((1u << fours) - 1), codes + k * group.headDim + d));
            ahead.some(16);
            transpose512(rows);
#pragma GCC unroll 16
            for (std::size_t j = 0; j < 16; ++j) {
                if (j >= fours) continue;
                const __m512i four = _mm512_castps_si512(rows[j]);
                std::int32_t* at = to.columns + (d / 2 + 2 * j) * kGroupTokens + leaf * kLeafTokens;
                _mm512_store_si512(at, _mm512_sub_epi16(_mm512_and_si512(four, bytes), middle));
                _mm512_store_si512(at + kGroupTokens, _mm512_sub_epi16(_mm512_srli_epi16(four, 8), middle));
            }
        }
    storeGrid512(group, to.step, to.middle);
}

template <std::size_t Rows>
CARREL_AVX512 CARREL_INLINE void scoreFew512(const float* q, std::size_t headDim, const FewScratch& with) {
    constexpr auto kThere = static_cast<__mmask8>((1u << Rows) - 1);
    __m256 base = _mm256_setzero_ps(), most = base;
    const auto turned = [&](std::size_t d) CARREL_AVX512 {
        return _mm256_mul_ps(_mm256_maskz_loadu_ps(kThere, q + d * Rows), _mm256_set1_ps(with.step[d]));
    };
    for (std::size_t d = 0; d < headDim; ++d) {
        base = _mm256_fmadd_ps(_mm256_maskz_loadu_ps(kThere, q + d * Rows), _mm256_set1_ps(with.middle[d]), base);
        most = _mm256_max_ps(most, _mm256_andnot_ps(_mm256_set1_ps(-0.0f), turned(d)));
    }
    alignas(32) float bases[8], units[8];
    _mm256_store_ps(bases, base);
    _mm256_store_ps(units, _mm256_div_ps(most, _mm256_set1_ps(kMost16)));
    const __m256 to16 =
        _mm256_maskz_div_ps(_mm256_cmp_ps_mask(most, _mm256_setzero_ps(), _CMP_GT_OQ), _mm256_set1_ps(kMost16), most);
    const auto rounded = [&](std::size_t d)
                             CARREL_AVX512 { return _mm256_cvtps_epi32(_mm256_mul_ps(turned(d), to16)); };
    for (std::size_t d = 0; d < headDim; d += 4)
        for (std::size_t i = 0; i < 2; ++i)
            _mm256_store_si256(
                reinterpret_cast<__m256i*>(with.turned + (d / 2 + i) * kFewRows),
                _mm256_mask_blend_epi16(0xaaaa, rounded(d + i), _mm256_slli_epi32(rounded(d + i + 2), 16)));
    constexpr std::size_t kVectors = Rows > 4 ? 2 : 4;
    for (std::size_t first = 0; first < kGroupTokens; first += 16 * kVectors) {
        __m512i dot[Rows][kVectors];
#pragma GCC unroll 8
        for (std::size_t r = 0; r < Rows; ++r)
#pragma GCC unroll 4
            for (std::size_t v = 0; v < kVectors; ++v) dot[r][v] = _mm512_setzero_si512();
        for (std::size_t pair = 0; pair < headDim / 2; ++pair) {
            __m512i key[kVectors];
#pragma GCC unroll 4
            for (std::size_t v = 0; v < kVectors; ++v)
                key[v] = _mm512_load_si512(with.columns + pair * kGroupTokens + first + 16 * v);
#pragma GCC unroll 8
            for (std::size_t r = 0; r < Rows; ++r) {
                const __m512i row = _mm512_set1_epi32(with.turned[pair * kFewRows + r]);
#pragma GCC unroll 4
                for (std::size_t v = 0; v < kVectors; ++v) dot[r][v] = _mm512_dpwssd_epi32(dot[r][v], row, key[v]);
            }
        }
#pragma GCC unroll 8
        for (std::size_t r = 0; r < Rows; ++r)
#pragma GCC unroll 4
            for (std::size_t v = 0; v < kVectors; ++v)
                _mm512_store_ps(
                    with.scores + r * kGroupTokens + first + 16 * v,
                    _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[r][v]), _mm512_set1_ps(units[r]), _mm512_set1_ps(bases[r])));
    }
}

// The channels of valuePairs512 in their order.
CARREL_AVX512 CARREL_INLINE void inOrder512(__m512i low, __m512i high, __m512& first, __m512& second) {
    const __m512i one = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
    const __m512i two = _mm512_add_epi32(one, _mm512_set1_epi32(8));
    first = _mm512_cvtepi32_ps(_mm512_permutex2var_epi32(low, one, high));
    second = _mm512_cvtepi32_ps(_mm512_permutex2var_epi32(low, two, high));
}

template <std::size_t Rows>
CARREL_AVX512 void attendFewGroup512(const float* q, std::size_t headDim, const KvRun& run, const AttendState& state,
                                     std::byte* scratch, float* sums, float* runMax, const KvRun* ahead) {
    const Group group(run, headDim);
    const FewScratch with(Carver(scratch), headDim);
    Ahead after(ahead, headDim);
    const ValueSteps steps = valueSteps512(group);
    loadFew512(group, with, after);
    scoreFew512<Rows>(q, headDim, with);
    alignas(64) float m[16] = {}, most[16], old[16], fresh[16];
    float sum[Rows];
#pragma GCC unroll 8
    for (std::size_t r = 0; r < Rows; ++r) {
        __m512 e[4];
        for (std::size_t i = 0; i < 4; ++i) e[i] = _mm512_load_ps(with.scores + r * kGroupTokens + 16 * i);
        m[r] = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_max_ps(e[0], e[1]), _mm512_max_ps(e[2], e[3])));
        float quarter[4];
        for (std::size_t i = 0; i < 4; ++i) {
            e[i] = exp512(_mm512_sub_ps(e[i], _mm512_set1_ps(m[r])));
            quarter[i] = lanesSum512(e[i]);
            if (sums != nullptr) sums[i * Rows + r] = quarter[i];
            const __m512i rounded = _mm512_cvtps_epi32(_mm512_mul_ps(e[i], _mm512_load_ps(steps.of + 16 * i)));
            _mm256_store_si256(reinterpret_cast<__m256i*>(with.weights + r * kGroupTokens + 16 * i),
                               _mm512_cvtepi32_epi16(rounded));
        }
        sum[r] = (quarter[0] + quarter[1]) + (quarter[2] + quarter[3]);
    }
    if (sums != nullptr) std::copy_n(m, Rows, runMax);
    weighRows512(state.m, m, Rows, most, old, fresh);
    for (std::size_t r = 0; r < Rows; ++r) {
        state.sum[r] = together<true>(state.sum[r], sum[r], {most[r], old[r], fresh[r]});
        state.m[r] = most[r];
    }
    for (std::size_t d = 0; d < headDim; d += 32) {
        const bool half = headDim - d < 32;
        __m512i dot[Rows][2];
#pragma GCC unroll 8
        for (std::size_t r = 0; r < Rows; ++r) dot[r][0] = dot[r][1] = _mm512_setzero_si512();
        for (std::size_t leaf = 0; leaf < kGroupLeaves; ++leaf)
            for (std::size_t t = 0; t < kLeafTokens; t += 2) {
                const std::int8_t* from = group.values(leaf) + t * headDim + d;
                after.some(2);
                __m512i low, high;
                valuePairs512(from, from + headDim, half ? 0xffff : 0xffffffff, low, high);
#pragma GCC unroll 8
                for (std::size_t r = 0; r < Rows; ++r) {
                    std::int32_t two;
                    std::memcpy(&two, with.weights + r * kGroupTokens + leaf * kLeafTokens + t, 4);
                    const __m512i share = _mm512_set1_epi32(two);
                    dot[r][0] = _mm512_dpwssd_epi32(dot[r][0], share, low);
                    dot[r][1] = _mm512_dpwssd_epi32(dot[r][1], share, high);
                }
            }
#pragma GCC unroll 8
        for (std::size_t r = 0; r < Rows; ++r) {
            __m512 of[2];
            inOrder512(dot[r][0], dot[r][1], of[0], of[1]);
            const __m512 share = _mm512_set1_ps(fresh[r]), before = _mm512_set1_ps(old[r]);
            for (std::size_t i = 0; i < (half ? 1 : 2); ++i) {
                float* to = state.out + r * headDim + d + 16 * i;
                of[i] = _mm512_mul_ps(of[i], _mm512_set1_ps(steps.unit));
                _mm512_storeu_ps(to, _mm512_fmadd_ps(of[i], share, _mm512_mul_ps(_mm512_loadu_ps(to), before)));
            }
        }
    }
}

}  // namespace

void attendFewGroupAvx512(const float* q, std::size_t rows, std::size_t headDim, const KvRun& run,
                          const AttendState& state, std::byte* scratch, float* sums, float* runMax,
                          const KvRun* ahead) {
    constexpr decltype(&attendFewGroup512<1>) kByRows[] = {
        attendFewGroup512<1>, attendFewGroup512<2>, attendFewGroup512<3>, attendFewGroup512<4>,
        attendFewGroup512<5>, attendFewGroup512<6>, attendFewGroup512<7>, attendFewGroup512<8>};
    kByRows[rows - 1](q, headDim, run, state, scratch, sums, runMax, ahead);
}

#endif

}  // namespace carrel

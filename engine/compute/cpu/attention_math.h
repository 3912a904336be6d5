#pragma once

#include <algorithm>
#include <limits>

#include "compute/cpu/intrinsics.h"
#include "compute/cpu/kernels.h"
#include "compute/cpu/math.h"

namespace carrel {

inline constexpr float kMasked = -std::numeric_limits<float>::infinity();
// A maximum over no keys that can be subtracted from itself.
inline constexpr float kNothing = -std::numeric_limits<float>::max();

// The first position that sees the run's first key, how it grows with the keys, and how many see each: a key of which
// position - (first + key * step), without its sign, is less than window is seen. Picks are seen by all.
struct Reach {
    std::uint32_t first, step, window;
    explicit Reach(const KvRun& run) : first(run.first), step(1), window(run.window) {
        if (!run.picks.empty() && window == KvRun::kNoWindow) first = step = 0;
    }
};

// What sums of before and of one more run, relative to maxima of their own, weigh together: the one rule that runs are
// put together by, so that the bits are the same wherever it is applied.
struct Weights {
    float m, old, fresh;
};
template <bool Fused>
CARREL_INLINE Weights weigh(float before, float run) {
    const float m = std::max(before, run);
    return {m, expFast<Fused>(before - m), expFast<Fused>(run - m)};
}
template <bool Fused>
CARREL_INLINE float together(float before, float run, const Weights& weights) {
    return madd<Fused>(run, weights.fresh, before * weights.old);
}

// Up to 16 summands are always added up in this order, those that are missing as zeros.
CARREL_INLINE float segmentSum(const float* p) {
    float s[8];
    for (std::size_t k = 0; k < 8; ++k) s[k] = p[k] + p[k + 8];
    for (std::size_t k = 0; k < 4; ++k) s[k] += s[k + 4];
    return (s[0] + s[2]) + (s[1] + s[3]);
}

#if defined(__x86_64__)
// expFast<true> of something not above 0. What comes of less than -87 is replaced, whatever it is.
CARREL_AVX512 CARREL_INLINE __m512 exp512(__m512 x) {
    const __m512 log2E = _mm512_set1_ps(kLog2E), toWhole = _mm512_set1_ps(kToWhole);
    const __m512 n = _mm512_sub_ps(_mm512_fmadd_ps(x, log2E, toWhole), toWhole), r = _mm512_fmsub_ps(x, log2E, n);
    __m512 p = _mm512_set1_ps(kExp2[0]);
#pragma GCC unroll 4
    for (std::size_t i = 1; i < 5; ++i) p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(kExp2[i]));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    return _mm512_maskz_scalef_ps(_mm512_cmp_ps_mask(x, _mm512_set1_ps(-87.0f), _CMP_GE_OQ), p, n);
}

// weigh<true>() of up to 16 rows; run, m, old and fresh have room for 16.
CARREL_AVX512 CARREL_INLINE void weighRows512(const float* before, const float* run, std::size_t rows, float* m,
                                              float* old, float* fresh) {
    const __m512 was = _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << rows) - 1), before),
                 of = _mm512_load_ps(run), both = _mm512_max_ps(was, of);
    _mm512_store_ps(m, both);
    _mm512_store_ps(old, exp512(_mm512_sub_ps(was, both)));
    _mm512_store_ps(fresh, exp512(_mm512_sub_ps(of, both)));
}

// The same in 8 lanes.
CARREL_AVX2 CARREL_INLINE __m256 exp256(__m256 x) {
    const __m256 log2E = _mm256_set1_ps(kLog2E), toWhole = _mm256_set1_ps(kToWhole);
    const __m256 n = _mm256_sub_ps(_mm256_fmadd_ps(x, log2E, toWhole), toWhole), r = _mm256_fmsub_ps(x, log2E, n);
    __m256 p = _mm256_set1_ps(kExp2[0]);
#pragma GCC unroll 4
    for (std::size_t i = 1; i < 5; ++i) p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(kExp2[i]));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
    const __m256i power = _mm256_add_epi32(_mm256_slli_epi32(_mm256_cvtps_epi32(n), 23), _mm256_set1_epi32(0x3f800000));
    return _mm256_and_ps(_mm256_cmp_ps(x, _mm256_set1_ps(-87.0f), _CMP_GE_OQ),
                         _mm256_mul_ps(p, _mm256_castsi256_ps(power)));
}

// One run's greatest score m and its sums by quarters into a state's vector v of 16 rows; weigh<true>() and together()
// of them. old, fresh: what the sums of values then weigh.
CARREL_AVX512 CARREL_INLINE void takeSums512(const AttendState& state, std::size_t v, __m512 m, const __m512* quarter,
                                             __m512& old, __m512& fresh) {
    float *const greatest = state.m + 16 * v, *const sums = state.sum + 16 * v;
    const __m512 before = _mm512_load_ps(greatest), most = _mm512_max_ps(before, m);
    old = exp512(_mm512_sub_ps(before, most));
    fresh = exp512(_mm512_sub_ps(m, most));
    const __m512 sum = _mm512_add_ps(_mm512_add_ps(quarter[0], quarter[1]), _mm512_add_ps(quarter[2], quarter[3]));
    _mm512_store_ps(sums, _mm512_fmadd_ps(sum, fresh, _mm512_mul_ps(_mm512_load_ps(sums), old)));
    _mm512_store_ps(greatest, most);
}

CARREL_AVX512 CARREL_INLINE __m512 segmentSum512(__m512* e) {
#pragma GCC unroll 8
    for (std::size_t k = 0; k < 8; ++k) e[k] = _mm512_add_ps(e[k], e[k + 8]);
#pragma GCC unroll 4
    for (std::size_t k = 0; k < 4; ++k) e[k] = _mm512_add_ps(e[k], e[k + 4]);
    return _mm512_add_ps(_mm512_add_ps(e[0], e[2]), _mm512_add_ps(e[1], e[3]));
}

// segmentSum of the lanes.
CARREL_AVX512 CARREL_INLINE float lanesSum512(__m512 x) {
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

// rows[k][c] becomes rows[c][k].
CARREL_AVX512 CARREL_INLINE void transpose512(__m512* rows) {
    __m512 b[16];
#pragma GCC unroll 8
    for (std::size_t k = 0; k < 16; k += 2) {
        b[k] = _mm512_unpacklo_ps(rows[k], rows[k + 1]);
        b[k + 1] = _mm512_unpackhi_ps(rows[k], rows[k + 1]);
    }
#pragma GCC unroll 4
    for (std::size_t k = 0; k < 16; k += 4) {  // rows[k + c]: columns c, 4 + c, 8 + c, 12 + c of rows k to k + 3
        rows[k] = _mm512_shuffle_ps(b[k], b[k + 2], 0x44);
        rows[k + 1] = _mm512_shuffle_ps(b[k], b[k + 2], 0xee);
        rows[k + 2] = _mm512_shuffle_ps(b[k + 1], b[k + 3], 0x44);
        rows[k + 3] = _mm512_shuffle_ps(b[k + 1], b[k + 3], 0xee);
    }
#pragma GCC unroll 4
    for (std::size_t c = 0; c < 4; ++c) {
        const __m512 low = _mm512_shuffle_f32x4(rows[c], rows[4 + c], 0x88),  // 0 and 8 + c of rows 0 to 7
            high = _mm512_shuffle_f32x4(rows[c], rows[4 + c], 0xdd),          // 4 and 12 + c
            low2 = _mm512_shuffle_f32x4(rows[8 + c], rows[12 + c], 0x88),     // of rows 8 to 15
            high2 = _mm512_shuffle_f32x4(rows[8 + c], rows[12 + c], 0xdd);
        b[c] = _mm512_shuffle_f32x4(low, low2, 0x88);
        b[8 + c] = _mm512_shuffle_f32x4(low, low2, 0xdd);
        b[4 + c] = _mm512_shuffle_f32x4(high, high2, 0x88);
        b[12 + c] = _mm512_shuffle_f32x4(high, high2, 0xdd);
    }
#pragma GCC unroll 16
    for (std::size_t c = 0; c < 16; ++c) rows[c] = b[c];
}

/// AttendRunFn of up to kFewRows rows.
void attendFewAvx2(const float* q, const std::uint32_t* position, std::size_t rows, std::size_t headDim,
                   const KvRun& run, const LoadedRun& loaded, const AttendState& state, float* scratch, float* sums,
                   float* runMax);
void attendFewAvx512(const float* q, const std::uint32_t* position, std::size_t rows, std::size_t headDim,
                     const KvRun& run, const LoadedRun& loaded, const AttendState& state, float* scratch, float* sums,
                     float* runMax);
#endif

}  // namespace carrel

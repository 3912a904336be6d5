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

// The first position that sees the run's first key, and how it grows with the keys: picks are seen by all.
struct Reach {
    std::uint32_t first, step;
    explicit Reach(const KvRun& run) : first(run.first), step(1) {
        if (!run.picks.empty()) first = step = 0;
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

#if defined(__x86_64__)
// expFast of something not above 0.
CARREL_AVX512 CARREL_INLINE __m512 exp512(__m512 x) {
    const __m512 clamped = _mm512_max_ps(x, _mm512_set1_ps(-87.0f)), round = _mm512_set1_ps(12582912.0f);
    const __m512 n = _mm512_sub_ps(_mm512_fmadd_ps(clamped, _mm512_set1_ps(1.44269504f), round), round);
    __m512 r = _mm512_fmadd_ps(n, _mm512_set1_ps(-0.693359375f), clamped);
    r = _mm512_fmadd_ps(n, _mm512_set1_ps(2.12194440e-4f), r);
    __m512 p = _mm512_set1_ps(1.9875691500e-4f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.3981999507e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3334519073e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1665795894e-2f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666665459e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.0000001201e-1f));
    p = _mm512_add_ps(_mm512_fmadd_ps(p, _mm512_mul_ps(r, r), r), _mm512_set1_ps(1.0f));
    const __mmask16 seen = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-87.0f), _CMP_GE_OQ);
    return _mm512_maskz_scalef_ps(seen, p, n);
}

// The same in 8 lanes: the bits of expFast<true>.
CARREL_AVX2 CARREL_INLINE __m256 exp256(__m256 x) {
    const __m256 clamped = _mm256_max_ps(x, _mm256_set1_ps(-87.0f)), round = _mm256_set1_ps(12582912.0f);
    const __m256 n = _mm256_sub_ps(_mm256_fmadd_ps(clamped, _mm256_set1_ps(1.44269504f), round), round);
    __m256 r = _mm256_fmadd_ps(n, _mm256_set1_ps(-0.693359375f), clamped);
    r = _mm256_fmadd_ps(n, _mm256_set1_ps(2.12194440e-4f), r);
    __m256 p = _mm256_set1_ps(1.9875691500e-4f);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.3981999507e-3f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(8.3334519073e-3f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(4.1665795894e-2f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.6666665459e-1f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(5.0000001201e-1f));
    p = _mm256_add_ps(_mm256_fmadd_ps(p, _mm256_mul_ps(r, r), r), _mm256_set1_ps(1.0f));
    const __m256i power = _mm256_add_epi32(_mm256_slli_epi32(_mm256_cvtps_epi32(n), 23), _mm256_set1_epi32(0x3f800000));
    const __m256 seen = _mm256_cmp_ps(x, _mm256_set1_ps(-87.0f), _CMP_GE_OQ);
    return _mm256_and_ps(seen, _mm256_mul_ps(p, _mm256_castsi256_ps(power)));
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

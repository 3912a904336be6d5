#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "compute/cpu/intrinsics.h"
#include "compute/cpu/judge.h"

namespace carrel {

/// 16 sums in lanes to one, always in this order.
CARREL_INLINE float sumLanes(const float* p) {
    float s[8];
    for (std::size_t k = 0; k < 8; ++k) s[k] = p[k] + p[k + 8];
    for (std::size_t k = 0; k < 4; ++k) s[k] += s[k + 4];
    return (s[0] + s[2]) + (s[1] + s[3]);
}

// 2^f for f in [0, 1), to 2e-4 of its value; never above 2, and 1 at 0.
inline constexpr float kExp2Cubic[] = {1.0f, 0.69583356f, 0.22606716f, 0.07802453f};

/// 2^(score / 256); the score within its limit.
CARREL_INLINE float exp2Score(float score) {
    const float t = score * (1 / kScoresPerLog2);
    auto n = static_cast<std::int32_t>(t);
    n -= static_cast<float>(n) > t ? 1 : 0;
    const float f = t - static_cast<float>(n);
    const float p = ((kExp2Cubic[3] * f + kExp2Cubic[2]) * f + kExp2Cubic[1]) * f + kExp2Cubic[0];
    return p * std::bit_cast<float>((n + 127) << 23);
}
/// Also what is no number.
CARREL_INLINE float limitScore(float score) {
    const float least = score > -kScoreLimit ? score : -kScoreLimit;
    return least < kScoreLimit ? least : kScoreLimit;
}
/// To nearest even, of what fits in 22 bits.
CARREL_INLINE std::int32_t roundScore(float score) {
    constexpr float kRound = 12582912.0f;  // 1.5 * 2^23
    return static_cast<std::int32_t>((score + kRound) - kRound);
}

#if defined(__x86_64__)

// exp2Score; the same polynomial, its rounding the hardware's.
CARREL_AVX512 CARREL_INLINE __m512 exp2Score512(__m512 score) {
    const __m512 t = _mm512_mul_ps(score, _mm512_set1_ps(1 / kScoresPerLog2));
    const __m512 f = _mm512_reduce_ps(t, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(kExp2Cubic[3]), f, _mm512_set1_ps(kExp2Cubic[2]));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(kExp2Cubic[1]));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(kExp2Cubic[0]));
    return _mm512_scalef_ps(p, t);
}
CARREL_AVX512 CARREL_INLINE __m512 limitScore512(__m512 score) {
    return _mm512_min_ps(_mm512_max_ps(score, _mm512_set1_ps(-kScoreLimit)), _mm512_set1_ps(kScoreLimit));
}

#endif

}  // namespace carrel

#pragma once

#include <array>
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

/// 2^score, of a limited score.
CARREL_INLINE float exp2Score(float score) {
    auto n = static_cast<std::int32_t>(score);
    n -= static_cast<float>(n) > score ? 1 : 0;
    const float f = score - static_cast<float>(n);
    const float p = ((kExp2Cubic[3] * f + kExp2Cubic[2]) * f + kExp2Cubic[1]) * f + kExp2Cubic[0];
    return p * std::bit_cast<float>((n + 127) << 23);
}
/// Also what is no number.
CARREL_INLINE float limitScore(float score) {
    const float least = score > -kScoreLimit ? score : -kScoreLimit;
    return least < kScoreLimit ? least : kScoreLimit;
}
// A float near this counts 256ths, in its low bits.
inline constexpr float kRoundScore = 1.5f * 32768;
inline constexpr std::int16_t kMostScore = static_cast<std::int16_t>(kScoreLimit * kScoresPerLog2);
/// A limited score in 16 bits, to nearest even.
CARREL_INLINE std::int16_t roundScore(float score) {
    return static_cast<std::int16_t>(std::bit_cast<std::uint32_t>(score + kRoundScore));
}

// A limited score, of 256ths, is nearly a bfloat16's bits: halved they are exponent and fraction f of 2^n (1 + f). This
// is what 2^f lies below 1 + f, in 256ths, taken from kFractionMost, by the upper 6 bits of f; half a unit less, as
// halving rounds up.
inline constexpr int kFractionMost = 23;
inline constexpr auto kFraction = [] {
    std::array<std::int16_t, 64> out{};
    for (int i = 0; i < 64; ++i) {
        const float f = (static_cast<float>(4 * i) + 1.5f) / kScoresPerLog2;
        const float p = ((kExp2Cubic[3] * f + kExp2Cubic[2]) * f + kExp2Cubic[1]) * f + kExp2Cubic[0];
        out[static_cast<std::size_t>(i)] = static_cast<std::int16_t>(kFractionMost - kScoresPerLog2 * (1 + f - p));
    }
    return out;
}();

#if defined(__x86_64__)

/// sum + 2^score, to 0.5 % of each, of the 32 scores that `counts` has.
CARREL_AVX512 CARREL_INLINE __m512 addExp2512(__m512 sum, __m512i score, __mmask32 counts) {
    const __m512i below = _mm512_permutex2var_epi16(_mm512_loadu_si512(kFraction.data()), _mm512_srli_epi16(score, 2),
                                                    _mm512_loadu_si512(kFraction.data() + 32));
    const __m512i biased = _mm512_add_epi16(score, _mm512_set1_epi16(127 * 256 - kFractionMost));
    const __m512i exp = _mm512_maskz_avg_epu16(counts, biased, below);
    return _mm512_dpbf16_ps(sum, (__m512bh)exp, (__m512bh)_mm512_set1_epi16(0x3F80));
}
// The same; what is rounded once less may differ in its last bit.
CARREL_AVX512 CARREL_INLINE __m512 exp2Score512(__m512 score) {
    const __m512 f = _mm512_reduce_ps(score, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(kExp2Cubic[3]), f, _mm512_set1_ps(kExp2Cubic[2]));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(kExp2Cubic[1]));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(kExp2Cubic[0]));
    return _mm512_scalef_ps(p, score);
}
CARREL_AVX512 CARREL_INLINE __m512 limitScore512(__m512 score) {
    return _mm512_min_ps(_mm512_max_ps(score, _mm512_set1_ps(-kScoreLimit)), _mm512_set1_ps(kScoreLimit));
}
CARREL_AVX512 CARREL_INLINE __m256i roundScore512(__m512 score) {
    return _mm512_cvtepi32_epi16(_mm512_castps_si512(_mm512_add_ps(score, _mm512_set1_ps(kRoundScore))));
}
CARREL_AVX512 CARREL_INLINE float sumLanes512(__m512 v) {
    const __m256 s = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 t = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
    const __m128 u = _mm_add_ps(t, _mm_movehl_ps(t, t));
    return _mm_cvtss_f32(_mm_add_ss(u, _mm_movehdup_ps(u)));
}
/// Eight vectors to their eight sums.
CARREL_AVX512 CARREL_INLINE __m256 sumEach512(const __m512 (&v)[kJudgeRows]) {
    __m512 t[4], u[2];
#pragma GCC unroll 4
    for (std::size_t i = 0; i < 4; ++i)
        t[i] = _mm512_add_ps(_mm512_shuffle_f32x4(v[i], v[i + 4], 0x44), _mm512_shuffle_f32x4(v[i], v[i + 4], 0xEE));
#pragma GCC unroll 2
    for (std::size_t i = 0; i < 2; ++i)
        u[i] = _mm512_add_ps(_mm512_unpacklo_ps(t[2 * i], t[2 * i + 1]), _mm512_unpackhi_ps(t[2 * i], t[2 * i + 1]));
    const __m512d x = _mm512_castps_pd(u[0]), y = _mm512_castps_pd(u[1]);
    const __m512 w =
        _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(x, y)), _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
    const __m512 all = _mm512_add_ps(w, _mm512_shuffle_f32x4(w, w, 0xB1));
    return _mm512_castps512_ps256(_mm512_shuffle_f32x4(all, all, 0x08));
}

#endif

}  // namespace carrel

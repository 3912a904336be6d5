#pragma once

#include "compute/cuda/device_math.h"

// Scores are as in cpu/judge.h: in log2, relative to what is read anyway, kept in 16 bits of 256ths.

namespace carrel::cuda {

inline constexpr float kLog2PerNat = 1.44269504f, kScoresPerLog2 = 256, kScoreLimit = 100;

/// Also what is no number.
__device__ __forceinline__ float limitScore(float score) {
    const float least = score > -kScoreLimit ? score : -kScoreLimit;
    return least < kScoreLimit ? least : kScoreLimit;
}
/// 2^score of a limited score, to 2e-4: cpu/judge_math.h's, fused.
__device__ __forceinline__ float exp2Score(float score) {
    int n = static_cast<int>(score);
    n -= static_cast<float>(n) > score ? 1 : 0;
    const float f = score - static_cast<float>(n);
    float p = fmaf(0.07802453f, f, 0.22606716f);
    p = fmaf(p, f, 0.69583356f);
    p = fmaf(p, f, 1.0f);
    return p * __int_as_float((n + 127) << 23);
}
/// The lower 16 bits of a limited score in 256ths, to nearest even.
__device__ __forceinline__ unsigned roundScore(float score) {
    return static_cast<unsigned>(__float_as_int(score + 1.5f * 32768)) & 0xffff;  // such a float counts 256ths
}
/// log2 of a normal number above 0, to 2e-7 of it.
__device__ __forceinline__ float log2Of(float x) {
    int bits = __float_as_int(x), n = (bits >> 23) - 127;
    float m = __int_as_float((bits & 0x7fffff) | 0x3f800000);
    if (m > 1.41421354f) m = m * 0.5f, n += 1;
    const float t = (m - 1.0f) / (m + 1.0f), square = t * t;  // log m = 2 atanh t
    float p = fmaf(square, 0.320598898f, 0.412198583f);
    p = fmaf(p, square, 0.577078016f);
    p = fmaf(p, square, 0.961796694f);
    p = fmaf(p, square, 2.88539008f);
    return fmaf(t, p, static_cast<float>(n));
}
/// Nothing read anyway is a sum of 0, but scores need some origin.
__device__ __forceinline__ bool anythingRead(float exact) {
    return exact > -3.402823466e38f;
}

/// 16 sums to one, always in this order.
__device__ __forceinline__ float sumTokens(const float (&p)[16]) {
    float s[8];
#pragma unroll
    for (int k = 0; k < 8; ++k) s[k] = p[k] + p[k + 8];
#pragma unroll
    for (int k = 0; k < 4; ++k) s[k] = s[k] + s[k + 4];
    return (s[0] + s[2]) + (s[1] + s[3]);
}

/// One row's scores of a leaf.
struct LeafScores {
    int value[16];
    __device__ __forceinline__ explicit LeafScores(const short* from) {
        const auto* const at = reinterpret_cast<const uint4*>(from);
        const uint4 low = at[0], high = at[1];
        const unsigned words[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            value[2 * i] = static_cast<short>(words[i] & 0xffff);
            value[2 * i + 1] = static_cast<short>(words[i] >> 16);
        }
    }
    __device__ __forceinline__ float share(int token, float whole) const {
        return exp2Score(limitScore(fmaf(static_cast<float>(value[token]), 1 / kScoresPerLog2, -whole)));
    }
};

}  // namespace carrel::cuda

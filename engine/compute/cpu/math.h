#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "compute/cpu/kernels.h"

namespace carrel {

/// a * b + c; one rounding in the variants whose instruction set has it (elsewhere that would be a call into libm).
template <bool Fused>
CARREL_INLINE float madd(float a, float b, float c) {
    if constexpr (Fused) return __builtin_fmaf(a, b, c);
    return a * b + c;
}

/// e^x to 2e-7 of its value; 0 below -87, infinite above 88.
template <bool Fused>
CARREL_INLINE float expFast(float x) {
    constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f, kRound = 12582912.0f;  // 1.5 * 2^23
    const float clamped = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
    const float n = madd<Fused>(clamped, 1.44269504f, kRound) - kRound;
    float r = madd<Fused>(n, -kLn2High, clamped);
    r = madd<Fused>(n, -kLn2Low, r);
    float p = 1.9875691500e-4f;
    p = madd<Fused>(p, r, 1.3981999507e-3f);
    p = madd<Fused>(p, r, 8.3334519073e-3f);
    p = madd<Fused>(p, r, 4.1665795894e-2f);
    p = madd<Fused>(p, r, 1.6666665459e-1f);
    p = madd<Fused>(p, r, 5.0000001201e-1f);
    p = madd<Fused>(p, r * r, r) + 1.0f;
    const auto power = std::bit_cast<float>(static_cast<std::int32_t>(n) * (1 << 23) + 0x3f800000);
    return x < -87.0f ? 0.0f : x > 88.0f ? std::numeric_limits<float>::infinity() : p * power;
}

}  // namespace carrel

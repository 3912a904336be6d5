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

/// e^x = 2^n * 2^r, |r| <= 1/2, 2^r to 1e-7: the least polynomial that weights and activations need.
inline constexpr float kLog2E = 1.44269504f, kToWhole = 12582912.0f;  // 1.5 * 2^23: x + kToWhole - kToWhole is whole
inline constexpr float kExp2[] = {1.3264727e-3f, 9.6715127e-3f, 5.5507337e-2f, 2.4022242e-1f, 6.9314698e-1f};
/// e^x to 5e-7 of its value where that is more than 1e-9; 0 below -87, infinite above 88.
template <bool Fused>
CARREL_INLINE float expFast(float x) {
    const float clamped = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
    const float n = madd<Fused>(clamped, kLog2E, kToWhole) - kToWhole;
    float r;
    if constexpr (Fused) {
        r = madd<Fused>(clamped, kLog2E, -n);
    } else {  // the product's own rounding would show: take n ln 2 away in two parts instead
        constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
        r = ((clamped - n * kLn2High) - n * kLn2Low) * kLog2E;
    }
    float p = madd<Fused>(kExp2[0], r, kExp2[1]);  // no loop: it would keep loops around it from being vectorized
    p = madd<Fused>(p, r, kExp2[2]);
    p = madd<Fused>(p, r, kExp2[3]);
    p = madd<Fused>(p, r, kExp2[4]);
    p = madd<Fused>(p, r, 1.0f);
    const auto power = std::bit_cast<float>(static_cast<std::int32_t>(n) * (1 << 23) + 0x3f800000);
    return x < -87.0f ? 0.0f : x > 88.0f ? std::numeric_limits<float>::infinity() : p * power;
}

}  // namespace carrel

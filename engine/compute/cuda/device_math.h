#pragma once

#include "compute/cuda/klaunch.h"

// Arithmetic of kernels. Only +, -, *, /, sqrtf and fmaf, each with one rounding (nvcc: --fmad=false): so that every
// GPU, and the emulation, gives the same bits.

namespace carrel::cuda {

/// cpu/math.h's expFast, fused.
__device__ __forceinline__ float expFast(float x) {
    constexpr float kLog2E = 1.44269504f, kToWhole = 12582912.0f;  // 1.5 * 2^23: x + kToWhole - kToWhole is whole
    const float clamped = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
    const float n = fmaf(clamped, kLog2E, kToWhole) - kToWhole;
    const float r = fmaf(clamped, kLog2E, -n);
    float p = fmaf(1.3264727e-3f, r, 9.6715127e-3f);
    p = fmaf(p, r, 5.5507337e-2f);
    p = fmaf(p, r, 2.4022242e-1f);
    p = fmaf(p, r, 6.9314698e-1f);
    p = fmaf(p, r, 1.0f);
    const float power = __int_as_float((static_cast<int>(n) + 127) << 23);
    return x < -87.0f ? 0.0f : x > 88.0f ? __int_as_float(0x7f800000) : p * power;
}

/// The natural logarithm of a positive normal number, to 2e-7 of it or of 1.
__device__ __forceinline__ float logFast(float x) {
    const int bits = __float_as_int(x), exponent = (bits - 0x3f3504f3) >> 23;  // the mantissa from sqrt(1/2) on
    const float f = __int_as_float(bits - exponent * (1 << 23));
    const float s = (f - 1.0f) / (f + 1.0f), t = s * s;
    float p = fmaf(0.22222222f, t, 0.28571429f);  // 2 / 9, 2 / 7
    p = fmaf(p, t, 0.4f);
    p = fmaf(p, t, 0.66666667f);
    return fmaf(static_cast<float>(exponent), 0.69314718f, fmaf(p * t, s, 2.0f * s));
}

__device__ __forceinline__ float warpSum(float v) {
#pragma unroll
    for (int lanes = 16; lanes > 0; lanes /= 2) v += __shfl_xor_sync(0xffffffffu, v, lanes);
    return v;
}

/// Every thread of a block of 32 * Warps gets the sum.
template <int Warps>
__device__ float blockSum(float v) {
    KSHARED(float, part, Warps);
    const int lane = static_cast<int>(threadIdx.x) % 32;
    v = warpSum(v);
    if (lane == 0) part[threadIdx.x / 32] = v;
    __syncthreads();
    return warpSum(lane < Warps ? part[lane] : 0.0f);
}

__device__ __forceinline__ float halfToFloat(unsigned bits) {
    return __half2float(__ushort_as_half(static_cast<unsigned short>(bits)));
}

}  // namespace carrel::cuda

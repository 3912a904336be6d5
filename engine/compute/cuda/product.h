#pragma once

#include "compute/cuda/klaunch_held.h"
#include "compute/cuda/launch.h"
#include "compute/cuda/weight_block.h"

// What kernels of products have in common. As in cpu/matmul.cpp x is rounded to 8 bits per 32 columns, whose products
// with a row's quants are added in integers, exactly. Blocks are added in kRuns runs (weight_layout.h), so an output's
// bits depend on its row of x and its row of weights alone.

namespace carrel::cuda {

/// A row of x in 32 columns.
struct InputBlock {
    int4 low, high;
    float scale;
    int sums[2];
};
__device__ __forceinline__ int4 signedWords(const uint4& v) {
    return make_int4(static_cast<int>(v.x), static_cast<int>(v.y), static_cast<int>(v.z), static_cast<int>(v.w));
}
/// From the pieces of QuantizedRows.
__device__ __forceinline__ InputBlock inputBlock(const uint4& low, const uint4& high, const uint4& factors) {
    return {signedWords(low),
            signedWords(high),
            __uint_as_float(factors.x),
            {static_cast<int>(factors.y), static_cast<int>(factors.z)}};
}

__device__ __forceinline__ int dot16(const int* quants, const int4& x, int sum) {
    sum = __dp4a(quants[0], x.x, sum);
    sum = __dp4a(quants[1], x.y, sum);
    sum = __dp4a(quants[2], x.z, sum);
    return __dp4a(quants[3], x.w, sum);
}

/// sum + their product. Offset: what the quants of w have too much.
template <int Offset, DType Type>
__device__ __forceinline__ float addProduct(const Block<Type>& w, const InputBlock& x, float sum) {
    using B = Block<Type>;
    const int* const sums = x.sums;
    float all;
    if constexpr (B::kHalves) {
        const int low = dot16(w.quants, x.low, -Offset * sums[0]);
        const int high = dot16(w.quants + 4, x.high, -Offset * sums[1]);
        all = fmaf(static_cast<float>(high), w.scale[1], static_cast<float>(low) * w.scale[0]);
    } else {
        const int dot = dot16(w.quants, x.low, -Offset * (sums[0] + sums[1]));
        all = static_cast<float>(dot16(w.quants + 4, x.high, dot)) * w.scale[0];
    }
    if constexpr (B::kMinimum && B::kHalves)
        all = fmaf(w.min[1], static_cast<float>(sums[1]), fmaf(w.min[0], static_cast<float>(sums[0]), all));
    else if constexpr (B::kMinimum)
        all = fmaf(w.min[0], static_cast<float>(sums[0] + sums[1]), all);
    return fmaf(all, x.scale, sum);
}

__device__ __forceinline__ void storeProduct(const Product& p, int token, int row, float sum) {
    float& to = p.out.data[token * p.out.stride + row];
    if (p.bias != nullptr) sum = sum + p.bias[row];
    to = p.accumulate != 0 ? to + sum : sum;
}

/// matmul() of many rows of x.
cudaError_t matmulTiled(DType type, const Product& product, LaunchList& to);

}  // namespace carrel::cuda

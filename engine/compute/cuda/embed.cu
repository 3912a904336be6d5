#include "compute/cuda/launch.h"
#include "compute/cuda/weight_block.h"

namespace carrel::cuda {

namespace lookup {

constexpr int kThreads = 64;

// Grid (parts of a row, ids); a thread gives 32 columns.
template <DType Type>
__global__ void __launch_bounds__(kThreads) embedKernel(Lookup l) {
    const int block = blockIdx.x * kThreads + threadIdx.x;
    if (block >= static_cast<int>(blocksOf(l.cols))) return;
    const int row = l.ids[blockIdx.y];
    const unsigned char* const tile = l.tiles + row / kTileRows * tileBytes(Type, l.cols);
    float* const out = l.out.data + blockIdx.y * l.out.stride + block * 32;
    const int count = min(32, l.cols - block * 32);
    float value[32];
    if constexpr (isFloat(Type)) {
        FloatBlock<Type> b;
        b.load(tile, block, row % kTileRows);
#pragma unroll
        for (int i = 0; i < 32; ++i) value[i] = b.value[i];
    } else {
        Block<Type> b;
        b.load(tile, block, row % kTileRows);
#pragma unroll
        for (int i = 0; i < 32; ++i) {
            const int quant = static_cast<signed char>(b.quants[i / 4] >> 8 * (i % 4)) - Block<Type>::kOffset;
            value[i] = b.scale[i / 16] * static_cast<float>(quant);
            if (Block<Type>::kMinimum) value[i] = value[i] + b.min[i / 16];
        }
    }
#pragma unroll
    for (int i = 0; i < 32; ++i)
        if (i < count) out[i] = l.scale == 1.0f ? value[i] : value[i] * l.scale;
}

}  // namespace lookup

cudaError_t embed(const Lookup& l, cudaStream_t stream) {
    const dim3 grid((static_cast<unsigned>(blocksOf(l.cols)) + lookup::kThreads - 1) / lookup::kThreads, l.n);
    return forType(l.type, [&](auto type) {
        return klaunch(lookup::embedKernel<type.value>, grid, lookup::kThreads, 0, stream, l);
    });
}

}  // namespace carrel::cuda

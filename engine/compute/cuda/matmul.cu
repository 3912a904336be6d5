#include "compute/cuda/product.h"

namespace carrel::cuda {

namespace product {

// Same definition as cpu/matmul_quantize.cpp. A thread takes 32 columns of a row.
__global__ void __launch_bounds__(128) quantizeKernel(ConstRows x, QuantizedRows out, int rows, int blocks) {
    const int i = blockIdx.x * 128 + threadIdx.x;
    if (i >= rows * blocks) return;
    const int row = i / blocks, block = i % blocks;
    const float* const from = x.data + row * x.stride + block * 32;
    float most = 0;
#pragma unroll
    for (int c = 0; c < 32; ++c) most = fmaxf(most, fabsf(from[c]));
    const float inverse = most > 0 ? 127 / most : 0;
    int sums[2] = {0, 0};
    unsigned words[8] = {};
#pragma unroll
    for (int c = 0; c < 32; ++c) {
        const int q = __float2int_rn(from[c] * inverse);
        sums[c / 16] += q;
        words[c / 4] |= (static_cast<unsigned>(q) & 255) << 8 * (c % 4);
    }
    const std::size_t at = static_cast<std::size_t>(block) * rows + row;
    auto* const to = reinterpret_cast<uint4*>(out.q + at * 32);
    to[0] = make_uint4(words[0], words[1], words[2], words[3]);
    to[1] = make_uint4(words[4], words[5], words[6], words[7]);
    out.factors[at] = {most / 127, {sums[0], sums[1]}, 0};
}

// Adds one block of 32 columns of up to N rows of x, from `first` on, to their sums.
template <DType Type, int N>
__device__ __forceinline__ void addBlock(const Product& p, const unsigned char* tile, unsigned block, unsigned lane,
                                         int first, float* sum) {
    if constexpr (isFloat(Type)) {
        FloatBlock<Type> w;
        w.load(tile, block, lane);
        const int columns = p.cols - static_cast<int>(block) * 32;
#pragma unroll
        for (int r = 0; r < N; ++r) {
            const float* const x = p.x.data + min(first + r, p.n - 1) * p.x.stride + block * 32;
#pragma unroll
            for (int c = 0; c < 32; ++c)
                if (c < columns) sum[r] = fmaf(w.value[c], x[c], sum[r]);
        }
    } else {
        Block<Type> w;
        w.load(tile, block, lane);
#pragma unroll
        for (int r = 0; r < N; ++r) {
            const std::size_t at = static_cast<std::size_t>(block) * p.n + min(first + r, p.n - 1);
            const auto* const q = reinterpret_cast<const uint4*>(p.q.q + at * 32);
            sum[r] = addProduct<Block<Type>::kOffset>(
                w, inputBlock(q[0], q[1], reinterpret_cast<const uint4*>(p.q.factors)[at]), sum[r]);
        }
    }
}

// Few rows of x: a block's warps take a run of the columns each. Grid (tiles, N rows of x each).
template <DType Type, int N>
__global__ void __launch_bounds__(32 * kRuns, 1) fewKernel(Product p) {
    KSHARED(float, part, kRuns* N * 32);
    const unsigned lane = threadIdx.x % 32, run = threadIdx.x / 32;
    const unsigned blocks = blocksOf(p.cols), each = (blocks + kRuns - 1) / kRuns;
    const unsigned char* const tile = p.tiles + blockIdx.x * tileBytes(Type, p.cols);
    const int first = blockIdx.y * N;
    float sum[N] = {};
    for (unsigned block = run * each; block < min(blocks, (run + 1) * each); ++block)
        addBlock<Type, N>(p, tile, block, lane, first, sum);
#pragma unroll
    for (int r = 0; r < N; ++r) part[(run * N + r) * 32 + lane] = sum[r];
    __syncthreads();
    for (int i = threadIdx.x; i < N * 32; i += 32 * kRuns) {
        float all = 0;
#pragma unroll
        for (unsigned of = 0; of < kRuns; ++of) all = all + part[of * N * 32 + i];
        const int token = first + i / 32, row = blockIdx.x * 32 + i % 32;
        if (token < p.n && row < p.rows) storeProduct(p, token, row, all);
    }
}

}  // namespace product

using namespace product;

cudaError_t quantize(ConstRows x, QuantizedRows out, int rows, int cols, LaunchList& to) {
    const int blocks = cols / 32;
    return klaunch(quantizeKernel, (rows * blocks + 127) / 128, 128, 0, to, x, out, rows, blocks);
}

cudaError_t matmul(DType type, const Product& p, LaunchList& to) {
    // The tiled kernel multiplies for 64 rows whatever there are, fewKernel reads and unpacks all weights anew for
    // every four. Counted in instructions they meet between 16 and 32 rows; weights are read four times by then.
    constexpr int kFewRows = 16;
    if (p.n > kFewRows) return matmulTiled(type, p, to);
    const auto tiles = static_cast<unsigned>(tilesOf(p.rows));
    return forType(type, [&](auto of) {
        if (p.n == 1) return klaunch(fewKernel<of.value, 1>, tiles, 32 * kRuns, 0, to, p);
        return klaunch(fewKernel<of.value, 4>, dim3(tiles, (p.n + 3) / 4), 32 * kRuns, 0, to, p);
    });
}

}  // namespace carrel::cuda

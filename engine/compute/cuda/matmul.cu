#include "compute/cuda/launch.h"
#include "compute/cuda/weight_block.h"

// As in cpu/matmul.cpp x is rounded to 8 bits per 32 columns, whose products with a row's quants are added in integers,
// exactly. Blocks are added in kRuns runs (weight_layout.h), so an output's bits depend on its row of x and its row of
// weights alone.

namespace carrel::cuda {

namespace product {

constexpr unsigned kManyTiles = 4;

// Same definition as cpu/matmul_quantize.cpp. A thread takes 32 columns of a row.
__global__ void __launch_bounds__(128) quantizeKernel(ConstRows x, QuantizedRows out, int rows, int blocks) {
    const int i = blockIdx.x * 128 + threadIdx.x;
    if (i >= rows * blocks) return;
    const float* const from = x.data + i / blocks * x.stride + i % blocks * 32;
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
    auto* const to = reinterpret_cast<uint4*>(out.q + static_cast<std::size_t>(i) * 32);
    to[0] = make_uint4(words[0], words[1], words[2], words[3]);
    to[1] = make_uint4(words[4], words[5], words[6], words[7]);
    out.scale[i] = most / 127;
    out.sums[2 * i] = sums[0];
    out.sums[2 * i + 1] = sums[1];
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
        using B = Block<Type>;
        B w;
        w.load(tile, block, lane);
        const std::size_t blocks = p.cols / 32;
#pragma unroll
        for (int r = 0; r < N; ++r) {
            const std::size_t at = min(first + r, p.n - 1) * blocks + block;
            const auto* const q = reinterpret_cast<const int4*>(p.q.q + at * 32);
            const int4 low = q[0], high = q[1];
            const int2 sums = reinterpret_cast<const int2*>(p.q.sums)[at];
            int dot[2] = {-B::kOffset * sums.x, -B::kOffset * sums.y};
            dot[0] = __dp4a(w.quants[0], low.x, dot[0]);
            dot[0] = __dp4a(w.quants[1], low.y, dot[0]);
            dot[0] = __dp4a(w.quants[2], low.z, dot[0]);
            dot[0] = __dp4a(w.quants[3], low.w, dot[0]);
            dot[1] = __dp4a(w.quants[4], high.x, dot[1]);
            dot[1] = __dp4a(w.quants[5], high.y, dot[1]);
            dot[1] = __dp4a(w.quants[6], high.z, dot[1]);
            dot[1] = __dp4a(w.quants[7], high.w, dot[1]);
            float all;
            if constexpr (B::kHalves)
                all = fmaf(static_cast<float>(dot[1]), w.scale[1], static_cast<float>(dot[0]) * w.scale[0]);
            else
                all = static_cast<float>(dot[0] + dot[1]) * w.scale[0];
            if constexpr (B::kMinimum && B::kHalves)
                all = fmaf(w.min[1], static_cast<float>(sums.y), fmaf(w.min[0], static_cast<float>(sums.x), all));
            else if constexpr (B::kMinimum)
                all = fmaf(w.min[0], static_cast<float>(sums.x + sums.y), all);
            sum[r] = fmaf(all, p.q.scale[at], sum[r]);
        }
    }
}

__device__ __forceinline__ void store(const Product& p, int token, int row, float sum) {
    float& to = p.out.data[token * p.out.stride + row];
    if (p.bias != nullptr) sum = sum + p.bias[row];
    to = p.accumulate ? to + sum : sum;
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
        if (token < p.n && row < p.rows) store(p, token, row, all);
    }
}

// Many: a warp takes a tile and N rows of x. Grid (N rows of x each, tiles by fours: with more, registers run out).
template <DType Type, int N>
__global__ void __launch_bounds__(32 * kManyTiles, 1) manyKernel(Product p) {
    const unsigned lane = threadIdx.x % 32, tileIndex = blockIdx.y * kManyTiles + threadIdx.x / 32;
    if (tileIndex * 32 >= static_cast<unsigned>(p.rows)) return;
    const unsigned blocks = blocksOf(p.cols), each = (blocks + kRuns - 1) / kRuns;
    const unsigned char* const tile = p.tiles + tileIndex * tileBytes(Type, p.cols);
    const int first = blockIdx.x * N;
    float all[N] = {};
    for (unsigned run = 0; run < kRuns; ++run) {
        float sum[N] = {};
        for (unsigned block = run * each; block < min(blocks, (run + 1) * each); ++block)
            addBlock<Type, N>(p, tile, block, lane, first, sum);
#pragma unroll
        for (int r = 0; r < N; ++r) all[r] = all[r] + sum[r];
    }
    const int row = tileIndex * 32 + lane;
    if (row >= p.rows) return;
#pragma unroll
    for (int r = 0; r < N; ++r)
        if (first + r < p.n) store(p, first + r, row, all[r]);
}

}  // namespace product

using namespace product;

cudaError_t quantize(ConstRows x, QuantizedRows out, int rows, int cols, cudaStream_t stream) {
    const int blocks = cols / 32;
    return klaunch(quantizeKernel, (rows * blocks + 127) / 128, 128, 0, stream, x, out, rows, blocks);
}

cudaError_t matmul(const Product& p, cudaStream_t stream) {
    constexpr int kFewRows = 32;  // with fewer rows of x manyKernel would have too few threads
    const auto tiles = static_cast<unsigned>(tilesOf(p.rows));
    return forType(p.type, [&](auto type) {
        if (p.n == 1) return klaunch(fewKernel<type.value, 1>, tiles, 32 * kRuns, 0, stream, p);
        if (p.n <= kFewRows)
            return klaunch(fewKernel<type.value, 4>, dim3(tiles, (p.n + 3) / 4), 32 * kRuns, 0, stream, p);
        constexpr int kMany = 8;  // sums a thread; with 16 some types spill
        return klaunch(manyKernel<type.value, kMany>,
                       dim3((p.n + kMany - 1) / kMany, (tiles + kManyTiles - 1) / kManyTiles), 32 * kManyTiles, 0,
                       stream, p);
    });
}

}  // namespace carrel::cuda

#include "compute/cuda/product.h"

// Products of many rows of x. A block of threads multiplies 64 rows of weights with 64 of x, a stage of 32 columns (of
// float types 16) at a time: its weights, unpacked once for all 64, and its x lie in shared memory while the next
// stage's come to registers. A thread has 4 x 8 outputs: 12 pieces of 16 bytes from shared memory for 128 products of
// 4 quants, or of one float each.
// The 8 rows of weights and the 4 of x that a warp reads at once lie in banks of their own, and so does what it writes.

namespace carrel::cuda {

namespace tiled {

constexpr int kSide = 64, kThreads = 2 * kSide;  // one half brings weights, the other x: a row each
constexpr int kRowsEach = 4, kTokensEach = 8;
constexpr int kRowStep = kSide / kRowsEach, kTokenStep = kSide / kTokensEach;

using Sums = float[kRowsEach][kTokensEach];

__device__ __forceinline__ void hold(const uint4& piece, unsigned* words) {
    words[0] = piece.x, words[1] = piece.y, words[2] = piece.z, words[3] = piece.w;
}
__device__ __forceinline__ uint4 held(const unsigned* words) {
    return make_uint4(words[0], words[1], words[2], words[3]);
}

/// The thread's row, of the weights' last tile where there are no more.
__device__ __forceinline__ const unsigned char* tileOf(const Product& p, DType type, unsigned row) {
    const unsigned tile = blockIdx.y * (kSide / kTileRows) + row / kTileRows;
    return p.tiles + min(tile, static_cast<unsigned>(tilesOf(p.rows)) - 1) * tileBytes(type, p.cols);
}
/// The same of x.
__device__ __forceinline__ std::size_t tokenOf(const Product& p, unsigned token) {
    return min(blockIdx.x * kSide + token, static_cast<unsigned>(p.n) - 1);
}

/// fetch() asks memory for a stage, kWords words a thread, put() brings them to where multiply() reads them.
template <DType Type, bool = isFloat(Type)>
struct Stage {
    using B = Block<Type>;
    static constexpr unsigned kPerBlock = 1, kWords = 12;
    static constexpr int kScales = B::kHalves ? 2 : 1, kMinima = B::kMinimum ? kScales : 0;
    static_assert(B::kWords <= kWords);

    struct Memory {
        uint4 quants[2][kSide];  // of 16 columns each
        float factors[kScales + kMinima][kSide];
        uint4 x[kSide * 2], xFactors[kSide];
    };

    __device__ static __forceinline__ void fetch(const Product& p, unsigned stage, unsigned* words) {
        const unsigned row = threadIdx.x % kSide;
        if (threadIdx.x < kSide) return B::fetch(tileOf(p, Type, row), stage, row % kTileRows, words);
        const std::size_t first = static_cast<std::size_t>(stage) * p.n;
        const auto* const q = reinterpret_cast<const uint4*>(p.q.q);
#pragma unroll
        for (unsigned i = 0; i < 2; ++i)  // two threads a row, so that a warp reads whole rows
            hold(q[(first + tokenOf(p, (row + i * kSide) / 2)) * 2 + row % 2], words + 4 * i);
        hold(reinterpret_cast<const uint4*>(p.q.factors)[first + tokenOf(p, row)], words + 8);
    }

    // Of four quants of seven bits: once here, not once for every row of x.
    __device__ static __forceinline__ unsigned lessOffset(int quants) {
        constexpr unsigned kSigns = 0x80808080u;
        const auto bytes = static_cast<unsigned>(quants);
        return B::kOffset == 0 ? bytes : ((bytes | kSigns) - B::kOffset * 0x01010101u) ^ kSigns;
    }

    __device__ static __forceinline__ void put(const unsigned* words, unsigned stage, Memory& to) {
        const unsigned row = threadIdx.x % kSide;
        if (threadIdx.x < kSide) {
            B w;
            w.unpack(words, stage);
#pragma unroll
            for (int half = 0; half < 2; ++half)
                to.quants[half][row] =
                    make_uint4(lessOffset(w.quants[4 * half]), lessOffset(w.quants[4 * half + 1]),
                               lessOffset(w.quants[4 * half + 2]), lessOffset(w.quants[4 * half + 3]));
#pragma unroll
            for (int i = 0; i < kScales; ++i) to.factors[i][row] = w.scale[i];
#pragma unroll
            for (int i = 0; i < kMinima; ++i) to.factors[kScales + i][row] = w.min[i];
        } else {
            to.x[row] = held(words);
            to.x[row + kSide] = held(words + 4);
            to.xFactors[row] = held(words + 8);
        }
    }

    __device__ static __forceinline__ void multiply(const Memory& from, unsigned row, unsigned token, Sums& sum) {
        B w[kRowsEach];
#pragma unroll
        for (int r = 0; r < kRowsEach; ++r, row += kRowStep) {
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const uint4 q = from.quants[half][row];
                w[r].quants[4 * half] = static_cast<int>(q.x), w[r].quants[4 * half + 1] = static_cast<int>(q.y);
                w[r].quants[4 * half + 2] = static_cast<int>(q.z), w[r].quants[4 * half + 3] = static_cast<int>(q.w);
            }
#pragma unroll
            for (int i = 0; i < kScales; ++i) w[r].scale[i] = from.factors[i][row];
#pragma unroll
            for (int i = 0; i < kMinima; ++i) w[r].min[i] = from.factors[kScales + i][row];
        }
#pragma unroll
        for (int t = 0; t < kTokensEach; ++t, token += kTokenStep) {
            const InputBlock x = inputBlock(from.x[2 * token], from.x[2 * token + 1], from.xFactors[token]);
#pragma unroll
            for (int r = 0; r < kRowsEach; ++r) sum[r][t] = addProduct<0>(w[r], x, sum[r][t]);
        }
    }
};

template <DType Type>
struct Stage<Type, true> {
    using B = FloatBlock<Type>;
    static constexpr unsigned kColumns = 16, kPerBlock = 32 / kColumns, kWords = kColumns,
                              kPieces = kColumns / B::kEach;

    struct Memory {
        float4 weights[kColumns / 4][kSide];
        float4 x[kSide][kColumns / 4];
    };

    // Where a row of x has its four columns: neighbours are exchanged in every other pair of rows, or rows that are
    // read at once would lie in the same banks.
    __device__ static __forceinline__ unsigned placeOf(unsigned row, unsigned four) { return four ^ row / 2 % 2; }

    __device__ static __forceinline__ void fetch(const Product& p, unsigned stage, unsigned* words) {
        const unsigned row = threadIdx.x % kSide;
        if (threadIdx.x < kSide) {
#pragma unroll
            for (unsigned i = 0; i < kPieces; ++i)
                hold(
                    B::piece(tileOf(p, Type, row), stage / kPerBlock, stage % kPerBlock * kPieces + i, row % kTileRows),
                    words + 4 * i);
            return;
        }
        // A float at a time, since rows of x may begin anywhere; 16 threads a row. Zeros beyond its end add nothing.
        const unsigned column = stage * kColumns + row % kColumns;
#pragma unroll
        for (unsigned i = 0; i < kWords; ++i) {
            const std::size_t token = tokenOf(p, row / kColumns + i * (kSide / kColumns));
            words[i] =
                column < static_cast<unsigned>(p.cols) ? __float_as_uint(p.x.data[token * p.x.stride + column]) : 0;
        }
    }

    __device__ static __forceinline__ void put(const unsigned* words, unsigned, Memory& to) {
        const unsigned row = threadIdx.x % kSide;
        if (threadIdx.x < kSide) {
            float value[kColumns];
#pragma unroll
            for (unsigned i = 0; i < kPieces; ++i) B::unpack(held(words + 4 * i), value + i * B::kEach);
#pragma unroll
            for (unsigned i = 0; i < kColumns / 4; ++i)
                to.weights[i][row] = make_float4(value[4 * i], value[4 * i + 1], value[4 * i + 2], value[4 * i + 3]);
        } else {
#pragma unroll
            for (unsigned i = 0; i < kWords; ++i) {
                const unsigned token = row / kColumns + i * (kSide / kColumns), column = row % kColumns;
                reinterpret_cast<float*>(&to.x[token][placeOf(token, column / 4)])[column % 4] =
                    __uint_as_float(words[i]);
            }
        }
    }

    __device__ static __forceinline__ void multiply(const Memory& from, unsigned row, unsigned token, Sums& sum) {
#pragma unroll
        for (unsigned i = 0; i < kColumns / 4; ++i) {
            float4 w[kRowsEach];
#pragma unroll
            for (int r = 0; r < kRowsEach; ++r) w[r] = from.weights[i][row + r * kRowStep];
#pragma unroll
            for (int t = 0; t < kTokensEach; ++t) {
                const float4 x = from.x[token + t * kTokenStep][placeOf(token, i)];
#pragma unroll
                for (int r = 0; r < kRowsEach; ++r) {
                    sum[r][t] = fmaf(w[r].x, x.x, sum[r][t]);
                    sum[r][t] = fmaf(w[r].y, x.y, sum[r][t]);
                    sum[r][t] = fmaf(w[r].z, x.z, sum[r][t]);
                    sum[r][t] = fmaf(w[r].w, x.w, sum[r][t]);
                }
            }
        }
    }
};

// Grid (rows of x, rows of weights, by 64 each): blocks that read the same weights follow one another.
template <DType Type>
__global__ void __launch_bounds__(kThreads, 3) tiledKernel(Product p) {
    using S = Stage<Type>;
    using Memory = typename S::Memory;
    KSHARED(Memory, memory, 2);
    // Of a warp: 8 rows of weights x 4 of x.
    const unsigned row = threadIdx.x % 8 + threadIdx.x / 32 % 2 * 8;
    const unsigned token = threadIdx.x / 8 % 4 + threadIdx.x / 64 * 4;
    const unsigned blocks = blocksOf(p.cols), stages = blocks * S::kPerBlock;
    const unsigned each = (blocks + kRuns - 1) / kRuns * S::kPerBlock;
    Sums all = {}, sum = {};
    unsigned words[S::kWords];
    S::fetch(p, 0, words);
    S::put(words, 0, memory[0]);
    __syncthreads();
    for (unsigned stage = 0, left = each; stage < stages; ++stage) {
        const unsigned next = stage + 1;
        if (next < stages) S::fetch(p, next, words);
        S::multiply(memory[stage % 2], row, token, sum);
        if (--left == 0 || next == stages) {
            left = each;
#pragma unroll
            for (int r = 0; r < kRowsEach; ++r)
#pragma unroll
                for (int t = 0; t < kTokensEach; ++t) {
                    all[r][t] = all[r][t] + sum[r][t];
                    sum[r][t] = 0;
                }
        }
        if (next < stages) S::put(words, next, memory[next % 2]);
        __syncthreads();
    }
#pragma unroll
    for (int t = 0; t < kTokensEach; ++t)
#pragma unroll
        for (int r = 0; r < kRowsEach; ++r) {
            const int of = blockIdx.x * kSide + token + t * kTokenStep, to = blockIdx.y * kSide + row + r * kRowStep;
            if (of < p.n && to < p.rows) storeProduct(p, of, to, all[r][t]);
        }
}

}  // namespace tiled

cudaError_t matmulTiled(DType type, const Product& p, LaunchList& to) {
    const dim3 grid((p.n + tiled::kSide - 1) / tiled::kSide, (p.rows + tiled::kSide - 1) / tiled::kSide);
    return forType(type,
                   [&](auto of) { return klaunch(tiled::tiledKernel<of.value>, grid, tiled::kThreads, 0, to, p); });
}

}  // namespace carrel::cuda

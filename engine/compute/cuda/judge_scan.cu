#include "compute/cuda/judge.h"
#include "compute/cuda/judge_math.h"

// Same definitions as cpu/judge.cpp and cpu/judge_bounds.cpp. A row's bits depend on nothing else in the batch.

namespace carrel::cuda {

namespace judge_scan {

constexpr int kWarps = 4, kThreads = 32 * kWarps;
constexpr int kFoldWords = kJudgeMaxHeadDim / 4 + 4;  // of a row; the four more put rows into different banks

/// Of a KV head's rows the r-th.
struct Row {
    int token, head;
    __device__ __forceinline__ Row(const Judging& j, int kvHead, int r)
        : token(r / j.group), head(kvHead * j.group + r % j.group) {}
    __device__ __forceinline__ const float* query(const Judging& j) const {
        return j.q + token * j.qStride + head * j.headDim;
    }
    __device__ __forceinline__ float exact(const Judging& j) const {
        const float exact = j.exact[token * j.exactStride + head];
        return anythingRead(exact) ? exact * kLog2PerNat : 0.0f;
    }
    __device__ __forceinline__ float* sums(const Judging& j) const {
        return j.sums + (static_cast<std::size_t>(token) * j.kvHeads * j.group + head) * j.parts;
    }
    __device__ __forceinline__ short* scores(const Judging& j, int kvHead, int leaf) const {
        const std::size_t choice = static_cast<std::size_t>(token) * j.kvHeads + kvHead;
        return j.scores + ((choice * j.groups + leaf / 4) * j.group + head % j.group) * 64 + leaf % 4 * 16;
    }
};

__device__ __forceinline__ void loadHalves(const std::uint16_t* from, float (&to)[4]) {
    const uint2 words = *reinterpret_cast<const uint2*>(from);
    to[0] = halfToFloat(words.x & 0xffff);
    to[1] = halfToFloat(words.x >> 16);
    to[2] = halfToFloat(words.y & 0xffff);
    to[3] = halfToFloat(words.y >> 16);
}
__device__ __forceinline__ void loadQuery(const float* from, float scale, float (&to)[4]) {
    const float4 q = *reinterpret_cast<const float4*>(from);
    to[0] = q.x * scale;
    to[1] = q.y * scale;
    to[2] = q.z * scale;
    to[3] = q.w * scale;
}

/// score = base + step * sum of q * code, of one group: q in 8 bits. Four lanes take a row.
struct Fold {
    float step, base;
    __device__ __forceinline__ Fold(const Judging& j, const std::uint16_t* grid, const Row& row, int lane,
                                    unsigned* to) {
        const float* const query = row.query(j);
        float sum = 0, greatest = 0;
        for (int d = lane % 4 * 4; d < j.headDim; d += 16) {
            float q[4], least[4], width[4];
            loadQuery(query + d, j.scale, q);
            loadHalves(grid + d, least);
            loadHalves(grid + j.headDim + d, width);
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                // Codes are the high 2 of 8 bits: a bin is 64 steps wide and its middle 31.5 above its least.
                sum = fmaf(q[i], fmaf(31.5f, width[i], least[i]), sum);
                greatest = fmaxf(greatest, fabsf(q[i] * (64.0f * width[i])));
            }
        }
#pragma unroll
        for (int lanes = 1; lanes < 4; lanes *= 2) {
            sum += __shfl_xor_sync(0xffffffffu, sum, lanes);
            greatest = fmaxf(greatest, __shfl_xor_sync(0xffffffffu, greatest, lanes));
        }
        const bool finite = greatest > 0 && greatest <= 3.402823466e38f;
        const float inverse = finite ? 127 / greatest : 0;
        for (int d = lane % 4 * 4; d < j.headDim; d += 16) {
            float q[4], width[4];
            loadQuery(query + d, j.scale, q);
            loadHalves(grid + j.headDim + d, width);
            unsigned word = 0;
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const int rounded = finite ? __float2int_rn(q[i] * (64.0f * width[i]) * inverse) : 0;
                word |= (static_cast<unsigned>(rounded) & 255) << 8 * i;
            }
            to[d / 4] = word;
        }
        step = greatest * (1.0f / 127);
        base = sum - row.exact(j);
    }
};

// Grid (groups by warps, KV heads, tiles of rows); a warp takes a group, a lane four tokens and Rows rows of a tile.
// Without the 1 ptxas stops at 64 registers, and spills.
template <int Rows>
__global__ void __launch_bounds__(kThreads, 1) planeKernel(Judging j) {
    KSHARED(unsigned, folded, kWarps* kJudgeRows* kFoldWords);
    KSHARED(float, factors, kWarps* kJudgeRows * 2);
    KSHARED(float, exps, kWarps* kJudgeRows * 16);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, group = blockIdx.x * kWarps + warp;
    if (group >= j.groups) return;
    const int kvHead = blockIdx.y, first = blockIdx.z * 2 * Rows, last = j.tokens * j.group - 1;
    const unsigned char* const codes =
        j.heads[kvHead].codes + static_cast<std::size_t>(j.firstGroup + group) * 20 * j.headDim;
    unsigned* const rows = folded + warp * kJudgeRows * kFoldWords;
    float *const factor = factors + warp * kJudgeRows * 2, *const exp = exps + warp * kJudgeRows * 16;
    {
        const Row row(j, kvHead, min(first + lane / 4, last));
        const Fold fold(j, reinterpret_cast<const std::uint16_t*>(codes + 16 * j.headDim), row, lane,
                        rows + lane / 4 * kFoldWords);
        if (lane % 4 == 0) factor[lane / 4 * 2] = fold.step, factor[lane / 4 * 2 + 1] = fold.base;
    }
    __syncwarp();

    const int leaf = lane % 16 / 4, firstRow = lane / 16 * Rows;
    const auto* const plane = reinterpret_cast<const uint4*>(codes + leaf * 4 * j.headDim) + lane % 4;
    int sums[Rows][4] = {};
#pragma unroll 2
    for (int block = 0; block < j.headDim / 16; ++block) {
        const uint4 packed = plane[block * 4];
        const unsigned tokens[4] = {packed.x, packed.y, packed.z, packed.w};
        int4 q[Rows];
#pragma unroll
        for (int r = 0; r < Rows; ++r)
            q[r] = *reinterpret_cast<const int4*>(rows + (firstRow + r) * kFoldWords + block * 4);
#pragma unroll
        for (int t = 0; t < 4; ++t) {
            const int code[4] = {
                static_cast<int>(tokens[t] & 0x03030303), static_cast<int>(tokens[t] >> 2 & 0x03030303),
                static_cast<int>(tokens[t] >> 4 & 0x03030303), static_cast<int>(tokens[t] >> 6 & 0x03030303)};
#pragma unroll
            for (int r = 0; r < Rows; ++r) {
                sums[r][t] = __dp4a(code[0], q[r].x, sums[r][t]);
                sums[r][t] = __dp4a(code[1], q[r].y, sums[r][t]);
                sums[r][t] = __dp4a(code[2], q[r].z, sums[r][t]);
                sums[r][t] = __dp4a(code[3], q[r].w, sums[r][t]);
            }
        }
    }

    const int at = (j.firstGroup + group) * 4 + leaf;
    const bool counts = at >= j.first && at < j.end;
#pragma unroll
    for (int r = 0; r < Rows; ++r) {
        const float step = factor[(firstRow + r) * 2], base = factor[(firstRow + r) * 2 + 1];
        float sum = 0;
        unsigned rounded[4];
#pragma unroll
        for (int t = 0; t < 4; ++t) {
            const float score = limitScore(fmaf(static_cast<float>(sums[r][t]), step, base));
            rounded[t] = roundScore(score);
            sum = sum + exp2Score(score);
        }
        exp[(firstRow + r) * 16 + lane % 16] = counts ? sum : 0.0f;
        if (first + firstRow + r > last) continue;
        const Row row(j, kvHead, first + firstRow + r);
        *reinterpret_cast<uint2*>(row.scores(j, kvHead, group * 4 + leaf) + lane % 4 * 4) =
            make_uint2(rounded[0] | rounded[1] << 16, rounded[2] | rounded[3] << 16);
    }
    __syncwarp();
    if (lane >= 2 * Rows || first + lane > last) return;
    float sum = 0;
#pragma unroll
    for (int i = 0; i < 16; ++i) sum = sum + exp[lane * 16 + i];
    Row(j, kvHead, first + lane).sums(j)[group] = sum;
}

// Grid (units by 4 times warps, KV heads, tiles of rows); a lane takes a unit and a row.
template <bool Means>
__global__ void __launch_bounds__(kThreads) unitKernel(Judging j) {
    const int lane = threadIdx.x % 32, part = blockIdx.x * kWarps + threadIdx.x / 32;
    if (part >= j.parts) return;
    const int unit = j.firstUnit + part * 4 + lane / 8, kvHead = blockIdx.y;
    const int r = blockIdx.z * kJudgeRows + lane % 8, rows = j.tokens * j.group;
    const int from = max(unit * j.unitLeaves, j.first), to = min((unit + 1) * j.unitLeaves, j.end);
    float share = 0;
    if (from < to && r < rows) {
        const Row row(j, kvHead, r);
        const float* const query = row.query(j);
        const JudgedHead head = j.heads[kvHead];
        const std::size_t group = unit / 4;
        const unsigned char* const mean = Means ? head.keyMeans + (group * 4 + unit % 4) * j.headDim : nullptr;
        const auto* const low =
            Means ? reinterpret_cast<const std::uint16_t*>(head.codes + group * 20 * j.headDim + 16 * j.headDim)
                  : head.bounds + static_cast<std::size_t>(unit) * 2 * j.headDim;
        float sums[4] = {};
        for (int d = 0; d < j.headDim; d += 4) {
            float q[4], least[4], other[4];  // of means a step, of bounds the greatest
            loadQuery(query + d, j.scale, q);
            loadHalves(low + d, least);
            loadHalves(low + j.headDim + d, other);
            const unsigned codes = Means ? *reinterpret_cast<const unsigned*>(mean + d) : 0;
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const auto code = static_cast<float>(codes >> 8 * i & 255);
                if (Means)
                    sums[i] = fmaf(q[i], fmaf(other[i], code, least[i]), sums[i]);
                else
                    sums[i] = fmaf(fmaxf(q[i], 0.0f), other[i], fmaf(fminf(q[i], 0.0f), least[i], sums[i]));
            }
        }
        const float score = limitScore((sums[0] + sums[2]) + (sums[1] + sums[3]) - row.exact(j));
        const unsigned two = roundScore(score) * 0x10001u;
        for (int leaf = from; leaf < to; ++leaf) {
            auto* const at = reinterpret_cast<uint4*>(row.scores(j, kvHead, leaf - j.firstGroup * 4));
            at[0] = at[1] = make_uint4(two, two, two, two);
        }
        share = static_cast<float>(16 * (to - from)) * exp2Score(score);
    }
    share += __shfl_xor_sync(0xffffffffu, share, 8);
    share += __shfl_xor_sync(0xffffffffu, share, 16);
    if (lane < 8 && r < rows) Row(j, kvHead, r).sums(j)[part] = share;
}

// log2 of a share as the lowest score that is not above it.
__device__ __forceinline__ short leastScore(float share, float whole) {
    if (share <= 0) return -32768;
    const float score = floorf(kScoresPerLog2 * (whole + log2Of(share)));
    return static_cast<short>(fminf(fmaxf(score, -32768.0f), 32767.0f));
}

// A warp takes a row.
__global__ void __launch_bounds__(kThreads) sumKernel(Judging j) {
    const int lane = threadIdx.x % 32, heads = j.kvHeads * j.group, row = blockIdx.x * kWarps + threadIdx.x / 32;
    if (row >= j.tokens * heads) return;
    const float* const sums = j.sums + static_cast<std::size_t>(row) * j.parts;
    float sum = 0;
    for (int part = lane; part < j.parts; part += 32) sum = sum + sums[part];
    sum = warpSum(sum);
    if (lane != 0) return;
    const bool read = anythingRead(j.exact[row / heads * j.exactStride + row % heads]);
    const float whole = log2Of(read ? sum + 1.0f : sum);
    j.whole[row] = whole;
    // A leaf above its share has a token above a 16th of it; scores are rounded, so a little less.
    const bool leaves = j.wholeLeaves || j.tokenShare <= 0;
    j.limits[2 * row] = leastScore(leaves ? 0.98f * j.leafShare / 16 : j.tokenShare, whole);
    j.limits[2 * row + 1] = leastScore(1.02f * j.leafShare, whole);
    if (row < j.tokens * j.kvHeads) j.counts[row] = 0;
}

// Grid (nodes by warps, tokens); a warp takes a node, a lane four channels.
__global__ void __launch_bounds__(kThreads, 1) nodeKernel(Judging j, JudgedLayer layer) {
    const int lane = threadIdx.x % 32, node = blockIdx.x * kWarps + threadIdx.x / 32, token = blockIdx.y;
    if (node >= layer.nodes) return;
    JudgedNodes of = layer.of[0];
#pragma unroll
    for (int i = 1; i < kMostNodeSizes; ++i)
        if (node >= layer.of[i].at) of = layer.of[i];
    const int leaf = (of.first + node - of.at) * of.size;
    const int from = max(leaf, j.first) / j.unitLeaves;
    const int to = (min(leaf + of.size, j.end) + j.unitLeaves - 1) / j.unitLeaves;
    float sum = 0;
    for (int head = 0; head < j.kvHeads; ++head)
        for (int d = lane * 4; d < j.headDim; d += 128) {
            float above[4] = {}, below[4] = {}, low[4], high[4];
            for (int h = 0; h < j.group; ++h) {
                float q[4];
                loadQuery(Row(j, head, token * j.group + h).query(j) + d, j.scale, q);
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    above[i] = above[i] + fmaxf(q[i], 0.0f);
                    below[i] = below[i] + fminf(q[i], 0.0f);
                }
            }
            for (int unit = from; unit < to; ++unit) {
                const std::uint16_t* const bounds =
                    j.heads[head].bounds + static_cast<std::size_t>(unit) * 2 * j.headDim + d;
                float least[4], most[4];
                loadHalves(bounds, least);
                loadHalves(bounds + j.headDim, most);
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    low[i] = unit == from ? least[i] : fminf(low[i], least[i]);
                    high[i] = unit == from ? most[i] : fmaxf(high[i], most[i]);
                }
            }
#pragma unroll
            for (int i = 0; i < 4; ++i) sum = fmaf(above[i], high[i], fmaf(below[i], low[i], sum));
        }
    sum = warpSum(sum);
    if (lane == 0) layer.out[static_cast<std::size_t>(token) * layer.nodes + node] = sum;
}

unsigned warpsOf(int n) {
    return static_cast<unsigned>((n + kWarps - 1) / kWarps);
}

}  // namespace judge_scan

using namespace judge_scan;

cudaError_t scanPlane(const Judging& j, cudaStream_t stream) {
    const int rows = j.tokens * j.group;
    const auto grid = [&](int tile) {
        return dim3(warpsOf(j.groups), static_cast<unsigned>(j.kvHeads),
                    static_cast<unsigned>((rows + tile - 1) / tile));
    };
    if (rows <= 2) return klaunch(planeKernel<1>, grid(2), kThreads, 0, stream, j);
    if (rows <= 4) return klaunch(planeKernel<2>, grid(4), kThreads, 0, stream, j);
    if (rows <= 6) return klaunch(planeKernel<3>, grid(6), kThreads, 0, stream, j);
    return klaunch(planeKernel<4>, grid(8), kThreads, 0, stream, j);
}

cudaError_t scanUnits(const Judging& j, bool means, cudaStream_t stream) {
    const int tiles = (j.tokens * j.group + kJudgeRows - 1) / kJudgeRows;
    const dim3 grid(warpsOf(j.parts), static_cast<unsigned>(j.kvHeads), static_cast<unsigned>(tiles));
    return klaunch(means ? unitKernel<true> : unitKernel<false>, grid, kThreads, 0, stream, j);
}

cudaError_t addSums(const Judging& j, cudaStream_t stream) {
    return klaunch(sumKernel, warpsOf(j.tokens * j.kvHeads * j.group), kThreads, 0, stream, j);
}

cudaError_t scoreNodes(const Judging& j, const JudgedLayer& layer, cudaStream_t stream) {
    return klaunch(nodeKernel, dim3(warpsOf(layer.nodes), static_cast<unsigned>(j.tokens)), kThreads, 0, stream, j,
                   layer);
}

}  // namespace carrel::cuda

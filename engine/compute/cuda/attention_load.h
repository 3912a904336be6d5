#pragma once

#include "compute/cuda/device_math.h"
#include "compute/cuda/kv_launch.h"

// Keys and values of a run as f32 in shared memory, same definition as cpu/attention_load.cpp. 16 bytes a load.

namespace carrel::cuda::attention {

inline constexpr int kAttendThreads = 128;

/// Floats from row to row: 16 bytes more than a row, so that rows begin in different banks.
constexpr int partStride(int d) {
    return d + 4;
}

/// slots[k] = pick * 16 + token of the run's key k.
__device__ __forceinline__ void spreadPicks(const PickEntry* picks, const RunEntry& run, unsigned* slots) {
    for (unsigned i = threadIdx.x; i < run.picks; i += kAttendThreads) {
        const PickEntry& pick = picks[run.firstPick + i];
        unsigned at = pick.at;
        for (unsigned token = 0; token < kLeafTokens; ++token)
            if ((pick.tokens >> token & 1) != 0) slots[at++] = i * kLeafTokens + token;
    }
}

/// __ldg: of an address that lay in memory the compiler does not know that it is global.
__device__ __forceinline__ uint4 load16(const void* from) {
    return __ldg(static_cast<const uint4*>(from));
}
__device__ __forceinline__ void store4(float* to, float a, float b, float c, float d) {
    *reinterpret_cast<float4*>(to) = make_float4(a, b, c, d);
}
__device__ __forceinline__ unsigned wordOf(const uint4& v, int i) {
    return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w;
}
/// Half i of eight.
__device__ __forceinline__ float halfOf(const uint4& v, int i) {
    return halfToFloat(wordOf(v, i / 2) >> 16 * (i % 2) & 0xffffu);
}
__device__ __forceinline__ float unsignedOf(const uint4& v, int i) {
    return static_cast<float>(wordOf(v, i / 4) >> 8 * (i % 4) & 255u);
}
__device__ __forceinline__ float signedOf(const uint4& v, int i) {
    return static_cast<float>(static_cast<signed char>(wordOf(v, i / 4) >> 8 * (i % 4) & 255u));
}

__device__ __forceinline__ void loadHalves(const std::uint16_t* from, int count, int d, float* to) {
    for (int i = threadIdx.x; i < count * (d / 8); i += kAttendThreads) {
        const int key = i / (d / 8), c = i % (d / 8) * 8;
        const uint4 v = load16(from + key * d + c);
        float* const at = to + key * partStride(d) + c;
#pragma unroll
        for (int j = 0; j < 8; j += 4)
            store4(at + j, halfOf(v, j), halfOf(v, j + 1), halfOf(v, j + 2), halfOf(v, j + 3));
    }
}
__device__ __forceinline__ void loadRests(const unsigned char* means, int from, int count, int d, float* to) {
    for (int i = threadIdx.x; i < count * (d / 16); i += kAttendThreads) {
        const int key = i / (d / 16), c = i % (d / 16) * 16, leaf = from + key,
                  in = leaf % static_cast<int>(kGroupLeaves);
        const unsigned char* const group = means + leaf / static_cast<int>(kGroupLeaves) * valueMeansBytes(d);
        const uint4 v = load16(group + in * d + c);
        const float step = halfToFloat(reinterpret_cast<const std::uint16_t*>(group + kGroupLeaves * d)[in]);
        float* const at = to + key * partStride(d) + c;
#pragma unroll
        for (int j = 0; j < 16; j += 4)
            store4(at + j, step * signedOf(v, j), step * signedOf(v, j + 1), step * signedOf(v, j + 2),
                   step * signedOf(v, j + 3));
    }
}
enum class Side { Keys, Values };

// A product of a code and a step is exact in f32.
template <Side side>
__device__ __forceinline__ void loadPicks(const PickEntry* picks, const unsigned* slots, int from, int count, int d,
                                          float* to) {
    const int tokens = kLeafTokens;
    for (int i = threadIdx.x; i < count * (d / 16); i += kAttendThreads) {
        const int key = i / (d / 16), c = i % (d / 16) * 16, slot = slots[from + key], token = slot % tokens;
        const PickEntry& pick = picks[slot / tokens];
        float* const at = to + key * partStride(d) + c;
        if constexpr (side == Side::Keys) {
            const uint4 v = load16(pick.rows + token * d + c);
#pragma unroll
            for (int half = 0; half < 16; half += 8) {
                const uint4 least = load16(pick.grid + c + half), step = load16(pick.grid + d + c + half);
                float key8[8];
#pragma unroll
                for (int j = 0; j < 8; ++j) key8[j] = fmaf(unsignedOf(v, half + j), halfOf(step, j), halfOf(least, j));
                store4(at + half, key8[0], key8[1], key8[2], key8[3]);
                store4(at + half + 4, key8[4], key8[5], key8[6], key8[7]);
            }
        } else {
            const uint4 v = load16(pick.rows + (tokens + token) * d + c);
            const unsigned grid = reinterpret_cast<const unsigned*>(
                pick.rows + 2 * tokens * d)[token * static_cast<int>(valueBlocks(d)) + c / 32];
            const float least = halfToFloat(grid & 0xffffu), step = halfToFloat(grid >> 16);
#pragma unroll
            for (int j = 0; j < 16; j += 4)
                store4(at + j, fmaf(signedOf(v, j), step, least), fmaf(signedOf(v, j + 1), step, least),
                       fmaf(signedOf(v, j + 2), step, least), fmaf(signedOf(v, j + 3), step, least));
        }
    }
}

/// Keys, or values, [from, from + count) of the run to rows of `to`.
template <Side side>
__device__ __forceinline__ void loadPart(const PickEntry* picks, const RunEntry& run, const unsigned* slots, int from,
                                         int count, int d, float* to) {
    if (run.rest)
        loadRests(static_cast<const unsigned char*>(run.values), from, count, d, to);
    else if (run.picks != 0)
        loadPicks<side>(picks + run.firstPick, slots, from, count, d, to);
    else
        loadHalves(static_cast<const std::uint16_t*>(side == Side::Keys ? run.keys : run.values) + from * d, count, d,
                   to);
}

}  // namespace carrel::cuda::attention

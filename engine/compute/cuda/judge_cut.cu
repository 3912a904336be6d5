#include "compute/cuda/judge.h"
#include "compute/cuda/judge_math.h"

// The largest shares, ties by position. Same definition as cpu/judge_select.cpp.

namespace carrel::cuda {

namespace judge_cut {

constexpr int kThreads = 256, kDigits = 2048, kDigitsEach = kDigits / kThreads;
constexpr float kOut = -1;  // the weight of what was not chosen

__device__ __forceinline__ std::uint16_t* chosenOf(const Judging& j, int choice) {
    return j.chosen + choice / j.kvHeads * j.chosenStride + static_cast<std::size_t>(choice % j.kvHeads) * j.leaves;
}

/// Adds the shares of a leaf's chosen tokens, head by head; without any, none is there.
__device__ __forceinline__ bool addShares(const Judging& j, int choice, int leaf, float (&sums)[16]) {
    const unsigned bits = chosenOf(j, choice)[leaf];
#pragma unroll
    for (int t = 0; t < 16; ++t) sums[t] = 0;
    if (bits == 0) return false;
    const int at = leaf - j.firstGroup * 4;
    const short* const from =
        j.scores + (static_cast<std::size_t>(choice) * j.groups + at / 4) * j.group * 64 + at % 4 * 16;
    for (int h = 0; h < j.group; ++h) {
        const LeafScores scores(from + h * 64);
        const float whole = j.whole[choice * j.group + h];
#pragma unroll
        for (int t = 0; t < 16; ++t)
            if (bits >> t & 1) sums[t] = sums[t] + scores.share(t, whole);
    }
    return true;
}

// Grid (leaves or units, choices), a thread each.
template <bool Units>
__global__ void __launch_bounds__(128) weighKernel(Judging j) {
    const int i = blockIdx.x * 128 + threadIdx.x, choice = blockIdx.y;
    if (j.counts[choice] <= j.cap) return;
    float* const to = j.weights + choice * j.items;
    float sums[16];
    if constexpr (Units) {
        if (i >= static_cast<int>(j.items)) return;
        const int at = (j.first / j.cutLeaves + i) * j.cutLeaves;
        float weight = 0;
        bool any = false;
        for (int leaf = max(at, j.first); leaf < min(at + j.cutLeaves, j.end); ++leaf)
            if (addShares(j, choice, leaf, sums)) any = true, weight = weight + sumTokens(sums);
        to[i] = any ? weight : kOut;
    } else {
        const int leaf = j.first + i;
        if (leaf >= j.end) return;
        addShares(j, choice, leaf, sums);
        auto* const four = reinterpret_cast<float4*>(to + static_cast<std::size_t>(i) * 16);
        // A share is above 0.
#pragma unroll
        for (int k = 0; k < 16; ++k) sums[k] = sums[k] > 0 ? sums[k] : kOut;
#pragma unroll
        for (int k = 0; k < 4; ++k)
            four[k] = make_float4(sums[4 * k], sums[4 * k + 1], sums[4 * k + 2], sums[4 * k + 3]);
    }
}

/// What a block finds: thread t's counts[t] and how many are counted before it, in the order of threads.
__device__ __forceinline__ void countBefore(unsigned* counts) {
    if (threadIdx.x < 32) {
        unsigned* const mine = counts + threadIdx.x * (kThreads / 32);
        unsigned sum = 0;
        for (int i = 0; i < kThreads / 32; ++i) sum += mine[i];
        unsigned all = sum;
#pragma unroll
        for (int lanes = 1; lanes < 32; lanes *= 2) {
            const unsigned before = __shfl_up_sync(0xffffffffu, all, lanes);
            if (static_cast<int>(threadIdx.x) >= lanes) all += before;
        }
        unsigned before = all - sum;
        for (int i = 0; i < kThreads / 32; ++i) {
            const unsigned here = mine[i];
            mine[i] = before;
            before += here;
        }
    }
    __syncthreads();
}

/// The `keep`-th largest weight's bits, and how many of that weight are kept. Floats above 0 are ordered like their
/// bits: by digits, the first ones first.
struct Limit {
    int bits;
    unsigned ties;
};
__device__ Limit kthLargest(const float* weights, std::size_t n, unsigned keep, unsigned* counts) {
    KSHARED(unsigned, digits, kDigits);
    KSHARED(Limit, found, 1);
    Limit limit{0, keep};
    int above = 31;  // the lowest bit that is known
#pragma unroll 1
    for (int pass = 0; pass < 3; ++pass) {
        const int width = pass == 1 ? 11 : 10, shift = above - width;
        for (int d = threadIdx.x; d < kDigits; d += kThreads) digits[d] = 0;
        __syncthreads();
        for (std::size_t i = threadIdx.x; i < n / 4; i += kThreads) {
            const float4 four = reinterpret_cast<const float4*>(weights)[i];
            const int bits[4] = {__float_as_int(four.x), __float_as_int(four.y), __float_as_int(four.z),
                                 __float_as_int(four.w)};
#pragma unroll
            for (int k = 0; k < 4; ++k)
                if (bits[k] >= 0 && (above == 31 || (bits[k] ^ limit.bits) >> above == 0))
                    atomicAdd(digits + (bits[k] >> shift & ((1 << width) - 1)), 1u);
        }
        __syncthreads();
        // The greatest digits first.
        const int first = kDigits - 1 - static_cast<int>(threadIdx.x) * kDigitsEach;
        unsigned sum = 0;
#pragma unroll
        for (int d = 0; d < kDigitsEach; ++d) sum += digits[first - d];
        counts[threadIdx.x] = sum;
        __syncthreads();
        countBefore(counts);
        if (const unsigned before = counts[threadIdx.x]; before < limit.ties && limit.ties <= before + sum) {
            unsigned left = limit.ties - before;
            int digit = first;
            for (; digits[digit] < left; --digit) left -= digits[digit];
            found[0] = {limit.bits | digit << shift, left};
        }
        __syncthreads();
        limit = found[0];
        above = shift;
    }
    return limit;
}

/// The weights of a leaf's tokens, or a unit's one.
template <bool Units>
struct Item {
    static constexpr int kWeights = Units ? 1 : 16;
    float weight[kWeights];
    __device__ __forceinline__ Item(const float* weights, int i) {
        if constexpr (Units) {
            weight[0] = weights[i];
        } else {
#pragma unroll
            for (int k = 0; k < 4; ++k) {
                const float4 four = reinterpret_cast<const float4*>(weights)[i * 4 + k];
                weight[4 * k] = four.x, weight[4 * k + 1] = four.y, weight[4 * k + 2] = four.z;
                weight[4 * k + 3] = four.w;
            }
        }
    }
};

// A block takes a choice.
template <bool Units>
__global__ void __launch_bounds__(kThreads) cutKernel(Judging j) {
    KSHARED(unsigned, counts, kThreads);
    KSHARED(int, some, 1);
    const int choice = blockIdx.x, t = threadIdx.x;
    if (j.counts[choice] <= j.cap) return;
    std::uint16_t* const chosen = chosenOf(j, choice);
    if (j.keep == 0) {
        for (int leaf = j.first + t; leaf < j.end; leaf += kThreads) chosen[leaf] = 0;
        return;
    }
    const float* const weights = j.weights + choice * j.items;
    // Items of a thread: tokens of whole leaves, or units.
    const int of = Units ? static_cast<int>(j.items) : j.end - j.first, each = (of + kThreads - 1) / kThreads;
    const int first = min(of, t * each), end = min(of, first + each);
    using Of = Item<Units>;
    if constexpr (Units) {  // no more units than are kept may yet be more tokens than the cap
        unsigned there = 0;
        for (int i = first; i < end; ++i) there += weights[i] >= 0;
        counts[t] = there;
        __syncthreads();
        countBefore(counts);
        if (t == kThreads - 1) some[0] = counts[t] + there <= j.keep;
        __syncthreads();
        if (some[0] != 0) return;
    }
    const Limit limit = kthLargest(weights, j.items, j.keep, counts);
    const float least = __int_as_float(limit.bits);
    unsigned equal = 0;
    for (int i = first; i < end; ++i) {
        const Of item(weights, i);
#pragma unroll
        for (int k = 0; k < Of::kWeights; ++k) equal += item.weight[k] == least;
    }
    counts[t] = equal;
    __syncthreads();
    countBefore(counts);
    unsigned before = counts[t];
    for (int i = first; i < end; ++i) {
        const Of item(weights, i);
        unsigned kept = 0;
#pragma unroll
        for (int k = 0; k < Of::kWeights; ++k) {
            const bool tie = item.weight[k] == least;
            kept |= static_cast<unsigned>(item.weight[k] > least || (tie && before < limit.ties)) << k;
            before += tie;
        }
        if constexpr (!Units) {
            if (chosen[j.first + i] != kept) chosen[j.first + i] = static_cast<std::uint16_t>(kept);
        } else if (kept == 0) {
            const int at = (j.first / j.cutLeaves + i) * j.cutLeaves;
            for (int leaf = max(at, j.first); leaf < min(at + j.cutLeaves, j.end); ++leaf) chosen[leaf] = 0;
        }
    }
}

}  // namespace judge_cut

using namespace judge_cut;

cudaError_t cutToCap(const Judging& j, cudaStream_t stream) {
    const auto choices = static_cast<unsigned>(j.tokens * j.kvHeads);
    const bool units = j.cutLeaves > 0;
    const auto threads = static_cast<unsigned>(units ? j.items : static_cast<std::size_t>(j.end - j.first));
    if (j.keep > 0)
        if (const cudaError_t error = klaunch(units ? weighKernel<true> : weighKernel<false>,
                                              dim3((threads + 127) / 128, choices), 128, 0, stream, j);
            error != cudaSuccess)
            return error;
    return klaunch(units ? cutKernel<true> : cutKernel<false>, choices, kThreads, 0, stream, j);
}

}  // namespace carrel::cuda

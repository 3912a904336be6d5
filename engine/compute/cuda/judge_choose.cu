#include "compute/cuda/judge.h"
#include "compute/cuda/judge_math.h"

// Same definitions as cpu/judge_select.cpp.

namespace carrel::cuda {

namespace judge_choose {

constexpr int kThreads = 128;

__device__ __forceinline__ const short* scoresOf(const Judging& j, int choice, int leaf, int head) {
    const int at = leaf - j.firstGroup * 4;
    return j.scores + ((static_cast<std::size_t>(choice) * j.groups + at / 4) * j.group + head) * 64 + at % 4 * 16;
}

/// Whether some head gives the leaf more than `least` of its attention.
__device__ __forceinline__ bool leafAbove(const Judging& j, int choice, int leaf, const float* whole, float least) {
    for (int h = 0; h < j.group; ++h) {
        const LeafScores scores(scoresOf(j, choice, leaf, h));
        float shares[16];
#pragma unroll
        for (int t = 0; t < 16; ++t) shares[t] = scores.share(t, whole[h]);
        if (sumTokens(shares) > least) return true;
    }
    return false;
}

__device__ unsigned chosenOf(const Judging& j, int choice, int leaf) {
    const int row = choice * j.group;
    unsigned bits = 0, sure = 0;
    for (int h = 0; h < j.group; ++h) {
        const LeafScores scores(scoresOf(j, choice, leaf, h));
        const int least = j.limits[2 * (row + h)], surely = j.limits[2 * (row + h) + 1];
#pragma unroll
        for (int t = 0; t < 16; ++t) {
            bits |= static_cast<unsigned>(scores.value[t] > least) << t;
            sure |= static_cast<unsigned>(scores.value[t] > surely) << t;
        }
    }
    if (bits == 0) return 0;
    const int lately = j.latelyRow[choice / j.kvHeads];
    const bool isNew =
        lately >= 0 &&
        j.lately[(static_cast<std::size_t>(lately) * j.kvHeads + choice % j.kvHeads) * j.leaves + leaf] == 0;
    const float least = isNew ? j.newLeafShare : j.leafShare;
    // A token that is above the leaf's share by itself saves adding up the leaf's.
    if (least > 0 && (isNew || sure == 0) && !leafAbove(j, choice, leaf, j.whole + row, least)) return 0;
    return j.wholeLeaves || j.tokenShare <= 0 ? 0xffff : bits;
}

// Grid (leaves, choices); a thread takes a leaf.
__global__ void __launch_bounds__(kThreads) chooseKernel(Judging j) {
    const int leaf = blockIdx.x * kThreads + threadIdx.x, choice = blockIdx.y, token = choice / j.kvHeads;
    if (leaf >= j.leaves) return;
    unsigned bits = 0;
    if (j.layerChosen != nullptr)
        bits = j.layerChosen[static_cast<std::size_t>(token) * j.leaves + leaf];
    else if (leaf >= j.first && leaf < j.end)
        bits = chosenOf(j, choice, leaf);
    j.chosen[token * j.chosenStride + static_cast<std::size_t>(choice % j.kvHeads) * j.leaves + leaf] =
        static_cast<std::uint16_t>(bits);
    if (j.items > 0 && bits != 0) atomicAdd(j.counts + choice, static_cast<unsigned>(__popc(bits)));
}

// Grid rows.
__global__ void __launch_bounds__(kThreads) shareKernel(Judging j) {
    const int heads = j.kvHeads * j.group, token = blockIdx.x / heads, head = blockIdx.x % heads;
    const int kvHead = head / j.group, choice = token * j.kvHeads + kvHead;
    const std::uint16_t* const chosen = j.chosen + token * j.chosenStride + static_cast<std::size_t>(kvHead) * j.leaves;
    float sum = 0;
    for (int leaf = j.first + threadIdx.x; leaf < j.end; leaf += kThreads) {
        const unsigned bits = chosen[leaf];
        if (bits == 0) continue;
        const LeafScores scores(scoresOf(j, choice, leaf, head % j.group));
#pragma unroll
        for (int t = 0; t < 16; ++t)
            if (bits >> t & 1) sum = sum + scores.share(t, j.whole[blockIdx.x]);
    }
    sum = blockSum<kThreads / 32>(sum);
    if (threadIdx.x == 0) j.share[token * j.shareStride + head] = fminf(sum, 1.0f);
}

// Grid (leaves, rows); a thread takes a leaf.
__global__ void __launch_bounds__(kThreads) restKernel(Judging j) {
    const int leaf = blockIdx.x * kThreads + threadIdx.x, row = blockIdx.y;
    if (leaf >= j.leaves) return;
    const int heads = j.kvHeads * j.group, token = row / heads, head = row % heads, kvHead = head / j.group;
    const int whole = j.groups > 0 ? __float2int_rn(j.whole[row] * kScoresPerLog2) : 0;
    if (leaf == 0) {
        const float exact = j.groups > 0 ? j.exact[token * j.exactStride + head] : 0.0f;
        const float origin = static_cast<float>(whole) / kScoresPerLog2 * (1 / kLog2PerNat);
        j.origin[token * j.originStride + head] = origin + (anythingRead(exact) ? exact : 0.0f);
    }
    float weight = 0;
    if (leaf >= j.first && leaf < j.end) {
        const unsigned bits = j.chosen[token * j.chosenStride + static_cast<std::size_t>(kvHead) * j.leaves + leaf];
        const LeafScores scores(scoresOf(j, token * j.kvHeads + kvHead, leaf, head % j.group));
        float halves[16];
#pragma unroll
        for (int t = 0; t < 16; ++t) {
            const float half =
                exp2Score(limitScore(static_cast<float>(scores.value[t] - whole) * (0.5f / kScoresPerLog2)));
            halves[t] = (bits >> t & 1) != 0 ? 0.0f : half;
        }
        const float sum = sumTokens(halves);
        if (bits != 0xffff) weight = sum * sum * (1 / static_cast<float>(16 - __popc(bits)));
    }
    j.rest[token * j.restStride + static_cast<std::size_t>(head) * j.leaves + leaf] = weight;
}

dim3 leavesBy(const Judging& j, int n) {
    return {static_cast<unsigned>((j.leaves + kThreads - 1) / kThreads), static_cast<unsigned>(n)};
}

}  // namespace judge_choose

using namespace judge_choose;

cudaError_t chooseTokens(const Judging& j, cudaStream_t stream) {
    return klaunch(chooseKernel, leavesBy(j, j.tokens * j.kvHeads), kThreads, 0, stream, j);
}

cudaError_t sumShares(const Judging& j, cudaStream_t stream) {
    return klaunch(shareKernel, static_cast<unsigned>(j.tokens * j.kvHeads * j.group), kThreads, 0, stream, j);
}

cudaError_t weighRests(const Judging& j, cudaStream_t stream) {
    return klaunch(restKernel, leavesBy(j, j.tokens * j.kvHeads * j.group), kThreads, 0, stream, j);
}

}  // namespace carrel::cuda

#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

// Backend::judge's kernels: judge_scan.cu, judge_choose.cu, judge_cut.cu.

namespace carrel::cuda {

/// Rows that share the unpacking of a key.
inline constexpr int kJudgeRows = 8;
inline constexpr int kJudgeMaxHeadDim = 256;

/// A KV head's sketch and bounds.
struct JudgedHead {
    const unsigned char *codes, *keyMeans;
    const std::uint16_t* bounds;
};

/// What every kernel is handed. A row is a token's query head, token after token; a choice, a token's KV head. Groups
/// and parts are counted from firstGroup and firstUnit.
///   scores   s16 [choices][groups][heads of a choice][64]
///   sums     [rows][parts]       of 2^score: a part is a group, or 4 units of means or bounds
///   whole    [rows]              log2 of a row's sum over everything, as scores
///   limits   s16 [rows][2]       a token above the first may be chosen; above the second its leaf's share surely is
///   counts   [choices]           tokens chosen before the cap
///   weights  [choices][items]    of tokens or units, summed over the heads; below 0 where not chosen
struct Judging {
    const float *q, *exact;
    std::size_t qStride, exactStride;
    const JudgedHead* heads;
    const int* latelyRow;              // [tokens]: of lately; -1: nothing is new
    const unsigned char* lately;       // [rows of it][kvHeads][leaves]
    const std::uint16_t* layerChosen;  // [tokens][leaves], or null
    int tokens, kvHeads, group, headDim, leaves;
    int first, end, firstGroup, groups;
    int unitLeaves, firstUnit, parts;  // a unit is what has one score: means' leaf, bounds' chunk
    float scale;                       // to log2

    short* scores;
    float *sums, *whole;
    short* limits;
    unsigned* counts;
    float* weights;
    std::size_t items;

    float tokenShare, leafShare, newLeafShare;
    bool wholeLeaves;
    std::uint32_t cap, keep;
    int cutLeaves;  // of what stays or goes together; 0: tokens

    std::uint16_t* chosen;
    float *share, *rest, *origin;  // or null
    std::size_t chosenStride, shareStride, restStride, originStride;
};

// judge_scan.cu
cudaError_t scanPlane(const Judging& j, cudaStream_t stream);
/// Means, or bounds.
cudaError_t scanUnits(const Judging& j, bool means, cudaStream_t stream);
cudaError_t addSums(const Judging& j, cudaStream_t stream);
/// Scores of aligned parts of the document, raw, summed over all heads: out [tokens][nodes]. A node is `size` leaves.
struct JudgedNodes {
    int size, first, count, at;  // at: where its nodes begin among all
};
inline constexpr int kMostNodeSizes = 4;
struct JudgedLayer {
    JudgedNodes of[kMostNodeSizes];
    int nodes;
    float* out;
};
cudaError_t scoreNodes(const Judging& j, const JudgedLayer& layer, cudaStream_t stream);

// judge_choose.cu
cudaError_t chooseTokens(const Judging& j, cudaStream_t stream);
cudaError_t sumShares(const Judging& j, cudaStream_t stream);
cudaError_t weighRests(const Judging& j, cudaStream_t stream);

// judge_cut.cu
/// Keeps `keep` of what was chosen where that is more than the cap.
cudaError_t cutToCap(const Judging& j, cudaStream_t stream);

}  // namespace carrel::cuda

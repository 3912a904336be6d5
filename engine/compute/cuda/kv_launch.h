#pragma once

#include <cuda_runtime.h>

#if defined(__CUDACC__)
#pragma nv_diag_suppress 554  // of an operator that its requires clause rules out
#endif
#include "compute/backend.h"
#include "compute/cuda/launch.h"

// launch.h for keys and values. Lists are in device memory, and what they point to is what the device sees.

namespace carrel::cuda {

// kv_codec.cu
cudaError_t encode(KvCodec codec, std::uint32_t headDim, const EncodeGroup* groups, std::size_t count,
                   cudaStream_t stream);
cudaError_t means(KvCodec codec, std::uint32_t headDim, const GroupMeans* groups, std::size_t count,
                  cudaStream_t stream);
cudaError_t unpack(KvCodec codec, std::uint32_t headDim, const UnpackLeaf* leaves, std::size_t count,
                   cudaStream_t stream);

// copy.cu
/// mostBytes: of the largest piece.
cudaError_t copy(const CopyPiece* pieces, std::size_t count, std::size_t mostBytes, cudaStream_t stream);

// attention.cu. What AttendArgs says, as lists. A row is a (token, query head): token * nHeads + head.

/// KvRun, its picks apart.
struct RunEntry {
    const void *keys, *values;  // f16; of a rest its means are the values
    std::uint32_t first, tokens, window;
    std::uint32_t firstPick, picks;
    std::uint32_t mark;  // of a row's marks, where the run's begin: its greatest score, then its segments' sums
    bool rest;
};
struct PickEntry {
    const unsigned char* rows;
    const std::uint16_t* grid;
    std::uint32_t leaf;
    std::uint16_t tokens, at;  // at: its first token's place in the run
};
/// What a token of a sequence sees through a KV head: an entry per row of AttendArgs::runs.
struct RunsEntry {
    std::uint32_t firstRun, runs, firstSegment, segments;
};
/// A mark that is a segment's sum; those of one leaf follow each other, in the order of their runs.
struct SegmentEntry {
    std::uint32_t leaf, run, mark;
};
/// Rows of one sequence and KV head: pair p is token order[firstToken + p / group] and the head's query head p % group.
struct Tile {
    std::uint32_t firstRun, runs;  // up to the last that some row sees
    std::uint32_t kvHead, firstToken, firstPair, pairs;
    std::uint32_t oldest, newest;  // of the tokens' positions
};
/// One block's work: runs [first, end) of a tile, summed into each row's partial sum `slot`.
struct AttendItem {
    std::uint32_t tile, first, end, slot;
};

/// Whether one of the tokens at positions oldest to newest sees a key of the run.
constexpr bool seesRun(const RunEntry& run, std::uint32_t oldest, std::uint32_t newest) {
    if (run.window != KvRun::kNoWindow)
        return run.first <= newest && oldest < std::uint64_t{run.first} + run.tokens - 1 + run.window;
    return run.picks != 0 || run.rest || run.first <= newest;
}

/// Partial sums and states in scratch: [slots][rows][partialFloats]: headDim sums, then their m and sum.
constexpr std::size_t partialFloats(std::size_t headDim) {
    return headDim + 4;  // a multiple of 16 bytes
}
struct AttendCall {
    const RunEntry* runs;
    const PickEntry* picks;
    const RunsEntry* table;
    const SegmentEntry* segments;
    const Tile* tiles;
    const std::uint32_t *order, *position, *sequence;
    ConstRows q, weight, origin;
    Rows out, logSumExp, mass, state;  // data null: none
    std::size_t leaves, weightLeaves;  // of mass and of weight, per head
    float *partials, *totals, *marks;  // totals [rows][partialFloats], of earlier rounds; marks [rows][rowMarks]
    std::size_t rowMarks;
    int tokens, nHeads, nKvHeads, headDim;
    float scale;
    bool begins, ends;
};
/// Most that the kernels hold.
inline constexpr std::size_t kMostHeadDim = 512;
/// Rows of a tile.
constexpr unsigned tileRows(std::size_t headDim, std::size_t mostPairs) {
    return mostPairs > 8 && headDim <= 256 ? 16 : 8;
}
/// carry: items start from what the call starts from, and have all of their rows' runs.
cudaError_t attendItems(const AttendCall& call, unsigned rows, const AttendItem* items, std::size_t count, bool carry,
                        cudaStream_t stream);
/// Partial sums of runs [from, end) are added to each row's, in their order; the last round writes what the call is
/// for.
struct AttendRound {
    std::uint32_t from, end;
    bool carried;  // slot 0 has all of it
    bool first, last;
};
cudaError_t attendFinish(const AttendCall& call, const AttendRound& round, cudaStream_t stream);

}  // namespace carrel::cuda

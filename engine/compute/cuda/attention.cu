#include <cfloat>

#include "compute/cuda/attention_load.h"
#include "compute/cuda/device_math.h"
#include "compute/cuda/kv_launch.h"

// A row's sums over one run depend on the row and the run alone, and are put together run by run in their order: so
// bits depend neither on the batch nor on how the work was divided. Relative to m, each run's greatest score and then
// the greatest so far, as in cpu/attention.cpp.

namespace carrel::cuda {

namespace attention {

constexpr float kNothing = -FLT_MAX;  // a maximum over no keys that can be subtracted from itself
constexpr int kFinishThreads = 128;

struct Weights {
    float m, old, fresh;
};
__device__ __forceinline__ Weights weigh(float before, float run) {
    const float m = fmaxf(before, run);
    return {m, expFast(before - m), expFast(run - m)};
}
__device__ __forceinline__ float together(float before, float run, float old, float fresh) {
    return fmaf(run, fresh, before * old);
}
__device__ __forceinline__ float* stateOf(const AttendCall& c, int row) {
    return c.state.data + row / c.nHeads * c.state.stride + row % c.nHeads * (c.headDim + 2);
}

// R rows; headDim up to 128 * Items. A thread scores 2 rows and kKeys keys at a time, and sums kEach rows and 4
// channels of `Items` places.
template <int R, int Items>
struct Shape {
    static constexpr int kPart = 32 / Items;  // keys in shared memory at a time
    static constexpr int kKeys = R * kPart > 2 * kAttendThreads ? 2 : 1;
    static constexpr int kEach = R / 4;
    static constexpr int kOwned = static_cast<int>(kGroupTokens) * R / kAttendThreads;  // keys of a row, a thread's

    static std::size_t sharedBytes(int d) {
        return sizeof(float) * ((R + kPart) * static_cast<std::size_t>(partStride(d)) + kGroupTokens * R);
    }
};

template <int R>
struct RowsOfTile {
    unsigned position[R];
    int row[R];  // -1: beyond the tile's pairs
    float old[R], fresh[R];
};

// Scores of keys [from, from + count) of the run, which lie in `part`, to p [64][R].
template <int R, int Items>
__device__ __forceinline__ void scorePart(const RunEntry& run, int from, int count, const float* q, const float* part,
                                          int d, const RowsOfTile<R>& rows, float* p) {
    using S = Shape<R, Items>;
    constexpr int kPairs = R / 2, kPlaces = S::kPart / S::kKeys;
    const int stride = partStride(d);
    const bool masked = run.picks == 0 || run.window != KvRun::kNoWindow;
    for (int i = threadIdx.x; i < kPairs * kPlaces; i += kAttendThreads) {
        const int r = i % kPairs, key = i / kPairs;
        if (key >= count) continue;
        float dot[2][S::kKeys] = {};
        for (int c = 0; c < d; c += 4) {
            float4 a[2], b[S::kKeys];
#pragma unroll
            for (int j = 0; j < 2; ++j) a[j] = *reinterpret_cast<const float4*>(q + (r + j * kPairs) * stride + c);
#pragma unroll
            for (int k = 0; k < S::kKeys; ++k)
                b[k] = *reinterpret_cast<const float4*>(part + min(key + k * kPlaces, count - 1) * stride + c);
#pragma unroll
            for (int j = 0; j < 2; ++j)
#pragma unroll
                for (int k = 0; k < S::kKeys; ++k) {
                    dot[j][k] = fmaf(a[j].x, b[k].x, dot[j][k]);
                    dot[j][k] = fmaf(a[j].y, b[k].y, dot[j][k]);
                    dot[j][k] = fmaf(a[j].z, b[k].z, dot[j][k]);
                    dot[j][k] = fmaf(a[j].w, b[k].w, dot[j][k]);
                }
        }
#pragma unroll
        for (int j = 0; j < 2; ++j)
#pragma unroll
            for (int k = 0; k < S::kKeys; ++k) {
                const int at = from + key + k * kPlaces, row = r + j * kPairs;
                if (key + k * kPlaces >= count) continue;
                const bool unseen = masked && rows.position[row] - (run.first + at) >= run.window;
                p[at * R + row] = unseen ? -INFINITY : dot[j][k];
            }
    }
}

// acc += p · values of keys [from, from + count), which lie in `part`.
template <int R, int Items>
__device__ __forceinline__ void sumPart(int from, int count, const float* p, const float* part, int d,
                                        float (&acc)[Items][Shape<R, Items>::kEach][4]) {
    constexpr int kEach = Shape<R, Items>::kEach;
    const int stride = partStride(d), quads = d / 4;
#pragma unroll
    for (int i = 0; i < Items; ++i) {
        const int place = threadIdx.x + i * kAttendThreads;
        if (place >= 4 * quads) continue;
        const float* const weights = p + from * R + place / quads * kEach;
        const float* const values = part + place % quads * 4;
        for (int k = 0; k < count; ++k) {
            const float4 v = *reinterpret_cast<const float4*>(values + k * stride);
            float w[kEach];
            if constexpr (kEach == 4) {
                const float4 four = *reinterpret_cast<const float4*>(weights + k * R);
                w[0] = four.x, w[1] = four.y, w[2] = four.z, w[3] = four.w;
            } else {
                const float2 two = *reinterpret_cast<const float2*>(weights + k * R);
                w[0] = two.x, w[1] = two.y;
            }
#pragma unroll
            for (int r = 0; r < kEach; ++r) {
                acc[i][r][0] = fmaf(w[r], v.x, acc[i][r][0]);
                acc[i][r][1] = fmaf(w[r], v.y, acc[i][r][1]);
                acc[i][r][2] = fmaf(w[r], v.z, acc[i][r][2]);
                acc[i][r][3] = fmaf(w[r], v.w, acc[i][r][3]);
            }
        }
    }
}

/// What mass is made of: the run's greatest score, and sums by segment.
template <int R>
__device__ __forceinline__ void writeMarks(const AttendCall& c, const RunEntry& run, const RowsOfTile<R>& rows,
                                           const float* p) {
    const int segments = run.picks != 0 ? run.picks : (run.tokens + kLeafTokens - 1) / kLeafTokens;
    for (int i = threadIdx.x; i < segments * R; i += kAttendThreads) {
        const int s = i / R, r = i % R;
        if (rows.row[r] < 0) continue;
        int at = s * kLeafTokens, end = min(at + static_cast<int>(kLeafTokens), static_cast<int>(run.tokens));
        if (run.picks != 0) {
            const PickEntry& pick = c.picks[run.firstPick + s];
            at = pick.at;
            end = at + __popc(pick.tokens);
        }
        float sum = 0;
        for (int k = at; k < end; ++k) sum += p[k * R + r];
        c.marks[rows.row[r] * c.rowMarks + run.mark + 1 + s] = sum;
    }
}

// Grid items.
template <int R, int Items>
__global__ void __launch_bounds__(kAttendThreads, 1) attendKernel(AttendCall c, const AttendItem* items, bool carry) {
    using S = Shape<R, Items>;
    constexpr int kGroups = kAttendThreads / R, kFours = static_cast<int>(kGroupTokens) / 4;
    KDYNSHARED(float, shared);
    KSHARED(RowsOfTile<R>, rowsOf, 1);
    KSHARED(unsigned, slots, kGroupTokens);
    KSHARED(float, greatest, kAttendThreads);
    KSHARED(float, fours, kFours* R);
    const int d = c.headDim, stride = partStride(d), quads = d / 4;
    float *const q = shared, *const part = q + R * stride, *const p = part + S::kPart * stride;
    RowsOfTile<R>& rows = rowsOf[0];
    const AttendItem item = items[blockIdx.x];
    const Tile tile = c.tiles[item.tile];
    const int group = c.nHeads / c.nKvHeads, own = threadIdx.x % R, part8 = threadIdx.x / R;
    if (threadIdx.x < R) {
        const unsigned pair = tile.firstPair + min(threadIdx.x, tile.pairs - 1);
        const int token = c.order[tile.firstToken + pair / group];
        rows.position[threadIdx.x] = c.position[token];
        rows.row[threadIdx.x] =
            threadIdx.x < tile.pairs ? token * c.nHeads + static_cast<int>(tile.kvHead * group + pair % group) : -1;
    }
    __syncthreads();
    for (int i = threadIdx.x; i < R * d; i += kAttendThreads) {
        const int r = i / d, row = rows.row[r];
        q[r * stride + i % d] =
            row < 0 ? 0.0f : c.q.data[row / c.nHeads * c.q.stride + row % c.nHeads * d + i % d] * c.scale;
    }
    float m = kNothing, sum = 0;  // of row `own`, in the first R threads
    float total[Items][S::kEach][4] = {};
    if (carry && !c.begins) {
        if (threadIdx.x < R && rows.row[own] >= 0) {
            const float* const from = stateOf(c, rows.row[own]) + d;
            m = from[0], sum = from[1];
        }
#pragma unroll
        for (int i = 0; i < Items; ++i) {
            const int place = threadIdx.x + i * kAttendThreads;
            for (int r = 0; r < S::kEach && place < 4 * quads; ++r)
                if (const int row = rows.row[place / quads * S::kEach + r]; row >= 0)
                    for (int j = 0; j < 4; ++j) total[i][r][j] = stateOf(c, row)[place % quads * 4 + j];
        }
    }
    for (unsigned at = item.first; at < item.end; ++at) {
        const RunEntry run = c.runs[tile.firstRun + at];
        if (!seesRun(run, tile.oldest, tile.newest)) continue;
        const int tokens = run.tokens;
        __syncthreads();  // shared memory is free again
        spreadPicks(c.picks, run, slots);
        if (run.picks != 0) __syncthreads();
        for (int from = 0; from < tokens && !run.rest; from += S::kPart) {
            const int count = min(S::kPart, tokens - from);
            if (from != 0) __syncthreads();
            loadPart<Side::Keys>(c.picks, run, slots, from, count, d, part);
            __syncthreads();
            scorePart<R, Items>(run, from, count, q, part, d, rows, p);
        }
        __syncthreads();
        // Threads own a row's keys: R rows of kGroups threads.
        const int first = part8 * S::kOwned;
        float most = kNothing;
        if (run.rest) {
            const int row = rows.row[own];
            const std::size_t token = row < 0 ? 0 : row / c.nHeads, head = row < 0 ? 0 : row % c.nHeads;
            const float* const weight =
                c.weight.data + token * c.weight.stride + head * c.weightLeaves + run.first / kLeafTokens;
            for (int k = first; k < min(first + S::kOwned, tokens); ++k) p[k * R + own] = row < 0 ? 0.0f : weight[k];
            if (row >= 0) most = fmaxf(most, c.origin.data[token * c.origin.stride + head]);
        } else {
            for (int k = first; k < min(first + S::kOwned, tokens); ++k) most = fmaxf(most, p[k * R + own]);
        }
        greatest[threadIdx.x] = most;
        loadPart<Side::Values>(c.picks, run, slots, 0, min(S::kPart, tokens), d, part);
        __syncthreads();
#pragma unroll
        for (int i = 0; i < kGroups; ++i) most = fmaxf(most, greatest[i * R + own]);
#pragma unroll
        for (int four = 0; four < S::kOwned; four += 4) {
            float of[4];
#pragma unroll
            for (int k = 0; k < 4; ++k) {
                const int key = first + four + k;
                of[k] = 0;
                if (key >= tokens) continue;
                float& weight = p[key * R + own];
                if (!run.rest) weight = expFast(weight - most);
                of[k] = weight;
            }
            fours[(first + four) / 4 * R + own] = (of[0] + of[1]) + (of[2] + of[3]);
        }
        if (threadIdx.x < R) {
            const Weights weights = weigh(m, most);
            m = weights.m;
            rows.old[own] = weights.old;
            rows.fresh[own] = weights.fresh;
            if (c.marks != nullptr && rows.row[own] >= 0) c.marks[rows.row[own] * c.rowMarks + run.mark] = most;
        }
        __syncthreads();
        if (threadIdx.x < R) {
            float ofRun = 0;
#pragma unroll
            for (int i = 0; i < kFours; i += 4)
                ofRun += (fours[i * R + own] + fours[(i + 1) * R + own]) +
                         (fours[(i + 2) * R + own] + fours[(i + 3) * R + own]);
            sum = together(sum, ofRun, rows.old[own], rows.fresh[own]);
        }
        if (c.marks != nullptr && !run.rest) writeMarks(c, run, rows, p);
        float acc[Items][S::kEach][4] = {};
        for (int from = 0; from < tokens; from += S::kPart) {
            const int count = min(S::kPart, tokens - from);
            if (from != 0) {
                __syncthreads();
                loadPart<Side::Values>(c.picks, run, slots, from, count, d, part);
                __syncthreads();
            }
            sumPart<R, Items>(from, count, p, part, d, acc);
        }
#pragma unroll
        for (int i = 0; i < Items; ++i) {
            const int place = threadIdx.x + i * kAttendThreads;
            if (place >= 4 * quads) continue;
#pragma unroll
            for (int r = 0; r < S::kEach; ++r) {
                const int row = place / quads * S::kEach + r;
#pragma unroll
                for (int j = 0; j < 4; ++j)
                    total[i][r][j] = together(total[i][r][j], acc[i][r][j], rows.old[row], rows.fresh[row]);
            }
        }
    }
    float* const slot = c.partials + item.slot * partialFloats(d) * c.tokens * c.nHeads;
    if (threadIdx.x < R && rows.row[own] >= 0) {
        float* const to = slot + rows.row[own] * partialFloats(d) + d;
        to[0] = m, to[1] = sum;
    }
#pragma unroll
    for (int i = 0; i < Items; ++i) {
        const int place = threadIdx.x + i * kAttendThreads;
        if (place >= 4 * quads) continue;
#pragma unroll
        for (int r = 0; r < S::kEach; ++r)
            if (const int row = rows.row[place / quads * S::kEach + r]; row >= 0)
                *reinterpret_cast<float4*>(slot + row * partialFloats(d) + place % quads * 4) =
                    make_float4(total[i][r][0], total[i][r][1], total[i][r][2], total[i][r][3]);
    }
}

// Grid rows.
template <int Items>
__global__ void __launch_bounds__(kFinishThreads, 1) finishKernel(AttendCall c, AttendRound round) {
    KSHARED(float, ofRun, kFinishThreads);
    KSHARED(float, sums, kFinishThreads);
    KSHARED(float, old, kFinishThreads);
    KSHARED(float, fresh, kFinishThreads);
    KSHARED(unsigned char, seen, kFinishThreads);
    const int row = blockIdx.x, token = row / c.nHeads, head = row % c.nHeads, d = c.headDim, own = threadIdx.x;
    const std::size_t each = partialFloats(d), slotFloats = each * c.tokens * c.nHeads;
    const RunsEntry runs = c.table[c.sequence[token] * c.nKvHeads + head / (c.nHeads / c.nKvHeads)];
    const unsigned position = c.position[token];
    float m = kNothing, sum = 0, total[Items] = {};
    const float* const start = round.carried  ? c.partials + row * each
                               : !round.first ? c.totals + row * each
                               : c.begins     ? nullptr
                                              : stateOf(c, row);
    if (start != nullptr) {
        m = start[d], sum = start[d + 1];
#pragma unroll
        for (int i = 0; i < Items; ++i)
            if (own + i * kFinishThreads < d) total[i] = start[own + i * kFinishThreads];
    }
    const unsigned end = round.carried ? 0 : min(round.end, runs.runs);
    for (unsigned base = round.from; base < end; base += kFinishThreads) {
        const int count = min(static_cast<int>(end - base), kFinishThreads);
        if (base != round.from) __syncthreads();
        if (own < count) {
            seen[own] = seesRun(c.runs[runs.firstRun + base + own], position, position) ? 1 : 0;
            const float* const from = c.partials + (base - round.from + own) * slotFloats + row * each + d;
            ofRun[own] = seen[own] != 0 ? from[0] : kNothing;
            sums[own] = seen[own] != 0 ? from[1] : 0.0f;
        }
        __syncthreads();
        // The greatest before each run is that of all before it: no need to go one by one.
        float before = m;
        for (int j = 0; j < count; ++j) {
            if (j < own) before = fmaxf(before, ofRun[j]);
            m = fmaxf(m, ofRun[j]);
        }
        if (own < count) {
            const Weights weights = weigh(before, ofRun[own]);
            old[own] = weights.old;
            fresh[own] = weights.fresh;
        }
        __syncthreads();
        for (int j = 0; j < count; ++j) {
            if (seen[j] == 0) continue;
            const float* const from = c.partials + (base - round.from + j) * slotFloats + row * each;
            sum = together(sum, sums[j], old[j], fresh[j]);
#pragma unroll
            for (int i = 0; i < Items; ++i)
                if (own + i * kFinishThreads < d)
                    total[i] = together(total[i], from[own + i * kFinishThreads], old[j], fresh[j]);
        }
    }
    if (!round.last || !c.ends) {
        float* const to = round.last ? stateOf(c, row) : c.totals + row * each;
#pragma unroll
        for (int i = 0; i < Items; ++i)
            if (own + i * kFinishThreads < d) to[own + i * kFinishThreads] = total[i];
        if (own == 0) to[d] = m, to[d + 1] = sum;
        if (!round.last) return;
    }
    const float inverse = sum > 0 ? 1.0f / sum : 0.0f;
    if (c.ends)
#pragma unroll
        for (int i = 0; i < Items; ++i)
            if (own + i * kFinishThreads < d)
                c.out.data[token * c.out.stride + head * d + own + i * kFinishThreads] = total[i] * inverse;
    if (c.logSumExp.data != nullptr && own == 0)
        c.logSumExp.data[token * c.logSumExp.stride + head] = sum > 0 ? m + logFast(sum) : -INFINITY;
    if (c.mass.data == nullptr) return;
    float* const mass = c.mass.data + token * c.mass.stride + head * c.leaves;
    if (c.begins) {
        for (std::size_t i = own; i < c.leaves; i += kFinishThreads) mass[i] = 0;
        __syncthreads();
    }
    const float* const marks = c.marks + row * c.rowMarks;
    const SegmentEntry* const segments = c.segments + runs.firstSegment;
    for (unsigned s = own; s < runs.segments; s += kFinishThreads) {
        const unsigned leaf = segments[s].leaf;
        if (leaf >= c.leaves || (s > 0 && segments[s - 1].leaf == leaf)) continue;
        float share = mass[leaf];
        for (unsigned i = s; i < runs.segments && segments[i].leaf == leaf; ++i) {
            const RunEntry& run = c.runs[runs.firstRun + segments[i].run];
            if (seesRun(run, position, position))
                share += marks[segments[i].mark] * (expFast(marks[run.mark] - m) * inverse);
        }
        mass[leaf] = share;
    }
}

template <int R, int Items>
cudaError_t attend(const AttendCall& call, const AttendItem* items, std::size_t count, bool carry,
                   cudaStream_t stream) {
    return klaunch(attendKernel<R, Items>, static_cast<unsigned>(count), kAttendThreads,
                   Shape<R, Items>::sharedBytes(call.headDim), stream, call, items, carry);
}

}  // namespace attention

using namespace attention;

cudaError_t attendItems(const AttendCall& call, unsigned rows, const AttendItem* items, std::size_t count, bool carry,
                        cudaStream_t stream) {
    if (count == 0) return cudaSuccess;
    if (rows == 16) return (call.headDim <= 128 ? attend<16, 1> : attend<16, 2>)(call, items, count, carry, stream);
    return (call.headDim <= 128   ? attend<8, 1>
            : call.headDim <= 256 ? attend<8, 2>
                                  : attend<8, 4>)(call, items, count, carry, stream);
}

cudaError_t attendFinish(const AttendCall& call, const AttendRound& round, cudaStream_t stream) {
    const int items = (call.headDim + kFinishThreads - 1) / kFinishThreads;
    return klaunch(items == 1   ? finishKernel<1>
                   : items == 2 ? finishKernel<2>
                                : finishKernel<4>,
                   call.tokens * call.nHeads, kFinishThreads, 0, stream, call, round);
}

}  // namespace carrel::cuda

#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <utility>

#include "compute/cpu/packed_weight.h"
#include "compute/registry.h"

#if defined(__x86_64__)
#define CARREL_TARGET(features) __attribute__((target(features)))
#else
#define CARREL_TARGET(features)
#endif
#define CARREL_AVX2 CARREL_TARGET("avx2,fma,f16c")
#define CARREL_AVX512 CARREL_TARGET("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16,avx2,fma,f16c")
#define CARREL_INLINE inline __attribute__((always_inline))

namespace carrel {

/// One kernel in several instruction sets, best first, the scalar definition last.
template <class F>
class Variants {
  public:
    Variants(std::initializer_list<std::pair<Isa, F>> rows) {
        assert(rows.size() <= rows_.size());
        for (const auto& row : rows) rows_[count_++] = row;
    }
    /// The best that `isa` allows.
    F at(Isa isa) const {
        for (std::size_t i = 0; i < count_; ++i)
            if (rows_[i].first <= isa) return rows_[i].second;
        return rows_[count_ - 1].second;
    }

  private:
    std::array<std::pair<Isa, F>, 3> rows_{};
    std::size_t count_ = 0;
};

/// Asks for memory into the second level: what is asked for into the first waits for one of its few places, and all
/// else behind it.
CARREL_INLINE void fetch(const void* from, std::size_t bytes) {
    const auto* at = static_cast<const std::byte*>(from);
    for (std::size_t i = 0; i < bytes; i += 64) __builtin_prefetch(at + i, 0, 2);
}

/// At most this many rows of x run through a kernel together.
inline constexpr std::size_t kRowGroup = 8;

/// Up to kRowGroup rows of x in 8 bits per 32 columns, interleaved so that one step's operands lie side by side.
///   q      [cols/4, rows, 4]     s8, -127 to 127
///   scale  [cols/32, rows]       x = scale * q
///   less   [cols/32, 3, rows]    minus the sum of q: of the first 16 columns, of the others, of all
///   mean   [cols/32, rows]       scale * sum of the 32 q: what a weight's minimum is multiplied with
struct QuantizedRows {
    std::int8_t* q;
    float* scale;
    std::int32_t* less;
    float* mean;

    QuantizedRows from(std::size_t block, std::size_t rows) const {
        return {q + block * rows * 32, scale + block * rows, less + block * rows * 3, mean + block * rows};
    }
};
/// x: `rows` rows of `cols`, `stride` elements apart.
using QuantizeFn = void (*)(const float* x, std::size_t stride, std::size_t rows, std::size_t cols,
                            const QuantizedRows& out);

/// Tiles of weights, unpacked, one behind the other: q [tiles, cols/32, 8, 16, 4] u8,
/// scale [tiles, cols/32, panelFactors, 16] f32 by PackKind:
///   Offset      scale and nothing
///   Minimum     scale, minimum
///   Halves      scale of the first 16 columns, of the others
///   HalfMinima  d, minus the minimum of the first 16 columns, of the others; q times its scale / d, at most 45
constexpr std::size_t panelFactors(PackKind kind) {
    return kind == PackKind::HalfMinima ? 3 : 2;
}
struct Panel {
    std::uint8_t* q;
    float* scale;

    Panel tile(const PackedLayout& layout, std::size_t i) const {
        return {q + i * layout.blocks() * 512, scale + i * layout.blocks() * panelFactors(layout.kind) * 16};
    }
};
/// Blocks of 32 columns, `count` from `first` on, of one tile.
using UnpackFn = void (*)(const PackedLayout& layout, const std::byte* tile, std::size_t first, std::size_t count,
                          const Panel& out);
/// Where a tile's products go: out[r * stride + i], i < count, becomes, or grows by, product + bias[i].
struct Products {
    float* out;
    std::size_t stride, count;
    const float* bias;  // or null
    bool accumulate;
};
/// So many tiles run through a panel kernel together: the columns of x are fetched once for all.
inline constexpr std::size_t kPanelTiles = 2;
/// The products of kPanelTiles tiles with up to kRowGroup rows; to [kPanelTiles].
using PanelFn = void (*)(const PackedLayout& layout, const Panel& panel, const QuantizedRows& x, std::size_t rows,
                         const Products* to);
/// out [rows, 16], 64-byte aligned: the same of one packed tile, same bits, as they are.
using TileFn = void (*)(const PackedLayout& layout, const std::byte* tile, const QuantizedRows& x, std::size_t rows,
                        float* out);
/// F32, F16 and BF16: x as it is.
using FloatTileFn = void (*)(const PackedLayout& layout, const std::byte* tile, const float* x, std::size_t stride,
                             std::size_t rows, float* out);

/// values [16] to row r of `to`.
CARREL_INLINE void storeProducts(const float* values, const Products& to, std::size_t r) {
    float* out = to.out + r * to.stride;
    for (std::size_t i = 0; i < to.count; ++i) {
        const float value = to.bias != nullptr ? values[i] + to.bias[i] : values[i];
        out[i] = to.accumulate ? out[i] + value : value;
    }
}

using NormFn = void (*)(const float* x, const float* weight, float eps, std::size_t n, float* out);
using RopeFn = void (*)(float* head, const float* cosine, const float* sine, std::size_t half, bool neox);
using GluFn = void (*)(float* gate, const float* up, std::size_t n);
using ToF16Fn = void (*)(const float* from, std::size_t n, std::uint16_t* to);

/// Rows of queries that attend together: all of one sequence and one KV head. Nothing that the bits show is added
/// across lanes, so that a row has the same bits in any block.
inline constexpr std::size_t kAttendRows = 64;
/// A block of so few rows is not filled up to 16: keys and channels go into lanes instead of rows.
inline constexpr std::size_t kFewRows = 8;
/// What a block of rows has seen of its keys so far. m and sum [rows]: greatest score and sum of exp(score - m); out
/// [headDim, rows], of few rows [rows, headDim].
struct AttendState {
    float* m;
    float* sum;
    float* out;
};
/// A run's keys and values as f32 [64, headDim] and what is added to the scores [64]: 0, and minus infinity after the
/// run's tokens (zeros in keys and values). A rest has values and, from elsewhere, its weights [64, rows], of few rows
/// but in Scalar [rows, 64], 0 after its leaves, and what they are relative to, origin [rows].
struct LoadedRun {
    float* keys;
    float* values;
    float* bias;
    float* weights;
    float* origin;
};
using LoadRunFn = void (*)(const KvRun& run, std::size_t headDim, const LoadedRun& to);
/// Asks for a run's memory ahead of its loading: chosen tokens lie where no processor guesses them.
void fetchRun(const KvRun& run, std::size_t headDim);

/// How a run's keys are summed up in mass: f16 by leaves of 16, picks one by one, rests not at all.
inline std::size_t segmentsOf(const KvRun& run) {
    if (run.rest != nullptr) return 0;
    return run.picks.empty() ? (run.tokens + kLeafTokens - 1) / kLeafTokens : run.picks.size();
}
/// visit(first key, keys, leaf of the document) for each of them; at most 16 keys.
template <class Visit>
CARREL_INLINE void forSegments(const KvRun& run, const Visit& visit) {
    if (run.rest != nullptr) return;
    if (run.picks.empty())
        for (std::size_t at = 0; at < run.tokens; at += kLeafTokens)
            visit(at, std::min<std::size_t>(kLeafTokens, run.tokens - at), (run.first + at) / kLeafTokens);
    std::size_t at = 0;
    for (const KvPick& pick : run.picks) {
        const auto keys = static_cast<std::size_t>(std::popcount(pick.tokens));
        visit(at, keys, std::size_t{pick.leaf});
        at += keys;
    }
}
/// state = state merged with one run's own sums.
///   q         [headDim, rows]    scaled; rows 1 to kFewRows or a multiple of 16 up to kAttendRows
///   position  [rows]
///   scratch   (headDim + rows) * 64 floats
///   sums, runMax  [segments, rows], [rows]: sums of exp(score - runMax) per segment; or null
using AttendRunFn = void (*)(const float* q, const std::uint32_t* position, std::size_t rows, std::size_t headDim,
                             const KvRun& run, const LoadedRun& loaded, const AttendState& state, float* scratch,
                             float* sums, float* runMax);
/// A run that is one whole encoded group, seen by all, of a codec whose values have one step a token and no least.
bool wholeGroup(const KvRun& run, KvCodec codec);
/// A whole group as more than kFewRows rows need it; loadedGroupBytes(headDim), 64-byte aligned.
using LoadGroupFn = void (*)(const KvRun& run, std::size_t headDim, std::byte* loaded);
/// The same as AttendRunFn for a whole group, from its codes, in integers; null where a variant has none.
///   loaded    by LoadGroupFn; of few rows unused
///   scratch   groupScratchBytes(headDim), 64-byte aligned
///   ahead     the run that follows, to be asked for meanwhile, or none
using AttendGroupFn = void (*)(const float* q, std::size_t rows, std::size_t headDim, const KvRun& run,
                               std::byte* loaded, const AttendState& state, std::byte* scratch, float* sums,
                               float* runMax, const KvRun* ahead);
std::size_t loadedGroupBytes(std::size_t headDim);
std::size_t groupScratchBytes(std::size_t headDim);
/// into = into merged with from. Not associative in its bits: runs are merged one by one in their order. A run's own
/// sums, on a state of nothing, and then merged are the bits of AttendRunFn.
using MergeFn = void (*)(const AttendState& from, std::size_t rows, std::size_t headDim, const AttendState& into);

extern const Variants<QuantizeFn> kQuantize;
extern const Variants<UnpackFn> kUnpack;
extern const Variants<PanelFn> kPanel;
extern const Variants<TileFn> kTile;
extern const Variants<FloatTileFn> kFloatTile;
extern const Variants<NormFn> kNorm, kAddNorm;
extern const Variants<RopeFn> kRope;
extern const Variants<GluFn> kSwiglu, kGeglu;
extern const Variants<ToF16Fn> kToF16;
extern const Variants<LoadRunFn> kLoadRun;
extern const Variants<AttendRunFn> kAttendRun;
extern const Variants<LoadGroupFn> kLoadGroup;
extern const Variants<AttendGroupFn> kAttendGroup;
extern const Variants<MergeFn> kMerge;

}  // namespace carrel

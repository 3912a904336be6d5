#include <algorithm>
#include <limits>

#include "compute/cpu/kernels.h"
#include "compute/cpu/math.h"

namespace carrel {

namespace {

constexpr float kMasked = -std::numeric_limits<float>::infinity();

// Sum of 16 rows of `stride`, column `i`, always in this order: also what a horizontal sum of 16 lanes by halves does.
CARREL_INLINE float leafSum(const float* p, std::size_t stride) {
    float s[8];
    for (std::size_t k = 0; k < 8; ++k) s[k] = p[k * stride] + p[(k + 8) * stride];
    for (std::size_t k = 0; k < 4; ++k) s[k] += s[k + 4];
    return (s[0] + s[2]) + (s[1] + s[3]);
}

template <bool Fused>
CARREL_INLINE void attendRun(const float* q, const std::uint32_t* position, std::size_t rows, std::size_t headDim,
                             const KvRun& run, const AttendState& state, float* scratch, float* leaf, float* runMax) {
    float* keys = scratch;
    float* values = keys + headDim * kGroupTokens;
    float* p = values + headDim * kGroupTokens;  // [64, rows]
    const std::size_t filled = run.tokens * headDim;
    for (std::size_t i = 0; i < filled; ++i) keys[i] = f16ToF32(run.keys[i]), values[i] = f16ToF32(run.values[i]);
    std::fill(keys + filled, keys + headDim * kGroupTokens, 0.0f);
    std::fill(values + filled, values + headDim * kGroupTokens, 0.0f);

    for (std::size_t key = 0; key < kGroupTokens; ++key) {
        float* scores = p + key * rows;
        std::fill_n(scores, rows, 0.0f);
        for (std::size_t d = 0; d < headDim; ++d)
            for (std::size_t r = 0; r < rows; ++r)
                scores[r] = madd<Fused>(q[d * rows + r], keys[key * headDim + d], scores[r]);
        for (std::size_t r = 0; r < rows; ++r)
            if (key >= run.tokens || run.first + key > position[r]) scores[r] = kMasked;
    }
    for (std::size_t r = 0; r < rows; ++r) {
        float m = state.m[r];
        for (std::size_t key = 0; key < kGroupTokens; ++key) m = std::max(m, p[key * rows + r]);
        for (std::size_t key = 0; key < kGroupTokens; ++key) p[key * rows + r] = expFast<Fused>(p[key * rows + r] - m);
        float sums[4];
        for (std::size_t i = 0; i < 4; ++i) sums[i] = leafSum(p + i * kLeafTokens * rows + r, rows);
        const float shrink = expFast<Fused>(state.m[r] - m);
        state.sum[r] = madd<Fused>(state.sum[r], shrink, (sums[0] + sums[1]) + (sums[2] + sums[3]));
        state.m[r] = m;
        for (std::size_t d = 0; d < headDim; ++d) state.out[d * rows + r] *= shrink;
        if (leaf != nullptr) {
            for (std::size_t i = 0; i < 4; ++i) leaf[i * rows + r] = sums[i];
            runMax[r] = m;
        }
    }
    for (std::size_t d = 0; d < headDim; ++d)
        for (std::size_t key = 0; key < kGroupTokens; ++key)
            for (std::size_t r = 0; r < rows; ++r)
                state.out[d * rows + r] =
                    madd<Fused>(p[key * rows + r], values[key * headDim + d], state.out[d * rows + r]);
}

void attendRunScalar(const float* q, const std::uint32_t* position, std::size_t rows, std::size_t headDim,
                     const KvRun& run, const AttendState& state, float* scratch, float* leaf, float* runMax) {
    attendRun<false>(q, position, rows, headDim, run, state, scratch, leaf, runMax);
}

template <bool Fused>
CARREL_INLINE void merge(const AttendState& from, std::size_t rows, std::size_t headDim, const AttendState& into) {
    for (std::size_t r = 0; r < rows; ++r) {
        const float m = std::max(from.m[r], into.m[r]);
        const float old = expFast<Fused>(into.m[r] - m), fresh = expFast<Fused>(from.m[r] - m);
        into.sum[r] = madd<Fused>(from.sum[r], fresh, into.sum[r] * old);
        for (std::size_t d = 0; d < headDim; ++d)
            into.out[d * rows + r] = madd<Fused>(from.out[d * rows + r], fresh, into.out[d * rows + r] * old);
        into.m[r] = m;
    }
}

void mergeScalar(const AttendState& from, std::size_t rows, std::size_t headDim, const AttendState& into) {
    merge<false>(from, rows, headDim, into);
}

}  // namespace

const Variants<AttendRunFn> kAttendRun{{Isa::Scalar, attendRunScalar}};
const Variants<MergeFn> kMerge{{Isa::Scalar, mergeScalar}};

}  // namespace carrel

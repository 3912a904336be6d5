#include <algorithm>
#include <limits>

#include "compute/cpu/intrinsics.h"
#include "compute/cpu/kernels.h"
#include "compute/cpu/math.h"

namespace carrel {

namespace {

constexpr float kMasked = -std::numeric_limits<float>::infinity();

// Keys 0 to 15 of a leaf are always added up in this order.
template <class T, class Add>
CARREL_INLINE T leafSum(const T* p, Add add) {
    T s[8];
    for (std::size_t k = 0; k < 8; ++k) s[k] = add(p[k], p[k + 8]);
    for (std::size_t k = 0; k < 4; ++k) s[k] = add(s[k], s[k + 4]);
    return add(add(s[0], s[2]), add(s[1], s[3]));
}

// Inner loops run over rows, so that a compiler can put rows into lanes.
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

    float m[kAttendRows], shrink[kAttendRows], sums[4][kAttendRows];
    std::copy_n(state.m, rows, m);
    for (std::size_t key = 0; key < kGroupTokens; ++key) {
        float* scores = p + key * rows;
        std::fill_n(scores, rows, 0.0f);
        for (std::size_t d = 0; d < headDim; ++d)
            for (std::size_t r = 0; r < rows; ++r)
                scores[r] = madd<Fused>(q[d * rows + r], keys[key * headDim + d], scores[r]);
        for (std::size_t r = 0; r < rows; ++r) {
            if (key >= run.tokens || run.first + key > position[r]) scores[r] = kMasked;
            m[r] = std::max(m[r], scores[r]);
        }
    }
    for (std::size_t key = 0; key < kGroupTokens; ++key)
        for (std::size_t r = 0; r < rows; ++r) p[key * rows + r] = expFast<Fused>(p[key * rows + r] - m[r]);
    for (std::size_t r = 0; r < rows; ++r) {
        for (std::size_t i = 0; i < 4; ++i) {
            float of[kLeafTokens];
            for (std::size_t k = 0; k < kLeafTokens; ++k) of[k] = p[(i * kLeafTokens + k) * rows + r];
            sums[i][r] = leafSum(of, [](float x, float y) { return x + y; });
        }
        shrink[r] = expFast<Fused>(state.m[r] - m[r]);
        state.sum[r] = madd<Fused>(state.sum[r], shrink[r], (sums[0][r] + sums[1][r]) + (sums[2][r] + sums[3][r]));
    }
    std::copy_n(m, rows, state.m);
    if (leaf != nullptr) {
        for (std::size_t i = 0; i < 4; ++i) std::copy_n(sums[i], rows, leaf + i * rows);
        std::copy_n(m, rows, runMax);
    }
    for (std::size_t d = 0; d < headDim; ++d) {
        float* out = state.out + d * rows;
        for (std::size_t r = 0; r < rows; ++r) out[r] *= shrink[r];
        for (std::size_t key = 0; key < kGroupTokens; ++key)
            for (std::size_t r = 0; r < rows; ++r)
                out[r] = madd<Fused>(p[key * rows + r], values[key * headDim + d], out[r]);
    }
}

template <bool Fused>
CARREL_INLINE void merge(const AttendState& from, std::size_t rows, std::size_t headDim, const AttendState& into) {
    float old[kAttendRows], fresh[kAttendRows];
    for (std::size_t r = 0; r < rows; ++r) {
        const float m = std::max(from.m[r], into.m[r]);
        old[r] = expFast<Fused>(into.m[r] - m), fresh[r] = expFast<Fused>(from.m[r] - m);
        into.sum[r] = madd<Fused>(from.sum[r], fresh[r], into.sum[r] * old[r]);
        into.m[r] = m;
    }
    for (std::size_t d = 0; d < headDim; ++d)
        for (std::size_t r = 0; r < rows; ++r)
            into.out[d * rows + r] = madd<Fused>(from.out[d * rows + r], fresh[r], into.out[d * rows + r] * old[r]);
}

void attendRunScalar(const float* q, const std::uint32_t* position, std::size_t rows, std::size_t headDim,
                     const KvRun& run, const AttendState& state, float* scratch, float* leaf, float* runMax) {
    attendRun<false>(q, position, rows, headDim, run, state, scratch, leaf, runMax);
}
void mergeScalar(const AttendState& from, std::size_t rows, std::size_t headDim, const AttendState& into) {
    merge<false>(from, rows, headDim, into);
}

#if defined(__x86_64__)

CARREL_AVX2 void attendRunAvx2(const float* q, const std::uint32_t* position, std::size_t rows, std::size_t headDim,
                               const KvRun& run, const AttendState& state, float* scratch, float* leaf, float* runMax) {
    attendRun<true>(q, position, rows, headDim, run, state, scratch, leaf, runMax);
}
CARREL_AVX2 void mergeAvx2(const AttendState& from, std::size_t rows, std::size_t headDim, const AttendState& into) {
    merge<true>(from, rows, headDim, into);
}
CARREL_AVX512 void mergeAvx512(const AttendState& from, std::size_t rows, std::size_t headDim,
                               const AttendState& into) {
    merge<true>(from, rows, headDim, into);
}

CARREL_AVX512 CARREL_INLINE void toFloats512(const std::uint16_t* from, std::size_t count, float* to,
                                             std::size_t room) {
    std::size_t i = 0;
    for (; i + 16 <= count; i += 16)
        _mm512_storeu_ps(to + i, _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + i))));
    for (; i < count; i += 8)
        _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i))));
    for (; i < room; i += 8) _mm256_storeu_ps(to + i, _mm256_setzero_ps());
}

// expFast of something not above 0.
CARREL_AVX512 CARREL_INLINE __m512 exp512(__m512 x) {
    const __m512 clamped = _mm512_max_ps(x, _mm512_set1_ps(-87.0f)), round = _mm512_set1_ps(12582912.0f);
    const __m512 n = _mm512_sub_ps(_mm512_fmadd_ps(clamped, _mm512_set1_ps(1.44269504f), round), round);
    __m512 r = _mm512_fmadd_ps(n, _mm512_set1_ps(-0.693359375f), clamped);
    r = _mm512_fmadd_ps(n, _mm512_set1_ps(2.12194440e-4f), r);
    __m512 p = _mm512_set1_ps(1.9875691500e-4f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.3981999507e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3334519073e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1665795894e-2f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666665459e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.0000001201e-1f));
    p = _mm512_add_ps(_mm512_fmadd_ps(p, _mm512_mul_ps(r, r), r), _mm512_set1_ps(1.0f));
    const __mmask16 seen = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-87.0f), _CMP_GE_OQ);
    return _mm512_maskz_scalef_ps(seen, p, n);
}

// Vectors of 16 rows; 16 sums in registers at a time, each of one row (in lanes) and key, or row and channel.
template <std::size_t Vectors>
CARREL_AVX512 void attendVectors512(const float* q, const std::uint32_t* position, std::size_t headDim,
                                    const KvRun& run, const AttendState& state, float* scratch, float* leaf,
                                    float* runMax) {
    constexpr std::size_t kRows = Vectors * 16,
                          kKeys = Vectors == 1   ? 16
                                  : Vectors == 2 ? 8
                                                 : 4,
                          kChannels = Vectors < 3 ? 8 : 4;
    float* keys = scratch;
    float* values = keys + headDim * kGroupTokens;
    float* p = values + headDim * kGroupTokens;  // [64, rows]
    toFloats512(run.keys, run.tokens * headDim, keys, kGroupTokens * headDim);
    toFloats512(run.values, run.tokens * headDim, values, kGroupTokens * headDim);

    __m512 m[Vectors];
    for (std::size_t v = 0; v < Vectors; ++v) m[v] = _mm512_load_ps(state.m + 16 * v);
    for (std::size_t first = 0; first < kGroupTokens; first += kKeys) {
        __m512 dot[kKeys][Vectors];
#pragma GCC unroll 16
        for (std::size_t k = 0; k < kKeys; ++k)
#pragma GCC unroll 4
            for (std::size_t v = 0; v < Vectors; ++v) dot[k][v] = _mm512_setzero_ps();
        for (std::size_t d = 0; d < headDim; ++d) {
            __m512 column[Vectors];
#pragma GCC unroll 4
            for (std::size_t v = 0; v < Vectors; ++v) column[v] = _mm512_load_ps(q + d * kRows + 16 * v);
#pragma GCC unroll 16
            for (std::size_t k = 0; k < kKeys; ++k) {
                const __m512 key = _mm512_set1_ps(keys[(first + k) * headDim + d]);
#pragma GCC unroll 4
                for (std::size_t v = 0; v < Vectors; ++v) dot[k][v] = _mm512_fmadd_ps(column[v], key, dot[k][v]);
            }
        }
#pragma GCC unroll 16
        for (std::size_t k = 0; k < kKeys; ++k) {
            const auto at = static_cast<std::uint32_t>(first + k);
            const __m512i reaches = _mm512_set1_epi32(static_cast<int>(run.first + at));
#pragma GCC unroll 4
            for (std::size_t v = 0; v < Vectors; ++v) {
                __mmask16 seen = _mm512_cmpge_epu32_mask(_mm512_loadu_si512(position + 16 * v), reaches);
                if (at >= run.tokens) seen = 0;
                const __m512 score = _mm512_mask_mov_ps(_mm512_set1_ps(kMasked), seen, dot[k][v]);
                m[v] = _mm512_max_ps(m[v], score);
                _mm512_store_ps(p + at * kRows + 16 * v, score);
            }
        }
    }
    __m512 shrink[Vectors];
    for (std::size_t v = 0; v < Vectors; ++v) {
        __m512 sums[4];
        for (std::size_t i = 0; i < 4; ++i) {
            __m512 e[kLeafTokens];
#pragma GCC unroll 16
            for (std::size_t k = 0; k < kLeafTokens; ++k) {
                float* at = p + (i * kLeafTokens + k) * kRows + 16 * v;
                e[k] = exp512(_mm512_sub_ps(_mm512_load_ps(at), m[v]));
                _mm512_store_ps(at, e[k]);
            }
#pragma GCC unroll 8
            for (std::size_t k = 0; k < 8; ++k) e[k] = _mm512_add_ps(e[k], e[k + 8]);
#pragma GCC unroll 4
            for (std::size_t k = 0; k < 4; ++k) e[k] = _mm512_add_ps(e[k], e[k + 4]);
            sums[i] = _mm512_add_ps(_mm512_add_ps(e[0], e[2]), _mm512_add_ps(e[1], e[3]));
            if (leaf != nullptr) _mm512_storeu_ps(leaf + i * kRows + 16 * v, sums[i]);
        }
        shrink[v] = exp512(_mm512_sub_ps(_mm512_load_ps(state.m + 16 * v), m[v]));
        const __m512 sum = _mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3]));
        _mm512_store_ps(state.sum + 16 * v, _mm512_fmadd_ps(_mm512_load_ps(state.sum + 16 * v), shrink[v], sum));
        _mm512_store_ps(state.m + 16 * v, m[v]);
        if (leaf != nullptr) _mm512_storeu_ps(runMax + 16 * v, m[v]);
    }
    for (std::size_t d = 0; d < headDim; d += kChannels) {
        __m512 out[kChannels][Vectors];
#pragma GCC unroll 8
        for (std::size_t c = 0; c < kChannels; ++c)
#pragma GCC unroll 4
            for (std::size_t v = 0; v < Vectors; ++v)
                out[c][v] = _mm512_mul_ps(_mm512_load_ps(state.out + (d + c) * kRows + 16 * v), shrink[v]);
        for (std::size_t key = 0; key < run.tokens; ++key) {
            __m512 share[Vectors];
#pragma GCC unroll 4
            for (std::size_t v = 0; v < Vectors; ++v) share[v] = _mm512_load_ps(p + key * kRows + 16 * v);
#pragma GCC unroll 8
            for (std::size_t c = 0; c < kChannels; ++c) {
                const __m512 value = _mm512_set1_ps(values[key * headDim + d + c]);
#pragma GCC unroll 4
                for (std::size_t v = 0; v < Vectors; ++v) out[c][v] = _mm512_fmadd_ps(share[v], value, out[c][v]);
            }
        }
#pragma GCC unroll 8
        for (std::size_t c = 0; c < kChannels; ++c)
#pragma GCC unroll 4
            for (std::size_t v = 0; v < Vectors; ++v) _mm512_store_ps(state.out + (d + c) * kRows + 16 * v, out[c][v]);
    }
}

void attendRunAvx512(const float* q, const std::uint32_t* position, std::size_t rows, std::size_t headDim,
                     const KvRun& run, const AttendState& state, float* scratch, float* leaf, float* runMax) {
    if (rows == 16) attendVectors512<1>(q, position, headDim, run, state, scratch, leaf, runMax);
    if (rows == 32) attendVectors512<2>(q, position, headDim, run, state, scratch, leaf, runMax);
    if (rows == 48) attendVectors512<3>(q, position, headDim, run, state, scratch, leaf, runMax);
    if (rows == 64) attendVectors512<4>(q, position, headDim, run, state, scratch, leaf, runMax);
}

#endif

}  // namespace

#if defined(__x86_64__)
const Variants<AttendRunFn> kAttendRun{
    {Isa::Avx512, attendRunAvx512}, {Isa::Avx2, attendRunAvx2}, {Isa::Scalar, attendRunScalar}};
const Variants<MergeFn> kMerge{{Isa::Avx512, mergeAvx512}, {Isa::Avx2, mergeAvx2}, {Isa::Scalar, mergeScalar}};
#else
const Variants<AttendRunFn> kAttendRun{{Isa::Scalar, attendRunScalar}};
const Variants<MergeFn> kMerge{{Isa::Scalar, mergeScalar}};
#endif

}  // namespace carrel

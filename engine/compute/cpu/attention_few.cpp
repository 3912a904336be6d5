#include <algorithm>
#include <utility>

#include "compute/cpu/attention_math.h"

// A decoded token has a handful of rows per KV head: with rows in lanes most lanes would idle. Here keys are in lanes
// for the scores and channels for the sums; every sum still runs over channels, and then over keys, one by one in the
// order of attention.cpp, so that the bits are the same.

namespace carrel {

#if defined(__x86_64__)

namespace {

// Keys [64, headDim] to columns [headDim, 64].
CARREL_AVX512 void transposeKeys512(const float* keys, std::size_t headDim, float* columns) {
    for (std::size_t d = 0; d < headDim; d += 16) {
        const std::size_t channels = std::min<std::size_t>(16, headDim - d);
        const auto there = static_cast<__mmask16>((1u << channels) - 1);
        for (std::size_t first = 0; first < kGroupTokens; first += 16) {
            __m512 rows[16];
#pragma GCC unroll 16
            for (std::size_t k = 0; k < 16; ++k)
                rows[k] = _mm512_maskz_loadu_ps(there, keys + (first + k) * headDim + d);
            transpose512(rows);
#pragma GCC unroll 16
            for (std::size_t c = 0; c < 16; ++c)
                if (c < channels) _mm512_store_ps(columns + (d + c) * kGroupTokens + first, rows[c]);
        }
    }
}

// Adds the run's values to Vectors * 16 channels from d on, of the last vector those in `last`.
template <std::size_t Rows, std::size_t Vectors>
CARREL_AVX512 CARREL_INLINE void addValues512(const float* values, std::size_t headDim, std::size_t tokens,
                                              const float* p, const Weights* weights, std::size_t d, __mmask16 last,
                                              float* out) {
    const auto there = [last](std::size_t v) { return v + 1 < Vectors ? static_cast<__mmask16>(0xffff) : last; };
    __m512 sum[Rows][Vectors];
#pragma GCC unroll 8
    for (std::size_t r = 0; r < Rows; ++r)
#pragma GCC unroll 4
        for (std::size_t v = 0; v < Vectors; ++v) sum[r][v] = _mm512_setzero_ps();
    for (std::size_t key = 0; key < tokens; ++key) {
        __m512 value[Vectors];
#pragma GCC unroll 4
        for (std::size_t v = 0; v < Vectors; ++v)
            value[v] = _mm512_maskz_loadu_ps(there(v), values + key * headDim + d + 16 * v);
#pragma GCC unroll 8
        for (std::size_t r = 0; r < Rows; ++r) {
            const __m512 share = _mm512_set1_ps(p[r * kGroupTokens + key]);
#pragma GCC unroll 4
            for (std::size_t v = 0; v < Vectors; ++v) sum[r][v] = _mm512_fmadd_ps(share, value[v], sum[r][v]);
        }
    }
#pragma GCC unroll 8
    for (std::size_t r = 0; r < Rows; ++r)
#pragma GCC unroll 4
        for (std::size_t v = 0; v < Vectors; ++v) {
            float* at = out + r * headDim + d + 16 * v;
            const __m512 before = _mm512_mul_ps(_mm512_maskz_loadu_ps(there(v), at), _mm512_set1_ps(weights[r].old));
            _mm512_mask_storeu_ps(at, there(v), _mm512_fmadd_ps(sum[r][v], _mm512_set1_ps(weights[r].fresh), before));
        }
}

template <std::size_t Rows>
CARREL_AVX512 CARREL_INLINE void scoreFew512(const float* q, const std::uint32_t* position, std::size_t headDim,
                                             const KvRun& run, const LoadedRun& loaded, float* columns, float* p) {
    constexpr std::size_t kVectors = Rows > 4 ? 2 : 4;
    transposeKeys512(loaded.keys, headDim, columns);
    const Reach reach(run);
    const __m512i window = _mm512_set1_epi32(static_cast<int>(reach.window));
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (std::size_t first = 0; first < kGroupTokens; first += 16 * kVectors) {
        __m512 dot[Rows][kVectors];
#pragma GCC unroll 8
        for (std::size_t r = 0; r < Rows; ++r)
#pragma GCC unroll 4
            for (std::size_t v = 0; v < kVectors; ++v) dot[r][v] = _mm512_load_ps(loaded.bias + first + 16 * v);
        for (std::size_t d = 0; d < headDim; ++d) {
            __m512 key[kVectors];
#pragma GCC unroll 4
            for (std::size_t v = 0; v < kVectors; ++v)
                key[v] = _mm512_load_ps(columns + d * kGroupTokens + first + 16 * v);
#pragma GCC unroll 8
            for (std::size_t r = 0; r < Rows; ++r) {
                const __m512 row = _mm512_set1_ps(q[d * Rows + r]);
#pragma GCC unroll 4
                for (std::size_t v = 0; v < kVectors; ++v) dot[r][v] = _mm512_fmadd_ps(row, key[v], dot[r][v]);
            }
        }
#pragma GCC unroll 4
        for (std::size_t v = 0; v < kVectors; ++v) {
            const auto at = static_cast<std::uint32_t>(first + 16 * v);
            const __m512i reaches =
                _mm512_add_epi32(_mm512_set1_epi32(static_cast<int>(reach.first + at * reach.step)),
                                 _mm512_mullo_epi32(lane, _mm512_set1_epi32(static_cast<int>(reach.step))));
#pragma GCC unroll 8
            for (std::size_t r = 0; r < Rows; ++r) {
                const __m512i behind = _mm512_sub_epi32(_mm512_set1_epi32(static_cast<int>(position[r])), reaches);
                const __mmask16 seen = _mm512_cmplt_epu32_mask(behind, window);
                _mm512_store_ps(p + r * kGroupTokens + at,
                                _mm512_mask_mov_ps(_mm512_set1_ps(kMasked), seen, dot[r][v]));
            }
        }
    }
}

template <std::size_t Rows>
CARREL_AVX512 void attendFew512(const float* q, const std::uint32_t* position, std::size_t headDim, const KvRun& run,
                                const LoadedRun& loaded, const AttendState& state, float* scratch, float* sums,
                                float* runMax) {
    constexpr std::size_t kVectors = Rows > 4 ? 2 : 4;
    const bool rest = run.rest != nullptr;
    float* columns = scratch;                                             // [headDim, 64]
    float* p = rest ? loaded.weights : columns + headDim * kGroupTokens;  // [Rows, 64]
    if (!rest) scoreFew512<Rows>(q, position, headDim, run, loaded, columns, p);
    alignas(64) float m[16] = {}, most[16], old[16], fresh[16];
    float sum[Rows];
    for (std::size_t r = 0; r < Rows; ++r) {
        float* scores = p + r * kGroupTokens;
        __m512 e[4];
        for (std::size_t i = 0; i < 4; ++i) e[i] = _mm512_load_ps(scores + 16 * i);
        const float greatest =
            _mm512_reduce_max_ps(_mm512_max_ps(_mm512_max_ps(e[0], e[1]), _mm512_max_ps(e[2], e[3])));
        m[r] = std::max(kNothing, rest ? loaded.origin[r] : greatest);
        for (std::size_t i = 0; i < 4 && !rest; ++i) {
            e[i] = exp512(_mm512_sub_ps(e[i], _mm512_set1_ps(m[r])));
            _mm512_store_ps(scores + 16 * i, e[i]);
        }
        float quarter[4];
        for (std::size_t i = 0; i < 4; ++i) quarter[i] = lanesSum512(e[i]);
        sum[r] = (quarter[0] + quarter[1]) + (quarter[2] + quarter[3]);
    }
    weighRows512(state.m, m, Rows, most, old, fresh);
    Weights weights[Rows];
    for (std::size_t r = 0; r < Rows; ++r) {
        weights[r] = {most[r], old[r], fresh[r]};
        state.sum[r] = together<true>(state.sum[r], sum[r], weights[r]);
        state.m[r] = most[r];
    }
    if (sums != nullptr) {
        std::copy_n(m, Rows, runMax);
        forSegments(run, [p, &sums](std::size_t at, std::size_t keys, std::size_t) CARREL_AVX512 {
            const auto there = static_cast<__mmask16>((1u << keys) - 1);
            for (std::size_t r = 0; r < Rows; ++r)
                *sums++ = lanesSum512(_mm512_maskz_loadu_ps(there, p + r * kGroupTokens + at));
        });
    }
    std::size_t d = 0;
    for (; d + 16 * kVectors <= headDim; d += 16 * kVectors)
        addValues512<Rows, kVectors>(loaded.values, headDim, run.tokens, p, weights, d, 0xffff, state.out);
    for (; d < headDim; d += 16)
        addValues512<Rows, 1>(loaded.values, headDim, run.tokens, p, weights, d,
                              static_cast<__mmask16>((1u << std::min<std::size_t>(16, headDim - d)) - 1), state.out);
}

// The same with 8 lanes. Keys [64, headDim] to columns [headDim, 64].
CARREL_AVX2 void transpose256(const float* keys, std::size_t headDim, float* columns) {
    for (std::size_t d = 0; d < headDim; d += 8)
        for (std::size_t first = 0; first < kGroupTokens; first += 8) {
            __m256 a[8], b[8];
#pragma GCC unroll 8
            for (std::size_t k = 0; k < 8; ++k) a[k] = _mm256_loadu_ps(keys + (first + k) * headDim + d);
#pragma GCC unroll 4
            for (std::size_t k = 0; k < 8; k += 2) {
                b[k] = _mm256_unpacklo_ps(a[k], a[k + 1]);
                b[k + 1] = _mm256_unpackhi_ps(a[k], a[k + 1]);
            }
#pragma GCC unroll 2
            for (std::size_t k = 0; k < 8; k += 4) {  // a[k + c]: channels c and 4 + c of keys k to k + 3
                a[k] = _mm256_shuffle_ps(b[k], b[k + 2], 0x44);
                a[k + 1] = _mm256_shuffle_ps(b[k], b[k + 2], 0xee);
                a[k + 2] = _mm256_shuffle_ps(b[k + 1], b[k + 3], 0x44);
                a[k + 3] = _mm256_shuffle_ps(b[k + 1], b[k + 3], 0xee);
            }
#pragma GCC unroll 4
            for (std::size_t c = 0; c < 4; ++c) {
                float* to = columns + (d + c) * kGroupTokens + first;
                _mm256_store_ps(to, _mm256_permute2f128_ps(a[c], a[4 + c], 0x20));
                _mm256_store_ps(to + 4 * kGroupTokens, _mm256_permute2f128_ps(a[c], a[4 + c], 0x31));
            }
        }
}

CARREL_AVX2 CARREL_INLINE float lanesSum256(__m256 low, __m256 high) {
    const __m256 eight = _mm256_add_ps(low, high);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

template <std::size_t Rows, std::size_t Vectors>
CARREL_AVX2 CARREL_INLINE void addValues256(const float* values, std::size_t headDim, std::size_t tokens,
                                            const float* p, const Weights* weights, std::size_t d, float* out) {
    __m256 sum[Rows][Vectors];
#pragma GCC unroll 8
    for (std::size_t r = 0; r < Rows; ++r)
#pragma GCC unroll 2
        for (std::size_t v = 0; v < Vectors; ++v) sum[r][v] = _mm256_setzero_ps();
    for (std::size_t key = 0; key < tokens; ++key) {
        __m256 value[Vectors];
#pragma GCC unroll 2
        for (std::size_t v = 0; v < Vectors; ++v) value[v] = _mm256_loadu_ps(values + key * headDim + d + 8 * v);
#pragma GCC unroll 8
        for (std::size_t r = 0; r < Rows; ++r) {
            const __m256 share = _mm256_broadcast_ss(p + r * kGroupTokens + key);
#pragma GCC unroll 2
            for (std::size_t v = 0; v < Vectors; ++v) sum[r][v] = _mm256_fmadd_ps(share, value[v], sum[r][v]);
        }
    }
#pragma GCC unroll 8
    for (std::size_t r = 0; r < Rows; ++r)
#pragma GCC unroll 2
        for (std::size_t v = 0; v < Vectors; ++v) {
            float* at = out + r * headDim + d + 8 * v;
            const __m256 before = _mm256_mul_ps(_mm256_loadu_ps(at), _mm256_set1_ps(weights[r].old));
            _mm256_storeu_ps(at, _mm256_fmadd_ps(sum[r][v], _mm256_set1_ps(weights[r].fresh), before));
        }
}

template <std::size_t Rows>
CARREL_AVX2 CARREL_INLINE void scoreFew256(const float* q, const std::uint32_t* position, std::size_t headDim,
                                           const KvRun& run, const LoadedRun& loaded, float* columns, float* p) {
    constexpr std::size_t kVectors = Rows > 4 ? 1 : 2;
    transpose256(loaded.keys, headDim, columns);
    const Reach reach(run);
    const __m256i farthest = _mm256_set1_epi32(static_cast<int>(reach.window - 1));
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    for (std::size_t first = 0; first < kGroupTokens; first += 8 * kVectors) {
        __m256 dot[Rows][kVectors];
#pragma GCC unroll 8
        for (std::size_t r = 0; r < Rows; ++r)
#pragma GCC unroll 2
            for (std::size_t v = 0; v < kVectors; ++v) dot[r][v] = _mm256_load_ps(loaded.bias + first + 8 * v);
        for (std::size_t d = 0; d < headDim; ++d) {
            __m256 key[kVectors];
#pragma GCC unroll 2
            for (std::size_t v = 0; v < kVectors; ++v)
                key[v] = _mm256_load_ps(columns + d * kGroupTokens + first + 8 * v);
#pragma GCC unroll 8
            for (std::size_t r = 0; r < Rows; ++r) {
                const __m256 row = _mm256_broadcast_ss(q + d * Rows + r);
#pragma GCC unroll 2
                for (std::size_t v = 0; v < kVectors; ++v) dot[r][v] = _mm256_fmadd_ps(row, key[v], dot[r][v]);
            }
        }
#pragma GCC unroll 2
        for (std::size_t v = 0; v < kVectors; ++v) {
            const auto at = static_cast<std::uint32_t>(first + 8 * v);
            const __m256i reaches =
                _mm256_add_epi32(_mm256_set1_epi32(static_cast<int>(reach.first + at * reach.step)),
                                 _mm256_mullo_epi32(lane, _mm256_set1_epi32(static_cast<int>(reach.step))));
#pragma GCC unroll 8
            for (std::size_t r = 0; r < Rows; ++r) {
                const __m256i behind = _mm256_sub_epi32(_mm256_set1_epi32(static_cast<int>(position[r])), reaches);
                const __m256i seen = _mm256_cmpeq_epi32(_mm256_min_epu32(behind, farthest), behind);
                _mm256_store_ps(p + r * kGroupTokens + at,
                                _mm256_blendv_ps(_mm256_set1_ps(kMasked), dot[r][v], _mm256_castsi256_ps(seen)));
            }
        }
    }
}

template <std::size_t Rows>
CARREL_AVX2 void attendFew256(const float* q, const std::uint32_t* position, std::size_t headDim, const KvRun& run,
                              const LoadedRun& loaded, const AttendState& state, float* scratch, float* sums,
                              float* runMax) {
    constexpr std::size_t kVectors = Rows > 4 ? 1 : 2;
    const bool rest = run.rest != nullptr;
    float* columns = scratch;                                             // [headDim, 64]
    float* p = rest ? loaded.weights : columns + headDim * kGroupTokens;  // [Rows, 64]
    if (!rest) scoreFew256<Rows>(q, position, headDim, run, loaded, columns, p);
    float m[Rows];
    Weights weights[Rows];
    for (std::size_t r = 0; r < Rows; ++r) {
        float* scores = p + r * kGroupTokens;
        __m256 e[8];
#pragma GCC unroll 8
        for (std::size_t i = 0; i < 8; ++i) e[i] = _mm256_load_ps(scores + 8 * i);
        const __m256 most = _mm256_max_ps(_mm256_max_ps(_mm256_max_ps(e[0], e[1]), _mm256_max_ps(e[2], e[3])),
                                          _mm256_max_ps(_mm256_max_ps(e[4], e[5]), _mm256_max_ps(e[6], e[7])));
        const __m128 four = _mm_max_ps(_mm256_castps256_ps128(most), _mm256_extractf128_ps(most, 1));
        const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
        m[r] = std::max(kNothing, rest ? loaded.origin[r] : _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two))));
#pragma GCC unroll 8
        for (std::size_t i = 0; i < 8; ++i) {
            if (rest) continue;
            e[i] = exp256(_mm256_sub_ps(e[i], _mm256_set1_ps(m[r])));
            _mm256_store_ps(scores + 8 * i, e[i]);
        }
        float quarter[4];
#pragma GCC unroll 4
        for (std::size_t i = 0; i < 4; ++i) quarter[i] = lanesSum256(e[2 * i], e[2 * i + 1]);
        weights[r] = weigh<true>(state.m[r], m[r]);
        state.sum[r] = together<true>(state.sum[r], (quarter[0] + quarter[1]) + (quarter[2] + quarter[3]), weights[r]);
        state.m[r] = weights[r].m;
    }
    if (sums != nullptr) {
        std::copy_n(m, Rows, runMax);
        forSegments(run, [p, &sums](std::size_t at, std::size_t keys, std::size_t) CARREL_AVX2 {
            for (std::size_t r = 0; r < Rows; ++r) {
                float of[kLeafTokens] = {};
                std::copy_n(p + r * kGroupTokens + at, keys, of);
                *sums++ = lanesSum256(_mm256_loadu_ps(of), _mm256_loadu_ps(of + 8));
            }
        });
    }
    std::size_t d = 0;
    for (; d + 8 * kVectors <= headDim; d += 8 * kVectors)
        addValues256<Rows, kVectors>(loaded.values, headDim, run.tokens, p, weights, d, state.out);
    for (; d < headDim; d += 8) addValues256<Rows, 1>(loaded.values, headDim, run.tokens, p, weights, d, state.out);
}

}  // namespace

void attendFewAvx512(const float* q, const std::uint32_t* position, std::size_t rows, std::size_t headDim,
                     const KvRun& run, const LoadedRun& loaded, const AttendState& state, float* scratch, float* sums,
                     float* runMax) {
    static_assert(kFewRows == 8);
    constexpr decltype(&attendFew512<1>) kByRows[] = {attendFew512<1>, attendFew512<2>, attendFew512<3>,
                                                      attendFew512<4>, attendFew512<5>, attendFew512<6>,
                                                      attendFew512<7>, attendFew512<8>};
    kByRows[rows - 1](q, position, headDim, run, loaded, state, scratch, sums, runMax);
}

void attendFewAvx2(const float* q, const std::uint32_t* position, std::size_t rows, std::size_t headDim,
                   const KvRun& run, const LoadedRun& loaded, const AttendState& state, float* scratch, float* sums,
                   float* runMax) {
    constexpr decltype(&attendFew256<1>) kByRows[] = {attendFew256<1>, attendFew256<2>, attendFew256<3>,
                                                      attendFew256<4>, attendFew256<5>, attendFew256<6>,
                                                      attendFew256<7>, attendFew256<8>};
    kByRows[rows - 1](q, position, headDim, run, loaded, state, scratch, sums, runMax);
}

#endif

}  // namespace carrel

#include <algorithm>

#include "compute/cpu/attention_math.h"

namespace carrel {

namespace {

CARREL_INLINE float sumOf(const float* p, std::size_t stride, std::size_t keys) {
    float of[kLeafTokens] = {};
    for (std::size_t k = 0; k < keys; ++k) of[k] = p[k * stride];
    return segmentSum(of);
}

// The two loops that take the time. Inner loops run over rows, so that a compiler can put rows into lanes.
struct Plain {
    // scores [64, rows]
    static void dots(const float* q, std::size_t rows, std::size_t headDim, const LoadedRun& loaded, float* scores) {
        for (std::size_t key = 0; key < kGroupTokens; ++key, scores += rows) {
            std::fill_n(scores, rows, loaded.bias[key]);
            for (std::size_t d = 0; d < headDim; ++d)
                for (std::size_t r = 0; r < rows; ++r)
                    scores[r] = madd<false>(q[d * rows + r], loaded.keys[key * headDim + d], scores[r]);
        }
    }
    static void addValues(const float* p, const float* old, const float* fresh, std::size_t rows, std::size_t headDim,
                          const float* values, std::size_t tokens, float* out) {
        const std::size_t rowStep = rows <= kFewRows ? headDim : 1, channelStep = rows <= kFewRows ? 1 : rows;
        for (std::size_t d = 0; d < headDim; ++d, out += channelStep) {
            float sum[kAttendRows] = {};
            for (std::size_t key = 0; key < tokens; ++key)
                for (std::size_t r = 0; r < rows; ++r)
                    sum[r] = madd<false>(p[key * rows + r], values[key * headDim + d], sum[r]);
            for (std::size_t r = 0; r < rows; ++r)
                out[r * rowStep] = madd<false>(sum[r], fresh[r], out[r * rowStep] * old[r]);
        }
    }
};

// m [rows] becomes the greatest score, p [64, rows] exp(score - m).
template <bool Fused, class Loops>
CARREL_INLINE void weighKeys(const float* q, const std::uint32_t* position, std::size_t rows, std::size_t headDim,
                             const KvRun& run, const LoadedRun& loaded, float* p, float* m) {
    const Reach reach(run);
    Loops::dots(q, rows, headDim, loaded, p);
    for (std::size_t key = 0; key < kGroupTokens; ++key) {
        float* scores = p + key * rows;
        const auto from = reach.first + static_cast<std::uint32_t>(key) * reach.step;
        for (std::size_t r = 0; r < rows; ++r) {
            if (position[r] - from >= reach.window) scores[r] = kMasked;
            m[r] = std::max(m[r], scores[r]);
        }
    }
    for (std::size_t key = 0; key < kGroupTokens; ++key)
        for (std::size_t r = 0; r < rows; ++r) p[key * rows + r] = expFast<Fused>(p[key * rows + r] - m[r]);
}

template <bool Fused, class Loops>
CARREL_INLINE void attendRun(const float* q, const std::uint32_t* position, std::size_t rows, std::size_t headDim,
                             const KvRun& run, const LoadedRun& loaded, const AttendState& state, float* scratch,
                             float* sums, float* runMax) {
    float* p = run.rest != nullptr ? loaded.weights : scratch;  // [64, rows]
    float m[kAttendRows], old[kAttendRows], fresh[kAttendRows];
    std::fill_n(m, rows, kNothing);
    if (run.rest != nullptr)
        for (std::size_t r = 0; r < rows; ++r) m[r] = std::max(m[r], loaded.origin[r]);
    else
        weighKeys<Fused, Loops>(q, position, rows, headDim, run, loaded, p, m);
    for (std::size_t r = 0; r < rows; ++r) {
        float quarter[4];
        for (std::size_t i = 0; i < 4; ++i) quarter[i] = sumOf(p + i * kLeafTokens * rows + r, rows, kLeafTokens);
        const Weights weights = weigh<Fused>(state.m[r], m[r]);
        state.sum[r] = together<Fused>(state.sum[r], (quarter[0] + quarter[1]) + (quarter[2] + quarter[3]), weights);
        state.m[r] = weights.m;
        old[r] = weights.old;
        fresh[r] = weights.fresh;
    }
    if (sums != nullptr) {
        forSegments(run, [&](std::size_t at, std::size_t keys, std::size_t) {
            for (std::size_t r = 0; r < rows; ++r) *sums++ = sumOf(p + at * rows + r, rows, keys);
        });
        std::copy_n(m, rows, runMax);
    }
    Loops::addValues(p, old, fresh, rows, headDim, loaded.values, run.tokens, state.out);
}

template <bool Fused>
CARREL_INLINE void merge(const AttendState& from, std::size_t rows, std::size_t headDim, const AttendState& into) {
    Weights weights[kAttendRows];
    for (std::size_t r = 0; r < rows; ++r) {
        weights[r] = weigh<Fused>(into.m[r], from.m[r]);
        into.sum[r] = together<Fused>(into.sum[r], from.sum[r], weights[r]);
        into.m[r] = weights[r].m;
    }
    if (rows <= kFewRows) {
        for (std::size_t r = 0; r < rows; ++r)
            for (std::size_t i = r * headDim; i < (r + 1) * headDim; ++i)
                into.out[i] = together<Fused>(into.out[i], from.out[i], weights[r]);
        return;
    }
    for (std::size_t d = 0; d < headDim; ++d)
        for (std::size_t r = 0; r < rows; ++r)
            into.out[d * rows + r] = together<Fused>(into.out[d * rows + r], from.out[d * rows + r], weights[r]);
}

void attendRunScalar(const float* q, const std::uint32_t* position, std::size_t rows, std::size_t headDim,
                     const KvRun& run, const LoadedRun& loaded, const AttendState& state, float* scratch, float* sums,
                     float* runMax) {
    attendRun<false, Plain>(q, position, rows, headDim, run, loaded, state, scratch, sums, runMax);
}
void mergeScalar(const AttendState& from, std::size_t rows, std::size_t headDim, const AttendState& into) {
    merge<false>(from, rows, headDim, into);
}

#if defined(__x86_64__)

// Rows a multiple of 16, headDim of 4: 8 sums in registers at a time.
struct Lanes256 {
    CARREL_AVX2 static void dots(const float* q, std::size_t rows, std::size_t headDim, const LoadedRun& loaded,
                                 float* scores) {
        for (std::size_t r = 0; r < rows; r += 16)
            for (std::size_t first = 0; first < kGroupTokens; first += 4) {
                __m256 dot[4][2];
#pragma GCC unroll 4
                for (std::size_t k = 0; k < 4; ++k) dot[k][0] = dot[k][1] = _mm256_set1_ps(loaded.bias[first + k]);
                for (std::size_t d = 0; d < headDim; ++d) {
                    const __m256 low = _mm256_load_ps(q + d * rows + r), high = _mm256_load_ps(q + d * rows + r + 8);
#pragma GCC unroll 4
                    for (std::size_t k = 0; k < 4; ++k) {
                        const __m256 key = _mm256_broadcast_ss(loaded.keys + (first + k) * headDim + d);
                        dot[k][0] = _mm256_fmadd_ps(low, key, dot[k][0]);
                        dot[k][1] = _mm256_fmadd_ps(high, key, dot[k][1]);
                    }
                }
#pragma GCC unroll 4
                for (std::size_t k = 0; k < 4; ++k) {
                    _mm256_store_ps(scores + (first + k) * rows + r, dot[k][0]);
                    _mm256_store_ps(scores + (first + k) * rows + r + 8, dot[k][1]);
                }
            }
    }
    CARREL_AVX2 static void addValues(const float* p, const float* old, const float* fresh, std::size_t rows,
                                      std::size_t headDim, const float* values, std::size_t tokens, float* out) {
        for (std::size_t r = 0; r < rows; r += 16)
            for (std::size_t d = 0; d < headDim; d += 4) {
                float* to = out + d * rows + r;
                __m256 sum[4][2];
#pragma GCC unroll 4
                for (std::size_t c = 0; c < 4; ++c) sum[c][0] = sum[c][1] = _mm256_setzero_ps();
                for (std::size_t key = 0; key < tokens; ++key) {
                    const __m256 share = _mm256_load_ps(p + key * rows + r),
                                 share2 = _mm256_load_ps(p + key * rows + r + 8);
#pragma GCC unroll 4
                    for (std::size_t c = 0; c < 4; ++c) {
                        const __m256 value = _mm256_broadcast_ss(values + key * headDim + d + c);
                        sum[c][0] = _mm256_fmadd_ps(share, value, sum[c][0]);
                        sum[c][1] = _mm256_fmadd_ps(share2, value, sum[c][1]);
                    }
                }
#pragma GCC unroll 4
                for (std::size_t c = 0; c < 4; ++c)
#pragma GCC unroll 2
                    for (std::size_t half = 0; half < 2; ++half) {
                        float* at = to + c * rows + 8 * half;
                        const __m256 before = _mm256_mul_ps(_mm256_load_ps(at), _mm256_loadu_ps(old + r + 8 * half));
                        _mm256_store_ps(at,
                                        _mm256_fmadd_ps(sum[c][half], _mm256_loadu_ps(fresh + r + 8 * half), before));
                    }
            }
    }
};

CARREL_AVX2 void attendRunAvx2(const float* q, const std::uint32_t* position, std::size_t rows, std::size_t headDim,
                               const KvRun& run, const LoadedRun& loaded, const AttendState& state, float* scratch,
                               float* sums, float* runMax) {
    if (rows <= kFewRows)
        attendFewAvx2(q, position, rows, headDim, run, loaded, state, scratch, sums, runMax);
    else
        attendRun<true, Lanes256>(q, position, rows, headDim, run, loaded, state, scratch, sums, runMax);
}
CARREL_AVX2 void mergeAvx2(const AttendState& from, std::size_t rows, std::size_t headDim, const AttendState& into) {
    merge<true>(from, rows, headDim, into);
}
CARREL_AVX512 void mergeAvx512(const AttendState& from, std::size_t rows, std::size_t headDim,
                               const AttendState& into) {
    merge<true>(from, rows, headDim, into);
}

template <std::size_t Vectors>
CARREL_AVX512 void storeSums512(const KvRun& run, const float* p, float* sums) {
    const auto store = [p, &sums](std::size_t at, std::size_t keys, std::size_t) CARREL_AVX512 {
        for (std::size_t v = 0; v < Vectors; ++v, sums += 16) {
            __m512 e[kLeafTokens];
            for (std::size_t k = 0; k < kLeafTokens; ++k)
                e[k] = k < keys ? _mm512_load_ps(p + ((at + k) * Vectors + v) * 16) : _mm512_setzero_ps();
            _mm512_storeu_ps(sums, segmentSum512(e));
        }
    };
    forSegments(run, store);
}

// Vectors of 16 rows; 16 sums in registers at a time, each of one row (in lanes) and key, or row and channel.
template <std::size_t Vectors>
CARREL_AVX512 void attendVectors512(const float* q, const std::uint32_t* position, std::size_t headDim,
                                    const KvRun& run, const LoadedRun& loaded, const AttendState& state, float* p,
                                    float* sums, float* runMax) {
    constexpr std::size_t kRows = Vectors * 16,
                          kKeys = Vectors == 1   ? 16
                                  : Vectors == 2 ? 8
                                                 : 4,
                          kChannels = Vectors < 3 ? 8 : 4;
    const float *keys = loaded.keys, *values = loaded.values;
    const Reach reach(run);
    const __m512i window = _mm512_set1_epi32(static_cast<int>(reach.window));
    __m512 m[Vectors];
    for (std::size_t v = 0; v < Vectors; ++v) m[v] = _mm512_set1_ps(kNothing);
    const bool rest = run.rest != nullptr;
    if (rest)
        for (std::size_t v = 0; v < Vectors; ++v) m[v] = _mm512_max_ps(m[v], _mm512_load_ps(loaded.origin + 16 * v));
    if (rest) p = loaded.weights;
    std::size_t seen = run.tokens;  // of the keys, by some row
    if (reach.step != 0 && !rest) {
        __m512i newest = _mm512_setzero_si512();
        for (std::size_t v = 0; v < Vectors; ++v)
            newest = _mm512_max_epu32(newest, _mm512_loadu_si512(position + 16 * v));
        seen = std::min<std::size_t>(seen, _mm512_reduce_max_epu32(newest) - reach.first + 1);
    }
    const std::size_t leaves = (seen + kLeafTokens - 1) / kLeafTokens;
    for (std::size_t first = 0; first < leaves * kLeafTokens && !rest; first += kKeys) {
        __m512 dot[kKeys][Vectors];
#pragma GCC unroll 16
        for (std::size_t k = 0; k < kKeys; ++k)
#pragma GCC unroll 4
            for (std::size_t v = 0; v < Vectors; ++v) dot[k][v] = _mm512_set1_ps(loaded.bias[first + k]);
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
            const __m512i reaches = _mm512_set1_epi32(static_cast<int>(reach.first + at * reach.step));
#pragma GCC unroll 4
            for (std::size_t v = 0; v < Vectors; ++v) {
                const __m512i behind = _mm512_sub_epi32(_mm512_loadu_si512(position + 16 * v), reaches);
                const __mmask16 within = _mm512_cmplt_epu32_mask(behind, window);
                const __m512 score = _mm512_mask_mov_ps(_mm512_set1_ps(kMasked), within, dot[k][v]);
                m[v] = _mm512_max_ps(m[v], score);
                _mm512_store_ps(p + at * kRows + 16 * v, score);
            }
        }
    }
    __m512 old[Vectors], fresh[Vectors];
    for (std::size_t v = 0; v < Vectors; ++v) {
        __m512 quarter[4] = {};
        for (std::size_t i = 0; i < leaves; ++i) {
            __m512 e[kLeafTokens];
#pragma GCC unroll 16
            for (std::size_t k = 0; k < kLeafTokens; ++k) {
                float* at = p + (i * kLeafTokens + k) * kRows + 16 * v;
                e[k] = _mm512_load_ps(at);
                if (rest) continue;
                e[k] = exp512(_mm512_sub_ps(e[k], m[v]));
                _mm512_store_ps(at, e[k]);
            }
            quarter[i] = segmentSum512(e);
        }
        takeSums512(state, v, m[v], quarter, old[v], fresh[v]);
        if (sums != nullptr) _mm512_storeu_ps(runMax + 16 * v, m[v]);
    }
    if (sums != nullptr) {
        std::fill(p + leaves * kLeafTokens * kRows, p + kGroupTokens * kRows, 0.0f);
        storeSums512<Vectors>(run, p, sums);
    }
    for (std::size_t d = 0; d < headDim; d += kChannels) {
        __m512 out[kChannels][Vectors];
#pragma GCC unroll 8
        for (std::size_t c = 0; c < kChannels; ++c)
#pragma GCC unroll 4
            for (std::size_t v = 0; v < Vectors; ++v) out[c][v] = _mm512_setzero_ps();
        for (std::size_t key = 0; key < seen; ++key) {
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
            for (std::size_t v = 0; v < Vectors; ++v) {
                float* at = state.out + (d + c) * kRows + 16 * v;
                _mm512_store_ps(at, _mm512_fmadd_ps(out[c][v], fresh[v], _mm512_mul_ps(_mm512_load_ps(at), old[v])));
            }
    }
}

void attendRunAvx512(const float* q, const std::uint32_t* position, std::size_t rows, std::size_t headDim,
                     const KvRun& run, const LoadedRun& loaded, const AttendState& state, float* scratch, float* sums,
                     float* runMax) {
    if (rows <= kFewRows) return attendFewAvx512(q, position, rows, headDim, run, loaded, state, scratch, sums, runMax);
    const auto attend = rows == 16   ? attendVectors512<1>
                        : rows == 32 ? attendVectors512<2>
                        : rows == 48 ? attendVectors512<3>
                                     : attendVectors512<4>;
    attend(q, position, headDim, run, loaded, state, scratch, sums, runMax);
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

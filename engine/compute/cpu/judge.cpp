#include "compute/cpu/judge.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "compute/cpu/intrinsics.h"
#include "compute/cpu/judge_math.h"
#include "compute/cpu/scratch.h"

namespace carrel {

namespace {

constexpr std::size_t kLanes = 16;
constexpr std::size_t kAhead = 2;  // groups whose codes are fetched while one is scored

// Products of a row with the codes of one group: score = base + step * sum of q * code.
struct Fold {
    std::int8_t* q;  // [rows, kJudgeMaxHeadDim]
    float *step, *base;
};
struct Lanes {
    float *step, *middle;  // [headDim], of one group: 64 * step of the keys, and the middle of the lowest bin
    float* sums;           // [rows, 16]
    std::uint8_t* codes;   // one leaf's, unpacked: [headDim / 4, 16, 4]
    Fold fold;
};

Lanes lanesIn(Carver carver, std::size_t rows, std::size_t headDim, std::size_t* used = nullptr) {
    Lanes out{};
    out.step = carver.take<float>(headDim);
    out.middle = carver.take<float>(headDim);
    out.sums = carver.take<float>(rows * kLanes);
    out.codes = carver.take<std::uint8_t>(headDim * kLeafTokens);
    out.fold.q = carver.take<std::int8_t>(rows * kJudgeMaxHeadDim);
    out.fold.step = carver.take<float>(rows + kJudgeRows);  // written in whole blocks
    out.fold.base = carver.take<float>(rows + kJudgeRows);
    if (used != nullptr) *used = carver.used();
    return out;
}

// The grid of a group: codes are the high 2 of 8 bits, so a bin is 64 steps wide and its middle 31.5 above its least.
CARREL_INLINE void loadGrid(const std::byte* group, std::size_t headDim, FromF16Fn fromF16, const Lanes& to) {
    const auto* grid = reinterpret_cast<const std::uint16_t*>(
        group + kGroupLeaves * planeLeafBytes(static_cast<std::uint32_t>(headDim)));
    fromF16(grid, headDim, to.middle);
    fromF16(grid + headDim, headDim, to.step);
    for (std::size_t d = 0; d < headDim; ++d) {
        to.middle[d] += 31.5f * to.step[d];
        to.step[d] *= 64.0f;
    }
}

// To nearest even.
CARREL_INLINE std::int8_t roundByte(float value) {
    constexpr float kRound = 12582912.0f;  // 1.5 * 2^23
    return static_cast<std::int8_t>((value + kRound) - kRound);
}

CARREL_INLINE void foldRow(const JudgeRows& rows, std::size_t r, const Lanes& lanes) {
    const float* q = rows.q + r * rows.headDim;
    float base[kLanes] = {}, most[kLanes] = {};
    for (std::size_t d = 0; d < rows.headDim; d += kLanes)
        for (std::size_t i = 0; i < kLanes; ++i) {
            base[i] += q[d + i] * lanes.middle[d + i];
            most[i] = std::max(most[i], std::fabs(q[d + i] * lanes.step[d + i]));
        }
    const float greatest = *std::max_element(most, most + kLanes);
    const bool finite = greatest > 0 && greatest <= std::numeric_limits<float>::max();
    const float inverse = finite ? 127 / greatest : 0;
    for (std::size_t d = 0; d < rows.headDim; d += kLanes) {
        std::int8_t rounded[kLanes];
        for (std::size_t i = 0; i < kLanes; ++i)
            rounded[i] = finite ? roundByte(q[d + i] * lanes.step[d + i] * inverse) : std::int8_t{0};
        std::memcpy(lanes.fold.q + r * kJudgeMaxHeadDim + d, rounded, kLanes);
    }
    lanes.fold.step[r] = greatest * (1.0f / 127);
    lanes.fold.base[r] = sumLanes(base) - rows.exact[r];
}

CARREL_INLINE void unpackLeaf(const std::byte* plane, std::size_t headDim, std::uint8_t* codes) {
    for (std::size_t block = 0; block < headDim / 16; ++block)
        for (std::size_t s = 0; s < 4; ++s)
            for (std::size_t i = 0; i < 64; ++i)
                codes[(4 * block + s) * 64 + i] =
                    static_cast<std::uint8_t>(std::to_integer<unsigned>(plane[64 * block + i]) >> (2 * s) & 3);
}

// dot: the products of one row with 16 keys, s32 [16]. finish: from these to scores, and to sums if there are.
template <class Dot, class Finish>
CARREL_INLINE void scan(const JudgeRows& rows, const JudgePart& part, FromF16Fn fromF16, const Dot& dot,
                        const Finish& finish) {
    const auto headDim = static_cast<std::uint32_t>(rows.headDim);
    const Lanes lanes = lanesIn(Carver(part.scratch), rows.rows, headDim);
    std::fill_n(lanes.sums, rows.rows * kLanes, 0.0f);
    for (std::size_t g = 0; g < part.groups; ++g) {
        const std::byte* group = part.codes + g * codesBytes(headDim);
        loadGrid(group, headDim, fromF16, lanes);
        for (std::size_t r = 0; r < rows.rows; ++r) foldRow(rows, r, lanes);
        for (std::size_t leaf = 0; leaf < kGroupLeaves; ++leaf) {
            const std::size_t at = g * kGroupLeaves + leaf;
            const bool counts = at >= part.first && at < part.end;
            unpackLeaf(group + leaf * planeLeafBytes(headDim), headDim, lanes.codes);
            for (std::size_t r = 0; r < rows.rows; ++r) {
                std::int32_t products[kLanes];
                dot(lanes.codes, lanes.fold.q + r * kJudgeMaxHeadDim, headDim, products);
                std::int16_t* scores = part.scores + (g * rows.rows + r) * kGroupTokens + leaf * kLeafTokens;
                float* sums = lanes.sums + r * kLanes;
                finish(products, lanes.fold.step[r], lanes.fold.base[r], scores, counts ? sums : nullptr);
            }
        }
    }
    for (std::size_t r = 0; r < rows.rows; ++r) part.sums[r] = sumLanes(lanes.sums + r * kLanes);
}

void fromF16Scalar(const std::uint16_t* from, std::size_t n, float* to) {
    for (std::size_t i = 0; i < n; ++i) to[i] = f16ToF32(from[i]);
}
void scanScalar(const JudgeRows& rows, const JudgePart& part) {
    scan(
        rows, part, fromF16Scalar,
        [](const std::uint8_t* codes, const std::int8_t* q, std::size_t headDim, std::int32_t* out) {
            std::fill_n(out, kLanes, 0);
            for (std::size_t d = 0; d < headDim; ++d)
                for (std::size_t t = 0; t < kLanes; ++t) out[t] += codes[d / 4 * 64 + 4 * t + d % 4] * q[d];
        },
        [](const std::int32_t* products, float step, float base, std::int16_t* scores, float* sums) {
            for (std::size_t i = 0; i < kLanes; ++i) {
                const float score = limitScore(static_cast<float>(products[i]) * step + base);
                scores[i] = roundScore(score);
                if (sums != nullptr) sums[i] += exp2Score(score);
            }
        });
}

#if defined(__x86_64__)

CARREL_AVX2 void fromF16Avx2(const std::uint16_t* from, std::size_t n, float* to) {
    for (std::size_t i = 0; i < n; i += 8)
        _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i))));
}

CARREL_AVX2 void dotAvx2(const std::uint8_t* codes, const std::int8_t* q, std::size_t headDim, std::int32_t* out) {
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i sums[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    // A pair of products is at most 2 * 3 * 127: 32 of them stay inside 16 bits.
    for (std::size_t first = 0; first < headDim / 4; first += 32) {
        __m256i pairs[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
        for (std::size_t i = first; i < std::min(headDim / 4, first + 32); ++i) {
            std::int32_t four;
            std::memcpy(&four, q + 4 * i, 4);
            const __m256i query = _mm256_set1_epi32(four);
            const auto* at = reinterpret_cast<const __m256i*>(codes + 64 * i);
            for (std::size_t h = 0; h < 2; ++h)
                pairs[h] = _mm256_add_epi16(pairs[h], _mm256_maddubs_epi16(_mm256_loadu_si256(at + h), query));
        }
        for (std::size_t h = 0; h < 2; ++h) sums[h] = _mm256_add_epi32(sums[h], _mm256_madd_epi16(pairs[h], ones));
    }
    for (std::size_t h = 0; h < 2; ++h) _mm256_storeu_si256(reinterpret_cast<__m256i*>(out) + h, sums[h]);
}
CARREL_AVX2 void finishAvx2(const std::int32_t* products, float step, float base, std::int16_t* scores, float* sums) {
    __m256i rounded[2];
    for (std::size_t h = 0; h < 2; ++h) {
        const __m256 product =
            _mm256_cvtepi32_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(products + 8 * h)));
        __m256 score = _mm256_add_ps(_mm256_mul_ps(product, _mm256_set1_ps(step)), _mm256_set1_ps(base));
        score = _mm256_min_ps(_mm256_max_ps(score, _mm256_set1_ps(-kScoreLimit)), _mm256_set1_ps(kScoreLimit));
        const __m256i bits = _mm256_castps_si256(_mm256_add_ps(score, _mm256_set1_ps(kRoundScore)));
        rounded[h] = _mm256_srai_epi32(_mm256_slli_epi32(bits, 16), 16);
        if (sums == nullptr) continue;
        const __m256 n = _mm256_floor_ps(score), f = _mm256_sub_ps(score, n);
        __m256 p = _mm256_fmadd_ps(_mm256_set1_ps(kExp2Cubic[3]), f, _mm256_set1_ps(kExp2Cubic[2]));
        p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(kExp2Cubic[1]));
        p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(kExp2Cubic[0]));
        const __m256i power = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
        const __m256 exp = _mm256_mul_ps(p, _mm256_castsi256_ps(power));
        _mm256_storeu_ps(sums + 8 * h, _mm256_add_ps(_mm256_loadu_ps(sums + 8 * h), exp));
    }
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(scores),
                        _mm256_permute4x64_epi64(_mm256_packs_epi32(rounded[0], rounded[1]), 0b11011000));
}
CARREL_AVX2 void scanAvx2(const JudgeRows& rows, const JudgePart& part) {
    scan(rows, part, fromF16Avx2, dotAvx2, finishAvx2);
}

CARREL_AVX512 CARREL_INLINE __m512 halves512(const std::uint16_t* from) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
CARREL_AVX512 void fromF16Avx512(const std::uint16_t* from, std::size_t n, float* to) {
    for (std::size_t i = 0; i < n; i += 16) _mm512_storeu_ps(to + i, halves512(from + i));
}

struct Sum512 {
    CARREL_AVX512 CARREL_INLINE static __m512 of(__m512 a, __m512 b) { return _mm512_add_ps(a, b); }
};
struct Most512 {
    CARREL_AVX512 CARREL_INLINE static __m512 of(__m512 a, __m512 b) { return _mm512_max_ps(a, b); }
};
// Eight vectors to their eight sums or maxima.
template <class Op>
CARREL_AVX512 CARREL_INLINE __m256 acrossLanes512(const __m512 (&v)[kJudgeRows]) {
    __m512 t[4], u[2];
#pragma GCC unroll 4
    for (std::size_t i = 0; i < 4; ++i)
        t[i] = Op::of(_mm512_shuffle_f32x4(v[i], v[i + 4], 0x44), _mm512_shuffle_f32x4(v[i], v[i + 4], 0xEE));
#pragma GCC unroll 2
    for (std::size_t i = 0; i < 2; ++i)
        u[i] = Op::of(_mm512_unpacklo_ps(t[2 * i], t[2 * i + 1]), _mm512_unpackhi_ps(t[2 * i], t[2 * i + 1]));
    const __m512d x = _mm512_castps_pd(u[0]), y = _mm512_castps_pd(u[1]);
    const __m512 w = Op::of(_mm512_castpd_ps(_mm512_unpacklo_pd(x, y)), _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
    const __m512 all = Op::of(w, _mm512_shuffle_f32x4(w, w, 0xB1));
    return _mm512_castps512_ps256(_mm512_shuffle_f32x4(all, all, 0x08));
}

CARREL_AVX512 CARREL_INLINE void loadGrid512(const std::byte* group, std::size_t headDim, const Lanes& to) {
    const auto* grid = reinterpret_cast<const std::uint16_t*>(group + kGroupLeaves * 4 * headDim);
    for (std::size_t d = 0; d < headDim; d += kLanes) {
        const __m512 step = halves512(grid + headDim + d);
        _mm512_store_ps(to.middle + d, _mm512_fmadd_ps(step, _mm512_set1_ps(31.5f), halves512(grid + d)));
        _mm512_store_ps(to.step + d, _mm512_mul_ps(step, _mm512_set1_ps(64.0f)));
    }
}

CARREL_AVX512 CARREL_INLINE __m512i folded512(const float* q, const float* step, __m512 factor) {
    return _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_mul_ps(_mm512_loadu_ps(q), _mm512_load_ps(step)), factor));
}

// foldRow of `Rows` rows from row `first` on. Blocks: headDim / 16 where the compiler may know it, else 0.
template <std::size_t Rows, std::size_t Blocks>
CARREL_AVX512 CARREL_INLINE void foldBlock512(const JudgeRows& rows, std::size_t first, const Lanes& lanes) {
    const std::size_t blocks = Blocks != 0 ? Blocks : rows.headDim / 16, headDim = 16 * blocks;
    const float* q = rows.q + first * headDim;
    __m512 base[kJudgeRows], most[kJudgeRows];
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kJudgeRows; ++r) base[r] = most[r] = _mm512_setzero_ps();
#pragma GCC unroll 8
    for (std::size_t r = 0; r < Rows; ++r)
        for (std::size_t b = 0; b < blocks; ++b) {
            const __m512 query = _mm512_loadu_ps(q + r * headDim + 16 * b);
            base[r] = _mm512_fmadd_ps(query, _mm512_load_ps(lanes.middle + 16 * b), base[r]);
            // the greater absolute value, without its sign
            most[r] = _mm512_range_ps(most[r], _mm512_mul_ps(query, _mm512_load_ps(lanes.step + 16 * b)), 0b1011);
        }
    const __m256 greatest = acrossLanes512<Most512>(most);
    const __mmask8 finite = _mm256_cmp_ps_mask(greatest, _mm256_setzero_ps(), _CMP_GT_OQ) &
                            _mm256_cmp_ps_mask(greatest, _mm256_set1_ps(std::numeric_limits<float>::max()), _CMP_LE_OQ);
    alignas(32) float inverse[kJudgeRows];
    _mm256_store_ps(inverse, _mm256_maskz_div_ps(finite, _mm256_set1_ps(127), greatest));
    _mm256_storeu_ps(lanes.fold.step + first, _mm256_mul_ps(greatest, _mm256_set1_ps(1.0f / 127)));
    const __m256 exact = _mm256_maskz_loadu_ps(static_cast<__mmask8>((1u << Rows) - 1), rows.exact + first);
    _mm256_storeu_ps(lanes.fold.base + first, _mm256_sub_ps(acrossLanes512<Sum512>(base), exact));
    for (std::size_t r = 0; r < Rows; ++r) {
        const float* from = q + r * headDim;
        const __m512 factor = _mm512_set1_ps(inverse[r]);
        std::int8_t* to = lanes.fold.q + (first + r) * kJudgeMaxHeadDim;
        if constexpr (Blocks % 4 == 0 && Blocks != 0) {
            const __m512i inOrder = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            for (std::size_t d = 0; d < headDim; d += 64) {
                const __m512i low = _mm512_packs_epi32(folded512(from + d, lanes.step + d, factor),
                                                       folded512(from + d + 16, lanes.step + d + 16, factor));
                const __m512i high = _mm512_packs_epi32(folded512(from + d + 32, lanes.step + d + 32, factor),
                                                        folded512(from + d + 48, lanes.step + d + 48, factor));
                _mm512_storeu_si512(to + d, _mm512_permutexvar_epi32(inOrder, _mm512_packs_epi16(low, high)));
            }
        } else {
            for (std::size_t d = 0; d < headDim; d += 16)
                _mm_storeu_si128(reinterpret_cast<__m128i*>(to + d),
                                 _mm512_cvtsepi32_epi8(folded512(from + d, lanes.step + d, factor)));
        }
    }
}

// Two leaves of `Rows` rows from row `first` on. counts: bit i: leaf i is added up.
template <std::size_t Rows>
CARREL_AVX512 CARREL_INLINE void scanLeaves512(const std::byte* planes, std::size_t headDim, const Lanes& lanes,
                                               std::size_t first, unsigned counts, std::int16_t* scores) {
    const std::int8_t* q = lanes.fold.q + first * kJudgeMaxHeadDim;
    const __m512i low = _mm512_set1_epi8(3);
    __m512i sums[Rows][2];
#pragma GCC unroll 8
    for (std::size_t r = 0; r < Rows; ++r) sums[r][0] = sums[r][1] = _mm512_setzero_si512();
    for (std::size_t block = 0; block < headDim / 16; ++block) {
        __m512i packed[2] = {_mm512_loadu_si512(planes + 64 * block),
                             _mm512_loadu_si512(planes + 4 * headDim + 64 * block)};
#pragma GCC unroll 4
        for (std::size_t s = 0; s < 4; ++s) {
            __m512i codes[2];
#pragma GCC unroll 2
            for (std::size_t i = 0; i < 2; ++i)
                codes[i] = _mm512_and_si512(
                    s == 0 ? packed[i] : _mm512_srli_epi32(packed[i], static_cast<unsigned>(2 * s)), low);
#pragma GCC unroll 8
            for (std::size_t r = 0; r < Rows; ++r) {
                std::int32_t four;
                std::memcpy(&four, q + r * kJudgeMaxHeadDim + 16 * block + 4 * s, 4);
                const __m512i query = _mm512_set1_epi32(four);
                sums[r][0] = _mm512_dpbusd_epi32(sums[r][0], codes[0], query);
                sums[r][1] = _mm512_dpbusd_epi32(sums[r][1], codes[1], query);
            }
        }
    }
    const __mmask16 counted[2] = {static_cast<__mmask16>((counts & 1) != 0 ? 0xFFFF : 0),
                                  static_cast<__mmask16>((counts & 2) != 0 ? 0xFFFF : 0)};
#pragma GCC unroll 8
    for (std::size_t r = 0; r < Rows; ++r) {
        const __m512 step = _mm512_set1_ps(lanes.fold.step[first + r]);
        const __m512 base = _mm512_set1_ps(lanes.fold.base[first + r]);
        float* sumAt = lanes.sums + (first + r) * kLanes;
        __m512 sum = _mm512_load_ps(sumAt);
#pragma GCC unroll 2
        for (std::size_t i = 0; i < 2; ++i) {
            const __m512 score = limitScore512(_mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[r][i]), step, base));
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(scores + r * kGroupTokens + i * kLeafTokens),
                                roundScore512(score));
            sum = _mm512_mask_add_ps(sum, counted[i], sum, exp2Score512(score));
        }
        _mm512_store_ps(sumAt, sum);
    }
}

// Rows from row `first` on over one group; scores: of its first row.
template <std::size_t Rows, std::size_t Blocks>
CARREL_AVX512 void scanBlock512(const JudgeRows& rows, const std::byte* group, const Lanes& lanes, std::size_t first,
                                unsigned counts, std::int16_t* scores) {
    const std::size_t headDim = Blocks != 0 ? 16 * Blocks : rows.headDim;
    foldBlock512<Rows, Blocks>(rows, first, lanes);
    for (std::size_t leaf = 0; leaf < kGroupLeaves; leaf += 2)
        scanLeaves512<Rows>(group + leaf * 4 * headDim, headDim, lanes, first, counts >> leaf & 3,
                            scores + first * kGroupTokens + leaf * kLeafTokens);
}

template <std::size_t Blocks>
CARREL_AVX512 void scanGroups512(const JudgeRows& rows, const JudgePart& part) {
    using BlockFn = decltype(&scanBlock512<1, Blocks>);
    static constexpr BlockFn kBlocks[kJudgeRows] = {
        scanBlock512<1, Blocks>, scanBlock512<2, Blocks>, scanBlock512<3, Blocks>, scanBlock512<4, Blocks>,
        scanBlock512<5, Blocks>, scanBlock512<6, Blocks>, scanBlock512<7, Blocks>, scanBlock512<8, Blocks>};
    const std::size_t headDim = Blocks != 0 ? 16 * Blocks : rows.headDim;
    const Lanes lanes = lanesIn(Carver(part.scratch), rows.rows, headDim);
    std::fill_n(lanes.sums, rows.rows * kLanes, 0.0f);
    for (std::size_t g = 0; g < part.groups; ++g) {
        const std::byte* group = part.codes + g * codesBytes(static_cast<std::uint32_t>(headDim));
        unsigned counts = 0;
        for (std::size_t leaf = 0; leaf < kGroupLeaves; ++leaf) {
            const std::size_t at = g * kGroupLeaves + leaf;
            counts |= (at >= part.first && at < part.end ? 1u : 0u) << leaf;
        }
        // Codes come from memory, once; there is time to fetch them while others are multiplied.
        const std::size_t groupBytes = codesBytes(static_cast<std::uint32_t>(headDim));
        if (g + kAhead < part.groups)
            for (std::size_t at = 0; at < groupBytes; at += 64)
                _mm_prefetch(reinterpret_cast<const char*>(group + kAhead * groupBytes + at), _MM_HINT_T0);
        loadGrid512(group, headDim, lanes);
        for (std::size_t first = 0; first < rows.rows; first += kJudgeRows)
            kBlocks[std::min(kJudgeRows, rows.rows - first) - 1](rows, group, lanes, first, counts,
                                                                 part.scores + g * rows.rows * kGroupTokens);
    }
    for (std::size_t r = 0; r < rows.rows; ++r) part.sums[r] = sumLanes512(_mm512_load_ps(lanes.sums + r * kLanes));
}

CARREL_AVX512 void scanAvx512(const JudgeRows& rows, const JudgePart& part) {
    switch (rows.headDim) {
        case 64:
            return scanGroups512<4>(rows, part);
        case 128:
            return scanGroups512<8>(rows, part);
        default:
            return scanGroups512<0>(rows, part);
    }
}

#endif

}  // namespace

std::size_t scanScratchBytes(std::size_t rows, std::size_t headDim) {
    std::size_t used = 0;
    lanesIn(Carver(), rows, headDim, &used);
    return used;
}

const Variants<FromF16Fn> kFromF16 {
#if defined(__x86_64__)
    {Isa::Avx512, fromF16Avx512}, {Isa::Avx2, fromF16Avx2},
#endif
    {
        Isa::Scalar, fromF16Scalar
    }
};
const Variants<ScanFn> kScan {
#if defined(__x86_64__)
    {Isa::Avx512, scanAvx512}, {Isa::Avx2, scanAvx2},
#endif
    {
        Isa::Scalar, scanScalar
    }
};

}  // namespace carrel

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "compute/cpu/judge_math.h"
#include "compute/cpu/scratch.h"

#if defined(__x86_64__)

namespace carrel {

namespace {

constexpr std::size_t kLanes = 16;
constexpr std::size_t kAhead = 2;  // groups whose codes are fetched while one is scored

// A query's 8 bits of a group are the high bits of a product of two: of the query times a channel's weight, once per
// part, and of the group's step over the weight, once for all rows. Each has 11 bits at its greatest, so the product is
// at most 127 * 2^15 and nothing is looked up again; what is lost where the greatest do not meet is far below what the
// codes themselves leave out.
constexpr float kMostFactor = 2039;

// Of one group.
struct Grid {
    float* middle;         // [headDim], of the lowest bin
    std::int16_t* factor;  // [kJudgeMaxHeadDim], ordered for packing
    float scale;           // times rowScale: the step of scores
};
// score = base + step * sum of q * code, in 256ths.
struct Lanes {
    float *weight, *inverse;  // [headDim], of the part: the steps' sum, and 1 by it
    std::int16_t* rowFactor;  // [rows, kJudgeMaxHeadDim], ordered for packing
    float* rowScale;          // [rows]
    float* ratio;             // [headDim]
    Grid grid, next;
    std::int8_t* q;      // [rows, kJudgeMaxHeadDim]
    float *step, *base;  // [rows], written in blocks of kJudgeRows
    float* sums;         // [rows, 16]
};

Lanes lanesIn(Carver carver, std::size_t rows, std::size_t headDim, std::size_t* used = nullptr) {
    Lanes out{};
    out.weight = carver.take<float>(headDim);
    out.inverse = carver.take<float>(headDim);
    out.rowFactor = carver.take<std::int16_t>(rows * kJudgeMaxHeadDim);
    out.rowScale = carver.take<float>(rows + kJudgeRows);
    out.ratio = carver.take<float>(headDim);
    for (Grid* grid : {&out.grid, &out.next})
        *grid = {carver.take<float>(headDim), carver.take<std::int16_t>(kJudgeMaxHeadDim), 0};
    out.q = carver.take<std::int8_t>(rows * kJudgeMaxHeadDim);
    out.step = carver.take<float>(rows + kJudgeRows);
    out.base = carver.take<float>(rows + kJudgeRows);
    out.sums = carver.take<float>(rows * kLanes);
    if (used != nullptr) *used = carver.used();
    return out;
}

CARREL_AVX512 CARREL_INLINE __m512 halves512(const std::uint16_t* from) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}

CARREL_INLINE const std::uint16_t* gridOf(const std::byte* group, std::size_t headDim) {
    return reinterpret_cast<const std::uint16_t*>(group + kGroupLeaves * 4 * headDim);
}

// from [headDim] times `factor` in 16 bits, rounded; packing the first 32 of 64 with the others puts them in order.
CARREL_AVX512 CARREL_INLINE void toFactors512(const float* from, float factor, std::size_t headDim, std::int16_t* to) {
    for (std::size_t d = 0; d < headDim; d += 64) {
        __m512i rounded[4];
#pragma GCC unroll 4
        for (std::size_t i = 0; i < 4; ++i) {
            const __mmask16 there = d + i * kLanes < headDim ? 0xFFFF : 0;
            const __m512 value = _mm512_maskz_loadu_ps(there, from + d + i * kLanes);
            rounded[i] = _mm512_cvtps_epi32(_mm512_mul_ps(value, _mm512_set1_ps(factor)));
        }
        const __m512i a = _mm512_packs_epi32(rounded[0], rounded[1]), b = _mm512_packs_epi32(rounded[2], rounded[3]);
        const __m512i first = _mm512_setr_epi64(0, 2, 1, 3, 8, 10, 9, 11),
                      second = _mm512_setr_epi64(4, 6, 5, 7, 12, 14, 13, 15);
        _mm512_store_si512(to + d, _mm512_permutex2var_epi64(a, first, b));
        _mm512_store_si512(to + d + 32, _mm512_permutex2var_epi64(a, second, b));
    }
}
// The factor that brings `most` to kMostFactor; 0 where that is no use.
CARREL_INLINE float toMostFactor(float most) {
    return most > 0 && most <= std::numeric_limits<float>::max() ? kMostFactor / most : 0;
}

CARREL_AVX512 void weighChannels512(const JudgePart& part, std::size_t headDim, const Lanes& lanes) {
    const std::size_t groupBytes = codesBytes(static_cast<std::uint32_t>(headDim));
    float all = 0;
    for (std::size_t d = 0; d < headDim; d += kLanes) {
        __m512 sum = _mm512_setzero_ps();
        for (std::size_t g = 0; g < part.groups; ++g)
            sum = _mm512_add_ps(sum, halves512(gridOf(part.codes + g * groupBytes, headDim) + headDim + d));
        _mm512_store_ps(lanes.weight + d, sum);
        all += sumLanes512(sum);
    }
    // A channel that hardly ever varies may do so once.
    const float least = all > 0 ? all / (64 * static_cast<float>(headDim)) : 1;
    for (std::size_t d = 0; d < headDim; ++d) {
        lanes.weight[d] = std::max(lanes.weight[d], least);
        lanes.inverse[d] = 1 / lanes.weight[d];
    }
}

CARREL_AVX512 void prepareRows512(const JudgeRows& rows, const Lanes& lanes) {
    for (std::size_t r = 0; r < rows.rows; ++r) {
        __m512 most = _mm512_setzero_ps();
        for (std::size_t d = 0; d < rows.headDim; d += kLanes) {
            const __m512 weighted =
                _mm512_mul_ps(_mm512_loadu_ps(rows.q + r * rows.headDim + d), _mm512_load_ps(lanes.weight + d));
            _mm512_store_ps(lanes.ratio + d, weighted);
            most = _mm512_max_ps(most, _mm512_abs_ps(weighted));
        }
        const float greatest = _mm512_reduce_max_ps(most);
        toFactors512(lanes.ratio, toMostFactor(greatest), rows.headDim, lanes.rowFactor + r * kJudgeMaxHeadDim);
        // codes are the high 2 of 8 bits
        lanes.rowScale[r] = greatest * (64 * kScoresPerLog2 * 32768 / (kMostFactor * kMostFactor));
    }
}

CARREL_AVX512 CARREL_INLINE void loadGroup512(const std::byte* group, std::size_t headDim, const Lanes& lanes,
                                              Grid& to) {
    const std::uint16_t* grid = gridOf(group, headDim);
    __m512 most = _mm512_setzero_ps();
    for (std::size_t d = 0; d < headDim; d += kLanes) {
        const __m512 step = halves512(grid + headDim + d);
        const __m512 ratio = _mm512_mul_ps(step, _mm512_load_ps(lanes.inverse + d));
        _mm512_store_ps(to.middle + d, _mm512_fmadd_ps(step, _mm512_set1_ps(31.5f), halves512(grid + d)));
        _mm512_store_ps(lanes.ratio + d, ratio);
        most = _mm512_max_ps(most, ratio);
    }
    to.scale = _mm512_reduce_max_ps(most);
    toFactors512(lanes.ratio, toMostFactor(to.scale), headDim, to.factor);
}

// q, step and base of `Rows` rows from row `first` on; the last two so limited that no score is out of 32 bits. Blocks:
// headDim / 16 where the compiler may know it, else 0.
template <std::size_t Rows, std::size_t Blocks>
CARREL_AVX512 CARREL_INLINE void foldRows512(const JudgeRows& rows, std::size_t first, const Lanes& lanes) {
    const std::size_t headDim = Blocks != 0 ? 16 * Blocks : rows.headDim;
    __m512 base[kJudgeRows];
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kJudgeRows; ++r) {
        base[r] = _mm512_setzero_ps();
        if (r >= Rows) continue;
        const float* q = rows.q + (first + r) * headDim;
        for (std::size_t d = 0; d < headDim; d += kLanes)
            base[r] = _mm512_fmadd_ps(_mm512_loadu_ps(q + d), _mm512_load_ps(lanes.grid.middle + d), base[r]);
        const std::int16_t* factor = lanes.rowFactor + (first + r) * kJudgeMaxHeadDim;
        const std::int16_t* other = lanes.grid.factor;
        for (std::size_t d = 0; d < headDim; d += 64) {
            const __m512i a = _mm512_mulhrs_epi16(_mm512_load_si512(factor + d), _mm512_load_si512(other + d));
            const __m512i b =
                _mm512_mulhrs_epi16(_mm512_load_si512(factor + d + 32), _mm512_load_si512(other + d + 32));
            _mm512_store_si512(lanes.q + (first + r) * kJudgeMaxHeadDim + d, _mm512_packs_epi16(a, b));
        }
    }
    const __m256 step = _mm256_mul_ps(_mm256_loadu_ps(lanes.rowScale + first), _mm256_set1_ps(lanes.grid.scale));
    _mm256_storeu_ps(lanes.step + first, _mm256_min_ps(step, _mm256_set1_ps(1e4f)));
    const __m256 exact = _mm256_maskz_loadu_ps(static_cast<__mmask8>((1u << Rows) - 1), rows.exact + first);
    const __m256 middle = _mm256_mul_ps(_mm256_sub_ps(sumEach512(base), exact), _mm256_set1_ps(kScoresPerLog2));
    // also of what is no number
    _mm256_storeu_ps(lanes.base + first,
                     _mm256_min_ps(_mm256_max_ps(middle, _mm256_set1_ps(-1e9f)), _mm256_set1_ps(1e9f)));
}

// Two leaves of `Rows` rows from row `first` on. counts: bit t: token t is added up.
template <std::size_t Rows>
CARREL_AVX512 CARREL_INLINE void scanLeaves512(const std::byte* planes, std::size_t headDim, const Lanes& lanes,
                                               std::size_t first, __mmask32 counts, std::int16_t* scores) {
    const std::int8_t* q = lanes.q + first * kJudgeMaxHeadDim;
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
    const __m512i inOrder = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
#pragma GCC unroll 8
    for (std::size_t r = 0; r < Rows; ++r) {
        const __m512 step = _mm512_set1_ps(lanes.step[first + r]), base = _mm512_set1_ps(lanes.base[first + r]);
        __m512i rounded[2];
#pragma GCC unroll 2
        for (std::size_t i = 0; i < 2; ++i)
            rounded[i] = _mm512_cvtps_epi32(_mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[r][i]), step, base));
        __m512i score = _mm512_permutexvar_epi64(inOrder, _mm512_packs_epi32(rounded[0], rounded[1]));
        score =
            _mm512_max_epi16(_mm512_min_epi16(score, _mm512_set1_epi16(kMostScore)), _mm512_set1_epi16(-kMostScore));
        _mm512_storeu_si512(scores + r * kGroupTokens, score);
        float* sum = lanes.sums + (first + r) * kLanes;
        _mm512_store_ps(sum, addExp2512(_mm512_load_ps(sum), score, counts));
    }
}

// Rows from row `first` on over one group; scores: of its first row.
template <std::size_t Rows, std::size_t Blocks>
CARREL_AVX512 void scanRows512(const JudgeRows& rows, const std::byte* group, const Lanes& lanes, std::size_t first,
                               std::uint64_t counts, std::int16_t* scores) {
    const std::size_t headDim = Blocks != 0 ? 16 * Blocks : rows.headDim;
    foldRows512<Rows, Blocks>(rows, first, lanes);
    for (std::size_t leaf = 0; leaf < kGroupLeaves; leaf += 2)
        scanLeaves512<Rows>(group + leaf * 4 * headDim, headDim, lanes, first,
                            static_cast<__mmask32>(counts >> (kLeafTokens * leaf)),
                            scores + first * kGroupTokens + leaf * kLeafTokens);
}

template <std::size_t Blocks>
CARREL_AVX512 void scanGroups512(const JudgeRows& rows, const JudgePart& part) {
    using RowsFn = decltype(&scanRows512<1, Blocks>);
    static constexpr RowsFn kRows[kJudgeRows] = {scanRows512<1, Blocks>, scanRows512<2, Blocks>, scanRows512<3, Blocks>,
                                                 scanRows512<4, Blocks>, scanRows512<5, Blocks>, scanRows512<6, Blocks>,
                                                 scanRows512<7, Blocks>, scanRows512<8, Blocks>};
    const std::size_t headDim = Blocks != 0 ? 16 * Blocks : rows.headDim;
    const std::size_t groupBytes = codesBytes(static_cast<std::uint32_t>(headDim));
    Lanes lanes = lanesIn(Carver(part.scratch), rows.rows, headDim);
    std::fill_n(lanes.sums, rows.rows * kLanes, 0.0f);
    weighChannels512(part, headDim, lanes);
    prepareRows512(rows, lanes);
    // A group's grid is ready long before it is needed.
    loadGroup512(part.codes, headDim, lanes, lanes.grid);
    for (std::size_t g = 0; g < part.groups; ++g) {
        const std::byte* group = part.codes + g * groupBytes;
        std::uint64_t counts = 0;
        for (std::size_t leaf = 0; leaf < kGroupLeaves; ++leaf) {
            const std::size_t at = g * kGroupLeaves + leaf;
            if (at >= part.first && at < part.end) counts |= std::uint64_t{0xFFFF} << (kLeafTokens * leaf);
        }
        // Codes come from memory, once; there is time to fetch them while others are multiplied.
        if (g + kAhead < part.groups)
            for (std::size_t at = 0; at < groupBytes; at += 64)
                _mm_prefetch(reinterpret_cast<const char*>(group + kAhead * groupBytes + at), _MM_HINT_T1);
        if (g + 1 < part.groups) loadGroup512(group + groupBytes, headDim, lanes, lanes.next);
        for (std::size_t first = 0; first < rows.rows; first += kJudgeRows)
            kRows[std::min(kJudgeRows, rows.rows - first) - 1](rows, group, lanes, first, counts,
                                                               part.scores + g * rows.rows * kGroupTokens);
        std::swap(lanes.grid, lanes.next);
    }
    for (std::size_t r = 0; r < rows.rows; ++r) part.sums[r] = sumLanes512(_mm512_load_ps(lanes.sums + r * kLanes));
}

}  // namespace

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
std::size_t scanScratchBytesAvx512(std::size_t rows, std::size_t headDim) {
    std::size_t used = 0;
    lanesIn(Carver(), rows, headDim, &used);
    return used;
}

}  // namespace carrel

#endif

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
    out.fold.step = carver.take<float>(rows);
    out.fold.base = carver.take<float>(rows);
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

#endif

}  // namespace

std::size_t scanScratchBytes(std::size_t rows, std::size_t headDim) {
    std::size_t used = 0;
    lanesIn(Carver(), rows, headDim, &used);
#if defined(__x86_64__)
    used = std::max(used, scanScratchBytesAvx512(rows, headDim));
#endif
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

#include <algorithm>
#include <cmath>
#include <cstring>

#include "compute/cpu/attention_group.h"

namespace carrel {

namespace {

ValueSteps valueSteps(const Group& group) {
    ValueSteps out;
    float most = 0;
    for (std::size_t t = 0; t < kGroupTokens; ++t) {
        const auto* grid = reinterpret_cast<const std::uint16_t*>(group.valueGrid(t / kLeafTokens));
        out.of[t] = f16ToF32(grid[2 * (t % kLeafTokens * group.valueBlocks) + 1]);
        most = std::max(most, out.of[t]);
    }
    const float to16 = most > 0 ? kMost16 / most : 0;
    for (float& step : out.of) step = std::min(step * to16, kMost16);
    out.unit = most / kMost16;
    return out;
}

void loadGroupScalar(const KvRun&, std::size_t, std::byte*) {}

/// The definition.
void attendGroupScalar(const float* q, std::size_t rows, std::size_t headDim, const KvRun& run, std::byte*,
                       const AttendState& state, std::byte*, float* sums, float* runMax, const KvRun*) {
    const Group group(run, headDim);
    const ValueSteps steps = valueSteps(group);
    const std::size_t rowStep = rows <= kFewRows ? headDim : 1, channelStep = rows <= kFewRows ? 1 : rows;
    for (std::size_t r = 0; r < rows; ++r) {
        float base = 0, most = 0;
        const auto turned = [&](std::size_t d) { return q[d * rows + r] * f16ToF32(group.grid()[headDim + d]); };
        for (std::size_t d = 0; d < headDim; ++d) {
            const float middle = f16ToF32(group.grid()[d]) + 128 * f16ToF32(group.grid()[headDim + d]);
            base = madd<false>(q[d * rows + r], middle, base);
            most = std::max(most, std::fabs(turned(d)));
        }
        const float unit = most / kMost16, to16 = most > 0 ? kMost16 / most : 0;
        float p[kGroupTokens], m = kNothing;
        for (std::size_t t = 0; t < kGroupTokens; ++t) {
            std::int32_t dot = 0;
            for (std::size_t d = 0; d < headDim; ++d)
                dot += static_cast<std::int32_t>(std::lrintf(turned(d) * to16)) *
                       (group.keys(t / kLeafTokens)[t % kLeafTokens * headDim + d] - 128);
            p[t] = madd<false>(static_cast<float>(dot), unit, base);
            m = std::max(m, p[t]);
        }
        float quarter[4];
        for (float& weight : p) weight = expFast<false>(weight - m);
        for (std::size_t i = 0; i < 4; ++i) quarter[i] = segmentSum(p + i * kLeafTokens);
        const Weights weights = weigh<false>(state.m[r], m);
        state.sum[r] = together<false>(state.sum[r], (quarter[0] + quarter[1]) + (quarter[2] + quarter[3]), weights);
        state.m[r] = weights.m;
        if (sums != nullptr) {
            runMax[r] = m;
            for (std::size_t i = 0; i < 4; ++i) sums[i * rows + r] = quarter[i];
        }
        for (std::size_t d = 0; d < headDim; ++d) {
            std::int32_t dot = 0;
            for (std::size_t t = 0; t < kGroupTokens; ++t)
                dot += static_cast<std::int32_t>(std::lrintf(p[t] * steps.of[t])) *
                       group.values(t / kLeafTokens)[t % kLeafTokens * headDim + d];
            float& out = state.out[r * rowStep + d * channelStep];
            out = together<false>(out, static_cast<float>(dot) * steps.unit, weights);
        }
    }
}

#if defined(__x86_64__)

// sum += the products of 32 pairs. GCC 12 copies sums around its own intrinsic of this, two moves an instruction.
CARREL_AVX512 CARREL_INLINE void addProducts512(__m512i& sum, __m512i x, __m512i y) {
    asm("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(y));
}

CARREL_AVX512 CARREL_INLINE __m512i pairs512(__m512i even, __m512i odd) {
    return _mm512_mask_blend_epi16(0xaaaaaaaa, even, _mm512_slli_epi32(odd, 16));
}

struct LoadedGroup {
    std::int16_t *keys, *values;  // [64][d], [32][d to 32s][2]
    float *step, *middle;
    ValueSteps* valueSteps;

    LoadedGroup(Carver carver, std::size_t headDim)
        : keys(carver.take<std::int16_t>(kGroupTokens * headDim)),
          values(carver.take<std::int16_t>(kGroupTokens * (headDim + 31) / 32 * 32)),
          step(carver.take<float>(headDim)),
          middle(carver.take<float>(headDim)),
          valueSteps(carver.take<ValueSteps>(1)) {}
};

struct ManyScratch {
    std::int16_t *turned, *weights;  // [d/2][rows][2], [32][rows][2]
    float* scores;                   // [64][rows]

    ManyScratch(Carver carver, std::size_t headDim)
        : turned(carver.take<std::int16_t>(kAttendRows * headDim)),
          weights(carver.take<std::int16_t>(kAttendRows * kGroupTokens)),
          scores(carver.take<float>(kAttendRows * kGroupTokens)) {}
};

CARREL_AVX512 void loadGroupAvx512(const KvRun& run, std::size_t headDim, std::byte* loaded) {
    const Group group(run, headDim);
    const LoadedGroup to(Carver(loaded), headDim);
    const std::size_t wide = (headDim + 31) / 32 * 32;
    std::int16_t *keys = to.keys, *values = to.values;
    for (std::size_t leaf = 0; leaf < kGroupLeaves; ++leaf) {
        const std::uint8_t* codes = group.keys(leaf);
        for (std::size_t i = 0; i < kLeafTokens * headDim; i += 16, keys += 16)
            _mm256_store_si256(
                reinterpret_cast<__m256i*>(keys),
                _mm256_sub_epi16(_mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + i))),
                                 _mm256_set1_epi16(128)));
        const std::int8_t* from = group.values(leaf);
        for (std::size_t pair = 0; pair < kLeafTokens / 2; ++pair, from += 2 * headDim, values += 2 * wide)
            for (std::size_t d = 0; d < headDim; d += 32) {
                __m512i low, high;
                valuePairs512(from + d, from + headDim + d, headDim - d < 32 ? 0xffff : 0xffffffff, low, high);
                _mm512_store_si512(values + 2 * d, low);
                _mm512_store_si512(values + 2 * d + 32, high);
            }
    }
    storeGrid512(group, to.step, to.middle);
    *to.valueSteps = valueSteps512(group);
}

// sum[c][v] of pairs of 16-bit numbers: 16 rows of vector v, [pairs][rows][2], times column c.
template <std::size_t Vectors, std::size_t Columns>
CARREL_AVX512 CARREL_INLINE void products512(const std::int16_t* rows, std::size_t pairs, const std::int16_t* columns,
                                             std::size_t columnStep, std::size_t pairStep,
                                             __m512i (&sum)[Columns][Vectors]) {
#pragma GCC unroll 16
    for (std::size_t c = 0; c < Columns; ++c)
#pragma GCC unroll 4
        for (std::size_t v = 0; v < Vectors; ++v) sum[c][v] = _mm512_setzero_si512();
    for (std::size_t pair = 0; pair < pairs; ++pair, rows += Vectors * 32, columns += pairStep) {
        __m512i row[Vectors];
#pragma GCC unroll 4
        for (std::size_t v = 0; v < Vectors; ++v) row[v] = _mm512_load_si512(rows + 32 * v);
#pragma GCC unroll 16
        for (std::size_t c = 0; c < Columns; ++c) {
            std::int32_t two;
            std::memcpy(&two, columns + c * columnStep, 4);
            const __m512i column = _mm512_set1_epi32(two);
#pragma GCC unroll 4
            for (std::size_t v = 0; v < Vectors; ++v) addProducts512(sum[c][v], row[v], column);
        }
    }
}

// Vectors of 16 rows; 16 sums in registers at a time.
template <std::size_t Vectors>
inline constexpr std::size_t kColumns = Vectors == 1   ? 16
                                        : Vectors == 2 ? 8
                                                       : 4;

template <std::size_t Vectors>
CARREL_AVX512 CARREL_INLINE void scoreMany512(const float* q, std::size_t headDim, const LoadedGroup& group,
                                              const ManyScratch& with, __m512* greatest) {
    constexpr std::size_t kRows = Vectors * 16, kKeys = kColumns<Vectors>;
    __m512 base[Vectors], most[Vectors], unit[Vectors];
    for (std::size_t v = 0; v < Vectors; ++v) base[v] = most[v] = _mm512_setzero_ps();
    for (std::size_t d = 0; d < headDim; ++d) {
        const __m512 step = _mm512_set1_ps(group.step[d]), middle = _mm512_set1_ps(group.middle[d]);
#pragma GCC unroll 4
        for (std::size_t v = 0; v < Vectors; ++v) {
            constexpr int kGreaterSize = 0b1011;
            const __m512 column = _mm512_load_ps(q + d * kRows + 16 * v);
            base[v] = _mm512_fmadd_ps(column, middle, base[v]);
            most[v] = _mm512_range_ps(most[v], _mm512_mul_ps(column, step), kGreaterSize);
        }
    }
    for (std::size_t v = 0; v < Vectors; ++v) {
        unit[v] = _mm512_div_ps(most[v], _mm512_set1_ps(kMost16));
        const __m512 to16 = _mm512_maskz_div_ps(_mm512_cmp_ps_mask(most[v], _mm512_setzero_ps(), _CMP_GT_OQ),
                                                _mm512_set1_ps(kMost16), most[v]);
        const auto turned = [&](std::size_t d) CARREL_AVX512 {
            const __m512 column = _mm512_mul_ps(_mm512_load_ps(q + d * kRows + 16 * v), _mm512_set1_ps(group.step[d]));
            return _mm512_cvtps_epi32(_mm512_mul_ps(column, to16));
        };
        for (std::size_t d = 0; d < headDim; d += 2)
            _mm512_store_si512(with.turned + d * kRows + 32 * v, pairs512(turned(d), turned(d + 1)));
        greatest[v] = _mm512_set1_ps(kNothing);
    }
    for (std::size_t first = 0; first < kGroupTokens; first += kKeys) {
        __m512i dot[kKeys][Vectors];
        products512(with.turned, headDim / 2, group.keys + first * headDim, headDim, 2, dot);
#pragma GCC unroll 16
        for (std::size_t k = 0; k < kKeys; ++k)
#pragma GCC unroll 4
            for (std::size_t v = 0; v < Vectors; ++v) {
                const __m512 score = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[k][v]), unit[v], base[v]);
                greatest[v] = _mm512_max_ps(greatest[v], score);
                _mm512_store_ps(with.scores + (first + k) * kRows + 16 * v, score);
            }
    }
}

template <std::size_t Vectors>
CARREL_AVX512 void attendMany512(const float* q, std::size_t headDim, const LoadedGroup& group,
                                 const AttendState& state, std::byte* scratch, float* sums, float* runMax) {
    constexpr std::size_t kRows = Vectors * 16, kChannels = std::min<std::size_t>(8, kColumns<Vectors>);
    const ManyScratch with(Carver(scratch), headDim);
    __m512 m[Vectors], old[Vectors], fresh[Vectors];
    scoreMany512<Vectors>(q, headDim, group, with, m);
    for (std::size_t v = 0; v < Vectors; ++v) {
        __m512 quarter[4];
        for (std::size_t i = 0; i < 4; ++i) {
            __m512 e[kLeafTokens];
#pragma GCC unroll 16
            for (std::size_t k = 0; k < kLeafTokens; ++k)
                e[k] =
                    exp512(_mm512_sub_ps(_mm512_load_ps(with.scores + (i * kLeafTokens + k) * kRows + 16 * v), m[v]));
            const auto rounded = [&](std::size_t k) CARREL_AVX512 {
                return _mm512_cvtps_epi32(
                    _mm512_mul_ps(e[k], _mm512_set1_ps(group.valueSteps->of[i * kLeafTokens + k])));
            };
#pragma GCC unroll 8
            for (std::size_t k = 0; k < kLeafTokens; k += 2)
                _mm512_store_si512(with.weights + (i * kLeafTokens + k) * kRows + 32 * v,
                                   pairs512(rounded(k), rounded(k + 1)));
            quarter[i] = segmentSum512(e);
            if (sums != nullptr) _mm512_storeu_ps(sums + i * kRows + 16 * v, quarter[i]);
        }
        takeSums512(state, v, m[v], quarter, old[v], fresh[v]);
        if (sums != nullptr) _mm512_storeu_ps(runMax + 16 * v, m[v]);
    }
    const std::size_t wide = (headDim + 31) / 32 * 32;
    const __m512 unit = _mm512_set1_ps(group.valueSteps->unit);
    for (std::size_t at = 0; at < wide; at += kChannels) {
        // Of valuePairs512's order; kChannels places are there together or not at all.
        const auto channelAt = [](std::size_t place) {
            return place / 32 * 32 + place % 16 / 4 * 8 + place % 32 / 16 * 4 + place % 4;
        };
        if (channelAt(at) >= headDim) continue;
        __m512i dot[kChannels][Vectors];
        products512(with.weights, kGroupTokens / 2, group.values + at * 2, 2, 2 * wide, dot);
#pragma GCC unroll 8
        for (std::size_t c = 0; c < kChannels; ++c)
#pragma GCC unroll 4
            for (std::size_t v = 0; v < Vectors; ++v) {
                float* to = state.out + channelAt(at + c) * kRows + 16 * v;
                const __m512 sum = _mm512_mul_ps(_mm512_cvtepi32_ps(dot[c][v]), unit);
                _mm512_store_ps(to, _mm512_fmadd_ps(sum, fresh[v], _mm512_mul_ps(_mm512_load_ps(to), old[v])));
            }
    }
}

void attendGroupAvx512(const float* q, std::size_t rows, std::size_t headDim, const KvRun& run, std::byte* loaded,
                       const AttendState& state, std::byte* scratch, float* sums, float* runMax, const KvRun* ahead) {
    if (rows <= kFewRows) return attendFewGroupAvx512(q, rows, headDim, run, state, scratch, sums, runMax, ahead);
    if (ahead != nullptr) fetchRun(*ahead, headDim);
    constexpr decltype(&attendMany512<1>) kMany[] = {attendMany512<1>, attendMany512<2>, attendMany512<3>,
                                                     attendMany512<4>};
    kMany[rows / 16 - 1](q, headDim, LoadedGroup(Carver(loaded), headDim), state, scratch, sums, runMax);
}

#endif

}  // namespace

bool wholeGroup(const KvRun& run, KvCodec codec) {
    if (run.window != KvRun::kNoWindow) return false;  // of which a row may see a part
    return (codec == KvCodec::K8V8 || codec == KvCodec::K8V6) && run.picks.size() == kGroupLeaves &&
           run.tokens == kGroupTokens &&
           std::ranges::all_of(run.picks, [&](const KvPick& pick) { return pick.grid == run.picks.front().grid; });
}

std::size_t loadedGroupBytes(std::size_t headDim) {
    // LoadedGroup: some lines of 64 bytes go to alignment.
    return kGroupTokens * 2 * (2 * headDim + 32) + 8 * headDim + sizeof(ValueSteps) + 512;
}

std::size_t groupScratchBytes(std::size_t headDim) {
    // Of ManyScratch and FewScratch the larger.
    return kGroupTokens * 2 * (2 * headDim + 32) + kAttendRows * kGroupTokens * 6 + 8 * headDim + 512;
}

#if defined(__x86_64__)
const Variants<LoadGroupFn> kLoadGroup{
    {Isa::Avx512, loadGroupAvx512}, {Isa::Avx2, nullptr}, {Isa::Scalar, loadGroupScalar}};
const Variants<AttendGroupFn> kAttendGroup{
    {Isa::Avx512, attendGroupAvx512}, {Isa::Avx2, nullptr}, {Isa::Scalar, attendGroupScalar}};
#else
const Variants<LoadGroupFn> kLoadGroup{{Isa::Scalar, loadGroupScalar}};
const Variants<AttendGroupFn> kAttendGroup{{Isa::Scalar, attendGroupScalar}};
#endif

}  // namespace carrel

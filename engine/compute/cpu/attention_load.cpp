#include <algorithm>
#include <bit>
#include <limits>

#include "compute/cpu/intrinsics.h"
#include "compute/cpu/kernels.h"

namespace carrel {

namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

// The tokens of a pick, ascending, and where its leaf's rows have what.
struct Tokens {
    std::uint8_t at[kLeafTokens];
    std::size_t count = 0;
    const std::uint8_t* keys;
    const std::int8_t* values;
    const std::uint16_t* valueGrid;
    std::size_t valueBlocks;

    Tokens(const KvPick& pick, std::size_t headDim)
        : keys(reinterpret_cast<const std::uint8_t*>(pick.rows)),
          values(reinterpret_cast<const std::int8_t*>(keys + kLeafTokens * headDim)),
          valueGrid(reinterpret_cast<const std::uint16_t*>(keys + 2 * kLeafTokens * headDim)),
          valueBlocks(carrel::valueBlocks(static_cast<std::uint32_t>(headDim))) {
        for (std::uint32_t left = pick.tokens; left != 0; left &= left - 1)
            at[count++] = static_cast<std::uint8_t>(std::countr_zero(left));
    }
    const std::uint8_t* key(std::size_t i, std::size_t headDim) const { return keys + at[i] * headDim; }
    const std::int8_t* value(std::size_t i, std::size_t headDim) const { return values + at[i] * headDim; }
    const std::uint16_t* grid(std::size_t i, std::size_t channel) const {
        return valueGrid + 2 * (at[i] * valueBlocks + channel / 32);
    }
};

// Products of a code and a step are exact in f32, so that fusing does not matter here.
struct Scalar {
    static void halves(const std::uint16_t* from, std::size_t count, float* to) {
        for (std::size_t i = 0; i < count; ++i) to[i] = f16ToF32(from[i]);
    }
    static void pick(const KvPick& pick, std::size_t headDim, float* key, float* value) {
        const Tokens tokens(pick, headDim);
        for (std::size_t i = 0; i < tokens.count; ++i)
            for (std::size_t d = 0; d < headDim; ++d) {
                const std::uint16_t* grid = tokens.grid(i, d);
                key[i * headDim + d] = f16ToF32(pick.grid[d]) +
                                       f16ToF32(pick.grid[headDim + d]) * static_cast<float>(tokens.key(i, headDim)[d]);
                value[i * headDim + d] =
                    f16ToF32(grid[0]) + f16ToF32(grid[1]) * static_cast<float>(tokens.value(i, headDim)[d]);
            }
    }
    static void rest(const std::int8_t* codes, float step, std::size_t headDim, float* value) {
        for (std::size_t d = 0; d < headDim; ++d) value[d] = step * static_cast<float>(codes[d]);
    }
};

#if defined(__x86_64__)

CARREL_AVX2 CARREL_INLINE __m256 halves256(const std::uint16_t* from) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
CARREL_AVX2 CARREL_INLINE __m256 half256(std::uint16_t half) {
    return _mm256_cvtph_ps(_mm_set1_epi16(static_cast<short>(half)));
}
CARREL_AVX2 CARREL_INLINE __m256i unsigned256(const std::uint8_t* from) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
}
CARREL_AVX2 CARREL_INLINE __m256 signed256(const std::int8_t* from) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
}

struct Avx2 {
    CARREL_AVX2 static void halves(const std::uint16_t* from, std::size_t count, float* to) {
        for (std::size_t i = 0; i < count; i += 8) _mm256_storeu_ps(to + i, halves256(from + i));
    }
    CARREL_AVX2 static void pick(const KvPick& pick, std::size_t headDim, float* key, float* value) {
        const Tokens tokens(pick, headDim);
        for (std::size_t d = 0; d < headDim; d += 8) {
            const __m256 least = halves256(pick.grid + d), step = halves256(pick.grid + headDim + d);
            for (std::size_t i = 0; i < tokens.count; ++i)
                _mm256_storeu_ps(
                    key + i * headDim + d,
                    _mm256_fmadd_ps(_mm256_cvtepi32_ps(unsigned256(tokens.key(i, headDim) + d)), step, least));
        }
        for (std::size_t i = 0; i < tokens.count; ++i)
            for (std::size_t d = 0; d < headDim; d += 16) {
                const std::uint16_t* grid = tokens.grid(i, d);
                const __m256 least = half256(grid[0]), step = half256(grid[1]);
                const std::int8_t* codes = tokens.value(i, headDim) + d;
                _mm256_storeu_ps(value + i * headDim + d, _mm256_fmadd_ps(signed256(codes), step, least));
                _mm256_storeu_ps(value + i * headDim + d + 8, _mm256_fmadd_ps(signed256(codes + 8), step, least));
            }
    }
    CARREL_AVX2 static void rest(const std::int8_t* codes, float step, std::size_t headDim, float* value) {
        for (std::size_t d = 0; d < headDim; d += 8)
            _mm256_storeu_ps(value + d, _mm256_mul_ps(signed256(codes + d), _mm256_set1_ps(step)));
    }
};

CARREL_AVX512 CARREL_INLINE __m512 halves512(const std::uint16_t* from) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
CARREL_AVX512 CARREL_INLINE __m512 half512(std::uint16_t half) {
    return _mm512_cvtph_ps(_mm256_set1_epi16(static_cast<short>(half)));
}
CARREL_AVX512 CARREL_INLINE __m512i unsigned512(const std::uint8_t* from) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
CARREL_AVX512 CARREL_INLINE __m512 signed512(const std::int8_t* from) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
}

struct Avx512 {
    CARREL_AVX512 static void halves(const std::uint16_t* from, std::size_t count, float* to) {
        std::size_t i = 0;
        for (; i + 16 <= count; i += 16) _mm512_storeu_ps(to + i, halves512(from + i));
        for (; i < count; i += 8) _mm256_storeu_ps(to + i, halves256(from + i));
    }
    CARREL_AVX512 static void pick(const KvPick& pick, std::size_t headDim, float* key, float* value) {
        const Tokens tokens(pick, headDim);
        for (std::size_t d = 0; d < headDim; d += 16) {
            const __m512 least = halves512(pick.grid + d), step = halves512(pick.grid + headDim + d);
            for (std::size_t i = 0; i < tokens.count; ++i)
                _mm512_storeu_ps(
                    key + i * headDim + d,
                    _mm512_fmadd_ps(_mm512_cvtepi32_ps(unsigned512(tokens.key(i, headDim) + d)), step, least));
        }
        for (std::size_t i = 0; i < tokens.count; ++i)
            for (std::size_t d = 0; d < headDim; d += 16) {
                const std::uint16_t* grid = tokens.grid(i, d);
                _mm512_storeu_ps(value + i * headDim + d, _mm512_fmadd_ps(signed512(tokens.value(i, headDim) + d),
                                                                          half512(grid[1]), half512(grid[0])));
            }
    }
    CARREL_AVX512 static void rest(const std::int8_t* codes, float step, std::size_t headDim, float* value) {
        for (std::size_t d = 0; d < headDim; d += 16)
            _mm512_storeu_ps(value + d, _mm512_mul_ps(signed512(codes + d), _mm512_set1_ps(step)));
    }
};

#endif

// Inline: GCC 12 drops calls that only prefetch.
CARREL_INLINE void fetchTokens(const KvPick& pick, std::size_t headDim) {
    if (pick.tokens == 0xffff) return fetch(pick.rows, rowsBytes(static_cast<std::uint32_t>(headDim)));
    const Tokens tokens(pick, headDim);
    for (std::size_t i = 0; i < tokens.count; ++i) {
        fetch(tokens.key(i, headDim), headDim);
        fetch(tokens.value(i, headDim), headDim);
        fetch(tokens.grid(i, 0), 4 * tokens.valueBlocks);
    }
}

template <class With>
void loadRest(const KvRun& run, std::size_t headDim, const LoadedRun& to) {
    assert(run.tokens % kGroupLeaves == 0);
    for (std::size_t leaf = 0; leaf < run.tokens; ++leaf) {
        const auto* means = reinterpret_cast<const std::int8_t*>(
            run.rest + leaf / kGroupLeaves * valueMeansBytes(static_cast<std::uint32_t>(headDim)));
        const auto* steps = reinterpret_cast<const std::uint16_t*>(means + kGroupLeaves * headDim);
        const std::size_t in = leaf % kGroupLeaves;
        With::rest(means + in * headDim, f16ToF32(steps[in]), headDim, to.values + leaf * headDim);
    }
}

template <class With>
void loadRun(const KvRun& run, std::size_t headDim, const LoadedRun& to) {
    assert(run.tokens <= kGroupTokens);
    if (run.rest != nullptr) return loadRest<With>(run, headDim, to);
    std::fill_n(to.bias, run.tokens, 0.0f);
    std::fill(to.bias + run.tokens, to.bias + kGroupTokens, kNever);
    std::size_t at = 0;
    if (!run.picks.empty()) {
        for (const KvPick& pick : run.picks) {
            const auto tokens = static_cast<std::size_t>(std::popcount(pick.tokens));
            assert(at + tokens <= run.tokens);
            With::pick(pick, headDim, to.keys + at * headDim, to.values + at * headDim);
            at += tokens;
        }
    } else {
        at = run.tokens;
        With::halves(run.keys, at * headDim, to.keys);
        With::halves(run.values, at * headDim, to.values);
    }
    assert(at == run.tokens);
    std::fill(to.keys + at * headDim, to.keys + kGroupTokens * headDim, 0.0f);
    std::fill(to.values + at * headDim, to.values + kGroupTokens * headDim, 0.0f);
}

}  // namespace

void fetchRun(const KvRun& run, std::size_t headDim) {
    const std::uint16_t* grid = nullptr;
    const auto fetchGrid = [&](const KvPick& pick) {
        if (pick.grid != grid) fetch(grid = pick.grid, 4 * headDim);
    };
    for (const KvPick& pick : run.picks) fetchTokens(pick, headDim), fetchGrid(pick);
    if (run.rest != nullptr)
        return fetch(run.rest, run.tokens / kGroupLeaves * valueMeansBytes(static_cast<std::uint32_t>(headDim)));
    if (!run.picks.empty()) return;
    fetch(run.keys, 2 * headDim * run.tokens);
    fetch(run.values, 2 * headDim * run.tokens);
}

#if defined(__x86_64__)
const Variants<LoadRunFn> kLoadRun{
    {Isa::Avx512, loadRun<Avx512>}, {Isa::Avx2, loadRun<Avx2>}, {Isa::Scalar, loadRun<Scalar>}};
#else
const Variants<LoadRunFn> kLoadRun{{Isa::Scalar, loadRun<Scalar>}};
#endif

}  // namespace carrel

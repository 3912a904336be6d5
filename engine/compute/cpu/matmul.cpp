#include <algorithm>
#include <cstring>

#include "compute/cpu/intrinsics.h"
#include "compute/cpu/kernels.h"
#include "compute/cpu/math.h"
#include "compute/cpu/matmul_unpack.h"

// Every variant adds up the 32 columns of a block in integers, exactly, and the blocks in ascending order into one
// float per output. So an output's bits depend on its row of x and its row of weights alone, whichever kernel ran and
// however many rows went with it.

namespace carrel {

namespace {

// What so many blocks of one tile, unpacked, add to its products [rows][16].
void addBlocksScalar(const PackedLayout& layout, const Panel& panel, std::size_t blocks, const QuantizedRows& x,
                     std::size_t rows, float* out) {
    for (std::size_t b = 0; b < blocks; ++b)
        for (std::size_t r = 0; r < rows; ++r)
            for (std::size_t lane = 0; lane < kTileRows; ++lane) {
                std::int32_t dot[2];
                for (std::size_t half = 0; half < 2; ++half) {
                    dot[half] = layout.offset * x.less[(3 * b + half) * rows + r];
                    for (std::size_t s = 4 * half; s < 4 * half + 4; ++s)
                        for (std::size_t i = 0; i < 4; ++i)
                            dot[half] +=
                                panel.q[(b * 8 + s) * 64 + lane * 4 + i] * x.q[((b * 8 + s) * rows + r) * 4 + i];
                }
                const float* factors = panel.scale + b * 16 * panelFactors(layout.kind) + lane;
                const float first = factors[0], second = factors[16];
                const float scale = x.scale[b * rows + r];
                float& sum = out[r * kTileRows + lane];
                if (layout.kind == PackKind::Halves) {
                    const float both =
                        madd<false>(static_cast<float>(dot[1]), second, static_cast<float>(dot[0]) * first);
                    sum = madd<false>(both, scale, sum);
                } else {
                    sum = madd<false>(static_cast<float>(dot[0] + dot[1]), first * scale, sum);
                    if (layout.kind == PackKind::Minimum) sum = madd<false>(second, x.mean[b * rows + r], sum);
                    if (layout.kind == PackKind::HalfMinima) {
                        const std::int32_t* less = x.less + 3 * b * rows + r;
                        const float minima = madd<false>(factors[32], static_cast<float>(less[rows]),
                                                         second * static_cast<float>(less[0]));
                        sum = madd<false>(minima, scale, sum);
                    }
                }
            }
}

using AddBlocksFn = void (*)(const PackedLayout&, const Panel&, std::size_t, const QuantizedRows&, std::size_t, float*);

template <AddBlocksFn AddBlocks>
void panelByTiles(const PackedLayout& layout, const Panel& panel, const QuantizedRows& x, std::size_t rows,
                  const Products* to) {
    for (std::size_t t = 0; t < kPanelTiles; ++t) {
        alignas(64) float products[kRowGroup * kTileRows] = {};
        AddBlocks(layout, panel.tile(layout, t), layout.blocks(), x, rows, products);
        for (std::size_t r = 0; r < rows; ++r) storeProducts(products + r * kTileRows, to[t], r);
    }
}

// A few blocks at a time, which stay in the first level; what comes after them is asked for while they are multiplied.
template <Isa Of, AddBlocksFn AddBlocks>
void tileByBlocks(const PackedLayout& layout, const std::byte* tile, const QuantizedRows& x, std::size_t rows,
                  float* out) {
    constexpr std::size_t kBlocks = 8;
    alignas(64) std::uint8_t q[kBlocks * 512];
    alignas(64) float factors[kBlocks * 3 * kTileRows];
    const Panel panel{q, factors};
    std::fill_n(out, rows * kTileRows, 0.0f);
    for (std::size_t b = 0; b < layout.blocks(); b += kBlocks) {
        const std::size_t count = std::min(kBlocks, layout.blocks() - b);
        kUnpack.at(Of)(layout, tile, b, count, panel);
        const std::size_t bytes = blockBytes(layout.type, layout.bits);
        fetch(tile + (b + 2 * kBlocks) * bytes, kBlocks * bytes);
        AddBlocks(layout, panel, count, x.from(b, rows), rows, out);
    }
}

#if defined(__x86_64__)

// --- AVX2: 8 output rows a register; u8 x s8 in pairs to 16 bits ---

// dot[r] += the products of `steps` steps. Up to six unsigned bits fit the 16-bit pairs of two steps; eight would
// overflow those of one: they are taken with their sign apart.
template <bool Signed, std::size_t Rows>
CARREL_AVX2 CARREL_INLINE void dotAvx2(const std::uint8_t* w, const std::int8_t* x, std::size_t steps, __m256i* dot) {
    const __m256i ones = _mm256_set1_epi16(1);
    const auto four = [x](std::size_t i) CARREL_AVX2 {
        std::int32_t columns;
        std::memcpy(&columns, x + i * 4, 4);
        return _mm256_set1_epi32(columns);
    };
    const auto step = [w](std::size_t s)
                          CARREL_AVX2 { return _mm256_load_si256(reinterpret_cast<const __m256i*>(w + s * 64)); };
    if constexpr (Signed) {
        for (std::size_t s = 0; s < steps; ++s) {
            const __m256i q = _mm256_xor_si256(step(s), _mm256_set1_epi8(-128)), size = _mm256_abs_epi8(q);
#pragma GCC unroll 8
            for (std::size_t r = 0; r < Rows; ++r) {
                const __m256i pairs = _mm256_maddubs_epi16(size, _mm256_sign_epi8(four(s * Rows + r), q));
                dot[r] = _mm256_add_epi32(dot[r], _mm256_madd_epi16(pairs, ones));
            }
        }
    } else {
        for (std::size_t s = 0; s < steps; s += 2) {
            const __m256i one = step(s), other = step(s + 1);
#pragma GCC unroll 8
            for (std::size_t r = 0; r < Rows; ++r) {
                const __m256i pairs = _mm256_add_epi16(_mm256_maddubs_epi16(one, four(s * Rows + r)),
                                                       _mm256_maddubs_epi16(other, four((s + 1) * Rows + r)));
                dot[r] = _mm256_add_epi32(dot[r], _mm256_madd_epi16(pairs, ones));
            }
        }
    }
}

template <PackKind Kind, bool Signed, std::size_t Rows>
CARREL_AVX2 void addRowsAvx2(const PackedLayout& layout, const Panel& panel, std::size_t blocks, const QuantizedRows& x,
                             float* out) {
    const __m256i offset = _mm256_set1_epi32(Signed ? 0 : layout.offset);
    constexpr std::size_t kParts = Kind == PackKind::Halves ? 2 : 1;
    for (std::size_t b = 0; b < blocks; ++b)
        for (std::size_t lane = 0; lane < kTileRows; lane += 8) {
            const float* factors = panel.scale + b * 16 * panelFactors(Kind) + lane;
            const __m256 first = _mm256_load_ps(factors), second = _mm256_load_ps(factors + 16);
            __m256i dot[kParts][Rows];
            for (std::size_t part = 0; part < kParts; ++part) {
                const std::size_t step = b * 8 + part * 4;
                const std::int32_t* less = x.less + (3 * b + (kParts == 2 ? part : 2)) * Rows;
                for (std::size_t r = 0; r < Rows; ++r)
                    dot[part][r] = _mm256_mullo_epi32(offset, _mm256_set1_epi32(less[r]));
                dotAvx2<Signed, Rows>(panel.q + step * 64 + lane * 4, x.q + step * Rows * 4, 8 / kParts, dot[part]);
            }
            for (std::size_t r = 0; r < Rows; ++r) {
                float* at = out + r * kTileRows + lane;
                const __m256 scale = _mm256_set1_ps(x.scale[b * Rows + r]), dots = _mm256_cvtepi32_ps(dot[0][r]);
                __m256 sum = _mm256_load_ps(at);
                if constexpr (Kind == PackKind::Halves) {
                    const __m256 both =
                        _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot[1][r]), second, _mm256_mul_ps(dots, first));
                    sum = _mm256_fmadd_ps(both, scale, sum);
                } else {
                    sum = _mm256_fmadd_ps(dots, _mm256_mul_ps(first, scale), sum);
                }
                if constexpr (Kind == PackKind::Minimum)
                    sum = _mm256_fmadd_ps(second, _mm256_set1_ps(x.mean[b * Rows + r]), sum);
                if constexpr (Kind == PackKind::HalfMinima) {
                    const std::int32_t* less = x.less + 3 * b * Rows + r;
                    const __m256 minima =
                        _mm256_fmadd_ps(_mm256_load_ps(factors + 32), _mm256_set1_ps(static_cast<float>(less[Rows])),
                                        _mm256_mul_ps(second, _mm256_set1_ps(static_cast<float>(less[0]))));
                    sum = _mm256_fmadd_ps(minima, scale, sum);
                }
                _mm256_store_ps(at, sum);
            }
        }
}

template <PackKind Kind, bool Signed>
void addKindAvx2(const PackedLayout& layout, const Panel& panel, std::size_t blocks, const QuantizedRows& x,
                 std::size_t rows, float* out) {
    constexpr decltype(&addRowsAvx2<Kind, Signed, 1>) kByRows[kRowGroup] = {
        addRowsAvx2<Kind, Signed, 1>, addRowsAvx2<Kind, Signed, 2>, addRowsAvx2<Kind, Signed, 3>,
        addRowsAvx2<Kind, Signed, 4>, addRowsAvx2<Kind, Signed, 5>, addRowsAvx2<Kind, Signed, 6>,
        addRowsAvx2<Kind, Signed, 7>, addRowsAvx2<Kind, Signed, 8>};
    kByRows[rows - 1](layout, panel, blocks, x, out);
}

void addBlocksAvx2(const PackedLayout& layout, const Panel& panel, std::size_t blocks, const QuantizedRows& x,
                   std::size_t rows, float* out) {
    const auto add = layout.kind == PackKind::Halves       ? addKindAvx2<PackKind::Halves, false>
                     : layout.kind == PackKind::Minimum    ? addKindAvx2<PackKind::Minimum, false>
                     : layout.kind == PackKind::HalfMinima ? addKindAvx2<PackKind::HalfMinima, false>
                     : layout.offset == 128                ? addKindAvx2<PackKind::Offset, true>
                                                           : addKindAvx2<PackKind::Offset, false>;
    add(layout, panel, blocks, x, rows, out);
}

// --- AVX-512: 16 output rows a register, 64 products an instruction ---

CARREL_AVX512 CARREL_INLINE __m512i four512(const std::int8_t* x) {
    std::int32_t columns;
    std::memcpy(&columns, x, 4);
    return _mm512_set1_epi32(columns);
}

// One block of 32 columns of Tiles tiles into the sums [Tiles][Rows] of Rows rows, which lie interleaved with Stride
// - Rows others. The order of operations is the same for every shape and from packed or unpacked weights. w: tile t's 8
// steps from t * tileStep on; factors [Tiles][panelFactors].
template <PackKind Kind, int OffsetShift, std::size_t Stride, std::size_t Rows, std::size_t Tiles>
CARREL_AVX512 CARREL_INLINE void multiply512(const __m512i* w, std::size_t tileStep, const __m512* factors,
                                             const QuantizedRows& x, std::size_t b, __m512* sum) {
    constexpr std::size_t kParts = Kind == PackKind::Halves ? 2 : 1, kSteps = 8 / kParts, kSums = Tiles * Rows;
    constexpr std::size_t kFactors = panelFactors(Kind);
    constexpr bool kOffset = Kind == PackKind::Offset || Kind == PackKind::Halves;
    const std::int8_t* q = x.q + b * 8 * Stride * 4;
    __m512 both[kSums];
#pragma GCC unroll 2
    for (std::size_t part = 0; part < kParts; ++part) {
        __m512i dot[kSums];
#pragma GCC unroll 8
        for (std::size_t i = 0; i < kSums; ++i) {
            if constexpr (!kOffset)
                dot[i] = _mm512_setzero_si512();
            else
                dot[i] = _mm512_slli_epi32(
                    _mm512_set1_epi32(x.less[(3 * b + (kParts == 2 ? part : 2)) * Stride + i % Rows]), OffsetShift);
        }
#pragma GCC unroll 8
        for (std::size_t s = part * kSteps; s < (part + 1) * kSteps; ++s)
#pragma GCC unroll 8
            for (std::size_t i = 0; i < kSums; ++i)
                dot[i] =
                    _mm512_dpbusd_epi32(dot[i], w[i / Rows * tileStep + s], four512(q + (s * Stride + i % Rows) * 4));
#pragma GCC unroll 8
        for (std::size_t i = 0; i < kSums; ++i) {
            const __m512 dots = _mm512_cvtepi32_ps(dot[i]), factor = factors[i / Rows * kFactors + part];
            const __m512 scale = _mm512_set1_ps(x.scale[b * Stride + i % Rows]);
            if constexpr (Kind != PackKind::Halves) {
                sum[i] = _mm512_fmadd_ps(dots, _mm512_mul_ps(factor, scale), sum[i]);
            } else if (part == 0) {
                both[i] = _mm512_mul_ps(dots, factor);
            } else {
                both[i] = _mm512_fmadd_ps(dots, factor, both[i]);
                sum[i] = _mm512_fmadd_ps(both[i], scale, sum[i]);
            }
        }
    }
#pragma GCC unroll 8
    for (std::size_t i = 0; i < kSums; ++i) {
        const __m512* more = factors + i / Rows * kFactors + 1;
        const std::size_t r = i % Rows;
        if constexpr (Kind == PackKind::Minimum)
            sum[i] = _mm512_fmadd_ps(*more, _mm512_set1_ps(x.mean[b * Stride + r]), sum[i]);
        if constexpr (Kind == PackKind::HalfMinima) {
            const __m512 one = _mm512_cvtepi32_ps(_mm512_set1_epi32(x.less[3 * b * Stride + r]));
            const __m512 other = _mm512_cvtepi32_ps(_mm512_set1_epi32(x.less[(3 * b + 1) * Stride + r]));
            const __m512 minima = _mm512_fmadd_ps(more[1], other, _mm512_mul_ps(more[0], one));
            sum[i] = _mm512_fmadd_ps(minima, _mm512_set1_ps(x.scale[b * Stride + r]), sum[i]);
        }
    }
}

// Whole tiles go without a mask: masked stores are slow.
CARREL_AVX512 CARREL_INLINE void store512(__m512 sum, const Products& to, std::size_t r) {
    float* out = to.out + r * to.stride;
    if (to.count == kTileRows) {
        if (to.bias != nullptr) sum = _mm512_add_ps(sum, _mm512_loadu_ps(to.bias));
        if (to.accumulate) sum = _mm512_add_ps(_mm512_loadu_ps(out), sum);
        return _mm512_storeu_ps(out, sum);
    }
    const auto valid = static_cast<__mmask16>((1u << to.count) - 1);
    if (to.bias != nullptr) sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(valid, to.bias));
    if (to.accumulate) sum = _mm512_add_ps(_mm512_maskz_loadu_ps(valid, out), sum);
    _mm512_mask_storeu_ps(out, valid, sum);
}

// Rows First to First + Rows of Stride interleaved ones.
template <PackKind Kind, int OffsetShift, std::size_t Stride, std::size_t First, std::size_t Rows>
CARREL_AVX512 CARREL_INLINE void panelPart512(const PackedLayout& layout, const Panel& panel, const QuantizedRows& all,
                                              const Products* to) {
    const QuantizedRows x{all.q + First * 4, all.scale + First, all.less + First, all.mean + First};
    constexpr std::size_t kFactors = panelFactors(Kind);
    // What was written by another operation long ago lies far away.
#pragma GCC unroll 2
    for (std::size_t t = 0; t < kPanelTiles; ++t)
#pragma GCC unroll 4
        for (std::size_t r = 0; r < Rows; ++r)
            _mm_prefetch(reinterpret_cast<const char*>(to[t].out + (First + r) * to[t].stride), _MM_HINT_T1);
    __m512 sum[kPanelTiles * Rows];
#pragma GCC unroll 8
    for (__m512& one : sum) one = _mm512_setzero_ps();
    for (std::size_t b = 0; b < layout.blocks(); ++b) {
        __m512 factors[kPanelTiles * kFactors];
#pragma GCC unroll 2
        for (std::size_t t = 0; t < kPanelTiles; ++t)
#pragma GCC unroll 3
            for (std::size_t i = 0; i < kFactors; ++i)
                factors[t * kFactors + i] =
                    _mm512_load_ps(panel.tile(layout, t).scale + (b * kFactors + i) * kTileRows);
        multiply512<Kind, OffsetShift, Stride, Rows, kPanelTiles>(reinterpret_cast<const __m512i*>(panel.q + b * 512),
                                                                  layout.blocks() * 8, factors, x, b, sum);
    }
#pragma GCC unroll 2
    for (std::size_t t = 0; t < kPanelTiles; ++t)
#pragma GCC unroll 4
        for (std::size_t r = 0; r < Rows; ++r) store512(sum[t * Rows + r], to[t], First + r);
}

// Four rows at a time: with two tiles their sums and dots are what the registers hold.
template <PackKind Kind, int OffsetShift, std::size_t Rows>
CARREL_AVX512 void panelRows512(const PackedLayout& layout, const Panel& panel, const QuantizedRows& x,
                                const Products* to) {
    constexpr std::size_t kFirst = Rows < 4 ? Rows : 4;
    panelPart512<Kind, OffsetShift, Rows, 0, kFirst>(layout, panel, x, to);
    if constexpr (Rows > kFirst) panelPart512<Kind, OffsetShift, Rows, kFirst, Rows - kFirst>(layout, panel, x, to);
}

using PanelRowsFn = void (*)(const PackedLayout&, const Panel&, const QuantizedRows&, const Products*);

template <PackKind Kind, int OffsetShift>
constexpr PanelRowsFn kPanelRows512[kRowGroup] = {
    panelRows512<Kind, OffsetShift, 1>, panelRows512<Kind, OffsetShift, 2>, panelRows512<Kind, OffsetShift, 3>,
    panelRows512<Kind, OffsetShift, 4>, panelRows512<Kind, OffsetShift, 5>, panelRows512<Kind, OffsetShift, 6>,
    panelRows512<Kind, OffsetShift, 7>, panelRows512<Kind, OffsetShift, 8>};

void panelAvx512(const PackedLayout& layout, const Panel& panel, const QuantizedRows& x, std::size_t rows,
                 const Products* to) {
    const std::size_t i = rows - 1;
    if (layout.kind == PackKind::Halves && layout.bits == 3)
        return kPanelRows512<PackKind::Halves, 2>[i](layout, panel, x, to);
    if (layout.kind == PackKind::Halves) return kPanelRows512<PackKind::Halves, 5>[i](layout, panel, x, to);
    if (layout.kind == PackKind::Minimum) return kPanelRows512<PackKind::Minimum, 0>[i](layout, panel, x, to);
    if (layout.kind == PackKind::HalfMinima) return kPanelRows512<PackKind::HalfMinima, 0>[i](layout, panel, x, to);
    if (layout.offset == 128) return kPanelRows512<PackKind::Offset, 7>[i](layout, panel, x, to);
    if (layout.bits == 5) return kPanelRows512<PackKind::Offset, 4>[i](layout, panel, x, to);
    kPanelRows512<PackKind::Offset, 3>[i](layout, panel, x, to);
}

template <DType Type, std::size_t Rows>
CARREL_AVX512 void tileRows512(const PackedLayout& layout, const std::byte* tile, const QuantizedRows& x, float* out) {
    using Block = Block512<Type>;
    constexpr std::size_t kAhead = 8192, kBlockBytes = blockBytes(Type, Block::kBits);
    __m512 sum[Rows];
#pragma GCC unroll 8
    for (std::size_t r = 0; r < Rows; ++r) sum[r] = _mm512_setzero_ps();
    for (std::size_t b = 0; b < layout.blocks(); ++b) {
        __m512i w[8];
        __m512 factors[panelFactors(Block::kKind)];
        // So many rows are slower than memory: the hardware, which stops at every page, then falls behind.
        if constexpr (Rows > 4) fetch(tile + b * kBlockBytes + kAhead, kBlockBytes);
        block512<Type>(tile, b, w, factors);
        multiply512<Block::kKind, Block::kOffsetShift, Rows, Rows, 1>(w, 0, factors, x, b, sum);
    }
#pragma GCC unroll 8
    for (std::size_t r = 0; r < Rows; ++r) _mm512_store_ps(out + r * kTileRows, sum[r]);
}

template <DType Type>
void tileType512(const PackedLayout& layout, const std::byte* tile, const QuantizedRows& x, std::size_t rows,
                 float* out) {
    constexpr decltype(&tileRows512<Type, 1>) kByRows[kRowGroup] = {
        tileRows512<Type, 1>, tileRows512<Type, 2>, tileRows512<Type, 3>, tileRows512<Type, 4>,
        tileRows512<Type, 5>, tileRows512<Type, 6>, tileRows512<Type, 7>, tileRows512<Type, 8>};
    kByRows[rows - 1](layout, tile, x, out);
}

void tileAvx512(const PackedLayout& layout, const std::byte* tile, const QuantizedRows& x, std::size_t rows,
                float* out) {
    forQuantizedType(layout.type, [&](auto type) { tileType512<type.value>(layout, tile, x, rows, out); });
}

#endif

}  // namespace

#if defined(__x86_64__)
const Variants<PanelFn> kPanel{
    {Isa::Avx512, panelAvx512}, {Isa::Avx2, panelByTiles<addBlocksAvx2>}, {Isa::Scalar, panelByTiles<addBlocksScalar>}};
const Variants<TileFn> kTile{{Isa::Avx512, tileAvx512},
                             {Isa::Avx2, tileByBlocks<Isa::Avx2, addBlocksAvx2>},
                             {Isa::Scalar, tileByBlocks<Isa::Scalar, addBlocksScalar>}};
#else
const Variants<PanelFn> kPanel{{Isa::Scalar, panelByTiles<addBlocksScalar>}};
const Variants<TileFn> kTile{{Isa::Scalar, tileByBlocks<Isa::Scalar, addBlocksScalar>}};
#endif

}  // namespace carrel

#include <algorithm>
#include <cstring>

#include "compute/cpu/intrinsics.h"
#include "compute/cpu/kernels.h"
#include "compute/cpu/math.h"

namespace carrel {

namespace {

template <bool Fused, DType Type>
CARREL_INLINE void floatTile(std::size_t cols, const std::byte* tile, const float* x, std::size_t stride,
                             std::size_t rows, float* out) {
    std::fill_n(out, rows * kTileRows, 0.0f);
    for (std::size_t c = 0; c < cols; ++c) {
        float w[kTileRows];
        if constexpr (Type == DType::F32) {
            std::memcpy(w, tile + c * sizeof w, sizeof w);
        } else {
            std::uint16_t h[kTileRows];
            std::memcpy(h, tile + c * sizeof h, sizeof h);
            for (std::size_t lane = 0; lane < kTileRows; ++lane)
                w[lane] = Type == DType::F16 ? f16ToF32(h[lane]) : bf16ToF32(h[lane]);
        }
        for (std::size_t r = 0; r < rows; ++r)
            for (std::size_t lane = 0; lane < kTileRows; ++lane)
                out[r * kTileRows + lane] = madd<Fused>(w[lane], x[r * stride + c], out[r * kTileRows + lane]);
    }
}

void floatTileScalar(const PackedLayout& layout, const std::byte* tile, const float* x, std::size_t stride,
                     std::size_t rows, float* out) {
    if (layout.type == DType::F32) floatTile<false, DType::F32>(layout.cols, tile, x, stride, rows, out);
    if (layout.type == DType::F16) floatTile<false, DType::F16>(layout.cols, tile, x, stride, rows, out);
    if (layout.type == DType::BF16) floatTile<false, DType::BF16>(layout.cols, tile, x, stride, rows, out);
}

#if defined(__x86_64__)

template <DType Type>
CARREL_AVX2 CARREL_INLINE __m256 load256(const std::byte* tile, std::size_t i) {
    if constexpr (Type == DType::F32) return _mm256_load_ps(reinterpret_cast<const float*>(tile) + i);
    const __m128i halves = _mm_load_si128(reinterpret_cast<const __m128i*>(tile + 2 * i));
    if constexpr (Type == DType::F16) return _mm256_cvtph_ps(halves);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}

template <DType Type, std::size_t Rows>
CARREL_AVX2 void rows256(std::size_t cols, const std::byte* tile, const float* x, std::size_t stride, float* out) {
    __m256 low[Rows], high[Rows];
    for (std::size_t r = 0; r < Rows; ++r) low[r] = high[r] = _mm256_setzero_ps();
    for (std::size_t c = 0; c < cols; ++c) {
        const __m256 first = load256<Type>(tile, c * kTileRows), second = load256<Type>(tile, c * kTileRows + 8);
#pragma GCC unroll 4
        for (std::size_t r = 0; r < Rows; ++r) {
            const __m256 column = _mm256_set1_ps(x[r * stride + c]);
            low[r] = _mm256_fmadd_ps(first, column, low[r]);
            high[r] = _mm256_fmadd_ps(second, column, high[r]);
        }
    }
    for (std::size_t r = 0; r < Rows; ++r) {
        _mm256_store_ps(out + r * kTileRows, low[r]);
        _mm256_store_ps(out + r * kTileRows + 8, high[r]);
    }
}

template <DType Type>
CARREL_AVX512 CARREL_INLINE __m512 load512(const std::byte* tile, std::size_t i) {
    if constexpr (Type == DType::F32) return _mm512_load_ps(reinterpret_cast<const float*>(tile) + i);
    const __m256i halves = _mm256_load_si256(reinterpret_cast<const __m256i*>(tile + 2 * i));
    if constexpr (Type == DType::F16) return _mm512_cvtph_ps(halves);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

template <DType Type, std::size_t Rows>
CARREL_AVX512 void rows512(std::size_t cols, const std::byte* tile, const float* x, std::size_t stride, float* out) {
    __m512 sum[Rows];
    for (std::size_t r = 0; r < Rows; ++r) sum[r] = _mm512_setzero_ps();
    for (std::size_t c = 0; c < cols; ++c) {
        const __m512 w = load512<Type>(tile, c * kTileRows);
#pragma GCC unroll 8
        for (std::size_t r = 0; r < Rows; ++r) sum[r] = _mm512_fmadd_ps(w, _mm512_set1_ps(x[r * stride + c]), sum[r]);
    }
    for (std::size_t r = 0; r < Rows; ++r) _mm512_store_ps(out + r * kTileRows, sum[r]);
}

template <DType Type>
void floatRowsAvx2(std::size_t cols, const std::byte* tile, const float* x, std::size_t stride, std::size_t rows,
                   float* out) {
    while (rows >= 4) {
        rows256<Type, 4>(cols, tile, x, stride, out);
        rows -= 4, x += 4 * stride, out += 4 * kTileRows;
    }
    if (rows == 3) rows256<Type, 3>(cols, tile, x, stride, out);
    if (rows == 2) rows256<Type, 2>(cols, tile, x, stride, out);
    if (rows == 1) rows256<Type, 1>(cols, tile, x, stride, out);
}

template <DType Type>
void floatRowsAvx512(std::size_t cols, const std::byte* tile, const float* x, std::size_t stride, std::size_t rows,
                     float* out) {
    if (rows == 8) return rows512<Type, 8>(cols, tile, x, stride, out);
    if (rows >= 4) {
        rows512<Type, 4>(cols, tile, x, stride, out);
        rows -= 4, x += 4 * stride, out += 4 * kTileRows;
    }
    if (rows == 3) rows512<Type, 3>(cols, tile, x, stride, out);
    if (rows == 2) rows512<Type, 2>(cols, tile, x, stride, out);
    if (rows == 1) rows512<Type, 1>(cols, tile, x, stride, out);
}

void floatTileAvx2(const PackedLayout& layout, const std::byte* tile, const float* x, std::size_t stride,
                   std::size_t rows, float* out) {
    if (layout.type == DType::F32) floatRowsAvx2<DType::F32>(layout.cols, tile, x, stride, rows, out);
    if (layout.type == DType::F16) floatRowsAvx2<DType::F16>(layout.cols, tile, x, stride, rows, out);
    if (layout.type == DType::BF16) floatRowsAvx2<DType::BF16>(layout.cols, tile, x, stride, rows, out);
}

void floatTileAvx512(const PackedLayout& layout, const std::byte* tile, const float* x, std::size_t stride,
                     std::size_t rows, float* out) {
    if (layout.type == DType::F32) floatRowsAvx512<DType::F32>(layout.cols, tile, x, stride, rows, out);
    if (layout.type == DType::F16) floatRowsAvx512<DType::F16>(layout.cols, tile, x, stride, rows, out);
    if (layout.type == DType::BF16) floatRowsAvx512<DType::BF16>(layout.cols, tile, x, stride, rows, out);
}

#endif

}  // namespace

#if defined(__x86_64__)
const Variants<FloatTileFn> kFloatTile{
    {Isa::Avx512, floatTileAvx512}, {Isa::Avx2, floatTileAvx2}, {Isa::Scalar, floatTileScalar}};
#else
const Variants<FloatTileFn> kFloatTile{{Isa::Scalar, floatTileScalar}};
#endif

}  // namespace carrel

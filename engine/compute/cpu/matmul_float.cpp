#include <algorithm>
#include <cstring>

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

}  // namespace

const Variants<FloatTileFn> kFloatTile{{Isa::Scalar, floatTileScalar}};

}  // namespace carrel

#pragma once

#include <cstring>

#include "compute/cpu/kernels.h"

// The factors of a packed tile (packed_weight.h says where they lie): plain loops over its 16 rows, which every
// instruction set gets its own compilation of.

namespace carrel {

/// For 32 columns of each row: value = scale * (quantValue - offset) + min, the first 16 columns' and the others'. min
/// is written of types that have one.
struct TileFactors {
    float scale[2][kTileRows], min[2][kTileRows];
};

/// What loops do badly: 16 f16, and 512 quants to their kIq4Values.
struct PlainLoops {
    static void halfFloats(const std::uint8_t* at, float* out) {
        std::uint16_t h[kTileRows];
        std::memcpy(h, at, sizeof h);
        for (std::size_t r = 0; r < kTileRows; ++r) out[r] = f16ToF32(h[r]);
    }
    static void lookUp(std::uint8_t* q) {
        for (std::size_t i = 0; i < 512; ++i) q[i] = kIq4Values[q[i]];
    }
};

CARREL_INLINE void sixes(const std::uint8_t* at, std::size_t j, int one[kTileRows], int other[kTileRows]) {
    const std::uint8_t *low = at + 16 * j, *high = at + 128 + 16 * (j / 2);
    const unsigned shift = 4 * (j % 2);
    for (std::size_t r = 0; r < kTileRows; ++r) {
        one[r] = (low[r] & 15) | (high[r] >> shift & 3) << 4;
        other[r] = low[r] >> 4 | (high[r] >> (shift + 2) & 3) << 4;
    }
}

CARREL_INLINE void scaled(const float* d, const int* bits, int offset, float* out) {
    for (std::size_t r = 0; r < kTileRows; ++r) out[r] = d[r] * static_cast<float>(bits[r] - offset);
}

CARREL_INLINE void subtracted(const float* m, const int* bits, float* out) {
    for (std::size_t r = 0; r < kTileRows; ++r) out[r] = -(m[r] * static_cast<float>(bits[r]));
}

template <class Loops>
CARREL_INLINE void tileFactors(const PackedLayout& layout, const std::byte* tile, std::size_t block, TileFactors& out) {
    const std::size_t j = block % 8;
    const auto* at = reinterpret_cast<const std::uint8_t*>(tile + blockPlace(layout.type, layout.bits, block).factors);
    float d[kTileRows], m[kTileRows];
    int bits[4][kTileRows];
    Loops::halfFloats(at, d);
    if (layout.offset == 0) Loops::halfFloats(at + 32, m);
    switch (layout.type) {
        case DType::Q2_K:
            for (std::size_t half = 0; half < 2; ++half) {
                for (std::size_t r = 0; r < kTileRows; ++r) {
                    bits[half][r] = at[64 + 32 * j + 16 * half + r] & 15;
                    bits[2 + half][r] = at[64 + 32 * j + 16 * half + r] >> 4;
                }
                scaled(d, bits[half], 0, out.scale[half]);
                subtracted(m, bits[2 + half], out.min[half]);
            }
            break;
        case DType::Q3_K:
            sixes(at + 32, j, bits[0], bits[1]);
            for (std::size_t half = 0; half < 2; ++half) scaled(d, bits[half], 32, out.scale[half]);
            break;
        case DType::Q4_K:
        case DType::Q5_K:
            sixes(at + 64, j, bits[0], bits[1]);
            for (std::size_t half = 0; half < 2; ++half) {
                scaled(d, bits[0], 0, out.scale[half]);
                subtracted(m, bits[1], out.min[half]);
            }
            break;
        case DType::Q6_K:
            for (std::size_t half = 0; half < 2; ++half) {
                for (std::size_t r = 0; r < kTileRows; ++r)
                    bits[half][r] = static_cast<std::int8_t>(at[32 + 32 * j + 16 * half + r]);
                scaled(d, bits[half], 0, out.scale[half]);
            }
            break;
        case DType::IQ4_XS: {
            const std::uint8_t *low = at + 32 + 16 * (j / 2), *high = at + 96 + 16 * (j / 4);
            for (std::size_t r = 0; r < kTileRows; ++r)
                bits[0][r] = (low[r] >> 4 * (j % 2) & 15) | (high[r] >> 2 * (j % 4) & 3) << 4;
            for (std::size_t half = 0; half < 2; ++half) scaled(d, bits[0], 32, out.scale[half]);
            break;
        }
        default:
            for (std::size_t half = 0; half < 2; ++half) {
                std::memcpy(out.scale[half], d, sizeof d);
                if (layout.offset == 0) std::memcpy(out.min[half], m, sizeof m);
            }
    }
}

}  // namespace carrel

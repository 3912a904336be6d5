#pragma once

#include <cstddef>

#include "tensor/quant.h"

namespace carrel::cuda {

/// Rows of a tile: a warp's lanes, one row each.
inline constexpr std::size_t kTileRows = 32;

constexpr bool isFloat(DType type) {
    return type == DType::F32 || type == DType::F16 || type == DType::BF16;
}
/// Of a quantised type, planes of a block; of a float type, bits of an element.
constexpr unsigned quantBits(DType type) {
    switch (type) {
        case DType::F32:
            return 32;
        case DType::F16:
        case DType::BF16:
            return 16;
        case DType::Q8_0:
            return 8;
        case DType::Q6_K:
            return 6;
        case DType::Q5_0:
        case DType::Q5_1:
        case DType::Q5_K:
            return 5;
        case DType::Q3_K:
            return 3;
        case DType::Q2_K:
            return 2;
        default:
            return 4;
    }
}
/// Blocks of 32 columns whose factors stand together.
constexpr unsigned unitBlocks(DType type) {
    return hasMinBits(type) || type == DType::Q3_K || type == DType::Q6_K || type == DType::IQ4_XS ? 8 : 1;
}
/// Of a unit and one row.
constexpr unsigned factorBytes(DType type) {
    switch (type) {
        case DType::F32:
        case DType::F16:
        case DType::BF16:
            return 0;
        case DType::Q2_K:
            return 20;
        case DType::Q3_K:
            return 14;
        case DType::Q4_K:
        case DType::Q5_K:
            return 16;
        case DType::Q6_K:
            return 18;
        case DType::IQ4_XS:
            return 8;
        case DType::Q4_1:
        case DType::Q5_1:
            return 4;
        default:
            return 2;
    }
}

/// A tile is 32 rows; its blocks, of 32 columns, come in units of `unitBlocks`: factors, then each block's quants. All
/// lies in planes [32 rows], so that a warp's load is one piece of memory. Columns of a float type are padded to 32.
/// Quants of a block (of step s: columns 4s to 4s + 3, a byte each; Q8_0: signed; IQ4 types: indices of their values)
///   8 bits  [2][32] x 16 bytes   steps 0 to 3, steps 4 to 7
///   nibbles [32] x 16 bytes      low ones: steps 0 to 3, high ones: steps 4 to 7        (4, 5 and 6 bits)
///   pairs   [32] x 8 bytes       word w: bits 2s of each byte: step 4w + s               (6, 3 and 2 bits)
///   singles [32] x 4 bytes       bit s of each byte: step s                              (5 and 3 bits)
///   floats  [8][32] x 4 elements (F32), [4][32] x 8 elements (F16, BF16): 16 bytes each
/// Factors of a unit, as in the file
///   Q8_0 Q4_0 Q5_0 IQ4_NL  [32] f16 d
///   Q4_1 Q5_1              [32] f16 d, f16 m
///   Q4_K Q5_K              [32] f16 d, f16 dmin, u8[12]
///   Q6_K                   [32] s8[16], then [32] f16 d
///   Q2_K                   [32] u8[16], then [32] f16 d, f16 dmin
///   Q3_K                   [3][32] u32, then [32] f16 d
///   IQ4_XS                 [32] f16 d, u16 high pairs, u8[4] low nibbles
constexpr std::size_t quantBytes(DType type) {
    return std::size_t{quantBits(type)} * 4 * kTileRows;
}
constexpr std::size_t unitBytes(DType type) {
    return (cuda::factorBytes(type) * kTileRows) + cuda::unitBlocks(type) * cuda::quantBytes(type);
}
constexpr std::size_t blocksOf(std::size_t cols) {
    return (cols + 31) / 32;
}
constexpr std::size_t tileBytes(DType type, std::size_t cols) {
    return blocksOf(cols) / cuda::unitBlocks(type) * cuda::unitBytes(type);
}
constexpr std::size_t tilesOf(std::size_t rows) {
    return (rows + kTileRows - 1) / kTileRows;
}

/// An output's blocks are added up in this many runs, each in ascending order, and the runs' sums in theirs: a block of
/// threads may take a run each, or one thread all of them, and the bits are the same.
inline constexpr unsigned kRuns = 8;

}  // namespace carrel::cuda

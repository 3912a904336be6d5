#pragma once

#include <carrel/result.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/thread_pool.h"
#include "compute/backend.h"
#include "compute/cpu/pages.h"

namespace carrel {

inline constexpr std::size_t kTileRows = 16;

/// How a quantised type's 32 columns become a product: one scale and an offset of q; a scale and a minimum; a scale per
/// 16 columns and an offset; a scale and a minimum per 16 columns.
enum class PackKind : std::uint8_t { Float, Offset, Minimum, Halves, HalfMinima };

/// Blocks of 32 columns whose factors stand together.
constexpr std::size_t unitBlocks(DType type) {
    return hasMinBits(type) || type == DType::Q3_K || type == DType::Q6_K || type == DType::IQ4_XS ? 8 : 1;
}
/// Of a unit and 16 rows.
constexpr std::size_t factorBytes(DType type) {
    switch (type) {
        case DType::Q2_K:
            return 320;
        case DType::Q3_K:
            return 224;
        case DType::Q4_K:
        case DType::Q5_K:
            return 256;
        case DType::Q6_K:
            return 288;
        case DType::IQ4_XS:
            return 128;
        case DType::Q4_1:
        case DType::Q5_1:
            return 64;
        default:
            return 32;
    }
}

/// Of 32 columns and 16 rows, quants and factors.
constexpr std::size_t blockBytes(DType type, std::size_t bits) {
    return bits * 64 + factorBytes(type) / unitBlocks(type);
}

/// A tile is 16 rows. Of a float type: [cols][16] elements. Of a quantised one the factors of every 32 columns, or of
/// 256 in the types that have blocks of them, followed by the quants of each 32: one stream, since two, factors apart,
/// come from memory at half its speed.
/// Quants, unsigned (of IQ4 types the file's index of their value), are 8 steps of [16 rows][4 columns] in planes:
///   8 bits  bytes                                                                        512 bytes
///   6 bits  nibbles and pairs                                                            384 bytes
///   5 bits  nibbles and single bits                                                      320 bytes
///   4 bits  nibbles [4][16][4]: the low ones of step s, the high ones of step s + 4      256 bytes
///   3 bits  pairs and single bits                                                        192 bytes
///   2 bits  pairs [2][16][4]: bits 2s and 2s + 1 of step s, in the second of step s + 4  128 bytes
///           single bits [16][4]: bit s of step s                                          64 bytes
/// Factors are
///   Q8_0 Q4_0 Q5_0 IQ4_NL  per 32 columns  f16 d[16]
///   Q4_1 Q5_1  per 32 columns   f16 d[16], f16 m[16]
///   Q2_K       per 256 columns  f16 d[16], f16 dmin[16], u8 [16][16] (scale's 4 bits, then the minimum's)
///   Q3_K       per 256 columns  f16 d[16], sixes (scale + 32 of the first and of the other 16 columns)
///   Q4_K Q5_K  per 256 columns  f16 d[16], f16 dmin[16], sixes (scale and minimum)
///   Q6_K       per 256 columns  f16 d[16], s8 scale[16][16]
///   IQ4_XS     per 256 columns  f16 d[16], of scale + 32: u8 low[4][16] (4 low bits: nibble j % 2 of low[j / 2]),
///                               u8 high[2][16] (2 high bits: pair j % 4 of high[j / 4])
/// where sixes are two times 6 bits for every 32 columns j: u8 low[8][16] (4 low bits of the one, then of the other),
/// u8 high[4][16] (nibble j % 2 of high[j / 2]: 2 high bits of the one, then of the other).
struct PackedLayout {
    DType type = DType::F32;
    PackKind kind = PackKind::Float;
    std::uint8_t bits = 0, offset = 0;
    std::size_t rows = 0, cols = 0;
    std::size_t tileBytes = 0;  // a multiple of 64

    std::size_t tiles() const { return (rows + kTileRows - 1) / kTileRows; }
    std::size_t blocks() const { return cols / 32; }
};
/// Where the quants of 32 columns begin in a tile, and the factors that hold for them; in bytes.
struct BlockPlace {
    std::size_t quants = 0, factors = 0;
};
constexpr BlockPlace blockPlace(DType type, std::size_t bits, std::size_t block) {
    const std::size_t unit = unitBlocks(type), at = block / unit * unit * blockBytes(type, bits);
    return {at + factorBytes(type) + block % unit * bits * 64, at};
}

PackedLayout packedLayout(DType type, std::size_t rows, std::size_t cols);

class PackedWeight final : public Weight {
  public:
    /// InvalidArgument where `bytes` are not rows x cols of the type; NoMemory; what `read` fails with.
    static Result<std::unique_ptr<Weight>> load(DType type, std::size_t rows, std::size_t cols, std::size_t bytes,
                                                const ReadRaw& read, WeightMemory& memory, ThreadPool& pool);

    const PackedLayout& layout() const { return layout_; }
    const std::byte* tile(std::size_t i) const { return memory_.get() + i * layout_.tileBytes; }
    /// One row to f32, the same values as dequantizeRow. out [cols].
    void row(std::size_t index, float* out) const;

  private:
    void pack(std::size_t tile, const std::byte* raw, std::size_t rowBytes);

    PackedLayout layout_;
    std::shared_ptr<std::byte> memory_;
};

}  // namespace carrel

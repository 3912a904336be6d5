#pragma once

#include <carrel/result.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/thread_pool.h"
#include "compute/backend.h"

namespace carrel {

inline constexpr std::size_t kTileRows = 16;

/// How a quantised type's 32 columns become a product: one scale and an offset of q; a scale and a minimum; a scale per
/// 16 columns and an offset.
enum class PackKind : std::uint8_t { Float, Offset, Minimum, Halves };

/// A tile is 16 rows. Of a float type: [cols][16] elements. Of a quantised one, for every 32 columns the quants,
/// unsigned,
///   8 bits     [8 steps][16 rows][4 columns] u8                                                    512 bytes
///   otherwise  [4][16][4] bytes: low nibble of step s, high nibble of step s + 4                   256 bytes
///   5 bits     then [16][4] bytes, bit s the fifth bit of step s                                    64 bytes
///   6 bits     then [2][16][4] bytes, bits 2s and 2s + 1 the high bits of step s (then of s + 4)   128 bytes
/// and after the quants of all columns the factors,
///   Q8_0 Q4_0 Q5_0   per 32 columns   f16 d[16]
///   Q4_1 Q5_1        per 32 columns   f16 d[16], f16 m[16]
///   Q4_K Q5_K        per 256 columns  f16 d[16], f16 dmin[16], u8 low[8][16] (scale's 4 low bits, then the minimum's),
///                                     u8 high[4][16] (nibble j % 2 of high[j / 2]: scale's 2 high bits, then the
///                                     minimum's)
///   Q6_K             per 256 columns  f16 d[16], s8 scale[16][16]
struct PackedLayout {
    DType type = DType::F32;
    PackKind kind = PackKind::Float;
    std::uint8_t bits = 0, offset = 0;
    std::size_t rows = 0, cols = 0;
    std::size_t quantBytes = 0;  // per 32 columns of a tile
    std::size_t factorsAt = 0;   // in a tile
    std::size_t tileBytes = 0;   // a multiple of 64

    std::size_t tiles() const { return (rows + kTileRows - 1) / kTileRows; }
    std::size_t blocks() const { return cols / 32; }
};
PackedLayout packedLayout(DType type, std::size_t rows, std::size_t cols);

class PackedWeight final : public Weight {
  public:
    /// InvalidArgument where raw is not rows x cols of the type; NoMemory.
    static Result<std::unique_ptr<Weight>> load(DType type, std::size_t rows, std::size_t cols,
                                                std::span<const std::byte> raw, ThreadPool& pool);

    const PackedLayout& layout() const { return layout_; }
    const std::byte* tile(std::size_t i) const { return memory_.get() + i * layout_.tileBytes; }
    /// One row to f32, the same values as dequantizeRow. out [cols].
    void row(std::size_t index, float* out) const;

  private:
    struct Free {
        void operator()(std::byte* at) const;
    };
    PackedLayout layout_;
    std::unique_ptr<std::byte, Free> memory_;
};

/// Factors of one row of a tile for 32 columns.
struct Factors {
    float scale[2];
    float min;
};
Factors factorsOf(const PackedLayout& layout, const std::byte* tile, std::size_t block, std::size_t row);
/// q of step s (4 columns) of one row.
void quantsOf(const PackedLayout& layout, const std::byte* tile, std::size_t block, std::size_t step, std::size_t row,
              std::uint8_t q[4]);

}  // namespace carrel

#pragma once

#include <carrel/result.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace carrel {

/// Weight types, numbered as in GGUF (ggml_type).
enum class DType : std::uint32_t {
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q4_1 = 3,
    Q5_0 = 6,
    Q5_1 = 7,
    Q8_0 = 8,
    Q4_K = 12,
    Q5_K = 13,
    Q6_K = 14,
    BF16 = 30
};

/// Elements and bytes of one block; a row is a whole number of blocks.
struct DTypeInfo {
    std::string_view name;
    std::uint32_t blockElements, blockBytes;
};

/// Unsupported, with the type's number, for one that Carrel does not run.
Result<DTypeInfo> dtypeInfo(std::uint32_t ggmlType);

float f16ToF32(std::uint16_t h);
std::uint16_t f32ToF16(float f);  // round to nearest even
inline float bf16ToF32(std::uint16_t h) {
    return std::bit_cast<float>(std::uint32_t{h} << 16);
}

/// The definition of every weight type: one row of blocks to f32. out.size() is a multiple of the block; raw has
/// exactly its bytes.
void dequantizeRow(DType type, std::span<const std::byte> raw, std::span<float> out);

/// 32 consecutive columns of a quantised row in the file's own integers:
///   value[i] = f16(d) * scaleBits[i / 16] * (q[i] - offset) + minimum
/// with the type's offset (quantOffset) and, for types that have one, minimum = f16(m) or, of K types, -f16(m) *
/// minBits.
struct Columns32 {
    std::uint8_t q[32];
    std::uint16_t d = 0, m = 0;
    std::int8_t scaleBits[2] = {1, 1};
    std::uint8_t minBits = 1;
};
/// row: the row's first block; index counts 32 columns. Not for F32, F16 and BF16.
Columns32 columns32(DType type, const std::byte* row, std::size_t index);
int quantOffset(DType type);  // 0: a type with minima

}  // namespace carrel

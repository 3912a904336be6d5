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
    Q2_K = 10,
    Q3_K = 11,
    Q4_K = 12,
    Q5_K = 13,
    Q6_K = 14,
    IQ4_NL = 20,
    IQ4_XS = 23,
    BF16 = 30
};

/// Elements and bytes of one block; a row is a whole number of blocks.
struct DTypeInfo {
    std::string_view name;
    std::uint32_t blockElements, blockBytes;
};

/// Unsupported, with the type's number, for one that Carrel does not run.
Result<DTypeInfo> dtypeInfo(std::uint32_t ggmlType);

inline float f16ToF32(std::uint16_t h) {
    const std::uint32_t sign = (h & 0x8000u) << 16, rest = h & 0x7fffu;
    // Read as f32 the exponent is 112 too small; the multiplication puts that right, also for subnormals. Without a
    // branch, for loops over many.
    const auto finite = std::bit_cast<std::uint32_t>(std::bit_cast<float>(rest << 13) * 0x1p112f);
    const std::uint32_t other = 0x7f800000u | (rest & 0x3ff) << 13;
    return std::bit_cast<float>(sign | (rest >= 0x7c00 ? other : finite));
}
std::uint16_t f32ToF16(float f);  // round to nearest even
inline float bf16ToF32(std::uint16_t h) {
    return std::bit_cast<float>(std::uint32_t{h} << 16);
}

/// The definition of every weight type: one row of blocks to f32. out.size() is a multiple of the block; raw has
/// exactly its bytes.
void dequantizeRow(DType type, std::span<const std::byte> raw, std::span<float> out);

/// 32 consecutive columns of a quantised row in the file's own integers:
///   value[i] = f16(d) * scaleBits[i / 16] * (quantValue(q[i]) - offset) + minimum
/// with the type's offset (quantOffset) and, for types that have one, minimum = f16(m) or, of K types (hasMinBits),
/// -f16(m) * minBits[i / 16].
struct Columns32 {
    std::uint8_t q[32];
    std::uint16_t d = 0, m = 0;
    std::int8_t scaleBits[2] = {1, 1};
    std::uint8_t minBits[2] = {1, 1};
};
/// row: the row's first block; index counts 32 columns. Not for F32, F16 and BF16.
Columns32 columns32(DType type, const std::byte* row, std::size_t index);
int quantOffset(DType type);  // 0: a type with minima
constexpr bool hasMinBits(DType type) {
    return type == DType::Q2_K || type == DType::Q4_K || type == DType::Q5_K;
}

/// What the 16 quants of IQ4_NL and IQ4_XS stand for (ggml's kvalues_iq4nl), plus their offset.
inline constexpr std::uint8_t kIq4Values[16] = {1,   24,  45,  63,  79,  93,  106, 118,
                                                129, 141, 153, 166, 181, 197, 217, 241};
constexpr bool isIq4(DType type) {
    return type == DType::IQ4_NL || type == DType::IQ4_XS;
}
/// Of the other types a quant stands for itself.
constexpr std::uint8_t quantValue(DType type, std::uint8_t q) {
    return isIq4(type) ? kIq4Values[q] : q;
}

}  // namespace carrel

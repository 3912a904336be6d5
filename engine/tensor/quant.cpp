#include "tensor/quant.h"

#include <cassert>
#include <cstring>
#include <string>

namespace carrel {

namespace {

template <class T>
T load(const std::byte* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

std::uint8_t byteAt(const std::byte* at, std::size_t i) {
    return static_cast<std::uint8_t>(at[i]);
}

// Eight bits, each to the fifth bit of a byte of its own.
std::uint64_t fifthBits(std::uint32_t bits) {
    constexpr std::uint64_t kEach = 0x0101010101010101, kOne = 0x8040201008040201, kRest = 0x7f7f7f7f7f7f7f7f;
    const std::uint64_t apart = (bits & 255) * kEach & kOne;
    return ((apart + kRest) >> 7 & kEach) << 4;
}

// 16 bytes of nibbles: the low ones are columns 0 to 15, the high ones 16 to 31. `high` holds a fifth bit for each
// column.
void nibbles(const std::byte* qs, std::uint32_t high, Columns32& out) {
    constexpr std::uint64_t kLow = 0x0f0f0f0f0f0f0f0f;
    for (std::size_t i = 0; i < 2; ++i) {
        const auto eight = load<std::uint64_t>(qs + 8 * i);
        const std::uint64_t low = (eight & kLow) | fifthBits(high >> 8 * i),
                            upper = (eight >> 4 & kLow) | fifthBits(high >> (16 + 8 * i));
        std::memcpy(out.q + 8 * i, &low, 8);
        std::memcpy(out.q + 16 + 8 * i, &upper, 8);
    }
}

// The twelve bytes of 6-bit factors that Q4_K and Q5_K keep for eight times 32 columns.
void kFactors(const std::byte* s, std::size_t j, Columns32& out) {
    const int low = byteAt(s, j), high = byteAt(s, j + 4);
    int scale = low & 63, min = high & 63;
    if (j >= 4) {
        scale = (high & 15) | (byteAt(s, j - 4) >> 6) << 4;
        min = high >> 4 | (low >> 6) << 4;
    }
    out.scaleBits[0] = out.scaleBits[1] = static_cast<std::int8_t>(scale);
    out.minBits[0] = out.minBits[1] = static_cast<std::uint8_t>(min);
}

// Q4_K: f16 d, f16 dmin, 12 bytes of factors, 128 of nibbles. Q5_K has 32 bytes of fifth bits before the nibbles.
void columnsOfK(const std::byte* block, std::size_t j, bool five, Columns32& out) {
    out.d = load<std::uint16_t>(block);
    out.m = load<std::uint16_t>(block + 2);
    kFactors(block + 4, j, out);
    const std::byte* qs = block + (five ? 48 : 16) + 32 * (j / 2);
    for (int i = 0; i < 32; ++i) {
        const int high = five ? byteAt(block + 16, i) >> j & 1 : 0;
        out.q[i] = static_cast<std::uint8_t>((byteAt(qs, i) >> 4 * (j % 2) & 15) | high << 4);
    }
}

// Q2_K: 16 bytes of factors (scale's 4 bits, then the minimum's), 64 of bit pairs, f16 d, f16 dmin; in halves of 128
// columns.
void columnsOf2K(const std::byte* block, std::size_t j, Columns32& out) {
    for (std::size_t i = 0; i < 2; ++i) {
        out.scaleBits[i] = static_cast<std::int8_t>(byteAt(block, 2 * j + i) & 15);
        out.minBits[i] = byteAt(block, 2 * j + i) >> 4;
    }
    for (std::size_t i = 0; i < 32; ++i) out.q[i] = byteAt(block + 16 + 32 * (j / 4), i) >> 2 * (j % 4) & 3;
    out.d = load<std::uint16_t>(block + 80);
    out.m = load<std::uint16_t>(block + 82);
}

// Q3_K: 32 bytes of third bits, 64 of bit pairs, 12 of factors of 6 bits (8 bytes of two times 4 low bits, then 4 of
// high pairs), f16 d.
void columnsOf3K(const std::byte* block, std::size_t j, Columns32& out) {
    const std::byte *low = block + 96, *high = block + 104;
    for (std::size_t i = 0; i < 2; ++i) {
        const std::size_t k = 2 * j + i;
        const int scale = (byteAt(low, k % 8) >> 4 * (k / 8) & 15) | (byteAt(high, k % 4) >> 2 * (k / 4) & 3) << 4;
        out.scaleBits[i] = static_cast<std::int8_t>(scale - 32);
    }
    for (std::size_t i = 0; i < 32; ++i)
        out.q[i] = static_cast<std::uint8_t>((byteAt(block + 32 + 32 * (j / 4), i) >> 2 * (j % 4) & 3) |
                                             (byteAt(block, i) >> j & 1) << 2);
    out.d = load<std::uint16_t>(block + 108);
}

// IQ4_XS: f16 d, factors of 6 bits (16 bits of high pairs, then 4 bytes of two times 4 low bits), 128 bytes of nibbles.
void columnsOfIq4Xs(const std::byte* block, std::size_t j, Columns32& out) {
    const int scale = (byteAt(block, 4 + j / 2) >> 4 * (j % 2) & 15) | (load<std::uint16_t>(block + 2) >> 2 * j & 3)
                                                                           << 4;
    out.scaleBits[0] = out.scaleBits[1] = static_cast<std::int8_t>(scale - 32);
    nibbles(block + 8 + 16 * j, 0, out);
    out.d = load<std::uint16_t>(block);
}

// Q6_K: 128 bytes of low nibbles, 64 of high bit pairs, 16 signed factors, f16 d; in halves of 128 columns.
void columnsOf6K(const std::byte* block, std::size_t j, Columns32& out) {
    const std::size_t half = j / 4, part = j % 4;
    const std::byte* low = block + 64 * half + 32 * (part % 2);
    const std::byte* high = block + 128 + 32 * half;
    for (int i = 0; i < 32; ++i)
        out.q[i] =
            static_cast<std::uint8_t>((byteAt(low, i) >> 4 * (part / 2) & 15) | (byteAt(high, i) >> 2 * part & 3) << 4);
    for (int i = 0; i < 2; ++i) out.scaleBits[i] = load<std::int8_t>(block + 192 + 2 * j + i);
    out.d = load<std::uint16_t>(block + 208);
}

}  // namespace

Result<DTypeInfo> dtypeInfo(std::uint32_t ggmlType) {
    switch (static_cast<DType>(ggmlType)) {
        case DType::F32:
            return DTypeInfo{"F32", 1, 4};
        case DType::F16:
            return DTypeInfo{"F16", 1, 2};
        case DType::BF16:
            return DTypeInfo{"BF16", 1, 2};
        case DType::Q4_0:
            return DTypeInfo{"Q4_0", 32, 18};
        case DType::Q4_1:
            return DTypeInfo{"Q4_1", 32, 20};
        case DType::Q5_0:
            return DTypeInfo{"Q5_0", 32, 22};
        case DType::Q5_1:
            return DTypeInfo{"Q5_1", 32, 24};
        case DType::Q8_0:
            return DTypeInfo{"Q8_0", 32, 34};
        case DType::Q2_K:
            return DTypeInfo{"Q2_K", 256, 84};
        case DType::Q3_K:
            return DTypeInfo{"Q3_K", 256, 110};
        case DType::Q4_K:
            return DTypeInfo{"Q4_K", 256, 144};
        case DType::Q5_K:
            return DTypeInfo{"Q5_K", 256, 176};
        case DType::Q6_K:
            return DTypeInfo{"Q6_K", 256, 210};
        case DType::IQ4_NL:
            return DTypeInfo{"IQ4_NL", 32, 18};
        case DType::IQ4_XS:
            return DTypeInfo{"IQ4_XS", 256, 136};
    }
    return Error{Code::Unsupported, "", "weight type " + std::to_string(ggmlType)};
}

std::uint16_t f32ToF16(float f) {
    const auto bits = std::bit_cast<std::uint32_t>(f);
    const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
    const std::uint32_t rest = bits & 0x7fffffffu;
    if (rest > 0x7f800000u) return static_cast<std::uint16_t>(sign | 0x7e00 | (rest >> 13 & 0x3ff));
    if (rest >= 0x477ff000u) return sign | 0x7c00;  // 65520 and above round to infinity
    if (rest < 0x38800000u) {
        // Subnormal: adding one half aligns the unit in the last place of f16 with that of the sum, and the addition
        // rounds.
        const float shifted = std::bit_cast<float>(rest) + 0.5f;
        return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3f000000u));
    }
    const std::uint32_t odd = rest >> 13 & 1;
    return static_cast<std::uint16_t>(sign | ((rest - 0x38000000u + 0xfff + odd) >> 13));
}

Columns32 columns32(DType type, const std::byte* row, std::size_t index) {
    Columns32 out;
    const auto simple = [&](std::size_t blockBytes) {
        const std::byte* block = row + index * blockBytes;
        out.d = load<std::uint16_t>(block);
        return block + 2;
    };
    switch (type) {
        case DType::Q8_0: {
            const std::byte* qs = simple(34);
            for (int i = 0; i < 32; ++i) out.q[i] = byteAt(qs, i) ^ 0x80;  // + 128
            break;
        }
        case DType::Q4_0:
        case DType::IQ4_NL:
            nibbles(simple(18), 0, out);
            break;
        case DType::Q5_0: {
            const std::byte* at = simple(22);
            nibbles(at + 4, load<std::uint32_t>(at), out);
            break;
        }
        case DType::Q4_1: {
            const std::byte* at = simple(20);
            out.m = load<std::uint16_t>(at);
            nibbles(at + 2, 0, out);
            break;
        }
        case DType::Q5_1: {
            const std::byte* at = simple(24);
            out.m = load<std::uint16_t>(at);
            nibbles(at + 6, load<std::uint32_t>(at + 2), out);
            break;
        }
        case DType::Q2_K:
            columnsOf2K(row + index / 8 * 84, index % 8, out);
            break;
        case DType::Q3_K:
            columnsOf3K(row + index / 8 * 110, index % 8, out);
            break;
        case DType::Q4_K:
            columnsOfK(row + index / 8 * 144, index % 8, false, out);
            break;
        case DType::Q5_K:
            columnsOfK(row + index / 8 * 176, index % 8, true, out);
            break;
        case DType::Q6_K:
            columnsOf6K(row + index / 8 * 210, index % 8, out);
            break;
        case DType::IQ4_XS:
            columnsOfIq4Xs(row + index / 8 * 136, index % 8, out);
            break;
        case DType::F32:
        case DType::F16:
        case DType::BF16:
            assert(false);
    }
    return out;
}

int quantOffset(DType type) {
    switch (type) {
        case DType::Q8_0:
        case DType::IQ4_NL:
        case DType::IQ4_XS:
            return 128;
        case DType::Q6_K:
            return 32;
        case DType::Q5_0:
            return 16;
        case DType::Q4_0:
            return 8;
        case DType::Q3_K:
            return 4;
        default:
            return 0;
    }
}

void dequantizeRow(DType type, std::span<const std::byte> raw, std::span<float> out) {
    if (type == DType::F32) {
        std::memcpy(out.data(), raw.data(), out.size_bytes());
        return;
    }
    if (type == DType::F16 || type == DType::BF16) {
        for (std::size_t i = 0; i < out.size(); ++i) {
            const auto h = load<std::uint16_t>(raw.data() + 2 * i);
            out[i] = type == DType::F16 ? f16ToF32(h) : bf16ToF32(h);
        }
        return;
    }
    const int offset = quantOffset(type);
    for (std::size_t b = 0; b < out.size() / 32; ++b) {
        const Columns32 c = columns32(type, raw.data(), b);
        const float d = f16ToF32(c.d), m = f16ToF32(c.m);
        for (int i = 0; i < 32; ++i) {
            const float min = offset != 0 ? 0.0f : hasMinBits(type) ? -(m * c.minBits[i / 16]) : m;
            out[32 * b + i] = d * c.scaleBits[i / 16] * static_cast<float>(quantValue(type, c.q[i]) - offset) + min;
        }
    }
}

}  // namespace carrel

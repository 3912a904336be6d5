#include "compute/cpu/packed_weight.h"

#include <cassert>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace carrel {

namespace {

bool isK(DType type) {
    return type == DType::Q4_K || type == DType::Q5_K;
}

std::size_t roundUp(std::size_t n, std::size_t to) {
    return (n + to - 1) / to * to;
}

template <class T>
T load(const std::byte* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

std::uint8_t& u8(std::byte* at) {
    return *reinterpret_cast<std::uint8_t*>(at);
}
std::uint8_t u8(const std::byte* at) {
    return *reinterpret_cast<const std::uint8_t*>(at);
}
void storeU16(std::byte* at, std::uint16_t value) {
    std::memcpy(at, &value, sizeof value);
}

void packQuants(const PackedLayout& layout, std::byte* block, std::size_t row, const std::uint8_t q[32]) {
    for (std::size_t column = 0; column < 32; ++column) {
        const std::size_t step = column / 4, lane = row * 4 + column % 4;
        const unsigned value = q[column];
        if (layout.bits == 8) {
            u8(block + step * 64 + lane) = q[column];
            continue;
        }
        u8(block + step % 4 * 64 + lane) |= static_cast<std::uint8_t>((value & 15) << (step < 4 ? 0 : 4));
        if (layout.bits == 5) u8(block + 256 + lane) |= static_cast<std::uint8_t>(value >> 4 << step);
        if (layout.bits == 6)
            u8(block + 256 + step / 4 * 64 + lane) |= static_cast<std::uint8_t>(value >> 4 << 2 * (step % 4));
    }
}

void packFactors(const PackedLayout& layout, std::byte* factors, std::size_t block, std::size_t row,
                 const Columns32& c) {
    if (isK(layout.type)) {
        std::byte* at = factors + block / 8 * 256;
        const std::size_t j = block % 8;
        storeU16(at + 2 * row, c.d);
        storeU16(at + 32 + 2 * row, c.m);
        const unsigned scale = static_cast<std::uint8_t>(c.scaleBits[0]), min = c.minBits;
        u8(at + 64 + 16 * j + row) = static_cast<std::uint8_t>((scale & 15) | (min & 15) << 4);
        u8(at + 192 + 16 * (j / 2) + row) |= static_cast<std::uint8_t>((scale >> 4 | min >> 4 << 2) << 4 * (j % 2));
    } else if (layout.type == DType::Q6_K) {
        std::byte* at = factors + block / 8 * 288;
        storeU16(at + 2 * row, c.d);
        for (std::size_t i = 0; i < 2; ++i)
            u8(at + 32 + 16 * (2 * (block % 8) + i) + row) = static_cast<std::uint8_t>(c.scaleBits[i]);
    } else if (layout.kind == PackKind::Minimum) {
        storeU16(factors + block * 64 + 2 * row, c.d);
        storeU16(factors + block * 64 + 32 + 2 * row, c.m);
    } else {
        storeU16(factors + block * 32 + 2 * row, c.d);
    }
}

}  // namespace

PackedLayout packedLayout(DType type, std::size_t rows, std::size_t cols) {
    PackedLayout out{.type = type, .rows = rows, .cols = cols};
    out.offset = static_cast<std::uint8_t>(quantOffset(type));
    switch (type) {
        case DType::F32:
        case DType::F16:
        case DType::BF16:
            out.tileBytes = roundUp(cols * kTileRows * (type == DType::F32 ? 4 : 2), 64);
            return out;
        case DType::Q8_0:
            out.bits = 8;
            break;
        case DType::Q6_K:
            out.bits = 6;
            break;
        case DType::Q5_0:
        case DType::Q5_1:
        case DType::Q5_K:
            out.bits = 5;
            break;
        case DType::Q4_0:
        case DType::Q4_1:
        case DType::Q4_K:
            out.bits = 4;
            break;
    }
    out.kind = type == DType::Q6_K ? PackKind::Halves : out.offset != 0 ? PackKind::Offset : PackKind::Minimum;
    out.quantBytes = out.bits * 64u;
    out.factorsAt = out.blocks() * out.quantBytes;
    const std::size_t factorBytes = isK(type)                       ? cols / 256 * 256
                                    : type == DType::Q6_K           ? cols / 256 * 288
                                    : out.kind == PackKind::Minimum ? out.blocks() * 64
                                                                    : out.blocks() * 32;
    out.tileBytes = roundUp(out.factorsAt + factorBytes, 64);
    return out;
}

void PackedWeight::Free::operator()(std::byte* at) const {
    std::free(at);
}

Result<std::unique_ptr<Weight>> PackedWeight::load(DType type, std::size_t rows, std::size_t cols,
                                                   std::span<const std::byte> raw, ThreadPool& pool) {
    const auto info = dtypeInfo(static_cast<std::uint32_t>(type));
    if (!info) return info.error();
    const std::string where =
        std::string(info->name) + " weight of " + std::to_string(rows) + " x " + std::to_string(cols);
    if (rows == 0 || cols == 0 || cols % info->blockElements != 0)
        return Error{Code::InvalidArgument, where, "not whole blocks"};
    const std::size_t rowBytes = cols / info->blockElements * info->blockBytes;
    if (raw.size() / rowBytes != rows || raw.size() % rowBytes != 0)
        return Error{Code::InvalidArgument, where, std::to_string(raw.size()) + " bytes given"};

    auto weight = std::make_unique<PackedWeight>();
    weight->rows = rows, weight->cols = cols, weight->type = type;
    weight->layout_ = packedLayout(type, rows, cols);
    const PackedLayout& layout = weight->layout_;
    // Large pages where the system gives them: a token walks through all weights, and the walk should not be one of
    // page tables.
    constexpr std::size_t kLargePage = std::size_t{2} << 20;
    const std::size_t bytes = layout.tiles() * layout.tileBytes;
    const std::size_t align = bytes >= 4 * kLargePage ? kLargePage : 64;
    weight->memory_.reset(static_cast<std::byte*>(std::aligned_alloc(align, roundUp(bytes, align))));
    if (!weight->memory_) return Error{Code::NoMemory, where, std::to_string(bytes) + " bytes"};
#if defined(__linux__)
    if (align == kLargePage) madvise(weight->memory_.get(), roundUp(bytes, align), MADV_HUGEPAGE);
#endif
    pool.parallelFor(layout.tiles(), [&](std::size_t t) {
        std::byte* tile = weight->memory_.get() + t * layout.tileBytes;
        std::memset(tile, 0, layout.tileBytes);
        for (std::size_t r = 0; r < kTileRows && t * kTileRows + r < rows; ++r) {
            const std::byte* from = raw.data() + (t * kTileRows + r) * rowBytes;
            if (layout.kind == PackKind::Float) {
                const std::size_t size = info->blockBytes;
                for (std::size_t c = 0; c < cols; ++c)
                    std::memcpy(tile + (c * kTileRows + r) * size, from + c * size, size);
                continue;
            }
            for (std::size_t b = 0; b < layout.blocks(); ++b) {
                const Columns32 c = columns32(type, from, b);
                packQuants(layout, tile + b * layout.quantBytes, r, c.q);
                packFactors(layout, tile + layout.factorsAt, b, r, c);
            }
        }
    });
    return std::unique_ptr<Weight>(std::move(weight));
}

Factors factorsOf(const PackedLayout& layout, const std::byte* tile, std::size_t block, std::size_t row) {
    const std::byte* factors = tile + layout.factorsAt;
    const auto f16 = [&](std::size_t at) { return f16ToF32(carrel::load<std::uint16_t>(factors + at + 2 * row)); };
    if (isK(layout.type)) {
        const std::size_t at = block / 8 * 256, j = block % 8;
        const unsigned low = u8(factors + at + 64 + 16 * j + row),
                       high = u8(factors + at + 192 + 16 * (j / 2) + row) >> 4 * (j % 2);
        const float scale = f16(at) * static_cast<float>((low & 15) | (high & 3) << 4);
        return {{scale, scale}, -(f16(at + 32) * static_cast<float>(low >> 4 | (high >> 2 & 3) << 4))};
    }
    if (layout.type == DType::Q6_K) {
        const std::size_t at = block / 8 * 288;
        const std::byte* scales = factors + at + 32 + 32 * (block % 8) + row;
        return {{f16(at) * carrel::load<std::int8_t>(scales), f16(at) * carrel::load<std::int8_t>(scales + 16)}, 0};
    }
    if (layout.kind == PackKind::Minimum) {
        const float scale = f16(block * 64);
        return {{scale, scale}, f16(block * 64 + 32)};
    }
    const float scale = f16(block * 32);
    return {{scale, scale}, 0};
}

void quantsOf(const PackedLayout& layout, const std::byte* tile, std::size_t block, std::size_t step, std::size_t row,
              std::uint8_t q[4]) {
    const std::byte* at = tile + block * layout.quantBytes + row * 4;
    for (std::size_t i = 0; i < 4; ++i, ++at) {
        if (layout.bits == 8) {
            q[i] = u8(at + step * 64);
            continue;
        }
        unsigned value = u8(at + step % 4 * 64) >> (step < 4 ? 0 : 4) & 15;
        if (layout.bits == 5) value |= (u8(at + 256) >> step & 1u) << 4;
        if (layout.bits == 6) value |= (u8(at + 256 + step / 4 * 64) >> 2 * (step % 4) & 3u) << 4;
        q[i] = static_cast<std::uint8_t>(value);
    }
}

void PackedWeight::row(std::size_t index, float* out) const {
    assert(index < rows);
    const std::byte* at = tile(index / kTileRows);
    const std::size_t r = index % kTileRows;
    if (layout_.kind == PackKind::Float) {
        for (std::size_t c = 0; c < cols; ++c) {
            const std::size_t i = c * kTileRows + r;
            if (type == DType::F32)
                out[c] = carrel::load<float>(at + 4 * i);
            else
                out[c] = type == DType::F16 ? f16ToF32(carrel::load<std::uint16_t>(at + 2 * i))
                                            : bf16ToF32(carrel::load<std::uint16_t>(at + 2 * i));
        }
        return;
    }
    for (std::size_t b = 0; b < layout_.blocks(); ++b) {
        const Factors f = factorsOf(layout_, at, b, r);
        for (std::size_t s = 0; s < 8; ++s) {
            std::uint8_t q[4];
            quantsOf(layout_, at, b, s, r, q);
            for (std::size_t i = 0; i < 4; ++i)
                out[32 * b + 4 * s + i] = f.scale[s / 4] * static_cast<float>(q[i] - layout_.offset) + f.min;
        }
    }
}

}  // namespace carrel

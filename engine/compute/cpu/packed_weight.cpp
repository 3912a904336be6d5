#include "compute/cpu/packed_weight.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include "compute/cpu/packed_factors.h"
#include "compute/cpu/workers.h"

namespace carrel {

namespace {

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

// The widths of a layout's planes: nibbles or pairs first, then what is missing to `bits`.
std::size_t lowBits(const PackedLayout& layout) {
    return layout.bits >= 4 ? 4 : 2;
}

void packPairs(const std::uint8_t* __restrict q, unsigned shift, std::uint8_t* __restrict plane) {
    for (unsigned s = 0; s < 8; ++s)
        for (std::size_t i = 0; i < 64; ++i)
            plane[s / 4 * 64 + i] |= static_cast<std::uint8_t>((q[s * 64 + i] >> shift & 3) << 2 * (s % 4));
}

// q [8 steps][16 rows][4 columns]; block is zero.
void packQuants(const PackedLayout& layout, const std::uint8_t* __restrict q, std::uint8_t* __restrict block) {
    if (layout.bits == 8) {
        std::memcpy(block, q, 512);
        return;
    }
    const std::size_t low = lowBits(layout);
    std::uint8_t* plane = block + low * 64;
    if (low == 4)
        for (std::size_t i = 0; i < 256; ++i) block[i] = static_cast<std::uint8_t>((q[i] & 15) | q[i + 256] << 4);
    else
        packPairs(q, 0, block);
    if (layout.bits == low + 2) packPairs(q, static_cast<unsigned>(low), plane);
    if (layout.bits == low + 1)
        for (unsigned s = 0; s < 8; ++s)
            for (std::size_t i = 0; i < 64; ++i) plane[i] |= static_cast<std::uint8_t>(q[s * 64 + i] >> low << s);
}

void packSixes(std::byte* at, std::size_t j, std::size_t row, unsigned one, unsigned other) {
    u8(at + 16 * j + row) = static_cast<std::uint8_t>((one & 15) | (other & 15) << 4);
    u8(at + 128 + 16 * (j / 2) + row) |= static_cast<std::uint8_t>((one >> 4 | other >> 4 << 2) << 4 * (j % 2));
}

void packFactors(const PackedLayout& layout, std::byte* at, std::size_t j, std::size_t row, const Columns32& c) {
    const unsigned above[2] = {static_cast<unsigned>(c.scaleBits[0] + 32), static_cast<unsigned>(c.scaleBits[1] + 32)};
    storeU16(at + 2 * row, c.d);
    if (layout.offset == 0) storeU16(at + 32 + 2 * row, c.m);
    switch (layout.type) {
        case DType::Q2_K:
            for (std::size_t i = 0; i < 2; ++i)
                u8(at + 64 + 16 * (2 * j + i) + row) =
                    static_cast<std::uint8_t>(static_cast<unsigned>(c.scaleBits[i]) | c.minBits[i] << 4);
            break;
        case DType::Q3_K:
            packSixes(at + 32, j, row, above[0], above[1]);
            break;
        case DType::Q4_K:
        case DType::Q5_K:
            packSixes(at + 64, j, row, static_cast<std::uint8_t>(c.scaleBits[0]), c.minBits[0]);
            break;
        case DType::Q6_K:
            for (std::size_t i = 0; i < 2; ++i)
                u8(at + 32 + 16 * (2 * j + i) + row) = static_cast<std::uint8_t>(c.scaleBits[i]);
            break;
        case DType::IQ4_XS:
            u8(at + 32 + 16 * (j / 2) + row) |= static_cast<std::uint8_t>((above[0] & 15) << 4 * (j % 2));
            u8(at + 96 + 16 * (j / 4) + row) |= static_cast<std::uint8_t>(above[0] >> 4 << 2 * (j % 4));
            break;
        default:
            break;
    }
}

// q of step s (4 columns) of one row, as the file has it.
void quantsOf(const PackedLayout& layout, const std::byte* block, std::size_t step, std::size_t row,
              std::uint8_t q[4]) {
    const std::byte* at = block + row * 4;
    const std::size_t low = lowBits(layout), highAt = low * 64;
    for (std::size_t i = 0; i < 4; ++i, ++at) {
        if (layout.bits == 8) {
            q[i] = u8(at + step * 64);
            continue;
        }
        const auto pair = [&](std::size_t from) { return u8(at + from + step / 4 * 64) >> 2 * (step % 4) & 3u; };
        unsigned value = low == 4 ? u8(at + step % 4 * 64) >> (step < 4 ? 0 : 4) & 15u : pair(0);
        if (layout.bits == low + 1) value |= (u8(at + highAt) >> step & 1u) << low;
        if (layout.bits == low + 2) value |= pair(highAt) << low;
        q[i] = static_cast<std::uint8_t>(value);
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
        case DType::IQ4_NL:
        case DType::IQ4_XS:
            out.bits = 4;
            break;
        case DType::Q3_K:
            out.bits = 3;
            break;
        case DType::Q2_K:
            out.bits = 2;
            break;
    }
    out.kind = type == DType::Q2_K                          ? PackKind::HalfMinima
               : type == DType::Q3_K || type == DType::Q6_K ? PackKind::Halves
               : out.offset != 0                            ? PackKind::Offset
                                                            : PackKind::Minimum;
    out.tileBytes = roundUp(out.blocks() * blockBytes(type, out.bits), 64);
    return out;
}

Result<std::unique_ptr<Weight>> PackedWeight::load(DType type, std::size_t rows, std::size_t cols, std::size_t bytes,
                                                   const ReadRaw& read, WeightMemory& memory, ThreadPool& pool) {
    const auto info = dtypeInfo(static_cast<std::uint32_t>(type));
    if (!info) return info.error();
    const std::string where =
        std::string(info->name) + " weight of " + std::to_string(rows) + " x " + std::to_string(cols);
    if (rows == 0 || cols == 0 || cols % info->blockElements != 0)
        return Error{Code::InvalidArgument, where, "not whole blocks"};
    const std::size_t rowBytes = cols / info->blockElements * info->blockBytes;
    if (bytes / rowBytes != rows || bytes % rowBytes != 0)
        return Error{Code::InvalidArgument, where, std::to_string(bytes) + " bytes given"};

    auto weight = std::make_unique<PackedWeight>();
    weight->rows = rows, weight->cols = cols, weight->type = type;
    weight->layout_ = packedLayout(type, rows, cols);
    const PackedLayout& layout = weight->layout_;
    weight->memory_ = memory.take(layout.tiles() * layout.tileBytes);
    if (!weight->memory_)
        return Error{Code::NoMemory, where, std::to_string(layout.tiles() * layout.tileBytes) + " bytes"};

    // Parts of the file pass through memory that stays in the caches.
    constexpr std::size_t kPartBytes = std::size_t{256} << 10;
    const std::size_t partRows = std::max<std::size_t>(1, kPartBytes / rowBytes / kTileRows) * kTileRows;
    std::vector<std::vector<std::byte>> parts(pool.size());
    std::mutex mutex;
    Status status;
    forEachWithSlot(pool, (rows + partRows - 1) / partRows, [&](std::size_t slot, std::size_t part) {
        const std::size_t first = part * partRows, count = std::min(partRows, rows - first);
        parts[slot].resize(std::min(partRows, rows) * rowBytes);
        const auto done = read(first * rowBytes, std::span(parts[slot]).first(count * rowBytes));
        if (!done) {
            const std::lock_guard lock(mutex);
            status = done;
            return;
        }
        for (std::size_t row = 0; row < count; row += kTileRows)
            weight->pack((first + row) / kTileRows, parts[slot].data() + row * rowBytes, rowBytes);
    });
    if (!status) return status.error();
    return std::unique_ptr<Weight>(std::move(weight));
}

/// From the tile's first row on.
void PackedWeight::pack(std::size_t index, const std::byte* raw, std::size_t rowBytes) {
    std::byte* const to = memory_.get() + index * layout_.tileBytes;
    const std::size_t count = std::min(kTileRows, rows - index * kTileRows);
    if (layout_.kind == PackKind::Float) {
        const std::size_t size = rowBytes / cols;
        for (std::size_t r = 0; r < count; ++r)
            for (std::size_t c = 0; c < cols; ++c)
                std::memcpy(to + (c * kTileRows + r) * size, raw + r * rowBytes + c * size, size);
        return;
    }
    std::uint8_t q[512] = {};
    for (std::size_t b = 0; b < layout_.blocks(); ++b) {
        const BlockPlace place = blockPlace(type, layout_.bits, b);
        for (std::size_t r = 0; r < count; ++r) {
            const Columns32 c = columns32(type, raw + r * rowBytes, b);
            for (std::size_t s = 0; s < 8; ++s) std::memcpy(q + s * 64 + r * 4, c.q + 4 * s, 4);
            packFactors(layout_, to + place.factors, b % 8, r, c);
        }
        packQuants(layout_, q, reinterpret_cast<std::uint8_t*>(to + place.quants));
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
    TileFactors f{};
    for (std::size_t b = 0; b < layout_.blocks(); ++b) {
        const std::byte* quants = at + blockPlace(type, layout_.bits, b).quants;
        tileFactors<PlainLoops>(layout_, at, b, f);
        for (std::size_t s = 0; s < 8; ++s) {
            std::uint8_t q[4];
            quantsOf(layout_, quants, s, r, q);
            for (std::size_t i = 0; i < 4; ++i)
                out[32 * b + 4 * s + i] =
                    f.scale[s / 4][r] * static_cast<float>(quantValue(type, q[i]) - layout_.offset) + f.min[s / 4][r];
        }
    }
}

}  // namespace carrel

#include "compute/cpu/kv_codec.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

#include "compute/cpu/intrinsics.h"
#include "compute/cpu/kernels.h"

namespace carrel {

namespace {

// One definition for every instruction set, written in steps of 16 channels that compilers vectorise. Its bytes are
// the same everywhere: integers and single IEEE operations, and where a product is added to, the product is exact.
constexpr std::size_t kLanes = 16;

template <class T>
CARREL_INLINE T read(const void* from) {
    T out;
    std::memcpy(&out, from, sizeof(T));
    return out;
}
template <class T>
CARREL_INLINE void write(void* to, T value) {
    std::memcpy(to, &value, sizeof(T));
}

/// Nan is 0 and infinity the greatest f16: a broken model must stay a broken answer.
CARREL_INLINE std::uint16_t finite(std::uint16_t h) {
    const auto size = static_cast<std::uint16_t>(h & 0x7fff);
    const auto bounded = static_cast<std::uint16_t>(size == 0x7c00 ? h - 1 : h);
    return size > 0x7c00 ? std::uint16_t{0} : bounded;
}
/// f16 as integers in the order of their values; its own inverse.
CARREL_INLINE std::int16_t ordered(std::uint16_t h) {
    const auto sign = static_cast<std::int16_t>(static_cast<std::int16_t>(h) >> 15);
    return static_cast<std::int16_t>(h ^ (sign & 0x7fff));
}
/// A finite f16 as f32, without passing through subnormals, which processors are slow at.
CARREL_INLINE float widen(std::uint16_t h) {
    const std::uint32_t sign = (h & 0x8000u) << 16, rest = (h & 0x7fffu) << 13;
    const auto normal = std::bit_cast<std::uint32_t>(std::bit_cast<float>(rest + 0x38000000u));
    const auto subnormal = std::bit_cast<std::uint32_t>(std::bit_cast<float>(rest | 0x38800000u) - 0x1p-14f);
    return std::bit_cast<float>(sign | (rest < 0x00800000u ? subnormal : normal));
}

/// The least f16 step that `levels` of reach over `range`.
std::uint16_t stepOver(double range, int levels) {
    const double exact = range / levels * 0x1p24;  // in the smallest f16
    auto units = static_cast<std::uint64_t>(exact);
    if (static_cast<double>(units) < exact) ++units;
    const int shift = std::max(0, static_cast<int>(std::bit_width(units)) - 11);
    const std::uint64_t mantissa = (units + (std::uint64_t{1} << shift) - 1) >> shift;
    return static_cast<std::uint16_t>((static_cast<std::uint64_t>(shift) << 10) + mantissa);
}
/// What to divide by: 0 / 1 is the code 0 where there is no range.
CARREL_INLINE float divisor(std::uint16_t step) {
    return step == 0 ? 1.0f : widen(step);
}
/// The grid from least to most (both as ordered() has them), written down and as f32: code = (x - least) / per.
struct Grid {
    float least, per;
};
CARREL_INLINE Grid gridOver(std::int16_t least, std::int16_t most, int levels, std::byte* leastAt, std::byte* stepAt) {
    const auto low = static_cast<std::uint16_t>(ordered(static_cast<std::uint16_t>(least)));
    const auto high = static_cast<std::uint16_t>(ordered(static_cast<std::uint16_t>(most)));
    const std::uint16_t step = stepOver(static_cast<double>(widen(high)) - static_cast<double>(widen(low)), levels);
    write(leastAt, low);
    write(stepAt, step);
    return {widen(low), divisor(step)};
}
/// To nearest even; the low byte is the code, signed or not. A step's reach bounds it: no clamp is needed.
CARREL_INLINE std::uint32_t nearest(float x) {
    return std::bit_cast<std::uint32_t>(x + 12582912.0f);  // 1.5 * 2^23
}

// Nibbles of a row [d/2]: channel j low, j + d/2 high. Eight channels lie in one half. Ascending order: the low half
// overwrites what was there.
CARREL_INLINE void putNibbles(std::byte* row, std::size_t d, std::size_t channel, std::uint64_t codes) {
    if (channel < d / 2)
        write(row + channel, codes);
    else
        write(row + channel - d / 2, read<std::uint64_t>(row + channel - d / 2) | codes << 4);
}
CARREL_INLINE std::uint64_t getNibbles(const std::byte* row, std::size_t d, std::size_t channel) {
    constexpr std::uint64_t kLow = 0x0f0f0f0f0f0f0f0fu;
    return channel < d / 2 ? read<std::uint64_t>(row + channel) & kLow
                           : read<std::uint64_t>(row + channel - d / 2) >> 4 & kLow;
}

CARREL_INLINE void encodeKey(const std::uint8_t* code, std::size_t d, std::size_t block, std::byte* high,
                             std::byte* middle, std::byte* low) {
    std::uint32_t w[4];
    std::memcpy(w, code, sizeof w);
    write(high,
          (w[0] >> 6 & 0x03030303u) | (w[1] >> 4 & 0x0c0c0c0cu) | (w[2] >> 2 & 0x30303030u) | (w[3] & 0xc0c0c0c0u));
    write(middle,
          (w[0] >> 4 & 0x03030303u) | (w[1] >> 2 & 0x0c0c0c0cu) | (w[2] & 0x30303030u) | (w[3] << 2 & 0xc0c0c0c0u));
    for (std::size_t half = 0; half < kLanes; half += 8)
        putNibbles(low, d, kLanes * block + half, read<std::uint64_t>(code + half) & 0x0f0f0f0f0f0f0f0fu);
}

CARREL_INLINE void encodeKeys(std::size_t d, const EncodeGroup& group) {
    std::byte* grid = group.codes + kGroupLeaves * planeLeafBytes(static_cast<std::uint32_t>(d));
    for (std::size_t block = 0; block < d / kLanes; ++block) {
        const std::uint16_t* from = group.keys + kLanes * block;
        std::int16_t least[kLanes], most[kLanes];
        for (std::size_t i = 0; i < kLanes; ++i) least[i] = INT16_MAX, most[i] = INT16_MIN;
        for (std::size_t t = 0; t < kGroupTokens; ++t)
            for (std::size_t i = 0; i < kLanes; ++i) {
                const std::int16_t k = ordered(finite(from[t * d + i]));
                least[i] = std::min(least[i], k);
                most[i] = std::max(most[i], k);
            }
        float zero[kLanes], per[kLanes];
        for (std::size_t i = 0; i < kLanes; ++i) {
            std::byte* at = grid + 2 * (kLanes * block + i);
            const Grid made = gridOver(least[i], most[i], 255, at, at + 2 * d);
            zero[i] = made.least;
            per[i] = made.per;
        }
        for (std::size_t leaf = 0; leaf < kGroupLeaves; ++leaf) {
            std::byte* high = group.codes + leaf * 4 * d + 64 * block;
            std::byte* middle = group.payload + leaf * 12 * d + 64 * block;
            std::byte* low = group.payload + leaf * 12 * d + 4 * d;
            std::uint16_t sum[kLanes];
            for (std::size_t i = 0; i < kLanes; ++i) sum[i] = kLeafTokens / 2;
            for (std::size_t t = 0; t < kLeafTokens; ++t) {
                const std::uint16_t* key = from + (leaf * kLeafTokens + t) * d;
                std::uint8_t code[kLanes];
                for (std::size_t i = 0; i < kLanes; ++i)
                    code[i] = static_cast<std::uint8_t>(nearest((widen(finite(key[i])) - zero[i]) / per[i]));
                for (std::size_t i = 0; i < kLanes; ++i) sum[i] = static_cast<std::uint16_t>(sum[i] + code[i]);
                encodeKey(code, d, block, high + 4 * t, middle + 4 * t, low + t * d / 2);
            }
            std::uint8_t mean[kLanes];
            for (std::size_t i = 0; i < kLanes; ++i) mean[i] = static_cast<std::uint8_t>(sum[i] / kLeafTokens);
            std::memcpy(group.means + leaf * d + kLanes * block, mean, kLanes);
        }
    }
}

CARREL_INLINE void encodeValues8(std::size_t d, const std::uint16_t* from, std::byte* values, std::byte* grid) {
    for (std::size_t t = 0; t < kGroupTokens; ++t, from += d) {
        std::uint16_t most = 0;
        for (std::size_t c = 0; c < d; ++c) most = std::max(most, static_cast<std::uint16_t>(finite(from[c]) & 0x7fff));
        const std::uint16_t step = stepOver(static_cast<double>(widen(most)), 127);
        write(grid + 2 * t, step);
        const float per = divisor(step);
        for (std::size_t c = 0; c < d; c += kLanes) {
            std::uint8_t code[kLanes];
            for (std::size_t i = 0; i < kLanes; ++i)
                code[i] = static_cast<std::uint8_t>(nearest(widen(finite(from[c + i])) / per));
            std::memcpy(values + t * d + c, code, kLanes);
        }
    }
}

CARREL_INLINE void encodeValues4(std::size_t d, const std::uint16_t* from, std::byte* values, std::byte* grid) {
    for (std::size_t t = 0; t < kGroupTokens; ++t, from += d)
        for (std::size_t first = 0; first < d; first += 32, grid += 4) {
            const std::size_t end = std::min(d, first + 32);
            std::int16_t least = INT16_MAX, most = INT16_MIN;
            for (std::size_t c = first; c < end; ++c) {
                const std::int16_t v = ordered(finite(from[c]));
                least = std::min(least, v);
                most = std::max(most, v);
            }
            const Grid made = gridOver(least, most, 15, grid, grid + 2);
            for (std::size_t c = first; c < end; c += kLanes) {
                std::uint8_t code[kLanes];
                for (std::size_t i = 0; i < kLanes; ++i)
                    code[i] = static_cast<std::uint8_t>(nearest((widen(finite(from[c + i])) - made.least) / made.per));
                for (std::size_t half = 0; half < kLanes; half += 8)
                    putNibbles(values + t * d / 2, d, c + half, read<std::uint64_t>(code + half));
            }
        }
}

/// Mean of a leaf's decoded values, 16 channels from `channel`. Summed token by token: the order is part of the format.
template <KvCodec codec>
CARREL_INLINE void meanValues(std::size_t d, const std::byte* values, const std::byte* grid, std::size_t channel,
                              float* mean) {
    for (std::size_t i = 0; i < kLanes; ++i) mean[i] = 0;
    for (std::size_t t = 0; t < kLeafTokens; ++t) {
        if constexpr (codec == KvCodec::K8V8) {
            const float step = widen(read<std::uint16_t>(grid + 2 * t));
            const std::byte* row = values + t * d + channel;
            for (std::size_t i = 0; i < kLanes; ++i)
                mean[i] += step * static_cast<float>(static_cast<std::int8_t>(row[i]));
        } else {
            const std::byte* pair = grid + 4 * (t * valueBlocks(static_cast<std::uint32_t>(d)) + channel / 32);
            const float least = widen(read<std::uint16_t>(pair)), step = widen(read<std::uint16_t>(pair + 2));
            std::uint8_t code[kLanes];
            for (std::size_t half = 0; half < kLanes; half += 8)
                write(code + half, getNibbles(values + t * d / 2, d, channel + half));
            for (std::size_t i = 0; i < kLanes; ++i) mean[i] += least + step * static_cast<float>(code[i]);
        }
    }
    for (std::size_t i = 0; i < kLanes; ++i) mean[i] *= 1.0f / kLeafTokens;
}

template <KvCodec codec>
CARREL_INLINE void encodeMeanValues(std::size_t d, const std::byte* values, const std::byte* grid, std::byte* means) {
    const std::size_t rowBytes = codec == KvCodec::K8V8 ? d : d / 2;
    const std::size_t gridBytes = codec == KvCodec::K8V8 ? 2 : 4 * valueBlocks(static_cast<std::uint32_t>(d));
    for (std::size_t leaf = 0; leaf < kGroupLeaves; ++leaf) {
        const std::byte* leafValues = values + leaf * kLeafTokens * rowBytes;
        const std::byte* leafGrid = grid + leaf * kLeafTokens * gridBytes;
        // Twice the same sums: cheaper than a place for means of any head size.
        float mean[kLanes], most[kLanes] = {};
        for (std::size_t c = 0; c < d; c += kLanes) {
            meanValues<codec>(d, leafValues, leafGrid, c, mean);
            for (std::size_t i = 0; i < kLanes; ++i) most[i] = std::max(most[i], mean[i] < 0 ? -mean[i] : mean[i]);
        }
        for (std::size_t i = 1; i < kLanes; ++i) most[0] = std::max(most[0], most[i]);
        const std::uint16_t step = stepOver(static_cast<double>(most[0]), 127);
        write(means + 8 * d + 2 * leaf, step);
        const float per = divisor(step);
        for (std::size_t c = 0; c < d; c += kLanes) {
            meanValues<codec>(d, leafValues, leafGrid, c, mean);
            std::uint8_t code[kLanes];
            for (std::size_t i = 0; i < kLanes; ++i) code[i] = static_cast<std::uint8_t>(nearest(mean[i] / per));
            std::memcpy(means + (kGroupLeaves + leaf) * d + c, code, kLanes);
        }
    }
    const std::size_t filled = 8 * d + 8;
    std::memset(means + filled, 0, meansBytes(static_cast<std::uint32_t>(d)) - filled);
}

CARREL_INLINE void encodeGroup(KvCodec codec, std::size_t d, const EncodeGroup& group) {
    encodeKeys(d, group);
    std::byte* values = group.payload + kGroupLeaves * lowLeafBytes(static_cast<std::uint32_t>(d));
    if (codec == KvCodec::K8V8) {
        std::byte* grid = values + kGroupTokens * d;
        encodeValues8(d, group.values, values, grid);
        encodeMeanValues<KvCodec::K8V8>(d, values, grid, group.means);
    } else {
        std::byte* grid = values + kGroupTokens * d / 2;
        encodeValues4(d, group.values, values, grid);
        encodeMeanValues<KvCodec::K8V4>(d, values, grid, group.means);
    }
}

/// Rows [16][d/2] of nibbles to rows [16][d] of bytes.
CARREL_INLINE void spread(const std::byte* nibbles, std::size_t d, std::byte* rows) {
    for (std::size_t t = 0; t < kLeafTokens; ++t, nibbles += d / 2, rows += d)
        for (std::size_t first = 0; first < d / 2; first += 8) {
            const auto both = read<std::uint64_t>(nibbles + first);
            write(rows + first, both & 0x0f0f0f0f0f0f0f0fu);
            write(rows + d / 2 + first, both >> 4 & 0x0f0f0f0f0f0f0f0fu);
        }
}

/// Adds the upper four bits to rows of low ones, from block `first` of 16 channels on.
CARREL_INLINE void addPlanes(std::size_t d, const UnpackLeaf& leaf, std::size_t first) {
    for (std::size_t block = first; block < d / kLanes; ++block)
        for (std::size_t t = 0; t < kLeafTokens; ++t) {
            const auto high = read<std::uint32_t>(leaf.plane + 64 * block + 4 * t);
            const auto middle = read<std::uint32_t>(leaf.low + 64 * block + 4 * t);
            std::byte* row = leaf.rows + t * d + kLanes * block;
            for (int s = 0; s < 4; ++s)
                write(row + 4 * s, read<std::uint32_t>(row + 4 * s) | (high << (6 - 2 * s) & 0xc0c0c0c0u) |
                                       (middle << (6 - 2 * s) & 0xc0c0c0c0u) >> 2);
        }
}

CARREL_INLINE void unpackValues(KvCodec codec, std::size_t d, const UnpackLeaf& leaf) {
    std::byte* values = leaf.rows + kLeafTokens * d;
    std::byte* grid = values + kLeafTokens * d;
    const std::size_t blocks = valueBlocks(static_cast<std::uint32_t>(d));
    if (codec == KvCodec::K8V8) {
        std::memcpy(values, leaf.values, kLeafTokens * d);
        for (std::size_t t = 0; t < kLeafTokens; ++t)
            for (std::size_t b = 0; b < blocks; ++b, grid += 4) {
                write(grid, std::uint16_t{0});
                write(grid + 2, read<std::uint16_t>(leaf.grid + 2 * t));
            }
    } else {
        spread(leaf.values, d, values);
        std::memcpy(grid, leaf.grid, kLeafTokens * blocks * 4);
    }
}

using EncodeGroupFn = void (*)(KvCodec codec, std::size_t d, const EncodeGroup& group);
using UnpackLeafFn = void (*)(KvCodec codec, std::size_t d, const UnpackLeaf& leaf);

void encodeScalar(KvCodec codec, std::size_t d, const EncodeGroup& group) {
    encodeGroup(codec, d, group);
}
void unpackScalar(KvCodec codec, std::size_t d, const UnpackLeaf& leaf) {
    spread(leaf.low + 4 * d, d, leaf.rows);
    addPlanes(d, leaf, 0);
    unpackValues(codec, d, leaf);
}
#if defined(__x86_64__)
CARREL_AVX2 void encodeAvx2(KvCodec codec, std::size_t d, const EncodeGroup& group) {
    encodeGroup(codec, d, group);
}
/// Both planes' bits of one token, 32 channels, added to its row. A lane is a block; its words are four tokens.
template <int token>
CARREL_AVX2 CARREL_INLINE void addToken(__m256i high, __m256i middle, std::byte* row) {
    const __m256i up = _mm256_setr_epi32(6, 4, 2, 0, 6, 4, 2, 0), top = _mm256_set1_epi8(static_cast<char>(0xc0));
    const __m256i h = _mm256_and_si256(_mm256_sllv_epi32(_mm256_shuffle_epi32(high, token * 0x55), up), top);
    const __m256i m = _mm256_and_si256(_mm256_sllv_epi32(_mm256_shuffle_epi32(middle, token * 0x55), up), top);
    auto* to = reinterpret_cast<__m256i*>(row);
    const __m256i both = _mm256_or_si256(h, _mm256_srli_epi32(m, 2));
    _mm256_storeu_si256(to, _mm256_or_si256(_mm256_loadu_si256(to), both));
}
CARREL_AVX2 CARREL_INLINE __m256i twoBlocks(const std::byte* plane) {
    return _mm256_loadu2_m128i(reinterpret_cast<const __m128i*>(plane + 64), reinterpret_cast<const __m128i*>(plane));
}
CARREL_AVX2 void unpackAvx2(KvCodec codec, std::size_t d, const UnpackLeaf& leaf) {
    spread(leaf.low + 4 * d, d, leaf.rows);
    for (std::size_t block = 0; block + 2 <= d / kLanes; block += 2)
        for (std::size_t t = 0; t < kLeafTokens; t += 4) {
            const __m256i high = twoBlocks(leaf.plane + 64 * block + 4 * t);
            const __m256i middle = twoBlocks(leaf.low + 64 * block + 4 * t);
            std::byte* row = leaf.rows + t * d + kLanes * block;
            addToken<0>(high, middle, row);
            addToken<1>(high, middle, row + d);
            addToken<2>(high, middle, row + 2 * d);
            addToken<3>(high, middle, row + 3 * d);
        }
    addPlanes(d, leaf, d / kLanes / 2 * 2);
    unpackValues(codec, d, leaf);
}
CARREL_AVX512 void encodeAvx512(KvCodec codec, std::size_t d, const EncodeGroup& group) {
    encodeGroup(codec, d, group);
}

const Variants<EncodeGroupFn> kEncodeGroup{
    {Isa::Avx512, encodeAvx512}, {Isa::Avx2, encodeAvx2}, {Isa::Scalar, encodeScalar}};
const Variants<UnpackLeafFn> kUnpackLeaf{{Isa::Avx2, unpackAvx2}, {Isa::Scalar, unpackScalar}};
#else
const Variants<EncodeGroupFn> kEncodeGroup{{Isa::Scalar, encodeScalar}};
const Variants<UnpackLeafFn> kUnpackLeaf{{Isa::Scalar, unpackScalar}};
#endif

}  // namespace

void KvCodecs::encode(KvCodec codec, std::size_t headDim, std::span<const EncodeGroup> groups) {
    assert(codec != KvCodec::F16 && encodable(static_cast<std::uint32_t>(headDim)));
    const auto kernel = kEncodeGroup.at(isa_);
    const auto work = [&](std::size_t i) { kernel(codec, headDim, groups[i]); };
    if (groups.size() == 1) return work(0);
    pool_.parallelFor(groups.size(), work);
}

void KvCodecs::unpack(KvCodec codec, std::size_t headDim, std::span<const UnpackLeaf> leaves) {
    assert(codec != KvCodec::F16 && encodable(static_cast<std::uint32_t>(headDim)));
    const auto kernel = kUnpackLeaf.at(isa_);
    // A leaf takes a tenth of a microsecond, a dispatch to the pool one or two.
    constexpr std::size_t kSerial = 64, kAtOnce = 16;
    const auto some = [&](std::size_t first, std::size_t end) {
        for (std::size_t i = first; i < end; ++i) kernel(codec, headDim, leaves[i]);
    };
    if (leaves.size() <= kSerial) return some(0, leaves.size());
    pool_.parallelFor((leaves.size() + kAtOnce - 1) / kAtOnce,
                      [&](std::size_t part) { some(part * kAtOnce, std::min(leaves.size(), (part + 1) * kAtOnce)); });
}

}  // namespace carrel

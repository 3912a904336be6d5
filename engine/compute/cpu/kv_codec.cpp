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
CARREL_INLINE float disordered(std::int16_t order) {
    return widen(static_cast<std::uint16_t>(ordered(static_cast<std::uint16_t>(order))));
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

// A plane's word: 2 bits of each of 16 codes, code 4s + j at bits 2s of byte j.
template <int shift>
CARREL_INLINE std::uint32_t twoBits(const std::uint8_t* code) {
    std::uint32_t word = 0;
    for (int s = 0; s < 4; ++s) word |= (read<std::uint32_t>(code + 4 * s) >> shift & 0x03030303u) << 2 * s;
    return word;
}
template <int shift>
CARREL_INLINE void addTwoBits(std::uint32_t word, void* code) {
    auto* to = static_cast<std::byte*>(code);
    for (int s = 0; s < 4; ++s)
        write(to + 4 * s, read<std::uint32_t>(to + 4 * s) | (word >> 2 * s & 0x03030303u) << shift);
}
CARREL_INLINE void putLow(std::byte* row, std::size_t d, std::size_t channel, const std::uint8_t* code) {
    for (std::size_t half = 0; half < kLanes; half += 8)
        putNibbles(row, d, channel + half, read<std::uint64_t>(code + half) & 0x0f0f0f0f0f0f0f0fu);
}
CARREL_INLINE void getLow(const std::byte* row, std::size_t d, std::size_t channel, std::uint8_t* code) {
    for (std::size_t half = 0; half < kLanes; half += 8) write(code + half, getNibbles(row, d, channel + half));
}
/// Codes 0 to 63, four bytes of them, as V6 means them.
CARREL_INLINE std::uint32_t lessThirtyTwo(std::uint32_t codes) {
    return ((codes | 0x80808080u) - 0x20202020u) ^ 0x80808080u;
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
            for (std::size_t t = 0; t < kLeafTokens; ++t) {
                const std::uint16_t* key = from + (leaf * kLeafTokens + t) * d;
                std::uint8_t code[kLanes];
                for (std::size_t i = 0; i < kLanes; ++i)
                    code[i] = static_cast<std::uint8_t>(nearest((widen(finite(key[i])) - zero[i]) / per[i]));
                write(high + 4 * t, twoBits<6>(code));
                write(middle + 4 * t, twoBits<4>(code));
                putLow(low + t * d / 2, d, kLanes * block, code);
            }
        }
    }
}

/// V8 and V6: a step per token.
template <KvCodec codec>
CARREL_INLINE void encodeSteppedValues(std::size_t d, const std::uint16_t* from, std::byte* values, std::byte* grid) {
    constexpr int kMost = codec == KvCodec::K8V8 ? 127 : 31;
    for (std::size_t t = 0; t < kGroupTokens; ++t, from += d) {
        std::uint16_t most = 0;
        for (std::size_t c = 0; c < d; ++c) most = std::max(most, static_cast<std::uint16_t>(finite(from[c]) & 0x7fff));
        const std::uint16_t step = stepOver(static_cast<double>(widen(most)), kMost);
        write(grid + 2 * t, step);
        const float per = divisor(step);
        std::byte* leaf = values + t / kLeafTokens * 12 * d;
        for (std::size_t c = 0; c < d; c += kLanes) {
            std::uint8_t code[kLanes];
            for (std::size_t i = 0; i < kLanes; ++i)
                code[i] = static_cast<std::uint8_t>(nearest(widen(finite(from[c + i])) / per));
            if constexpr (codec == KvCodec::K8V8) {
                std::memcpy(values + t * d + c, code, kLanes);
            } else {
                for (std::uint8_t& each : code) each = static_cast<std::uint8_t>(each + 32);
                write(leaf + 4 * c + 4 * (t % kLeafTokens), twoBits<4>(code));
                putLow(leaf + 4 * d + t % kLeafTokens * d / 2, d, c, code);
            }
        }
    }
}

/// V4's grid of one token and block, from its 16 bits.
CARREL_INLINE std::uint16_t blockStep(std::uint16_t packed) {
    return static_cast<std::uint16_t>(packed >> 1 & 0x7fc0);
}
CARREL_INLINE float blockLeast(std::uint16_t packed) {
    const int halves = static_cast<std::int16_t>(static_cast<std::uint16_t>(packed << 9)) >> 9;
    return widen(blockStep(packed)) * (0.5f * static_cast<float>(halves));
}
/// A number that an f16 can hold, as f16.
CARREL_INLINE std::uint16_t narrow(float x) {
    const auto bits = std::bit_cast<std::uint32_t>(x), size = bits & 0x7fffffffu;
    const std::uint32_t normal = (size >> 13) - (112u << 10);
    const std::uint32_t subnormal = std::bit_cast<std::uint32_t>(std::bit_cast<float>(size) + 0.5f) - 0x3f000000u;
    return static_cast<std::uint16_t>((bits >> 16 & 0x8000u) | (size < 0x38800000u ? subnormal : normal));
}
std::uint16_t packedGrid(float least, float most) {
    const double range = static_cast<double>(most) - static_cast<double>(least);
    const double middle = (static_cast<double>(most) + static_cast<double>(least)) / 2;
    const auto step = static_cast<std::uint16_t>(
        (stepOver(std::max(range / 15.5, (middle < 0 ? -middle : middle) / 24), 1) + 63u) & 0x7fc0u);
    if (step == 0) return 0;
    const float per = widen(step), lowest = -2 * 65504.0f / per;
    auto halves = static_cast<int>(static_cast<std::int8_t>(nearest((least + most) / per - 15.0f)));
    if (static_cast<float>(halves) < lowest) halves = static_cast<int>(lowest);
    return static_cast<std::uint16_t>(step << 1 | (halves & 0x7f));
}

CARREL_INLINE void encodeValues4(std::size_t d, const std::uint16_t* from, std::byte* values, std::byte* grid) {
    for (std::size_t t = 0; t < kGroupTokens; ++t, from += d)
        for (std::size_t first = 0; first < d; first += 32, grid += 2) {
            const std::size_t end = std::min(d, first + 32);
            std::int16_t least = INT16_MAX, most = INT16_MIN;
            for (std::size_t c = first; c < end; ++c) {
                const std::int16_t v = ordered(finite(from[c]));
                least = std::min(least, v);
                most = std::max(most, v);
            }
            const std::uint16_t packed = packedGrid(disordered(least), disordered(most));
            write(grid, packed);
            const float zero = blockLeast(packed), per = divisor(blockStep(packed));
            for (std::size_t c = first; c < end; c += kLanes) {
                std::uint8_t code[kLanes];
                for (std::size_t i = 0; i < kLanes; ++i) {
                    const float steps = (widen(finite(from[c + i])) - zero) / per;
                    code[i] = static_cast<std::uint8_t>(nearest(std::min(std::max(steps, 0.0f), 15.0f)));
                }
                putLow(values + t * d / 2, d, c, code);
            }
        }
}

/// Of a leaf's codes, halves up.
CARREL_INLINE void meanKeys(std::size_t d, const std::byte* high, const std::byte* middle, std::byte* means) {
    const std::byte* low = middle + 4 * d;
    for (std::size_t c = 0; c < d; c += kLanes) {
        std::uint16_t sum[kLanes];
        for (std::size_t i = 0; i < kLanes; ++i) sum[i] = kLeafTokens / 2;
        for (std::size_t t = 0; t < kLeafTokens; ++t) {
            std::uint8_t code[kLanes];
            getLow(low + t * d / 2, d, c, code);
            addTwoBits<6>(read<std::uint32_t>(high + 4 * c + 4 * t), code);
            addTwoBits<4>(read<std::uint32_t>(middle + 4 * c + 4 * t), code);
            for (std::size_t i = 0; i < kLanes; ++i) sum[i] = static_cast<std::uint16_t>(sum[i] + code[i]);
        }
        std::uint8_t mean[kLanes];
        for (std::size_t i = 0; i < kLanes; ++i) mean[i] = static_cast<std::uint8_t>(sum[i] / kLeafTokens);
        std::memcpy(means + c, mean, kLanes);
    }
}

/// Mean of a leaf's decoded values, 16 channels from `channel`. Summed token by token: the order is part of the format.
template <KvCodec codec>
CARREL_INLINE void meanValues(std::size_t d, const std::byte* values, const std::byte* grid, std::size_t channel,
                              float* mean) {
    for (std::size_t i = 0; i < kLanes; ++i) mean[i] = 0;
    for (std::size_t t = 0; t < kLeafTokens; ++t) {
        std::uint8_t code[kLanes];
        if constexpr (codec == KvCodec::K8V8) {
            std::memcpy(code, values + t * d + channel, kLanes);
        } else if constexpr (codec == KvCodec::K8V6) {
            getLow(values + 4 * d + t * d / 2, d, channel, code);
            addTwoBits<4>(read<std::uint32_t>(values + 4 * channel + 4 * t), code);
            for (std::uint8_t& each : code) each = static_cast<std::uint8_t>(each - 32);
        } else {
            getLow(values + t * d / 2, d, channel, code);
        }
        if constexpr (codec == KvCodec::K8V4) {
            const std::size_t block = t * valueBlocks(static_cast<std::uint32_t>(d)) + channel / 32;
            const auto packed = read<std::uint16_t>(grid + 2 * block);
            const float least = blockLeast(packed), step = widen(blockStep(packed));
            for (std::size_t i = 0; i < kLanes; ++i) mean[i] += least + step * static_cast<float>(code[i]);
        } else {
            const float step = widen(read<std::uint16_t>(grid + 2 * t));
            for (std::size_t i = 0; i < kLanes; ++i)
                mean[i] += step * static_cast<float>(static_cast<std::int8_t>(code[i]));
        }
    }
    for (std::size_t i = 0; i < kLanes; ++i) mean[i] *= 1.0f / kLeafTokens;
}

template <KvCodec codec>
CARREL_INLINE void leafMeanValues(std::size_t d, const UnpackLeaf& leaf, std::byte* codes, std::byte* stepAt) {
    // Twice the same sums: cheaper than a place for means of any head size.
    float mean[kLanes], most[kLanes] = {};
    for (std::size_t c = 0; c < d; c += kLanes) {
        meanValues<codec>(d, leaf.values, leaf.grid, c, mean);
        for (std::size_t i = 0; i < kLanes; ++i) most[i] = std::max(most[i], mean[i] < 0 ? -mean[i] : mean[i]);
    }
    for (std::size_t i = 1; i < kLanes; ++i) most[0] = std::max(most[0], most[i]);
    const std::uint16_t step = stepOver(static_cast<double>(most[0]), 127);
    write(stepAt, step);
    const float per = divisor(step);
    for (std::size_t c = 0; c < d; c += kLanes) {
        meanValues<codec>(d, leaf.values, leaf.grid, c, mean);
        std::uint8_t code[kLanes];
        for (std::size_t i = 0; i < kLanes; ++i) code[i] = static_cast<std::uint8_t>(nearest(mean[i] / per));
        std::memcpy(codes + c, code, kLanes);
    }
}

template <KvCodec codec>
CARREL_INLINE void meansOf(std::size_t d, const GroupMeans& group) {
    const auto headDim = static_cast<std::uint32_t>(d);
    for (std::uint32_t i = 0; i < kGroupLeaves; ++i) {
        const UnpackLeaf leaf = packedLeaf(codec, headDim, group.payload, group.codes, i, nullptr);
        meanKeys(d, leaf.plane, leaf.low, group.means + i * d);
        leafMeanValues<codec>(d, leaf, group.means + (kGroupLeaves + i) * d, group.means + 8 * d + 2 * i);
    }
    const std::size_t filled = 8 * d + 8;
    std::memset(group.means + filled, 0, meansBytes(headDim) - filled);
}
CARREL_INLINE void groupMeans(KvCodec codec, std::size_t d, const GroupMeans& group) {
    if (codec == KvCodec::K8V8) return meansOf<KvCodec::K8V8>(d, group);
    if (codec == KvCodec::K8V6) return meansOf<KvCodec::K8V6>(d, group);
    meansOf<KvCodec::K8V4>(d, group);
}

CARREL_INLINE void encodeGroup(KvCodec codec, std::size_t d, const EncodeGroup& group) {
    encodeKeys(d, group);
    const auto headDim = static_cast<std::uint32_t>(d);
    std::byte* values = group.payload + kGroupLeaves * lowLeafBytes(headDim);
    std::byte* grid = values + kGroupLeaves * valueLeafBytes(codec, headDim);
    if (codec == KvCodec::K8V8)
        encodeSteppedValues<KvCodec::K8V8>(d, group.values, values, grid);
    else if (codec == KvCodec::K8V6)
        encodeSteppedValues<KvCodec::K8V6>(d, group.values, values, grid);
    else
        encodeValues4(d, group.values, values, grid);
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
            std::byte* row = leaf.rows + t * d + kLanes * block;
            addTwoBits<6>(read<std::uint32_t>(leaf.plane + 64 * block + 4 * t), row);
            addTwoBits<4>(read<std::uint32_t>(leaf.low + 64 * block + 4 * t), row);
        }
}
/// The same for V6, signed.
CARREL_INLINE void addValuePlane(std::size_t d, const std::byte* plane, std::byte* values, std::size_t first) {
    for (std::size_t block = first; block < d / kLanes; ++block)
        for (std::size_t t = 0; t < kLeafTokens; ++t) {
            std::byte* row = values + t * d + kLanes * block;
            addTwoBits<4>(read<std::uint32_t>(plane + 64 * block + 4 * t), row);
            for (std::size_t s = 0; s < kLanes; s += 4) write(row + s, lessThirtyTwo(read<std::uint32_t>(row + s)));
        }
}

/// All of a leaf's values but V6's plane.
CARREL_INLINE void unpackValues(KvCodec codec, std::size_t d, const UnpackLeaf& leaf) {
    std::byte* values = leaf.rows + kLeafTokens * d;
    std::byte* grid = values + kLeafTokens * d;
    const std::size_t blocks = valueBlocks(static_cast<std::uint32_t>(d));
    if (codec == KvCodec::K8V8)
        std::memcpy(values, leaf.values, kLeafTokens * d);
    else
        spread(leaf.values + (codec == KvCodec::K8V6 ? 4 * d : 0), d, values);
    if (codec != KvCodec::K8V4) {
        for (std::size_t t = 0; t < kLeafTokens; ++t)
            for (std::size_t b = 0; b < blocks; ++b, grid += 4)
                write(grid, std::uint32_t{read<std::uint16_t>(leaf.grid + 2 * t)} << 16);
        return;
    }
    for (std::size_t i = 0; i < kLeafTokens * blocks; i += kLanes)
        for (std::size_t j = i; j < i + kLanes; ++j) {
            const auto packed = read<std::uint16_t>(leaf.grid + 2 * j);
            write(grid + 4 * j, narrow(blockLeast(packed)) | std::uint32_t{blockStep(packed)} << 16);
        }
}

using EncodeGroupFn = void (*)(KvCodec codec, std::size_t d, const EncodeGroup& group);
using GroupMeansFn = void (*)(KvCodec codec, std::size_t d, const GroupMeans& group);
using UnpackLeafFn = void (*)(KvCodec codec, std::size_t d, const UnpackLeaf& leaf);

void encodeScalar(KvCodec codec, std::size_t d, const EncodeGroup& group) {
    encodeGroup(codec, d, group);
}
void meansScalar(KvCodec codec, std::size_t d, const GroupMeans& group) {
    groupMeans(codec, d, group);
}
void unpackScalar(KvCodec codec, std::size_t d, const UnpackLeaf& leaf) {
    spread(leaf.low + 4 * d, d, leaf.rows);
    addPlanes(d, leaf, 0);
    unpackValues(codec, d, leaf);
    if (codec == KvCodec::K8V6) addValuePlane(d, leaf.values, leaf.rows + kLeafTokens * d, 0);
}
#if defined(__x86_64__)
CARREL_AVX2 void encodeAvx2(KvCodec codec, std::size_t d, const EncodeGroup& group) {
    encodeGroup(codec, d, group);
}
CARREL_AVX2 void meansAvx2(KvCodec codec, std::size_t d, const GroupMeans& group) {
    groupMeans(codec, d, group);
}
/// A plane's bits of one token, 32 channels, in the top of their bytes. A lane is a block; its words are four tokens.
template <int token>
CARREL_AVX2 CARREL_INLINE __m256i topBits(__m256i plane) {
    const __m256i up = _mm256_setr_epi32(6, 4, 2, 0, 6, 4, 2, 0), top = _mm256_set1_epi8(static_cast<char>(0xc0));
    return _mm256_and_si256(_mm256_sllv_epi32(_mm256_shuffle_epi32(plane, token * 0x55), up), top);
}
template <int token>
CARREL_AVX2 CARREL_INLINE void addToken(__m256i high, __m256i middle, std::byte* row) {
    auto* to = reinterpret_cast<__m256i*>(row);
    const __m256i both = _mm256_or_si256(topBits<token>(high), _mm256_srli_epi32(topBits<token>(middle), 2));
    _mm256_storeu_si256(to, _mm256_or_si256(_mm256_loadu_si256(to), both));
}
template <int token>
CARREL_AVX2 CARREL_INLINE void addToken(__m256i plane, std::byte* row) {
    auto* to = reinterpret_cast<__m256i*>(row);
    const __m256i code = _mm256_or_si256(_mm256_loadu_si256(to), _mm256_srli_epi32(topBits<token>(plane), 2));
    _mm256_storeu_si256(to, _mm256_sub_epi8(code, _mm256_set1_epi8(32)));
}
CARREL_AVX2 CARREL_INLINE __m256i twoBlocks(const std::byte* plane) {
    return _mm256_loadu2_m128i(reinterpret_cast<const __m128i*>(plane + 64), reinterpret_cast<const __m128i*>(plane));
}
CARREL_AVX2 void unpackAvx2(KvCodec codec, std::size_t d, const UnpackLeaf& leaf) {
    const std::size_t odd = d / kLanes / 2 * 2;  // the block that has no other
    spread(leaf.low + 4 * d, d, leaf.rows);
    for (std::size_t block = 0; block < odd; block += 2)
        for (std::size_t t = 0; t < kLeafTokens; t += 4) {
            const __m256i high = twoBlocks(leaf.plane + 64 * block + 4 * t);
            const __m256i middle = twoBlocks(leaf.low + 64 * block + 4 * t);
            std::byte* row = leaf.rows + t * d + kLanes * block;
            addToken<0>(high, middle, row);
            addToken<1>(high, middle, row + d);
            addToken<2>(high, middle, row + 2 * d);
            addToken<3>(high, middle, row + 3 * d);
        }
    addPlanes(d, leaf, odd);
    unpackValues(codec, d, leaf);
    if (codec != KvCodec::K8V6) return;
    std::byte* values = leaf.rows + kLeafTokens * d;
    for (std::size_t block = 0; block < odd; block += 2)
        for (std::size_t t = 0; t < kLeafTokens; t += 4) {
            const __m256i plane = twoBlocks(leaf.values + 64 * block + 4 * t);
            std::byte* row = values + t * d + kLanes * block;
            addToken<0>(plane, row);
            addToken<1>(plane, row + d);
            addToken<2>(plane, row + 2 * d);
            addToken<3>(plane, row + 3 * d);
        }
    addValuePlane(d, leaf.values, values, odd);
}
CARREL_AVX512 void encodeAvx512(KvCodec codec, std::size_t d, const EncodeGroup& group) {
    encodeGroup(codec, d, group);
}

const Variants<EncodeGroupFn> kEncodeGroup{
    {Isa::Avx512, encodeAvx512}, {Isa::Avx2, encodeAvx2}, {Isa::Scalar, encodeScalar}};
const Variants<GroupMeansFn> kGroupMeans{{Isa::Avx2, meansAvx2}, {Isa::Scalar, meansScalar}};
const Variants<UnpackLeafFn> kUnpackLeaf{{Isa::Avx2, unpackAvx2}, {Isa::Scalar, unpackScalar}};
#else
const Variants<EncodeGroupFn> kEncodeGroup{{Isa::Scalar, encodeScalar}};
const Variants<GroupMeansFn> kGroupMeans{{Isa::Scalar, meansScalar}};
const Variants<UnpackLeafFn> kUnpackLeaf{{Isa::Scalar, unpackScalar}};
#endif

}  // namespace

void KvCodecs::encode(KvCodec codec, std::size_t headDim, std::span<const EncodeGroup> groups) {
    assert(codec != KvCodec::F16 && encodable(static_cast<std::uint32_t>(headDim)));
    const auto kernel = kEncodeGroup.at(isa_);
    const auto meansOfOne = kGroupMeans.at(isa_);
    const auto work = [&](std::size_t i) {
        kernel(codec, headDim, groups[i]);
        meansOfOne(codec, headDim, {groups[i].payload, groups[i].codes, groups[i].means});
    };
    if (groups.size() == 1) return work(0);
    pool_.parallelFor(groups.size(), work);
}

void KvCodecs::means(KvCodec codec, std::size_t headDim, std::span<const GroupMeans> groups) {
    assert(codec != KvCodec::F16 && encodable(static_cast<std::uint32_t>(headDim)));
    const auto kernel = kGroupMeans.at(isa_);
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

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace carrel {

// How keys and values lie in memory and on disk. A group is 64 consecutive tokens of one layer and KV head, aligned:
// the unit of codec, checksum and smallest read. A leaf is 16 of them: what is judged, chosen and cached.
inline constexpr std::uint32_t kGroupTokens = 64, kLeafTokens = 16, kGroupLeaves = kGroupTokens / kLeafTokens;

/// K8: key = least + step * code per channel over the group's 64 tokens, code 0 to 255, in two planes: the high 2 bits
/// (the sketch's plane) and the low 6. V8: value = step * code per token, code -127 to 127; V6: -31 to 31. V4: value =
/// least + step * code per token and 32 channels, code 0 to 15.
enum class KvCodec : std::uint32_t { F16 = 0, K8V8 = 1, K8V4 = 2, K8V6 = 3 };

constexpr std::string_view codecName(KvCodec codec) {
    switch (codec) {
        case KvCodec::K8V8:
            return "k8v8";
        case KvCodec::K8V6:
            return "k8v6";
        case KvCodec::K8V4:
            return "k8v4";
        case KvCodec::F16:
            break;
    }
    return "f16";
}
constexpr std::optional<KvCodec> codecNamed(std::string_view name) {
    for (const KvCodec codec : {KvCodec::F16, KvCodec::K8V8, KvCodec::K8V6, KvCodec::K8V4})
        if (codecName(codec) == name) return codec;
    return std::nullopt;
}
/// Head sizes that K8 can hold; others stay f16.
constexpr bool encodable(std::uint32_t headDim) {
    return headDim > 0 && headDim % 16 == 0;
}

// The three parts of an encoded group, d = headDim, B = ceil(d / 32). All f16 are little-endian bits.
//
// payload, on disk and in the host tier, leaf after leaf and then the values:
//   4 x { middle 2 bits of 16 keys [d/16][16][4]: byte (b, t, j) holds, at bits 2s, channel 16b + 4s + j of token t;
//         low 4 bits of 16 keys [16][d/2]: byte j of a row holds channel j in its low and j + d/2 in its high nibble }
//   V8: s8 [64][d], then step f16 [64]
//   V6: code + 32 leaf after leaf: 4 x { high 2 bits [d/16][16][4], low 4 bits [16][d/2] as for keys }, then step f16
//     [64]
//   V4: u4 [64][d/2] (byte j: channel j low, j + d/2 high), then u16 [64][B]: bits 7 to 15 are bits 6 to 14 of the
//     step's f16, bits 0 to 6 the signed number of half steps that least is; least too is an f16, exactly
// codes, what is judged from, resident:
//   high 2 bits of the keys: 4 leaves x [d/16][16][4], bits as in the middle plane; then f16 least [d], step [d]
// means, never stored: they follow from the rest. Per leaf, key means: mean key u8 [4][d] in the grid's steps (mean of
//   the codes, to nearest), resident where they are judged by; value means: mean value s8 [4][d], step f16 [4], zeros
//   to a multiple of 16, resident where the unread is estimated
constexpr std::size_t valueBlocks(std::uint32_t headDim) {
    return (headDim + 31) / 32;
}
constexpr std::size_t lowLeafBytes(std::uint32_t headDim) {
    return std::size_t{12} * headDim;
}
constexpr std::size_t planeLeafBytes(std::uint32_t headDim) {
    return std::size_t{4} * headDim;
}
/// Of a leaf's values in the payload: their codes, and their grid.
constexpr std::size_t valueLeafBytes(KvCodec codec, std::uint32_t headDim) {
    return std::size_t{codec == KvCodec::K8V8 ? 16u : codec == KvCodec::K8V6 ? 12u : 8u} * headDim;
}
constexpr std::size_t valueGridBytes(KvCodec codec, std::uint32_t headDim) {
    return kLeafTokens * 2 * (codec == KvCodec::K8V4 ? valueBlocks(headDim) : 1);
}
constexpr std::size_t payloadBytes(KvCodec codec, std::uint32_t headDim) {
    if (codec == KvCodec::F16) return std::size_t{4} * kGroupTokens * headDim;
    return kGroupLeaves * (lowLeafBytes(headDim) + valueLeafBytes(codec, headDim) + valueGridBytes(codec, headDim));
}
constexpr std::size_t codesBytes(std::uint32_t headDim) {
    return kGroupLeaves * planeLeafBytes(headDim) + std::size_t{4} * headDim;
}
constexpr std::size_t keyMeansBytes(std::uint32_t headDim) {
    return std::size_t{4} * headDim;
}
constexpr std::size_t valueMeansBytes(std::uint32_t headDim) {
    return (std::size_t{4} * headDim + 8 + 15) / 16 * 16;
}
constexpr std::size_t meansBytes(std::uint32_t headDim) {
    return keyMeansBytes(headDim) + valueMeansBytes(headDim);
}
/// A leaf as attention reads it (Backend::unpack), in the device tier: codes of keys u8 [16][d], codes of values s8
/// [16][d] (V4: 0 to 15), and (least, step) of the values f16 [16][B][2].
constexpr std::size_t rowsBytes(std::uint32_t headDim) {
    return (std::size_t{32} * headDim + kLeafTokens * valueBlocks(headDim) * 4 + 63) / 64 * 64;
}

}  // namespace carrel

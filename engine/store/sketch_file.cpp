#include "store/sketch_file.h"

#include <algorithm>
#include <cstring>

#include "base/hash.h"
#include "tensor/quant.h"

namespace carrel {

namespace {

constexpr std::uint32_t kSketchMagic = 0x4b534b43;  // CKSK
constexpr std::uint32_t kLeaves = kStoreGroupTokens / kStoreLeafTokens;

/// Means of the keys of one group with `tokens` tokens: keys [64][headDim] -> out [4][headDim].
void leafMeans(const std::uint16_t* keys, std::uint32_t tokens, std::uint32_t headDim, std::uint16_t* out) {
    std::vector<float> sum(headDim);
    for (std::uint32_t leaf = 0; leaf < kLeaves; ++leaf) {
        const std::uint32_t from = leaf * kStoreLeafTokens, to = std::min(from + kStoreLeafTokens, tokens);
        std::fill(sum.begin(), sum.end(), 0.0f);
        for (std::uint32_t t = from; t < to; ++t)
            for (std::uint32_t d = 0; d < headDim; ++d) sum[d] += f16ToF32(keys[std::size_t{t} * headDim + d]);
        const float scale = to > from ? 1.0f / static_cast<float>(to - from) : 0.0f;
        for (std::uint32_t d = 0; d < headDim; ++d) out[leaf * headDim + d] = f32ToF16(sum[d] * scale);
    }
}

}  // namespace

std::uint64_t sketchRecordBytes(KvShape shape, std::uint32_t tokens) {
    return kSketchHeaderBytes +
           std::uint64_t{shape.layers} * shape.kvHeads * groupsOf(tokens) * kLeaves * shape.headDim * 2;
}

std::vector<std::byte> encodeSketch(std::uint64_t streamHash, std::uint32_t first, std::uint32_t tokens, KvShape shape,
                                    std::span<const std::byte> payload) {
    const std::uint32_t groups = groupsOf(tokens);
    std::vector<std::byte> raw(sketchRecordBytes(shape, tokens));
    const std::uint32_t fields[] = {first, groups, shape.layers, shape.kvHeads, shape.headDim, kStoreLeafTokens};
    std::memcpy(raw.data(), &kSketchMagic, 4);
    std::memcpy(raw.data() + 4, &kStoreFormat, 4);
    std::memcpy(raw.data() + 16, &streamHash, 8);
    std::memcpy(raw.data() + 24, fields, sizeof fields);
    std::vector<std::uint16_t> keys(std::size_t{kStoreGroupTokens} * shape.headDim),
        means(std::size_t{kLeaves} * shape.headDim);
    for (std::size_t i = 0; i < std::size_t{shape.layers} * shape.kvHeads * groups; ++i) {
        const auto before = static_cast<std::uint32_t>(i % groups) * kStoreGroupTokens;
        std::memcpy(keys.data(), payload.data() + i * shape.groupBytes(), keys.size() * 2);
        leafMeans(keys.data(), std::min(kStoreGroupTokens, tokens - before), shape.headDim, means.data());
        std::memcpy(raw.data() + kSketchHeaderBytes + i * means.size() * 2, means.data(), means.size() * 2);
    }
    const std::uint64_t checksum = xxh3(std::span<const std::byte>(raw).subspan(16));
    std::memcpy(raw.data() + 8, &checksum, 8);
    return raw;
}

Result<std::vector<std::byte>> readSketch(File& file, std::uint64_t offset, std::uint64_t bytes,
                                          std::uint64_t streamHash, std::uint32_t first, std::uint32_t tokens,
                                          KvShape shape) {
    const std::string where = "sketch at byte " + std::to_string(offset);
    const auto size = file.size();
    if (!size) return size.error();
    if (bytes < sketchRecordBytes(shape, tokens) || offset > *size || bytes > *size - offset)
        return Error{Code::Truncated, where, "the sketch file ends here"};
    std::vector<std::byte> raw(bytes);
    if (auto s = file.pread(raw, offset); !s) return s.error();
    std::uint32_t magic = 0, version = 0;
    std::uint64_t checksum = 0, hash = 0;
    std::uint32_t fields[6];
    std::memcpy(&magic, raw.data(), 4);
    std::memcpy(&version, raw.data() + 4, 4);
    std::memcpy(&checksum, raw.data() + 8, 8);
    std::memcpy(&hash, raw.data() + 16, 8);
    std::memcpy(fields, raw.data() + 24, sizeof fields);
    if (magic != kSketchMagic) return Error{Code::Corrupt, where, "no sketch record"};
    if (version != kStoreFormat) return Error{Code::Unsupported, where, "format version " + std::to_string(version)};
    // A record mended after a truncation inside its batch has fewer groups than its place has room for.
    const bool fits = fields[1] >= groupsOf(tokens) && fields[1] <= groupsOf(kMaxBatchTokens) &&
                      sketchRecordBytes(shape, fields[1] * kStoreGroupTokens) <= bytes;
    if (fits) raw.resize(sketchRecordBytes(shape, fields[1] * kStoreGroupTokens));
    if (!fits || hash != streamHash || fields[0] != first || fields[2] != shape.layers || fields[3] != shape.kvHeads ||
        fields[4] != shape.headDim || fields[5] != kStoreLeafTokens ||
        xxh3(std::span<const std::byte>(raw).subspan(16)) != checksum)
        return Error{Code::Corrupt, where, "checksum or place of a sketch record"};
    return raw;
}

}  // namespace carrel

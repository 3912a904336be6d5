#include "kv/sketch.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "kv/document_kv.h"
#include "tensor/quant.h"

namespace carrel {

namespace {

constexpr std::uint16_t kInfinity = 0x7c00, kSign = 0x8000;

std::uint32_t chunksOf(std::uint32_t groups, std::uint32_t boundsTokens) {
    return boundsTokens == 0 ? 0 : (groups * kGroupTokens + boundsTokens - 1) / boundsTokens;
}

// One step away from or towards zero in f16's own order; infinities stay.
std::uint16_t nextBelow(std::uint16_t h) {
    if ((h & ~kSign) == 0) return kSign | 1;
    if (h == (kSign | kInfinity)) return h;
    return (h & kSign) != 0 ? h + 1 : h - 1;
}
std::uint16_t nextAbove(std::uint16_t h) {
    return nextBelow(h ^ kSign) ^ kSign;
}

std::uint16_t roundedDown(double value) {
    const std::uint16_t h = f32ToF16(static_cast<float>(value));
    return static_cast<double>(f16ToF32(h)) > value ? nextBelow(h) : h;
}
std::uint16_t roundedUp(double value) {
    const std::uint16_t h = f32ToF16(static_cast<float>(value));
    return static_cast<double>(f16ToF32(h)) < value ? nextAbove(h) : h;
}

}  // namespace

std::uint64_t Sketch::bytes(KvShape shape, KvCodec codec, std::uint32_t capacityGroups, Parts parts) {
    if (codec == KvCodec::F16) return 0;
    const std::uint64_t groups = shape.rows() * capacityGroups;
    return groups * (codesBytes(shape.headDim) + (parts.means ? valueMeansBytes(shape.headDim) : 0) +
                     (parts.means && parts.keyMeans ? keyMeansBytes(shape.headDim) : 0)) +
           shape.rows() * chunksOf(capacityGroups, parts.boundsTokens) * 4 * shape.headDim;
}

Result<Sketch> Sketch::make(Backend& backend, KvShape shape, KvCodec codec, std::uint32_t capacityGroups, Parts parts) {
    Sketch sketch;
    sketch.shape_ = shape;
    sketch.capacity_ = capacityGroups;
    sketch.boundsTokens_ = parts.boundsTokens;
    sketch.chunks_ = chunksOf(capacityGroups, parts.boundsTokens);
    sketch.views_.resize(shape.rows());
    sketch.boundsOf_.resize(shape.rows());
    if (codec == KvCodec::F16) return sketch;
    const std::size_t groups = shape.rows() * capacityGroups;
    const auto allocate = [&](Buffer& buffer, std::size_t bytes, MemoryKind kind) -> Status {
        if (bytes == 0) return {};
        auto made = backend.allocate(bytes, kind);
        if (!made) return made.error();
        buffer = std::move(*made);
        return {};
    };
    if (auto done = allocate(sketch.codes_, groups * codesBytes(shape.headDim), parts.kind); !done) return done.error();
    const std::size_t valueMeans = parts.means ? groups * valueMeansBytes(shape.headDim) : 0;
    if (auto done = allocate(sketch.valueMeans_, valueMeans, parts.kind); !done) return done.error();
    const std::size_t keyMeans = parts.means && parts.keyMeans ? groups * keyMeansBytes(shape.headDim) : 0;
    if (auto done = allocate(sketch.keyMeans_, keyMeans, parts.kind); !done) return done.error();
    const std::size_t bounds = shape.rows() * sketch.chunks_ * 4 * shape.headDim;
    if (auto done = allocate(sketch.bounds_, bounds, MemoryKind::Host); !done) return done.error();
    sketch.setGroups(0);
    return sketch;
}

std::span<const SketchView> Sketch::views(std::uint32_t layer) const {
    return std::span(views_).subspan(std::size_t{layer} * shape_.kvHeads, shape_.kvHeads);
}

std::span<const std::uint16_t* const> Sketch::bounds(std::uint32_t layer) const {
    if (!hasBounds()) return {};
    return std::span(boundsOf_).subspan(std::size_t{layer} * shape_.kvHeads, shape_.kvHeads);
}

const std::byte* Sketch::codes(std::size_t row, std::uint32_t group) const {
    return codes_.as<std::byte>((row * capacity_ + group) * codesBytes(shape_.headDim));
}

const std::uint16_t* Sketch::grid(std::size_t row, std::uint32_t group) const {
    return reinterpret_cast<const std::uint16_t*>(codes(row, group) + kGroupLeaves * planeLeafBytes(shape_.headDim));
}

Status Sketch::put(Backend& backend, KvCodec codec, std::size_t row, std::uint32_t first,
                   std::span<const Group> groups) {
    const std::size_t at = row * capacity_ + first, codes = codesBytes(shape_.headDim),
                      keys = keyMeansBytes(shape_.headDim), values = valueMeansBytes(shape_.headDim);
    std::vector<CopyPiece> copies;
    std::vector<GroupMeans> means;
    if (hasMeans() && !groups.empty() && groups.front().means == nullptr)
        if (auto done = made_.resize(backend, groups.size() * (keys + values)); !done) return done;
    for (std::size_t i = 0; i < groups.size(); ++i) {
        copies.push_back({codes_.as<std::byte>((at + i) * codes), groups[i].codes, codes});
        if (!hasMeans()) continue;
        const std::byte* from = groups[i].means;
        if (from == nullptr) {
            means.push_back({groups[i].payload, groups[i].codes, made_.data() + i * (keys + values)});
            from = means.back().means;
        }
        if (keyMeans_.bytes() > 0) copies.push_back({keyMeans_.as<std::byte>((at + i) * keys), from, keys});
        copies.push_back({valueMeans_.as<std::byte>((at + i) * values), from + keys, values});
    }
    if (!means.empty()) backend.means(codec, shape_.headDim, means);
    backend.copy(copies);
    for (std::size_t i = 0; hasBounds() && i < groups.size(); ++i)
        if (auto done = putBounds(backend, codec, row, first + static_cast<std::uint32_t>(i), groups[i]); !done)
            return done;
    return {};
}

Status Sketch::put(Backend& backend, KvCodec codec, const KvGroups& from) {
    std::vector<Group> groups(from.groups());
    for (std::uint32_t layer = 0; layer < shape_.layers; ++layer)
        for (std::uint32_t head = 0; head < shape_.kvHeads; ++head) {
            for (std::uint32_t i = 0; i < from.groups(); ++i)
                groups[i] = {from.payload(layer, head, i), from.codes(layer, head, i), from.means(layer, head, i)};
            const std::size_t row = std::size_t{layer} * shape_.kvHeads + head;
            if (auto done = put(backend, codec, row, from.firstGroup(), groups); !done) return done;
        }
    return {};
}

Status Sketch::put(Backend& backend, KvCodec codec, const LoadedBatch& batch) {
    std::vector<Group> groups(batch.groups);
    for (std::size_t row = 0; row < shape_.rows(); ++row) {
        for (std::uint32_t i = 0; i < batch.groups; ++i)
            groups[i] = {batch.payload(row, i), batch.codes(row, i), nullptr};
        if (auto done = put(backend, codec, row, batch.firstGroup, groups); !done) return done;
    }
    return {};
}

Status Sketch::putBounds(Backend& backend, KvCodec codec, std::size_t row, std::uint32_t group, const Group& of) {
    const std::size_t bytes = rowsBytes(shape_.headDim);
    if (auto done = leaves_.resize(backend, kGroupLeaves * bytes); !done) return done;
    std::array<UnpackLeaf, kGroupLeaves> unpack{};
    for (std::uint32_t i = 0; i < kGroupLeaves; ++i)
        unpack[i] = packedLeaf(codec, shape_.headDim, of.payload, of.codes, i, leaves_.data() + i * bytes);
    backend.unpack(codec, shape_.headDim, unpack);
    if (auto done = backend.wait(backend.record()); !done) return done;
    const auto* const least =
        reinterpret_cast<const std::uint16_t*>(of.codes + kGroupLeaves * planeLeafBytes(shape_.headDim));
    const std::uint16_t* step = least + shape_.headDim;
    for (std::uint32_t i = 0; i < kGroupLeaves; ++i) {
        const std::uint32_t token = group * kGroupTokens + i * kLeafTokens;
        std::uint16_t* low = bounds_.as<std::uint16_t>() + (row * chunks_ + token / boundsTokens_) * 2 * shape_.headDim;
        std::uint16_t* high = low + shape_.headDim;
        const bool begins = token % boundsTokens_ == 0;
        for (std::uint32_t d = 0; d < shape_.headDim; ++d) {
            std::uint8_t from = 255, to = 0;
            for (std::uint32_t t = 0; t < kLeafTokens; ++t) {
                const auto code = std::to_integer<std::uint8_t>(leaves_[i * bytes + t * shape_.headDim + d]);
                from = std::min(from, code);
                to = std::max(to, code);
            }
            // Exact in double; a step from a damaged or odd file may be negative.
            const double base = f16ToF32(least[d]), a = base + static_cast<double>(f16ToF32(step[d])) * from,
                         b = base + static_cast<double>(f16ToF32(step[d])) * to;
            const std::uint16_t down = roundedDown(std::min(a, b)), up = roundedUp(std::max(a, b));
            low[d] = begins || f16ToF32(down) < f16ToF32(low[d]) ? down : low[d];
            high[d] = begins || f16ToF32(up) > f16ToF32(high[d]) ? up : high[d];
        }
    }
    return {};
}

void Sketch::setGroups(std::uint32_t groups) {
    for (std::size_t row = 0; row < views_.size(); ++row) {
        const std::size_t first = row * capacity_;
        const auto at = [](const Buffer& buffer, std::size_t byte) {
            return buffer.bytes() > 0 ? buffer.as<const std::byte>(byte) : nullptr;
        };
        views_[row] = {at(codes_, first * codesBytes(shape_.headDim)),
                       at(keyMeans_, first * keyMeansBytes(shape_.headDim)),
                       at(valueMeans_, first * valueMeansBytes(shape_.headDim)), groups};
        if (hasBounds()) boundsOf_[row] = bounds_.as<std::uint16_t>() + row * chunks_ * 2 * shape_.headDim;
    }
}

}  // namespace carrel

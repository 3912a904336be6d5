#include "kv/document_kv.h"

#include <utility>

#include "kv/loading.h"
#include "kv/resident_kv.h"
#include "kv/sliding_kv.h"
#include "kv/tiered_kv.h"

namespace carrel {

Result<KvGroups> KvGroups::make(Backend& backend, KvShape shape, KvCodec codec, std::uint32_t firstGroup,
                                std::uint32_t groups) {
    KvGroups made;
    made.shape_ = shape;
    made.codec_ = codec;
    made.firstGroup_ = firstGroup;
    made.groups_ = groups;
    const std::size_t all = shape.rows() * groups;
    auto payload = backend.allocate(all * payloadBytes(codec, shape.headDim));
    if (!payload) return payload.error();
    made.payload_ = std::move(*payload);
    if (codec == KvCodec::F16) return made;
    auto codes = backend.allocate(all * codesBytes(shape.headDim));
    if (!codes) return codes.error();
    made.codes_ = std::move(*codes);
    auto means = backend.allocate(all * meansBytes(shape.headDim));
    if (!means) return means.error();
    made.means_ = std::move(*means);
    return made;
}

std::byte* KvGroups::payload(std::uint32_t layer, std::uint32_t head, std::uint32_t group) const {
    return payload_.as<std::byte>(at(layer, head, group) * payloadBytes(codec_, shape_.headDim));
}
std::byte* KvGroups::codes(std::uint32_t layer, std::uint32_t head, std::uint32_t group) const {
    return codes_.as<std::byte>(at(layer, head, group) * codesBytes(shape_.headDim));
}
std::byte* KvGroups::means(std::uint32_t layer, std::uint32_t head, std::uint32_t group) const {
    return means_.as<std::byte>(at(layer, head, group) * meansBytes(shape_.headDim));
}

KvPins::KvPins(KvPins&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)), layer_(other.layer_) {}

KvPins::~KvPins() {
    if (owner_ != nullptr) owner_->unpin(layer_);
}

const std::byte* KvPins::rows(std::uint32_t head, std::uint32_t leaf) const {
    return owner_->rows(layer_, head, leaf);
}

bool KvPins::late(std::uint32_t head, std::uint32_t leaf) const {
    return owner_->late(head, leaf);
}
bool KvPins::late() const {
    return owner_->late();
}
Status KvPins::complete() {
    return owner_->complete(layer_);
}

Result<KvPins> DocumentKv::pin(std::uint32_t layer, View<const std::uint16_t, 3> chosen) {
    auto pins = claim(layer, chosen);
    if (!pins) return pins;
    if (auto done = pins->complete(); !done) return done.error();
    return pins;
}

Result<std::unique_ptr<DocumentKv>> DocumentKv::open(Backend& backend, KvStream& stream, KvShape shape, KvCodec codec,
                                                     std::uint32_t capacityTokens, const TierOptions& options,
                                                     const LocalLayers& local) {
    if (shape.rows() == 0 || shape.headDim == 0 || (codec != KvCodec::F16 && !encodable(shape.headDim)))
        return Error{Code::InvalidArgument, "document", "a codec that this head size has not"};
    const std::uint32_t chunk = options.boundsTokens;
    if (chunk != 0 && chunk != 16 && chunk != 32 && chunk != 64 && chunk != 128)
        return Error{Code::InvalidArgument, "document", "bounds of " + std::to_string(chunk) + " tokens"};
    // Numbers of leaves are 32 bits: 2^32 of them are more than 100 TiB.
    const std::uint64_t groups = std::max(capacityTokens, stream.tokens()) / kGroupTokens;
    if (groups * kGroupLeaves * shape.rows() >= UINT32_MAX)
        return Error{Code::NoMemory, "document", "more tokens than can be numbered"};
    const auto capacity = static_cast<std::uint32_t>(std::max<std::uint64_t>(groups, 1));
    if (local.some()) return SlidingKv::open(backend, stream, shape, codec, capacity, options, local);
    TierOptions placed = options;
    placed.ownDevice = backend.freeDeviceBytes().has_value();

    const auto batch = largestBatch(stream, codec);
    if (!batch) return batch.error();
    const bool encoded = codec != KvCodec::F16;
    Sketch::Parts parts{encoded && (options.means || options.keyMeans), encoded && options.keyMeans, chunk};
    for (const bool means : {parts.means, false}) {
        if (parts.keyMeans && !means) break;
        parts.means = means;
        std::uint64_t device = ResidentKv::deviceBytes(shape, codec, capacity) + options.localBytes,
                      host = ResidentKv::hostBytes(shape, codec, capacity, *batch);
        (placed.ownDevice ? device : host) += Sketch::bytes(shape, codec, capacity, parts);
        if (device <= options.deviceBytes && host <= options.hostBytes)
            return ResidentKv::open(backend, stream, shape, codec, capacity, placed, parts);
    }
    return TieredKv::open(backend, stream, shape, codec, capacity, *batch, placed);
}

}  // namespace carrel

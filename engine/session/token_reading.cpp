#include "session/token_reading.h"

#include <algorithm>

namespace carrel {

namespace {

std::size_t commonPrefix(std::span<const std::int32_t> a, std::span<const std::int32_t> b) {
    return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

}  // namespace

Result<TokenReading> TokenReading::open(const LoadedModel& model, ReadingStore& store, ReadingKey key,
                                        std::vector<std::int32_t> ids, const KvSettings& settings, bool suspect) {
    const ModelConfig& config = model.model().config;
    const auto codec = codecOf(settings, config);
    if (!codec) return codec.error();
    key.codec = *codec;
    auto stream = store.openReading(key, config.kvShape());
    if (!stream) return stream.error();
    TokenReading out(model, std::move(ids));
    out.stream_ = std::move(*stream);

    std::size_t keep = commonPrefix(out.stream_->ids(), out.ids_);
    if (suspect) {
        const auto checked = out.stream_->verify();
        if (!checked) return checked.error();
        keep = std::min<std::size_t>(keep, checked->good);
    }
    // A group is finished from its first token on; an f16 stream has no unfinished one apart.
    if (keep < out.ids_.size() || *codec == KvCodec::F16) keep = keep / kGroupTokens * kGroupTokens;
    if (keep < out.stream_->tokens())
        if (auto dropped = out.stream_->truncate(static_cast<std::uint32_t>(keep)); !dropped) return dropped.error();

    auto kv = DocumentKv::open(model.backend(), *out.stream_, config.kvShape(), *codec,
                               static_cast<std::uint32_t>(out.ids_.size()), tiersOf(settings));
    if (!kv) return kv.error();
    out.kv_ = std::move(*kv);
    out.policy_ = policyOf(settings, config, *out.kv_);
    out.rest_ = KvSequence(config.kvShape(), out.kv_->tokens());
    if (auto rest = out.loadRest(); !rest) return rest.error();
    out.reused_ = out.tokens();
    return out;
}

/// The group behind the last whole one.
Status TokenReading::loadRest() {
    const std::uint32_t stored = stream_->tokens();
    if (stored == kv_->tokens()) return {};
    auto block = KvBlock::make(model_->backend(), rest_.shape(), kv_->tokens(), stored - kv_->tokens());
    if (!block) return block.error();
    const auto good = stream_->load([&](std::uint32_t first, std::uint32_t tokens) -> std::optional<KvMemory> {
        KvMemory memory;
        if (first + tokens == stored) memory.unfinished = (*block)->payload();
        return memory;
    });
    if (!good) return good.error();
    if (*good < stored) return stream_->truncate(kv_->tokens());
    rest_.push(std::move(*block));
    return {};
}

Status TokenReading::beginBatch(Workspace& work, std::uint32_t count) {
    const std::uint32_t from = tokens();  // whole groups: only a complete reading ends in one that is not
    count = std::min<std::uint32_t>(count, static_cast<std::uint32_t>(ids_.size()) - from);
    auto open = rest_.extend(model_->backend(), count);
    if (!open) return open.error();
    auto encoded =
        KvGroups::make(model_->backend(), rest_.shape(), kv_->codec(), from / kGroupTokens, count / kGroupTokens);
    if (!encoded) return encoded.error();
    open_ = std::move(*open);
    encoded_ = std::move(*encoded);
    pass_.emplace(
        model_->model(), model_->backend(), work,
        std::vector<PassInput>{{&rest_, open_.get(), std::span(ids_).subspan(from, count), kv_.get(), &*encoded_}},
        false);
    return {};
}

Result<bool> TokenReading::step() {
    const auto more = pass_->step();
    if (!more) dropBatch();
    return more;
}

Status TokenReading::endBatch() {
    const std::uint32_t from = tokens(), whole = open_->tokens() / kGroupTokens, left = open_->tokens() % kGroupTokens;
    std::shared_ptr<KvBlock> rest;
    if (left > 0) {
        KvSequence batch(rest_.shape(), from);
        batch.push(open_);
        auto gathered = batch.gather(model_->backend(), from + whole * kGroupTokens);
        if (!gathered) return gathered.error();
        rest = std::move(*gathered);
    }
    KvBatch batch{from,
                  std::span<const std::int32_t>(ids_).subspan(from, open_->tokens()),
                  encoded_->payload(),
                  encoded_->codes(),
                  encoded_->means(),
                  {}};
    if (kv_->codec() == KvCodec::F16)
        batch.payload = open_->payload();
    else if (rest)
        batch.unfinished = rest->payload();
    auto ended = stream_->commit(batch);
    if (ended && whole > 0) ended = kv_->append(std::move(*encoded_));
    if (ended) {
        rest_ = KvSequence(rest_.shape(), kv_->tokens());
        if (rest) rest_.push(std::move(rest));
    }
    dropBatch();
    return ended;
}

void TokenReading::dropBatch() {
    pass_.reset();
    open_.reset();
    encoded_.reset();
}

}  // namespace carrel

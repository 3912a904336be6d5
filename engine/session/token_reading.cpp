#include "session/token_reading.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace carrel {

namespace {

constexpr std::size_t kProbeIds = 8;
constexpr float kProbeTolerance = 0.05f;  // logits of another instruction set differ a little

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
    const auto known = store.readingsOf(key.document);
    if (!known) return known.error();
    auto stream = store.openReading(key, config.kvShape());
    if (!stream) return stream.error();
    TokenReading out(model, std::move(ids));
    out.stream_ = std::move(*stream);

    // A group is finished from its first token on; an f16 stream has no unfinished one apart.
    const auto usable = [&](std::size_t tokens) {
        const bool whole = tokens < out.ids_.size() || *codec == KvCodec::F16;
        return static_cast<std::uint32_t>(whole ? tokens / kGroupTokens * kGroupTokens : tokens);
    };
    std::uint32_t keep = usable(commonPrefix(out.stream_->ids(), out.ids_));
    for (const StreamInfo& row : *known)
        if (row.key == key) out.stored_ = std::min(row.tokens, static_cast<std::uint32_t>(out.ids_.size()));
    if (suspect) {
        const auto checked = out.stream_->verify();
        if (!checked) return checked.error();
        out.found_ = *checked;
        keep = usable(std::min(keep, checked->good));
    }
    if (keep < out.stream_->tokens())
        if (auto dropped = out.stream_->truncate(keep); !dropped) return dropped.error();

    const TierOptions tiers = tiersOf(settings, model.backend());
    for (;;) {
        auto kv = DocumentKv::open(model.backend(), *out.stream_, config.kvShape(), *codec,
                                   static_cast<std::uint32_t>(out.ids_.size()), tiers, config.local);
        if (!kv) return kv.error();
        const std::uint32_t sound = (*kv)->tokens();
        if (sound == out.stream_->tokens() / kGroupTokens * kGroupTokens) {
            out.kv_ = std::move(*kv);
            break;
        }
        kv->reset();  // it found damage; nobody may read while what is behind it is dropped
        if (auto dropped = out.stream_->truncate(sound); !dropped) return dropped.error();
    }
    out.policy_ = policyOf(settings, model, *out.kv_, out.ids_.size());
    if (const auto& profile = model.profile(); !settings.profile)
        out.profile_ = "off";
    else if (!profile)
        out.profile_ = profile.error().code == Code::NotFound ? "none" : "ignored: " + profile.error().detail;
    out.rest_ = KvSequence(config.kvShape(), out.kv_->tokens());
    if (auto rest = out.loadRest(); !rest) return rest.error();
    out.reused_ = out.tokens();
    return out;
}

/// The group behind the last whole one.
Status TokenReading::loadRest() {
    const std::uint32_t stored = stream_->tokens();
    if (stored == kv_->tokens()) return {};
    auto block =
        KvBlock::make(model_->backend(), rest_.shape(), kv_->tokens(), stored - kv_->tokens(), MemoryKind::Host);
    if (!block) return block.error();
    const auto good = stream_->load([&](std::uint32_t first, std::uint32_t tokens) -> std::optional<KvMemory> {
        KvMemory memory;
        if (first + tokens == stored) memory.unfinished = (*block)->payload();
        return memory;
    });
    if (!good) return good.error();
    if (*good < stored) return {};  // the next batch takes its place
    auto made = (*block)->onDevice(model_->backend());
    if (!made) return made.error();
    rest_.push(std::move(*made));
    return {};
}

TierReport TokenReading::report(const ReadStats& stats, double decodeSeconds) const {
    TierReport out = reportOf(*kv_, stats, decodeSeconds);
    out.estimate = policy_ && policy_->estimate;
    out.profile = profile_;
    return out;
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
    const bool f16 = kv_->codec() == KvCodec::F16;
    std::shared_ptr<KvBlock> stored, rest;  // what goes to the store in f16, and what is read on from
    const auto gather = [&](std::uint32_t first, MemoryKind kind, std::shared_ptr<KvBlock>& to) -> Status {
        KvSequence all(rest_.shape(), from);
        all.push(open_);
        auto gathered = all.gather(model_->backend(), first, kind);
        if (!gathered) return gathered.error();
        to = std::move(*gathered);
        return {};
    };
    const std::uint32_t unfinished = from + whole * kGroupTokens;
    if (f16 || left > 0)
        if (auto done = gather(f16 ? from : unfinished, MemoryKind::Host, stored); !done) return done;
    if (left > 0)
        if (auto done = gather(unfinished, MemoryKind::Device, rest); !done) return done;
    model_->backend().settle();  // the store reads what the pass wrote
    KvBatch batch{from,
                  std::span<const std::int32_t>(ids_).subspan(from, open_->tokens()),
                  encoded_->payload(),
                  encoded_->codes(),
                  {}};
    if (f16)
        batch.payload = stored->payload();
    else if (stored)
        batch.unfinished = stored->payload();
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

Result<std::vector<TokenReading::Likely>> TokenReading::probe(Workspace& work) const {
    const std::int32_t id = ids_.front();
    auto open = rest_.extend(model_->backend(), 1);
    if (!open) return open.error();
    Pass pass(model_->model(), model_->backend(), work, {{&rest_, open->get(), std::span(&id, 1), kv_.get(), nullptr}},
              true);
    if (auto done = pass.run(); !done) return done.error();
    std::vector<float> logits(model_->model().config.vocabulary);
    pass.logits(0, 1, {logits.data(), {1, logits.size()}});
    std::vector<Likely> all;
    for (std::size_t i = 0; i < logits.size(); ++i) all.push_back({static_cast<std::int32_t>(i), logits[i]});
    const std::size_t count = std::min(kProbeIds, all.size());
    std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count), all.end(),
                      [](const Likely& a, const Likely& b) { return a.logit > b.logit; });
    all.resize(count);
    return all;
}

Status TokenReading::keepProbe(Workspace& work) {
    const auto likely = probe(work);
    if (!likely) return likely.error();
    return stream_->keepNote(std::as_bytes(std::span(*likely)));
}

Result<bool> TokenReading::probeHolds(Workspace& work) {
    const auto kept = stream_->note();
    if (!kept) return kept.error();
    const auto now = probe(work);
    if (!now) return now.error();
    if (kept->size() != now->size() * sizeof(Likely)) return false;
    std::vector<Likely> then(now->size());
    std::memcpy(then.data(), kept->data(), kept->size());
    // Ids that are nearly as likely may change places: what was likeliest must be as likely as it was.
    for (const Likely& old : then) {
        const auto same = std::find_if(now->begin(), now->end(), [&](const Likely& x) { return x.id == old.id; });
        const bool close = same != now->end() ? std::abs(same->logit - old.logit) < kProbeTolerance
                                              : old.logit < now->back().logit + kProbeTolerance;
        if (!close) return false;
    }
    return true;
}

}  // namespace carrel

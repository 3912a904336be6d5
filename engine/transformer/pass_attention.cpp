#include "transformer/pass_attention.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace carrel {

namespace {

// Multiply-adds of one slice: some 15 ms at the 80 GMAC/s that attention reaches on two cores.
constexpr std::uint64_t kSliceMacs = 1'200'000'000;

}  // namespace

PassAttention::PassAttention(Backend& backend, const ModelConfig& config, std::span<const PassInput> inputs,
                             std::span<const std::uint32_t> position, std::span<const std::uint32_t> sequence,
                             const ReadPolicy* policy, ReadStats* stats, AttentionMemory& memory)
    : backend_(backend),
      config_(config),
      inputs_(inputs),
      position_(position),
      sequence_(sequence),
      policy_(policy),
      stats_(stats),
      memory_(memory),
      mass_(memory.mass),
      lse_(memory.logSumExp),
      restWeights_(memory.restWeights),
      restOrigin_(memory.restOrigin),
      chosen_(memory.chosen),
      predicted_(memory.predicted),
      document_(inputs.front().document),
      firstPosition_(*std::min_element(position.begin(), position.end())),
      lastPosition_(*std::max_element(position.begin(), position.end())) {
    while (firstJudged_ < config_.layers && config_.local.has(firstJudged_)) ++firstJudged_;
    if (document_ != nullptr) documentGroups_ = document_->tokens() / kGroupTokens;
    for ([[maybe_unused]] const PassInput& input : inputs_) {
        assert(input.document == document_ && input.past->first() == documentGroups_ * kGroupTokens);
        assert(input.encoded == nullptr || inputs_.size() == 1);
    }
    // Selection needs something to choose from: the first leaf and the newest are read anyway.
    const std::uint32_t leaves = documentGroups_ * kGroupLeaves;
    if (policy_ != nullptr) {
        // A small share goes to what is chosen before it goes to what is near.
        const double quarter = policy_->leastCap > 0 ? leaves : policy_->capShare * leaves / 4;
        newestLeaves_ = std::min(
            {policy_->newest / kLeafTokens, static_cast<std::uint32_t>(quarter), leaves - std::min(leaves, 1u)});
    }
    if (policy_ != nullptr && leaves <= newestLeaves_ + 1) policy_ = nullptr;
    need(memory_.state, rows() * config_.heads * (config_.headDim + 2));
    if (memory_.lastExact.size() != config_.layers) memory_.lastExact = decltype(memory_.lastExact)(config_.layers);
    need(lse_, rows() * config_.heads);
    own_.resize(rows());
    for (std::size_t row = 0; row < rows(); ++row)
        own_[row] =
            static_cast<std::uint32_t>(inputs_.front().encoded != nullptr ? row / kGroupTokens : sequence_[row]);
    same_.assign(rows(), 0);
    every_.resize(rows());
    std::iota(every_.begin(), every_.end(), 0u);
}

void PassAttention::begin(std::uint32_t layer, View<const float, 3> q, View<float, 3> out,
                          View<const float, 3> nextQuery) {
    layer_ = layer;
    q_ = q;
    out_ = out;
    nextQuery_ = nextQuery;
    window_ = firstGroup();
    begun_ = false;
    done_ = 0;
    ready_ = false;
    windows_.clear();
    portions_.clear();
    if (wantsMass()) need(mass_, rows() * config_.heads * (lastPosition_ / kLeafTokens + 1));
    if (inputs_.front().encoded != nullptr) encodeOpen();
}

/// What later tokens read of these groups is what is stored of them.
void PassAttention::encodeOpen() {
    const KvBlock& open = *inputs_.front().open;
    const KvGroups& to = *inputs_.front().encoded;
    if (document_->codec() == KvCodec::F16) {
        std::vector<CopyPiece> pieces;
        for (std::uint32_t head = 0; head < config_.kvHeads; ++head)
            for (std::uint32_t g = 0; g < to.groups(); ++g)
                pieces.push_back({to.payload(layer_, head, g), open.keys(layer_, head, g),
                                  payloadBytes(KvCodec::F16, config_.headDim)});
        return backend_.copy(pieces);
    }
    std::vector<EncodeGroup> groups;
    for (std::uint32_t head = 0; head < config_.kvHeads; ++head)
        for (std::uint32_t g = 0; g < to.groups(); ++g)
            groups.push_back({open.keys(layer_, head, g), open.values(layer_, head, g), to.payload(layer_, head, g),
                              to.codes(layer_, head, g), to.means(layer_, head, g)});
    backend_.encode(document_->codec(), config_.headDim, groups);
    const std::size_t bytes = rowsBytes(config_.headDim);
    need(memory_.rows, groups.size() * kGroupLeaves * bytes);
    if (!memoryStatus_) return;
    std::vector<UnpackLeaf> leaves;
    for (std::size_t i = 0; i < groups.size(); ++i)
        for (std::uint32_t leaf = 0; leaf < kGroupLeaves; ++leaf)
            leaves.push_back(packedLeaf(document_->codec(), config_.headDim, groups[i].payload, groups[i].codes, leaf,
                                        memory_.rows.data() + (i * kGroupLeaves + leaf) * bytes));
    backend_.unpack(document_->codec(), config_.headDim, leaves);
}

AttendArgs PassAttention::args(std::size_t first, std::size_t count, std::span<const std::uint32_t> sequence) {
    views_.assign(runs_.begin(), runs_.end());
    AttendArgs a;
    a.q = q_.rows(first, count);
    a.position = position_.subspan(first, count);
    a.sequence = sequence.subspan(first, count);
    a.runs = views_;
    a.nKvHeads = config_.kvHeads;
    a.scale = config_.attentionScale;
    if (document_ != nullptr) a.codec = document_->codec();
    a.out = out_.rows(first, count);
    a.state = View<float, 3>(memory_.state.data(), {rows(), config_.heads, config_.headDim + 2u}).rows(first, count);
    a.begins = !begun_;
    a.ends = false;
    if (wantsMass()) {
        a.mass = massView().rows(first, count);
        a.logSumExp = lseView(lse_).rows(first, count);
    }
    return a;
}

Result<bool> PassAttention::slice() {
    if (!memoryStatus_) return memoryStatus_.error();
    if (policy_ != nullptr && !local()) return selective();
    return window_ < documentGroups_ / kWindowStep * kWindowStep ? windowSlice() : lastSlice();
}

/// Of the document, the first that a token of this pass sees in this layer.
std::uint32_t PassAttention::firstGroup() const {
    return local() ? std::min(documentGroups_, config_.local.firstGroup(firstPosition_)) : 0;
}

void PassAttention::slide() {
    if (!local()) return;
    for (auto& runs : runs_)
        for (KvRun& run : runs) run.window = config_.local.window;
}

std::size_t PassAttention::sliceRows(std::uint64_t keys) const {
    if (local()) keys = std::min<std::uint64_t>(keys, config_.local.window + rows());
    return std::min<std::size_t>(rows() - done_,
                                 std::max<std::uint64_t>(8, kSliceMacs / std::max<std::uint64_t>(1, macsOfRow(keys))));
}

Result<bool> PassAttention::windowSlice() {
    // All rows at once where that fits a slice: a run is loaded for each slice anew.
    const std::uint64_t parts =
        std::max<std::uint64_t>(1, kSliceMacs / (rows() * macsOfRow(kWindowStep * kGroupTokens)));
    const auto groups =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(document_->windowGroups(), parts * kWindowStep));
    const std::uint32_t count =
        std::min(groups - window_ % kWindowStep, documentGroups_ / kWindowStep * kWindowStep - window_);
    if (done_ == 0) {
        const auto runs = document_->window(layer_, window_, count);
        if (!runs) return runs.error();
        runs_.assign(runs->begin(), runs->end());
        slide();
    }
    const std::size_t now = sliceRows(std::uint64_t{count} * kGroupTokens);
    backend_.attend(args(done_, now, same_));
    done_ += now;
    if (done_ < rows()) return false;
    done_ = 0;
    if (wantsMass()) {
        backend_.settle();
        windows_.push_back({window_ * kGroupLeaves, (window_ + count) * kGroupLeaves, lse_.copy()});
    }
    window_ += count;
    begun_ = true;
    return false;
}

Result<bool> PassAttention::lastSlice() {
    if (!ready_) {
        std::span<const std::vector<KvRun>> rest;
        if (window_ < documentGroups_) {
            const auto runs = document_->window(layer_, window_, documentGroups_ - window_);
            if (!runs) return runs.error();
            rest = *runs;
        }
        inputs_.front().encoded != nullptr ? batchRuns(rest) : tailRuns(rest);
        slide();
        if (local() && policy_ != nullptr) predictNext();
        ready_ = true;
    }
    const std::size_t now = sliceRows(lastPosition_ + 1 - window_ * kGroupTokens);
    AttendArgs last = args(done_, now, own_);
    last.ends = true;
    backend_.attend(last);
    done_ += now;
    if (done_ < rows()) return false;
    if (wantsMass()) finishMass();
    return true;
}

/// Per sequence: what is left of the document, then its own f16.
void PassAttention::tailRuns(std::span<const std::vector<KvRun>> rest) {
    runs_.resize(inputs_.size() * config_.kvHeads);
    for (std::size_t s = 0; s < inputs_.size(); ++s)
        for (std::uint32_t head = 0; head < config_.kvHeads; ++head) {
            auto& runs = runs_[s * config_.kvHeads + head];
            runs.clear();
            if (!rest.empty()) runs = rest[head];
            inputs_[s].past->runs(layer_, head, inputs_[s].open, runs);
        }
}

/// Per group of a batch that is being read: what is left of the document, the batch's groups before it as stored, and
/// itself in f16.
void PassAttention::batchRuns(std::span<const std::vector<KvRun>> rest) {
    const KvBlock& open = *inputs_.front().open;
    const KvGroups& encoded = *inputs_.front().encoded;
    const auto groups = static_cast<std::uint32_t>((rows() + kGroupTokens - 1) / kGroupTokens);
    const bool f16 = document_->codec() == KvCodec::F16;
    const std::size_t bytes = rowsBytes(config_.headDim);
    picks_.clear();
    picks_.reserve(std::size_t{config_.kvHeads} * encoded.groups() * kGroupLeaves);
    runs_.assign(std::size_t{groups} * config_.kvHeads, {});
    for (std::uint32_t head = 0; head < config_.kvHeads; ++head) {
        std::vector<KvRun> before;
        if (!rest.empty()) before = rest[head];
        for (std::uint32_t g = 0; g < groups; ++g) {
            const std::uint32_t first = open.first() + g * kGroupTokens,
                                tokens = std::min(kGroupTokens, static_cast<std::uint32_t>(rows()) - g * kGroupTokens);
            const KvRun own{open.keys(layer_, head, g), open.values(layer_, head, g), first, tokens, {}, {}};
            auto& runs = runs_[std::size_t{g} * config_.kvHeads + head];
            runs = before;
            runs.push_back(own);
            if (g >= encoded.groups()) break;
            if (f16) {
                before.push_back(own);
                continue;
            }
            const std::size_t from = picks_.size();
            for (std::uint32_t leaf = 0; leaf < kGroupLeaves; ++leaf)
                picks_.push_back(
                    {memory_.rows.data() + ((std::size_t{head} * encoded.groups() + g) * kGroupLeaves + leaf) * bytes,
                     gridOf(encoded.codes(layer_, head, g), config_.headDim), first / kLeafTokens + leaf, 0xFFFF});
            before.push_back(
                {nullptr, nullptr, first, kGroupTokens, std::span(picks_).subspan(from, kGroupLeaves), {}});
        }
    }
}

/// Mass of earlier calls is a share of what had been seen then.
void PassAttention::finishMass() {
    backend_.settle();
    const auto mass = massView();
    for (const Seen& seen : windows_)
        for (std::size_t row = 0; row < rows(); ++row)
            for (std::size_t head = 0; head < config_.heads; ++head) {
                const std::size_t at = row * config_.heads + head;
                const float less = std::exp(seen.logSumExp[at] - lse_[at]);
                float* leaves = mass.row(row) + head * mass.size(2);
                for (std::uint32_t leaf = seen.firstLeaf; leaf < seen.endLeaf; ++leaf) leaves[leaf] *= less;
            }
    massSink_(layer_, mass);
}

}  // namespace carrel

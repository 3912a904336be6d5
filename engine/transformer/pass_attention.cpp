#include "transformer/pass_attention.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <numeric>

namespace carrel {

namespace {

using Clock = std::chrono::steady_clock;

// Multiply-adds of one slice: some 15 ms at the 80 GMAC/s that attention reaches on two cores.
constexpr std::uint64_t kSliceMacs = 1'200'000'000;
// Groups that the arithmetic forms apart: whole windows are a multiple, so that windows do not show in the bits.
constexpr std::uint32_t kPartGroups = 16;
// A tail counts against the cap in steps of so many tokens, so that rows of a batch share a cap.
constexpr std::uint32_t kTailStep = 64;

const std::uint16_t* gridOf(const std::byte* codes, std::uint32_t headDim) {
    return reinterpret_cast<const std::uint16_t*>(codes + kGroupLeaves * planeLeafBytes(headDim));
}

class Timer {
  public:
    explicit Timer(double* into) : into_(into), start_(Clock::now()) {}
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    ~Timer() {
        if (into_ != nullptr) *into_ += std::chrono::duration<double>(Clock::now() - start_).count();
    }

  private:
    double* into_;
    Clock::time_point start_;
};

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
      document_(inputs.front().document),
      lastPosition_(*std::max_element(position.begin(), position.end())),
      scale_(1.0f / std::sqrt(static_cast<float>(config.headDim))) {
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
    memory_.state.resize(rows() * config_.heads * (config_.headDim + 2));
    if (memory_.lastExact.size() != config_.layers) memory_.lastExact.assign(config_.layers, {});
    lse_.resize(rows() * config_.heads);
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
    window_ = 0;
    done_ = 0;
    ready_ = false;
    windows_.clear();
    portions_.clear();
    if (massSink_) mass_.resize(rows() * config_.heads * (lastPosition_ / kLeafTokens + 1));
    if (inputs_.front().encoded != nullptr) encodeOpen();
}

/// What later tokens read of these groups is what is stored of them.
void PassAttention::encodeOpen() {
    const KvBlock& open = *inputs_.front().open;
    const KvGroups& to = *inputs_.front().encoded;
    if (document_->codec() == KvCodec::F16) {
        for (std::uint32_t head = 0; head < config_.kvHeads; ++head)
            for (std::uint32_t g = 0; g < to.groups(); ++g)
                std::copy_n(reinterpret_cast<const std::byte*>(open.keys(layer_, head, g)),
                            payloadBytes(KvCodec::F16, config_.headDim), to.payload(layer_, head, g));
        return;
    }
    std::vector<EncodeGroup> groups;
    for (std::uint32_t head = 0; head < config_.kvHeads; ++head)
        for (std::uint32_t g = 0; g < to.groups(); ++g)
            groups.push_back({open.keys(layer_, head, g), open.values(layer_, head, g), to.payload(layer_, head, g),
                              to.codes(layer_, head, g), to.means(layer_, head, g)});
    backend_.encode(document_->codec(), config_.headDim, groups);
    const std::size_t bytes = rowsBytes(config_.headDim);
    memory_.rows.resize(groups.size() * kGroupLeaves * bytes);
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
    a.scale = scale_;
    a.out = out_.rows(first, count);
    a.state = View<float, 3>(memory_.state.data(), {rows(), config_.heads, config_.headDim + 2u}).rows(first, count);
    a.begins = window_ == 0;
    a.ends = false;
    if (massSink_) {
        a.mass = massView().rows(first, count);
        a.logSumExp = lseView(lse_).rows(first, count);
    }
    return a;
}

Result<bool> PassAttention::slice() {
    if (policy_ != nullptr && policy_->onlyLayer.value_or(layer_) == layer_) return selective();
    return window_ < documentGroups_ / kPartGroups * kPartGroups ? windowSlice() : lastSlice();
}

std::size_t PassAttention::sliceRows(std::uint64_t keys) const {
    const std::uint64_t macs = std::uint64_t{2} * keys * config_.heads * config_.headDim;
    return std::min<std::size_t>(rows() - done_,
                                 std::max<std::uint64_t>(8, kSliceMacs / std::max<std::uint64_t>(1, macs)));
}

Result<bool> PassAttention::windowSlice() {
    const std::uint32_t count =
        std::min(document_->windowGroups(), documentGroups_ / kPartGroups * kPartGroups - window_);
    if (done_ == 0) {
        const auto runs = document_->window(layer_, window_, count);
        if (!runs) return runs.error();
        runs_.assign(runs->begin(), runs->end());
    }
    const std::size_t now = sliceRows(std::uint64_t{count} * kGroupTokens);
    backend_.attend(args(done_, now, same_));
    done_ += now;
    if (done_ < rows()) return false;
    done_ = 0;
    if (massSink_) windows_.push_back({window_ * kGroupLeaves, (window_ + count) * kGroupLeaves, lse_});
    window_ += count;
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
        ready_ = true;
    }
    const std::size_t now = sliceRows(lastPosition_ + 1 - window_ * kGroupTokens);
    AttendArgs last = args(done_, now, own_);
    last.ends = true;
    backend_.attend(last);
    done_ += now;
    if (done_ < rows()) return false;
    if (massSink_) finishMass();
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

View<std::uint16_t, 3> PassAttention::masks(std::vector<std::uint16_t>& memory, std::size_t count) const {
    const std::size_t leaves = documentGroups_ * kGroupLeaves;
    memory.resize(count * config_.kvHeads * leaves);
    return {memory.data(), {count, config_.kvHeads, leaves}};
}

Result<bool> PassAttention::selective() {
    const Timer timer(stats_ != nullptr ? &stats_->attendS : nullptr);
    const std::uint32_t firstNewest = documentGroups_ * kGroupLeaves - newestLeaves_;
    {
        const auto always = masks(always_, 1);
        for (std::uint32_t head = 0; head < config_.kvHeads; ++head) {
            std::uint16_t* leaves = always.row(0) + head * always.size(2);
            std::fill_n(leaves, always.size(2), std::uint16_t{0});
            leaves[0] = 0xFFFF;
            std::fill(leaves + firstNewest, leaves + always.size(2), std::uint16_t{0xFFFF});
        }
        const auto pins = pin(always);
        if (!pins) return pins.error();
        alwaysRuns(*pins, firstNewest);
        AttendArgs a = args(0, rows(), sequence_);
        a.logSumExp = lseView(lse_);
        backend_.attend(a);
    }
    windows_.push_back({0, 0, lse_});
    const auto chosen = masks(chosen_, rows());
    judge(layer_, q_, lse_, chosen);
    const bool fits = together(chosen) <= document_->pinLeaves();
    if (fits) document_->fetch(layer_, chosen);
    if (nextQuery_.data() != nullptr && memory_.lastExact[layer_ + 1].size() == lse_.size()) {
        const auto likely = masks(predicted_, rows());
        judge(layer_ + 1, nextQuery_, memory_.lastExact[layer_ + 1], likely);
        document_->prefetch(layer_ + 1, likely);
    }
    memory_.lastExact[layer_] = lse_;
    window_ = 1;  // state goes on
    if (auto done = fits ? attendChosen(chosen, firstNewest) : attendPortions(chosen, firstNewest); !done)
        return done.error();
    if (stats_ != nullptr) count(chosen);
    if (massSink_) finishSelectiveMass();
    return true;
}

/// Leaves that rows choose, each once.
std::uint64_t PassAttention::together(View<const std::uint16_t, 3> chosen) const {
    const std::size_t all = config_.kvHeads * chosen.size(2);
    std::uint64_t leaves = 0;
    for (std::size_t i = 0; i < all; ++i) {
        bool any = false;
        for (std::size_t row = 0; row < rows() && !any; ++row) any = chosen.row(row)[i] != 0;
        leaves += any;
    }
    return leaves;
}

Status PassAttention::attendChosen(View<const std::uint16_t, 3> chosen, std::uint32_t firstNewest) {
    const auto pins = pin(chosen);
    if (!pins) return pins.error();
    picks_.clear();
    picks_.reserve(countLeaves(chosen, rows()));
    runs_.assign(rows() * config_.kvHeads, {});
    for (std::size_t row = 0; row < rows(); ++row)
        for (std::uint32_t head = 0; head < config_.kvHeads; ++head)
            for (const auto& cut : cuts(chosen, row, head))
                addRun(*pins, chosen, row, head, cut, runs_[row * config_.kvHeads + head]);
    AttendArgs a = args(0, rows(), every_);
    a.logSumExp = lseView(lse_);
    a.ends = !policy_->estimate;
    backend_.attend(a);
    chosenLse_ = lse_;
    if (!policy_->estimate) return {};

    rest_.clear();
    rest_.reserve(rows() * config_.kvHeads * chosen.size(2));
    runs_.assign(rows() * config_.kvHeads, {});
    for (std::size_t row = 0; row < rows(); ++row)
        for (std::uint32_t head = 0; head < config_.kvHeads; ++head)
            addRest(&*pins, chosen, row, head, 1, firstNewest, runs_[row * config_.kvHeads + head]);
    AttendArgs b = args(0, rows(), every_);
    b.logSumExp = lseView(lse_);
    b.ends = true;
    backend_.attend(b);
    countEstimated(chosenLse_);
    return {};
}

/// The same where the device tier does not hold all that is chosen at once: for each row and head in portions of as
/// many runs as the arithmetic forms apart, so that the bits are the same.
Status PassAttention::attendPortions(View<const std::uint16_t, 3> chosen, std::uint32_t firstNewest) {
    const auto portion = masks(portion_, 1);
    const std::size_t leaves = chosen.size(2);
    const auto attend = [&](std::size_t row, bool ends) {
        AttendArgs a = args(row, 1, same_);
        a.logSumExp = lseView(lse_).rows(row, 1);
        a.ends = ends;
        backend_.attend(a);
    };
    const auto only = [&](std::size_t row, std::uint32_t head, std::uint32_t first, std::uint32_t end) {
        std::fill_n(portion.data(), config_.kvHeads * leaves, std::uint16_t{0});
        const std::uint16_t* mask = chosen.row(row) + head * leaves;
        std::copy(mask + first, mask + end, portion.data() + head * leaves + first);
        picks_.clear();
        picks_.reserve(end - first);
        runs_.assign(config_.kvHeads, {});
        return pin(portion);
    };
    for (std::size_t row = 0; row < rows(); ++row)
        for (std::uint32_t head = 0; head < config_.kvHeads; ++head) {
            const auto all = cuts(chosen, row, head);
            for (std::size_t from = 0; from < all.size(); from += kPartGroups) {
                const std::size_t to = std::min<std::size_t>(all.size(), from + kPartGroups);
                const auto pins = only(row, head, all[from].first, all[to - 1].end);
                if (!pins) return pins.error();
                for (std::size_t i = from; i < to; ++i) addRun(*pins, chosen, row, head, all[i], runs_[head]);
                attend(row, false);
                if (massSink_) portions_.push_back({row, head, all[from].first, all[to - 1].end, lse_});
            }
        }
    chosenLse_ = lse_;
    for (std::size_t row = 0; row < rows(); ++row) {
        for (std::uint32_t head = 0; policy_->estimate && head < config_.kvHeads; ++head)
            for (std::uint32_t from = 1; from < firstNewest; from += kPartGroups * kGroupTokens) {
                const std::uint32_t to = std::min(firstNewest, from + kPartGroups * kGroupTokens);
                const auto pins = only(row, head, from, to);
                if (!pins) return pins.error();
                rest_.clear();
                rest_.reserve(to - from);
                addRest(&*pins, chosen, row, head, from, to, runs_[head]);
                attend(row, false);
            }
        runs_.assign(config_.kvHeads, {});
        attend(row, true);
    }
    if (policy_->estimate) countEstimated(chosenLse_);
    return {};
}

Result<KvPins> PassAttention::pin(View<const std::uint16_t, 3> chosen) {
    const Timer timer(stats_ != nullptr ? &stats_->waitS : nullptr);
    return document_->pin(layer_, chosen);
}

void PassAttention::alwaysRuns(const KvPins& pins, std::uint32_t firstNewest) {
    const auto sketch = document_->sketch(layer_);
    const std::uint32_t leaves = documentGroups_ * kGroupLeaves;
    picks_.clear();
    picks_.reserve(std::size_t{config_.kvHeads} * (newestLeaves_ + 1));
    std::vector<std::vector<KvRun>> document(config_.kvHeads);
    for (std::uint32_t head = 0; head < config_.kvHeads; ++head) {
        const auto add = [&](std::uint32_t first, std::uint32_t count) {
            const std::size_t from = picks_.size();
            for (std::uint32_t leaf = first; leaf < first + count; ++leaf)
                picks_.push_back({pins.rows(head, leaf), grid(sketch[head], leaf), leaf, 0xFFFF});
            document[head].push_back({nullptr,
                                      nullptr,
                                      first * kLeafTokens,
                                      count * kLeafTokens,
                                      std::span(picks_).subspan(from, count),
                                      {}});
        };
        add(0, 1);
        for (std::uint32_t leaf = firstNewest; leaf < leaves; leaf += kGroupLeaves)
            add(leaf, std::min(kGroupLeaves, leaves - leaf));
    }
    tailRuns(document);
}

void PassAttention::judge(std::uint32_t layer, View<const float, 3> q, std::vector<float>& exact,
                          View<std::uint16_t, 3> chosen) {
    const Timer timer(stats_ != nullptr ? &stats_->judgeS : nullptr);
    const auto always = (newestLeaves_ + 1) * kLeafTokens, there = documentGroups_ * kGroupTokens;
    const auto capOf = [&](std::size_t row) {
        const std::uint32_t tail = (position_[row] + 1 - there + kTailStep - 1) / kTailStep * kTailStep;
        const double cap = policy_->capShare * (there + tail) - always - tail;
        return std::max(policy_->leastCap, static_cast<std::uint32_t>(std::max(cap, 0.0)));
    };
    JudgeArgs a;
    a.sketch = document_->sketch(layer);
    a.bounds = document_->bounds(layer);
    a.first = 1;
    a.end = documentGroups_ * kGroupLeaves - newestLeaves_;
    a.scale = scale_;
    a.rule = policy_->rule;
    if (!policy_->layerFactor.empty()) {
        a.rule.tokenShare *= policy_->layerFactor[layer];
        a.rule.leafShare *= policy_->layerFactor[layer];
    }
    for (std::size_t row = 0; row < rows();) {
        std::size_t count = 1;
        while (row + count < rows() && capOf(row + count) == capOf(row)) ++count;
        a.rule.cap = capOf(row);
        a.q = q.rows(row, count);
        a.exact = View<const float, 2>(exact.data(), {rows(), config_.heads}).rows(row, count);
        a.chosen = chosen.rows(row, count);
        backend_.judge(a);
        row += count;
    }
}

std::size_t PassAttention::countLeaves(View<const std::uint16_t, 3> chosen, std::size_t count) const {
    const std::size_t all = count * config_.kvHeads * chosen.size(2);
    return all - static_cast<std::size_t>(std::count(chosen.data(), chosen.data() + all, 0));
}

/// Where runs of at most 64 chosen tokens begin and end, in leaves.
std::vector<PassAttention::Cut> PassAttention::cuts(View<const std::uint16_t, 3> chosen, std::size_t row,
                                                    std::uint32_t head) const {
    const std::size_t leaves = chosen.size(2);
    const std::uint16_t* mask = chosen.row(row) + head * leaves;
    std::vector<Cut> out;
    for (std::uint32_t leaf = 0; leaf < leaves; ++leaf) {
        if (mask[leaf] == 0) continue;
        const auto more = static_cast<std::uint32_t>(std::popcount(mask[leaf]));
        if (out.empty() || out.back().tokens + more > kGroupTokens) out.push_back({leaf, leaf, 0});
        out.back().end = leaf + 1;
        out.back().tokens += more;
    }
    return out;
}

void PassAttention::addRun(const KvPins& pins, View<const std::uint16_t, 3> chosen, std::size_t row, std::uint32_t head,
                           const Cut& cut, std::vector<KvRun>& runs) {
    const SketchView sketch = document_->sketch(layer_)[head];
    const std::uint16_t* mask = chosen.row(row) + head * chosen.size(2);
    const std::size_t from = picks_.size();
    for (std::uint32_t leaf = cut.first; leaf < cut.end; ++leaf)
        if (mask[leaf] != 0) picks_.push_back({pins.rows(head, leaf), grid(sketch, leaf), leaf, mask[leaf]});
    runs.push_back({nullptr, nullptr, cut.first * kLeafTokens, cut.tokens, std::span(picks_).subspan(from), {}});
}

/// What was judged of leaves [first, end) and not chosen, as the means of its leaves.
void PassAttention::addRest(const KvPins* pins, View<const std::uint16_t, 3> chosen, std::size_t row,
                            std::uint32_t head, std::uint32_t first, std::uint32_t end, std::vector<KvRun>& runs) {
    const SketchView sketch = document_->sketch(layer_)[head];
    const std::uint16_t* mask = chosen.row(row) + head * chosen.size(2);
    const std::size_t d = config_.headDim, before = rest_.size();
    for (std::uint32_t leaf = first; leaf < end; ++leaf) {
        if (mask[leaf] == 0xFFFF) continue;
        const std::byte* means = sketch.means + leaf / kGroupLeaves * meansBytes(config_.headDim);
        const std::size_t in = leaf % kGroupLeaves;
        rest_.push_back({reinterpret_cast<const std::uint8_t*>(means) + in * d,
                         reinterpret_cast<const std::int8_t*>(means) + (kGroupLeaves + in) * d,
                         reinterpret_cast<const std::uint16_t*>(means + 2 * kGroupLeaves * d) + in,
                         {mask[leaf] != 0 ? pins->rows(head, leaf) : nullptr, grid(sketch, leaf), leaf, mask[leaf]}});
    }
    for (std::size_t at = before; at < rest_.size(); at += kGroupTokens) {
        const std::size_t count = std::min<std::size_t>(kGroupTokens, rest_.size() - at);
        runs.push_back({nullptr,
                        nullptr,
                        kLeafTokens,
                        static_cast<std::uint32_t>(count),
                        {},
                        std::span(rest_).subspan(at, count)});
    }
}

void PassAttention::countEstimated(const std::vector<float>& read) {
    if (stats_ == nullptr) return;
    for (std::size_t i = 0; i < lse_.size(); ++i) stats_->estimatedMass += 1 - std::exp(read[i] - lse_[i]);
    stats_->heads += lse_.size();
}

/// Mass of the first call (all that is always read) and of those for what was chosen, as shares of the whole.
void PassAttention::finishSelectiveMass() {
    const auto mass = massView();
    const std::size_t group = config_.heads / config_.kvHeads, leaves = documentGroups_ * kGroupLeaves;
    const auto scale = [&](std::size_t row, std::size_t head, const std::vector<float>& then, std::size_t first,
                           std::size_t end, bool chosenOnes) {
        const std::size_t at = row * config_.heads + head;
        const float less = std::exp(then[at] - lse_[at]);
        const std::uint16_t* mask = chosen_.data() + (row * config_.kvHeads + head / group) * leaves;
        float* to = mass.row(row) + head * mass.size(2);
        for (std::size_t leaf = first; leaf < end; ++leaf)
            if ((leaf < leaves && mask[leaf] != 0) == chosenOnes) to[leaf] *= less;
    };
    for (std::size_t row = 0; row < rows(); ++row)
        for (std::size_t head = 0; head < config_.heads; ++head) {
            scale(row, head, windows_[0].logSumExp, 0, mass.size(2), false);
            if (portions_.empty()) scale(row, head, chosenLse_, 0, leaves, true);
        }
    for (const Portion& portion : portions_)
        for (std::size_t head = portion.head * group; head < (portion.head + 1) * group; ++head)
            scale(portion.row, head, portion.logSumExp, portion.firstLeaf, portion.endLeaf, true);
    massSink_(layer_, mass);
}

void PassAttention::count(View<const std::uint16_t, 3> chosen) {
    const std::size_t leaves = chosen.size(2);
    for (std::size_t row = 0; row < rows(); ++row) {
        const std::uint64_t there = position_[row] + 1, behind = there - documentGroups_ * kGroupTokens;
        for (std::uint32_t head = 0; head < config_.kvHeads; ++head) {
            const std::uint16_t* mask = chosen.row(row) + head * leaves;
            std::uint64_t read = (newestLeaves_ + 1) * kLeafTokens + behind;
            for (std::size_t leaf = 0; leaf < leaves; ++leaf)
                read += static_cast<std::uint64_t>(std::popcount(mask[leaf]));
            stats_->tokensRead += read;
            stats_->tokensThere += there;
        }
    }
    if (layer_ == 0) stats_->steps += rows();
}

const std::uint16_t* PassAttention::grid(const SketchView& sketch, std::uint32_t leaf) const {
    return gridOf(sketch.codes + leaf / kGroupLeaves * codesBytes(config_.headDim), config_.headDim);
}

}  // namespace carrel

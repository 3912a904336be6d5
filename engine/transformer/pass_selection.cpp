#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>

#include "transformer/pass_attention.h"

namespace carrel {

namespace {

// A tail counts against the cap in steps of so many tokens, so that rows of a batch share a cap.
constexpr std::uint32_t kTailStep = 64;
// Of 64 chosen tokens each, in a leaf of its own at worst: the device tier holds 1,024 leaves at least.
constexpr std::uint32_t kPortionRuns = 16;

class Timer {
  public:
    explicit Timer(double* into) : into_(into), start_(std::chrono::steady_clock::now()) {}
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    ~Timer() {
        if (into_ != nullptr)
            *into_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    }

  private:
    double* into_;
    std::chrono::steady_clock::time_point start_;
};

}  // namespace

View<std::uint16_t, 3> PassAttention::masks(std::vector<std::uint16_t>& memory, std::size_t count) const {
    const std::size_t leaves = documentGroups_ * kGroupLeaves;
    memory.resize(count * config_.kvHeads * leaves);
    return {memory.data(), {count, config_.kvHeads, leaves}};
}

/// Of all rows, in the backend's memory.
View<std::uint16_t, 3> PassAttention::masks(BackendArray<std::uint16_t>& memory) {
    const std::size_t leaves = documentGroups_ * kGroupLeaves;
    need(memory, rows() * config_.kvHeads * leaves);
    return {memory.data(), {rows(), config_.kvHeads, leaves}};
}

Result<bool> PassAttention::selective() {
    if (policy_->oracle)
        if (auto done = measureMass(); !done) return done.error();
    const std::uint32_t firstNewest = documentGroups_ * kGroupLeaves - newestLeaves_;
    if (auto done = attendAlways(firstNewest); !done) return done.error();
    const auto chosen = masks(chosen_);
    if (policy_->estimate) {
        need(restWeights_, rows() * config_.heads * chosen.size(2));
        need(restOrigin_, rows() * config_.heads);
    }
    auto& lastExact = memory_.lastExact[layer_];
    need(lastExact, lse_.size());
    if (!memoryStatus_) return memoryStatus_.error();
    judge(layer_, q_, lseView(lse_), chosen, true);
    if (policy_->oracle) chooseByMass(chosen);
    if (policy_->oracle && policy_->estimate) weighOthers(chosen);
    std::ranges::copy(lse_.span(), lastExact.data());
    begun_ = true;
    const bool fits = together(chosen) <= document_->pinLeaves();
    if (auto done = fits ? attendChosen(chosen, firstNewest) : attendPortions(chosen, firstNewest); !done)
        return done.error();
    if (stats_ != nullptr) count(chosen);
    if (massSink_) finishSelectiveMass();
    return true;
}

/// The first leaf and the newest, which all rows share, and then each sequence's own tail.
Status PassAttention::attendAlways(std::uint32_t firstNewest) {
    const std::uint32_t leaves = documentGroups_ * kGroupLeaves;
    const auto always = masks(always_, 1);
    for (std::uint32_t head = 0; head < config_.kvHeads; ++head) {
        std::uint16_t* mask = always.row(0) + head * always.size(2);
        std::fill_n(mask, leaves, std::uint16_t{0});
        mask[0] = 0xFFFF;
        std::fill(mask + firstNewest, mask + leaves, std::uint16_t{0xFFFF});
    }
    const auto pins = document_->pin(layer_, always);
    if (!pins) return pins.error();
    picks_.clear();
    picks_.reserve(std::size_t{config_.kvHeads} * (newestLeaves_ + 1));
    runs_.assign(config_.kvHeads, {});
    for (std::uint32_t head = 0; head < config_.kvHeads; ++head)
        for (const auto& cut : cuts(always, 0, head)) addRun(*pins, always, 0, head, cut, runs_[head]);
    const bool alone = inputs_.size() == 1;
    if (alone)
        for (std::uint32_t head = 0; head < config_.kvHeads; ++head)
            inputs_.front().past->runs(layer_, head, inputs_.front().open, runs_[head]);
    const std::uint32_t end = lastPosition_ / kLeafTokens + 1;
    AttendArgs shared = args(0, rows(), same_);
    shared.logSumExp = lseView(lse_);
    backend_.attend(shared);
    backend_.settle();
    windows_.push_back({0, alone ? end : leaves, lse_.copy()});
    if (alone) return {};

    begun_ = true;
    tailRuns({});
    AttendArgs own = args(0, rows(), sequence_);
    own.logSumExp = lseView(lse_);
    backend_.attend(own);
    backend_.settle();
    windows_.push_back({leaves, end, lse_.copy()});
    return {};
}

void PassAttention::predictNext() {
    if (nextQuery_.data() == nullptr || memory_.lastExact[layer_ + 1].size() != lse_.size()) return;
    const auto likely = masks(predicted_);
    if (!memoryStatus_) return;
    judge(layer_ + 1, nextQuery_, lseView(memory_.lastExact[layer_ + 1]), likely, false);
    document_->prefetch(layer_ + 1, likely);
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
    auto pins = document_->claim(layer_, chosen);
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
    if (pins->late()) {
        a.pass = AttendPass::There;
        backend_.attend(a);
        a.pass = AttendPass::Late;
    }
    predictNext();
    if (auto done = pins->complete(); !done) return done.error();
    backend_.attend(a);
    backend_.settle();
    chosenLse_ = lse_.copy();
    if (!policy_->estimate) return {};

    return attendRest(firstNewest), Status();
}

/// The same where the device tier does not hold all that is chosen at once: for each row and head in portions.
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
        return document_->pin(layer_, View<const std::uint16_t, 3>(portion));
    };
    for (std::size_t row = 0; row < rows(); ++row)
        for (std::uint32_t head = 0; head < config_.kvHeads; ++head) {
            const auto all = cuts(chosen, row, head);
            for (std::size_t from = 0; from < all.size(); from += kPortionRuns) {
                const std::size_t to = std::min<std::size_t>(all.size(), from + kPortionRuns);
                const auto pins = only(row, head, all[from].first, all[to - 1].end);
                if (!pins) return pins.error();
                for (std::size_t i = from; i < to; ++i) addRun(*pins, chosen, row, head, all[i], runs_[head]);
                attend(row, false);
                if (!massSink_) continue;
                backend_.settle();
                portions_.push_back({row, head, all[from].first, all[to - 1].end, lse_.copy()});
            }
        }
    backend_.settle();
    chosenLse_ = lse_.copy();
    if (policy_->estimate) return attendRest(firstNewest), Status();
    runs_.assign(config_.kvHeads, {});
    for (std::size_t row = 0; row < rows(); ++row) attend(row, true);
    return {};
}

/// All of what is judged is there to every row, with weights of its own.
void PassAttention::attendRest(std::uint32_t firstNewest) {
    runs_.assign(config_.kvHeads, {});
    for (std::uint32_t head = 0; head < config_.kvHeads; ++head)
        addRest(head, 0, (firstNewest + kGroupLeaves - 1) / kGroupLeaves, runs_[head]);
    AttendArgs a = args(0, rows(), same_);
    a.logSumExp = lseView(lse_);
    a.ends = true;
    a.weight = restView();
    a.origin = originView();
    backend_.attend(a);
    if (stats_ != nullptr) backend_.settle();
    countEstimated(chosenLse_);
}

void PassAttention::judge(std::uint32_t layer, View<const float, 3> q, View<const float, 2> exact,
                          View<std::uint16_t, 3> chosen, bool remember) {
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
    a.scale = config_.attentionScale;
    a.rule = policy_->rule;
    const std::size_t size = chosen.size(1) * chosen.size(2);
    const auto historyOf = [&](std::size_t row) {
        return a.rule.newLeafShare > 0 ? inputs_[sequence_[row]].history : nullptr;
    };
    for (std::size_t row = 0; row < rows();) {
        std::size_t count = 1;
        // What a token chooses is history to the next of its sequence.
        const auto joins = [&](std::size_t at) {
            return capOf(at) == capOf(row) && (historyOf(at) == nullptr || sequence_[at] != sequence_[at - 1]);
        };
        while (row + count < rows() && joins(row + count)) ++count;
        lately_.clear();
        for (std::size_t at = row; at < row + count; ++at)
            lately_.push_back(historyOf(at) != nullptr ? historyOf(at)->of(layer, size) : nullptr);
        a.rule.cap = capOf(row);
        a.q = q.rows(row, count);
        a.exact = exact.rows(row, count);
        a.chosen = chosen.rows(row, count);
        a.lately = lately_;
        if (remember && policy_->estimate) {
            a.rest = restView().rows(row, count);
            a.origin = originView().rows(row, count);
        }
        backend_.judge(a);
        backend_.settle();
        for (const std::size_t end = row + count; row < end; ++row)
            if (LeafHistory* const history = historyOf(row); history != nullptr && remember)
                history->add(layer, chosen.row(row), size, policy_->remembered);
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
    bool late = false;
    for (std::uint32_t leaf = cut.first; leaf < cut.end; ++leaf) {
        if (mask[leaf] == 0) continue;
        picks_.push_back({pins.rows(head, leaf), grid(sketch, leaf), leaf, mask[leaf]});
        late = late || pins.late(head, leaf);
    }
    runs.push_back({nullptr, nullptr, cut.first * kLeafTokens, cut.tokens, std::span(picks_).subspan(from), {}, late});
}

/// What was judged of groups [first, end) and not chosen, as the mean values of their leaves.
void PassAttention::addRest(std::uint32_t head, std::uint32_t first, std::uint32_t end,
                            std::vector<KvRun>& runs) const {
    const std::byte* means = document_->sketch(layer_)[head].valueMeans;
    for (std::uint32_t group = first; group < end; group += kGroupTokens / kGroupLeaves) {
        const std::uint32_t leaves = std::min(kGroupTokens, (end - group) * kGroupLeaves);
        runs.push_back({.first = group * kGroupTokens,
                        .tokens = leaves,
                        .rest = means + group * valueMeansBytes(config_.headDim)});
    }
}

void PassAttention::countEstimated(const std::vector<float>& read) {
    if (stats_ == nullptr) return;
    for (std::size_t i = 0; i < lse_.size(); ++i) stats_->estimatedMass += 1 - std::exp(read[i] - lse_[i]);
    stats_->heads += lse_.size();
}

/// Mass of the calls for what is always read and for what was chosen, as shares of the whole.
void PassAttention::finishSelectiveMass() {
    backend_.settle();
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
            for (const Seen& seen : windows_) scale(row, head, seen.logSumExp, seen.firstLeaf, seen.endLeaf, false);
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
    if (layer_ == firstJudged_) stats_->steps += rows();
}

const std::uint16_t* PassAttention::grid(const SketchView& sketch, std::uint32_t leaf) const {
    return gridOf(sketch.codes + leaf / kGroupLeaves * codesBytes(config_.headDim), config_.headDim);
}

}  // namespace carrel

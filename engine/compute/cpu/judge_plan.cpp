#include "compute/cpu/judge_plan.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "compute/cpu/workers.h"

namespace carrel {

namespace {

constexpr std::size_t kPartGroups = 32;
constexpr std::size_t kMostUnitGroups = 2;  // of a unit of 128 tokens: groups are counted from a multiple of it

// Nothing read anyway is a sum of 0, but scores need some origin.
bool anythingRead(float exact) {
    return exact > -std::numeric_limits<float>::max();
}

}  // namespace

Judgement::Memory Judgement::layout(Carver& carver) const {
    const std::size_t queries = kvHeads_ * rows_ * headDim_, layer = units_ ? tokens_ * kvHeads_ * headDim_ : 0;
    Memory m{};
    m.q = carver.take<float>(queries);
    m.above = carver.take<float>(units_ ? queries : 0);
    m.below = carver.take<float>(units_ ? queries : 0);
    m.exact = carver.take<float>(kvHeads_ * rows_);
    m.layerAbove = carver.take<float>(layer);
    m.layerBelow = carver.take<float>(layer);
    m.scores = carver.take<std::int16_t>(kvHeads_ * groups_ * rows_ * kGroupTokens);
    m.sums = carver.take<float>(kvHeads_ * parts_ * rows_);
    m.whole = carver.take<float>(kvHeads_ * rows_);
    m.lanes = carver.take<std::byte>(pool_.size() * lanesBytes_);
    return m;
}

void Judgement::prepare(const JudgeArgs& args) const {
    const float scale = args.scale * kLog2PerNat;
    if (units_) {
        std::fill_n(at_.layerAbove, tokens_ * kvHeads_ * headDim_, 0.0f);
        std::fill_n(at_.layerBelow, tokens_ * kvHeads_ * headDim_, 0.0f);
    }
    for (std::size_t head = 0; head < kvHeads_; ++head)
        for (std::size_t r = 0; r < rows_; ++r) {
            const std::size_t token = r / group_, query = head * group_ + r % group_, row = head * rows_ + r;
            const float* from = args.q.row(token) + query * headDim_;
            for (std::size_t d = 0; d < headDim_; ++d) at_.q[row * headDim_ + d] = from[d] * scale;
            const float exact = args.exact.row(token)[query];
            at_.exact[row] = anythingRead(exact) ? exact * kLog2PerNat : 0;
            if (!units_) continue;
            for (std::size_t d = 0; d < headDim_; ++d) {
                const float q = at_.q[row * headDim_ + d];
                const float above = std::max(q, 0.0f), below = std::min(q, 0.0f);
                at_.above[row * headDim_ + d] = above;
                at_.below[row * headDim_ + d] = below;
                at_.layerAbove[(token * kvHeads_ + head) * headDim_ + d] += above;
                at_.layerBelow[(token * kvHeads_ + head) * headDim_ + d] += below;
            }
        }
}

JudgeRows Judgement::rowsOf(std::size_t kvHead) const {
    const std::size_t at = kvHead * rows_ * headDim_;
    return {at_.q + at, at_.above + at, at_.below + at, at_.exact + kvHead * rows_, rows_, headDim_};
}

void Judgement::scan(const JudgeArgs& args, std::size_t slot, std::size_t kvHead, std::size_t part) const {
    const std::size_t first = part * kPartGroups, leaf = (firstGroup_ + first) * kGroupLeaves;
    JudgePart p;
    p.groups = std::min(kPartGroups, groups_ - first);
    p.first = args.first > leaf ? args.first - leaf : 0;
    p.end = std::min(p.groups * kGroupLeaves, args.end - leaf);
    p.scores = at_.scores + (kvHead * groups_ + first) * rows_ * kGroupTokens;
    p.sums = at_.sums + (kvHead * parts_ + part) * rows_;
    p.scratch = at_.lanes + slot * lanesBytes_;
    if (units_) return scanUnits(isa_, args, rowsOf(kvHead), kvHead, firstGroup_ + first, p);
    p.codes = args.sketch[kvHead].codes + (firstGroup_ + first) * codesBytes(static_cast<std::uint32_t>(headDim_));
    kScan.at(isa_)(rowsOf(kvHead), p);
}

void Judgement::choose(const JudgeArgs& args, std::size_t slot, std::size_t token, std::size_t kvHead) const {
    const std::size_t row = kvHead * rows_ + token * group_;
    float* whole = at_.whole + row;
    for (std::size_t h = 0; h < group_; ++h) {
        float sum = anythingRead(args.exact.row(token)[kvHead * group_ + h]) ? 1 : 0;
        for (std::size_t part = 0; part < parts_; ++part)
            sum += at_.sums[(kvHead * parts_ + part) * rows_ + token * group_ + h];
        whole[h] = std::log2(sum);
    }
    JudgeChoice c;
    c.scores = at_.scores + (kvHead * groups_ * rows_ + token * group_) * kGroupTokens;
    c.groups = groups_;
    c.groupRows = rows_;
    c.rows = group_;
    c.first = args.first - firstGroup_ * kGroupLeaves;
    c.end = args.end - firstGroup_ * kGroupLeaves;
    c.whole = whole;
    c.chosen = args.chosen.row(token) + kvHead * args.chosen.size(2) + firstGroup_ * kGroupLeaves;
    c.share = args.share.data() != nullptr ? args.share.row(token) + kvHead * group_ : nullptr;
    c.scratch = at_.lanes + slot * lanesBytes_;
    if (!args.rule.layerChoice) chooseTokens(isa_, args.rule, c);
    if (c.share != nullptr) chosenShare(isa_, c);
}

void Judgement::chooseOnePerLayer(const JudgeArgs& args, std::size_t token) const {
    const std::size_t leaves = args.chosen.size(2), at = token * kvHeads_ * headDim_;
    std::uint16_t* chosen = args.chosen.row(token);
    chooseForLayer(isa_, args, headDim_, at_.layerAbove + at, at_.layerBelow + at, chosen);
    for (std::size_t head = 1; head < kvHeads_; ++head) std::copy_n(chosen, leaves, chosen + head * leaves);
}

void Judgement::run(const JudgeArgs& args) {
    const SelectRule& rule = args.rule;
    tokens_ = args.q.size(0);
    headDim_ = args.q.size(2);
    kvHeads_ = args.chosen.size(1);
    group_ = args.q.size(1) / kvHeads_;
    rows_ = tokens_ * group_;
    assert(args.q.size(1) == group_ * kvHeads_ && headDim_ <= kJudgeMaxHeadDim && encodable(headDim_));
    assert(args.chosen.size(0) == tokens_ && args.exact.size(0) == tokens_ && args.exact.size(1) == args.q.size(1));
    assert(args.end <= args.chosen.size(2) && args.sketch.size() == kvHeads_);
    assert(rule.scorer != Scorer::MinMax || args.bounds.size() == kvHeads_);
    assert(!rule.layerChoice || rule.scorer == Scorer::MinMax);
    const bool shares = args.share.data() != nullptr;
    for (std::size_t t = 0; t < tokens_; ++t) {
        std::fill_n(args.chosen.row(t), kvHeads_ * args.chosen.size(2), std::uint16_t{0});
        if (shares) std::fill_n(args.share.row(t), args.q.size(1), 0.0f);
    }
    if (args.first >= args.end || tokens_ == 0) return;

    firstGroup_ = args.first / kGroupLeaves / kMostUnitGroups * kMostUnitGroups;
    groups_ = (args.end + kGroupLeaves - 1) / kGroupLeaves - firstGroup_;
    parts_ = (groups_ + kPartGroups - 1) / kPartGroups;
    units_ = rule.scorer != Scorer::Plane;
    lanesBytes_ = std::max(
        {scanScratchBytes(rows_, headDim_), unitScratchBytes(rows_, headDim_), chooseScratchBytes(groups_, group_)});
    Carver measure;
    layout(measure);
    Carver carver(memory_.need(measure.used()));
    at_ = layout(carver);
    prepare(args);
    if (rule.layerChoice)
        forEachWithSlot(pool_, tokens_, [&](std::size_t, std::size_t token) { chooseOnePerLayer(args, token); });
    if (rule.layerChoice && !shares) return;
    forEachWithSlot(pool_, kvHeads_ * parts_,
                    [&](std::size_t slot, std::size_t i) { scan(args, slot, i / parts_, i % parts_); });
    forEachWithSlot(pool_, tokens_ * kvHeads_,
                    [&](std::size_t slot, std::size_t i) { choose(args, slot, i / kvHeads_, i % kvHeads_); });
}

}  // namespace carrel

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
    const std::size_t bundles = sharesParts_ ? kvHeads_ * bundles_ : pool_.size();
    m.scores = carver.take<std::int16_t>(bundles * groups_ * bundleTokens_ * group_ * kGroupTokens);
    m.sums = carver.take<float>(bundles * parts_ * bundleTokens_ * group_);
    m.whole = carver.take<float>(pool_.size() * group_);
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

// Sequences of a bundle are judged together, so that as many rows as a kernel holds share what it does for all.
Judgement::Bundle Judgement::bundleAt(std::size_t i, std::size_t memory) const {
    Bundle b{};
    b.kvHead = i / bundles_;
    b.firstToken = i % bundles_ * bundleTokens_;
    b.tokens = std::min(bundleTokens_, tokens_ - b.firstToken);
    const std::size_t row = b.kvHead * rows_ + b.firstToken * group_, at = row * headDim_;
    b.rows = {at_.q + at, at_.above + at, at_.below + at, at_.exact + row, b.tokens * group_, headDim_};
    b.scores = at_.scores + memory * groups_ * bundleTokens_ * group_ * kGroupTokens;
    b.sums = at_.sums + memory * parts_ * bundleTokens_ * group_;
    return b;
}

void Judgement::scan(const JudgeArgs& args, std::size_t slot, const Bundle& bundle, std::size_t part) const {
    const std::size_t first = part * kPartGroups, leaf = (firstGroup_ + first) * kGroupLeaves;
    JudgePart p;
    p.groups = std::min(kPartGroups, groups_ - first);
    p.first = args.first > leaf ? args.first - leaf : 0;
    p.end = std::min(p.groups * kGroupLeaves, args.end - leaf);
    p.scores = bundle.scores + first * bundle.rows.rows * kGroupTokens;
    p.sums = bundle.sums + part * bundle.rows.rows;
    p.scratch = at_.lanes + slot * lanesBytes_;
    if (units_) return scanUnits(isa_, args, bundle.rows, bundle.kvHead, firstGroup_ + first, p);
    p.codes =
        args.sketch[bundle.kvHead].codes + (firstGroup_ + first) * codesBytes(static_cast<std::uint32_t>(headDim_));
    kScan.at(isa_)(bundle.rows, p);
}

void Judgement::choose(const JudgeArgs& args, std::size_t slot, const Bundle& bundle) const {
    for (std::size_t i = 0; i < bundle.tokens; ++i) {
        const std::size_t token = bundle.firstToken + i, head = bundle.kvHead * group_;
        float* whole = at_.whole + slot * group_;
        for (std::size_t h = 0; h < group_; ++h) {
            float sum = anythingRead(args.exact.row(token)[head + h]) ? 1 : 0;
            for (std::size_t part = 0; part < parts_; ++part)
                sum += bundle.sums[part * bundle.rows.rows + i * group_ + h];
            whole[h] = std::log2(sum);
        }
        JudgeChoice c;
        c.scores = bundle.scores + i * group_ * kGroupTokens;
        c.groups = groups_;
        c.groupRows = bundle.rows.rows;
        c.rows = group_;
        c.first = args.first - firstGroup_ * kGroupLeaves;
        c.end = args.end - firstGroup_ * kGroupLeaves;
        c.whole = whole;
        const std::size_t at = bundle.kvHead * args.chosen.size(2) + firstGroup_ * kGroupLeaves;
        c.chosen = args.chosen.row(token) + at;
        if (args.rule.newLeafShare > 0 && !args.lately.empty() && args.lately[token] != nullptr)
            c.lately = args.lately[token] + at;
        c.share = args.share.data() != nullptr ? args.share.row(token) + head : nullptr;
        c.scratch = at_.lanes + slot * lanesBytes_;
        if (!args.rule.layerChoice) chooseTokens(isa_, args.rule, c);
        if (c.share != nullptr) chosenShare(isa_, c);
        if (args.rest.data() == nullptr) continue;
        const std::size_t leaves = args.rest.size(2);
        float* origin = args.origin.row(token) + head;
        weighRest(isa_, c, args.rest.row(token) + head * leaves + firstGroup_ * kGroupLeaves, leaves, origin);
        for (std::size_t h = 0; h < group_; ++h) {
            const float exact = args.exact.row(token)[head + h];
            origin[h] = origin[h] * (1 / kLog2PerNat) + (anythingRead(exact) ? exact : 0);
        }
    }
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
    assert(args.lately.empty() || args.lately.size() == tokens_);
    assert(rule.scorer != Scorer::MinMax || args.bounds.size() == kvHeads_);
    assert(!rule.layerChoice || rule.scorer == Scorer::MinMax);
    const bool shares = args.share.data() != nullptr, rests = args.rest.data() != nullptr;
    assert(!rests || (rule.scorer != Scorer::MinMax && args.rest.size(2) == args.chosen.size(2)));
    for (std::size_t t = 0; t < tokens_; ++t) {
        std::fill_n(args.chosen.row(t), kvHeads_ * args.chosen.size(2), std::uint16_t{0});
        if (shares) std::fill_n(args.share.row(t), args.q.size(1), 0.0f);
        if (rests) std::fill_n(args.rest.row(t), args.q.size(1) * args.rest.size(2), 0.0f);
        if (rests) std::fill_n(args.origin.row(t), args.q.size(1), 0.0f);
    }
    if (args.first >= args.end || tokens_ == 0) return;

    firstGroup_ = args.first / kGroupLeaves / kMostUnitGroups * kMostUnitGroups;
    groups_ = (args.end + kGroupLeaves - 1) / kGroupLeaves - firstGroup_;
    parts_ = (groups_ + kPartGroups - 1) / kPartGroups;
    units_ = rule.scorer != Scorer::Plane;
    bundleTokens_ = std::min(tokens_, std::max<std::size_t>(1, kJudgeRows / group_));
    bundles_ = (tokens_ + bundleTokens_ - 1) / bundleTokens_;
    // A thread goes through a bundle alone, its scores still in its cache when it chooses, unless others would idle.
    const std::size_t jobs = kvHeads_ * bundles_, threads = pool_.size();
    sharesParts_ = jobs < 4 * threads && jobs % threads != 0;
    const std::size_t bundleRows = bundleTokens_ * group_;
    lanesBytes_ = std::max({scanScratchBytes(bundleRows, headDim_), unitScratchBytes(bundleRows, headDim_),
                            chooseScratchBytes(groups_, group_)});
    Carver measure;
    layout(measure);
    Carver carver(memory_.need(measure.used()));
    at_ = layout(carver);
    prepare(args);
    if (rule.layerChoice)
        forEachWithSlot(pool_, tokens_, [&](std::size_t, std::size_t token) { chooseOnePerLayer(args, token); });
    if (rule.layerChoice && !shares) return;
    if (!sharesParts_)
        return forEachWithSlot(pool_, kvHeads_ * bundles_, [&](std::size_t slot, std::size_t i) {
            const Bundle bundle = bundleAt(i, slot);
            for (std::size_t part = 0; part < parts_; ++part) scan(args, slot, bundle, part);
            choose(args, slot, bundle);
        });
    forEachWithSlot(pool_, kvHeads_ * bundles_ * parts_, [&](std::size_t slot, std::size_t i) {
        scan(args, slot, bundleAt(i / parts_, i / parts_), i % parts_);
    });
    forEachWithSlot(pool_, kvHeads_ * bundles_,
                    [&](std::size_t slot, std::size_t i) { choose(args, slot, bundleAt(i, i)); });
}

}  // namespace carrel

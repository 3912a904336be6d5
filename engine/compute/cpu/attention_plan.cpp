#include "compute/cpu/attention_plan.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "compute/cpu/workers.h"

namespace carrel {

namespace {

// Runs whose sums are formed apart and then merged in order: the unit that threads share when there are few rows, and
// always a unit of the arithmetic, so that sharing does not show in the bits.
constexpr std::size_t kPartRuns = 16;
constexpr float kNothing =
    -std::numeric_limits<float>::max();  // a maximum over no keys that can be subtracted from itself
constexpr std::size_t kMarks =
    5 * kAttendRows;  // of one run: sums of its four leaves, and the maximum they are relative to

AttendState stateAt(std::byte* at) {
    auto* floats = reinterpret_cast<float*>(at);
    return {floats, floats + kAttendRows, floats + 2 * kAttendRows};
}

void clear(const AttendState& state, std::size_t rows, std::size_t headDim) {
    std::fill_n(state.m, rows, kNothing);
    std::fill_n(state.sum, rows, 0.0f);
    std::fill_n(state.out, rows * headDim, 0.0f);
}

}  // namespace

void Attention::plan(const AttendArgs& args) {
    const std::size_t tokens = args.q.size(0), sequences = args.runs.size() / args.nKvHeads;
    order_.resize(tokens);
    ends_.assign(sequences + 1, 0);
    blocks_.clear();
    for (const std::uint32_t s : args.sequence) {
        assert(s < sequences);
        ++ends_[s + 1];
    }
    for (std::size_t s = 0; s < sequences; ++s) ends_[s + 1] += ends_[s];
    std::vector<std::size_t>& next = ends_;  // shifts by one while it is used up: next[s] ends as the old next[s + 1]
    for (std::size_t t = 0; t < tokens; ++t) order_[next[args.sequence[t]]++] = t;

    for (std::size_t s = 0; s < sequences; ++s) {
        const std::size_t first = s == 0 ? 0 : next[s - 1], pairs = (next[s] - first) * group_;
        for (std::size_t head = 0; head < args.nKvHeads; ++head)
            for (std::size_t pair = 0; pair < pairs; pair += kAttendRows) {
                Block block{s * args.nKvHeads + head, head, pair, std::min(kAttendRows, pairs - pair), first, 0};
                std::uint32_t newest = 0;
                for (std::size_t p = pair; p < pair + block.pairs; ++p)
                    newest = std::max(newest, args.position[order_[first + p / group_]]);
                const auto runs = args.runs[block.runsRow];
                while (block.runs < runs.size() && runs[block.runs].first <= newest) ++block.runs;
                blocks_.push_back(block);
            }
    }
    // The longest first, so that the threads end together.
    std::stable_sort(blocks_.begin(), blocks_.end(), [](const Block& a, const Block& b) { return a.runs > b.runs; });
}

Attention::Lanes Attention::lanes(std::size_t slot) const {
    Carver carver(base_ + slot * lanesBytes_);
    Lanes out{};
    out.q = carver.take<float>(headDim_ * kAttendRows);
    out.position = carver.take<std::uint32_t>(kAttendRows);
    out.scratch = carver.take<float>((2 * headDim_ + kAttendRows) * kGroupTokens);
    out.part = stateAt(reinterpret_cast<std::byte*>(carver.take<float>((headDim_ + 2) * kAttendRows)));
    return out;
}

AttendState Attention::total(std::size_t part) const {
    return stateAt(base_ + pool_.size() * lanesBytes_ + part * stateBytes_);
}

void Attention::load(const AttendArgs& args, const Block& block, const Lanes& to) const {
    const std::size_t rows = rowsOf(block);
    for (std::size_t r = 0; r < rows; ++r) {
        if (r >= block.pairs) {
            to.position[r] = 0;
            for (std::size_t d = 0; d < headDim_; ++d) to.q[d * rows + r] = 0;
            continue;
        }
        const std::size_t pair = block.firstPair + r, token = order_[block.firstToken + pair / group_];
        const float* from = args.q.row(token) + (block.kvHead * group_ + pair % group_) * headDim_;
        to.position[r] = args.position[token];
        for (std::size_t d = 0; d < headDim_; ++d) to.q[d * rows + r] = from[d] * args.scale;
    }
}

void Attention::attendPart(const AttendArgs& args, const Block& block, std::size_t part, const Lanes& lanes,
                           const AttendState& into, float* marks) {
    const auto attendRun = kAttendRun.at(isa_);
    const auto runs = args.runs[block.runsRow];
    const std::size_t rows = rowsOf(block);
    clear(into, rows, headDim_);
    for (std::size_t i = part * kPartRuns; i < std::min(block.runs, (part + 1) * kPartRuns); ++i) {
        float* leaf = marks == nullptr ? nullptr : marks + i * kMarks;
        attendRun(lanes.q, lanes.position, rows, headDim_, runs[i], into, lanes.scratch, leaf,
                  leaf ? leaf + 4 * rows : nullptr);
    }
}

void Attention::finish(const AttendArgs& args, const Block& block, const AttendState& state, const float* marks) const {
    const std::size_t rows = rowsOf(block);
    const auto runs = args.runs[block.runsRow];
    for (std::size_t r = 0; r < block.pairs; ++r) {
        const std::size_t pair = block.firstPair + r, token = order_[block.firstToken + pair / group_];
        const std::size_t head = block.kvHead * group_ + pair % group_;
        const float inverse = state.sum[r] > 0 ? 1 / state.sum[r] : 0;
        float* out = args.out.row(token) + head * headDim_;
        for (std::size_t d = 0; d < headDim_; ++d) out[d] = state.out[d * rows + r] * inverse;
        if (args.logSumExp.data() != nullptr)
            args.logSumExp.row(token)[head] =
                state.sum[r] > 0 ? state.m[r] + std::log(state.sum[r]) : -std::numeric_limits<float>::infinity();
        if (marks == nullptr) continue;
        const std::size_t leaves = args.mass.size(2);
        float* mass = args.mass.row(token) + head * leaves;
        std::fill_n(mass, leaves, 0.0f);
        for (std::size_t i = 0; i < block.runs; ++i) {
            const float* leaf = marks + i * kMarks;
            const float share = std::exp(leaf[4 * rows + r] - state.m[r]) * inverse;
            for (std::size_t k = 0; k * kLeafTokens < runs[i].tokens; ++k) {
                const std::size_t at = runs[i].first / kLeafTokens + k;
                if (at < leaves) mass[at] = leaf[k * rows + r] * share;
            }
        }
    }
}

void Attention::run(const AttendArgs& args) {
    headDim_ = args.q.size(2);
    group_ = args.q.size(1) / args.nKvHeads;
    assert(args.q.size(1) == group_ * args.nKvHeads && args.position.size() == args.q.size(0));
    assert(args.sequence.size() == args.q.size(0) && args.runs.size() % args.nKvHeads == 0);
    plan(args);
    if (blocks_.empty()) return;
    const std::size_t mostRuns = blocks_.front().runs,
                      mostParts = std::max<std::size_t>(1, (mostRuns + kPartRuns - 1) / kPartRuns);
    // With few blocks the threads share a block's parts; with many, one thread goes through a block's parts in turn.
    const bool shareParts = mostParts > 1 && blocks_.size() < 4 * pool_.size();
    const std::size_t states = shareParts ? blocks_.size() * (mostParts + 1) : pool_.size();
    const bool marked = args.mass.data() != nullptr;
    markFloats_ = marked ? mostRuns * kMarks : 0;
    stateBytes_ = (headDim_ + 2) * kAttendRows * sizeof(float);
    lanesBytes_ = (headDim_ * kAttendRows + kAttendRows + (2 * headDim_ + kAttendRows) * kGroupTokens) * sizeof(float) +
                  stateBytes_;
    base_ = memory_.need(pool_.size() * lanesBytes_ + states * stateBytes_ +
                         markFloats_ * (shareParts ? blocks_.size() : pool_.size()) * sizeof(float));
    const auto marksOf = [&](std::size_t i) {
        return marked ? reinterpret_cast<float*>(base_ + pool_.size() * lanesBytes_ + states * stateBytes_) +
                            i * markFloats_
                      : nullptr;
    };
    const auto merge = kMerge.at(isa_);
    const auto partsOf = [](const Block& block) { return (block.runs + kPartRuns - 1) / kPartRuns; };

    if (!shareParts) {
        forEachWithSlot(pool_, blocks_.size(), [&](std::size_t slot, std::size_t i) {
            const Block& block = blocks_[i];
            const Lanes mine = lanes(slot);
            load(args, block, mine);
            clear(total(slot), rowsOf(block), headDim_);
            for (std::size_t part = 0; part < partsOf(block); ++part) {
                attendPart(args, block, part, mine, mine.part, marksOf(slot));
                merge(mine.part, rowsOf(block), headDim_, total(slot));
            }
            finish(args, block, total(slot), marksOf(slot));
        });
        return;
    }
    forEachWithSlot(pool_, blocks_.size() * mostParts, [&](std::size_t slot, std::size_t item) {
        const std::size_t i = item / mostParts, part = item % mostParts;
        const Block& block = blocks_[i];
        if (part >= partsOf(block)) return;
        const Lanes mine = lanes(slot);
        load(args, block, mine);
        attendPart(args, block, part, mine, total(i * (mostParts + 1) + 1 + part), marksOf(i));
    });
    forEachWithSlot(pool_, blocks_.size(), [&](std::size_t, std::size_t i) {
        const Block& block = blocks_[i];
        const AttendState all = total(i * (mostParts + 1));
        clear(all, rowsOf(block), headDim_);
        for (std::size_t part = 0; part < partsOf(block); ++part)
            merge(total(i * (mostParts + 1) + 1 + part), rowsOf(block), headDim_, all);
        finish(args, block, all, marksOf(i));
    });
}

}  // namespace carrel

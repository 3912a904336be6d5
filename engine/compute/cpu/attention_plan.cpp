#include "compute/cpu/attention_plan.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

#include "compute/cpu/attention_math.h"
#include "compute/cpu/workers.h"

namespace carrel {

namespace {

// Where threads share a block's runs, of so many the sums are kept apart before they are merged in order.
constexpr std::size_t kRoundRuns = 64;
// So many blocks attend to a run while it is loaded.
constexpr std::size_t kTogether = 4;
// A thread takes so many in a row, so that what it asks for ahead is what it goes on with.
constexpr std::size_t kTakenRuns = 4;

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
    mostRuns_ = 0;
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
                Block block{
                    s * args.nKvHeads + head, head, pair, std::min(kAttendRows, pairs - pair), first, 0, UINT32_MAX, 0};
                for (std::size_t p = pair; p < pair + block.pairs; ++p) {
                    const std::uint32_t position = args.position[order_[first + p / group_]];
                    block.oldest = std::min(block.oldest, position);
                    block.newest = std::max(block.newest, position);
                }
                const auto runs = args.runs[block.runsRow];
                block.runs = runs.size();
                while (block.runs > 0 && !block.sees(runs[block.runs - 1])) --block.runs;
                mostRuns_ = std::max(mostRuns_, block.runs);
                blocks_.push_back(block);
            }
    }
}

void Attention::planMarks(const AttendArgs& args) {
    firstMark_.clear();
    marksBefore_.clear();
    for (const auto runs : args.runs) {
        firstMark_.push_back(marksBefore_.size());
        std::size_t marks = 0;
        for (const KvRun& run : runs) {
            marksBefore_.push_back(marks);
            marks += segmentsOf(run) + 1;
        }
        marksBefore_.push_back(marks);
    }
}

AttendState Attention::stateIn(Carver& carver, std::size_t rows) const {
    auto* m = carver.take<float>(rows);
    auto* sum = carver.take<float>(rows);
    return {m, sum, carver.take<float>(headDim_ * rows)};
}

Attention::Rows Attention::rowsIn(Carver& carver) const {
    auto* q = carver.take<float>(headDim_ * kAttendRows);
    return {q, carver.take<std::uint32_t>(kAttendRows)};
}

Attention::Lanes Attention::lanesIn(Carver& carver) const {
    Lanes out{};
    out.loaded.keys = carver.take<float>(headDim_ * kGroupTokens);
    out.loaded.values = carver.take<float>(headDim_ * kGroupTokens);
    out.loaded.bias = carver.take<float>(kGroupTokens);
    out.loaded.weights = carver.take<float>(kAttendRows * kGroupTokens);
    out.loaded.origin = carver.take<float>(kAttendRows);
    out.scratch = carver.take<float>((headDim_ + kAttendRows) * kGroupTokens);
    out.group = carver.take<std::byte>(loadedGroupBytes(headDim_));
    out.groupScratch = carver.take<std::byte>(groupScratchBytes(headDim_));
    return out;
}

void Attention::load(const AttendArgs& args, const Block& block, const Rows& to) const {
    const std::size_t rows = block.rows();
    for (std::size_t r = 0; r < rows; ++r) {
        if (r >= block.pairs) {
            to.position[r] = 0;
            for (std::size_t d = 0; d < headDim_; ++d) to.q[d * rows + r] = 0;
            continue;
        }
        const auto [token, head] = placeOf(block, r);
        const float* from = args.q.row(token) + head * headDim_;
        to.position[r] = args.position[token];
        for (std::size_t d = 0; d < headDim_; ++d) to.q[d * rows + r] = from[d] * args.scale;
    }
}

void Attention::begin(const AttendArgs& args, const Block& block, const AttendState& state) const {
    clear(state, block.rows(), headDim_);
    if (args.begins) return;
    for (std::size_t r = 0; r < block.pairs; ++r) {
        const auto [token, head] = placeOf(block, r);
        const float* from = args.state.row(token) + head * (headDim_ + 2);
        for (std::size_t d = 0; d < headDim_; ++d) state.out[channelAt(block, r, d)] = from[d];
        state.m[r] = from[headDim_];
        state.sum[r] = from[headDim_ + 1];
    }
}

AttendGroupFn Attention::asGroup(const AttendArgs& args, const KvRun& run) const {
    return wholeGroup(run, args.codec) ? kAttendGroup.at(isa_) : nullptr;
}

void Attention::loadRun(const AttendArgs& args, const KvRun& run, bool many, const Lanes& to) const {
    if (asGroup(args, run) == nullptr)
        kLoadRun.at(isa_)(run, headDim_, to.loaded);
    else if (many)
        kLoadGroup.at(isa_)(run, headDim_, to.group);
}

void Attention::attendRun(const AttendArgs& args, const Block& block, std::size_t i, const KvRun* ahead,
                          const Rows& rows, const Lanes& lanes, const AttendState& into, float* marks) const {
    const KvRun& run = args.runs[block.runsRow][i];
    float *runMax = nullptr, *sums = nullptr;
    if (marks != nullptr) {
        runMax = marks + marksBefore_[firstMark_[block.runsRow] + i] * block.rows();
        sums = runMax + block.rows();
    }
    if (const auto attendGroup = asGroup(args, run))
        return attendGroup(rows.q, block.rows(), headDim_, run, lanes.group, into, lanes.groupScratch, sums, runMax,
                           ahead);
    if (ahead != nullptr) fetchRun(*ahead, headDim_);
    if (run.rest != nullptr) weighRest(args, block, run, lanes.loaded);
    kAttendRun.at(isa_)(rows.q, rows.position, block.rows(), headDim_, run, lanes.loaded, into, lanes.scratch, sums,
                        runMax);
}

/// Of each row, from the call's weights.
void Attention::weighRest(const AttendArgs& args, const Block& block, const KvRun& run, const LoadedRun& to) const {
    const std::size_t rows = block.rows(), leaf = run.first / kLeafTokens, leaves = args.weight.size(2);
    assert(leaf + run.tokens <= leaves);
    const bool few = rows <= kFewRows && isa_ != Isa::Scalar;
    std::fill_n(to.weights, rows * kGroupTokens, 0.0f);
    for (std::size_t r = 0; r < rows; ++r) {
        to.origin[r] = kNothing;
        if (r >= block.pairs) continue;
        const auto [token, head] = placeOf(block, r);
        const float* from = args.weight.row(token) + head * leaves + leaf;
        for (std::size_t i = 0; i < run.tokens; ++i) to.weights[few ? r * kGroupTokens + i : i * rows + r] = from[i];
        to.origin[r] = args.origin.row(token)[head];
    }
}

void Attention::finish(const AttendArgs& args, const Block& block, const AttendState& state, const float* marks) const {
    for (std::size_t r = 0; r < block.pairs; ++r) {
        const auto [token, head] = placeOf(block, r);
        const float inverse = state.sum[r] > 0 ? 1 / state.sum[r] : 0;
        if (args.ends) {
            float* out = args.out.row(token) + head * headDim_;
            for (std::size_t d = 0; d < headDim_; ++d) out[d] = state.out[channelAt(block, r, d)] * inverse;
        } else {
            float* to = args.state.row(token) + head * (headDim_ + 2);
            for (std::size_t d = 0; d < headDim_; ++d) to[d] = state.out[channelAt(block, r, d)];
            to[headDim_] = state.m[r];
            to[headDim_ + 1] = state.sum[r];
        }
        if (args.logSumExp.data() != nullptr)
            args.logSumExp.row(token)[head] =
                state.sum[r] > 0 ? state.m[r] + std::log(state.sum[r]) : -std::numeric_limits<float>::infinity();
    }
    if (marks != nullptr) writeMass(args, block, state, marks);
}

void Attention::writeMass(const AttendArgs& args, const Block& block, const AttendState& state,
                          const float* marks) const {
    const auto runs = args.runs[block.runsRow];
    const std::size_t rows = block.rows(), leaves = args.mass.size(2);
    for (std::size_t r = 0; r < block.pairs; ++r) {
        const auto [token, head] = placeOf(block, r);
        float* mass = args.mass.row(token) + head * leaves;
        if (args.begins) std::fill_n(mass, leaves, 0.0f);
        const float inverse = state.sum[r] > 0 ? 1 / state.sum[r] : 0;
        for (std::size_t i = 0; i < block.runs; ++i) {
            if (!block.sees(runs[i])) continue;
            const float* runMax = marks + marksBefore_[firstMark_[block.runsRow] + i] * rows;
            const float* sums = runMax + rows;
            const float share = std::exp(runMax[r] - state.m[r]) * inverse;
            forSegments(runs[i], [&](std::size_t, std::size_t, std::size_t leaf) {
                if (leaf < leaves) mass[leaf] += sums[r] * share;
                sums += rows;
            });
        }
    }
}

void Attention::run(const AttendArgs& args) {
    headDim_ = args.q.size(2);
    group_ = args.q.size(1) / args.nKvHeads;
    assert(args.q.size(1) == group_ * args.nKvHeads && args.position.size() == args.q.size(0));
    assert(args.sequence.size() == args.q.size(0) && args.runs.size() % args.nKvHeads == 0);
    assert((args.begins && args.ends) || args.state.data() != nullptr);
    plan(args);
    if (blocks_.empty()) return;
    if (args.mass.data() != nullptr) planMarks(args);
    // With few blocks the threads share a block's runs; with many, one thread goes through a block's runs in turn.
    if (args.pass == AttendPass::All && (blocks_.size() >= 4 * pool_.size() || mostRuns_ <= 1))
        inTurn(args);
    else
        shared(args);
}

void Attention::inTurn(const AttendArgs& args) {
    struct Owned {
        Lanes lanes;
        std::array<Rows, kTogether> rows;
        std::array<AttendState, kTogether> state;
        std::array<float*, kTogether> marks;
    };
    const std::size_t marks = mostMarks(args),
                      together = std::clamp<std::size_t>(blocks_.size() / (8 * pool_.size()), 1, kTogether);
    std::vector<Owned> owned(pool_.size());
    const auto layOut = [&](Carver carver) {
        for (Owned& each : owned) {
            each.lanes = lanesIn(carver);
            for (std::size_t b = 0; b < together; ++b) {
                each.rows[b] = rowsIn(carver);
                each.state[b] = stateIn(carver, kAttendRows);
                each.marks[b] = args.mass.data() != nullptr ? carver.take<float>(marks) : nullptr;
            }
        }
        return carver.used();
    };
    layOut(Carver(memory_.need(layOut(Carver()))));
    std::vector<std::span<const Block>> bunches;
    for (std::size_t from = 0, end = 0; from < blocks_.size(); from = end) {
        while (end < blocks_.size() && end - from < together && blocks_[end].runsRow == blocks_[from].runsRow) ++end;
        bunches.emplace_back(&blocks_[from], end - from);
    }
    // The longest first, so that the threads end together.
    std::ranges::stable_sort(bunches, std::greater<>(), [](const auto& blocks) { return blocks.back().runs; });
    forEachWithSlot(pool_, bunches.size(), [&](std::size_t slot, std::size_t i) {
        const std::span<const Block> blocks = bunches[i];
        const Owned& own = owned[slot];
        std::size_t most = 0;
        bool many = false;
        for (std::size_t b = 0; b < blocks.size(); ++b) {
            load(args, blocks[b], own.rows[b]);
            begin(args, blocks[b], own.state[b]);
            most = std::max(most, blocks[b].runs);
            many |= blocks[b].rows() > kFewRows;
        }
        const auto runs = args.runs[blocks.front().runsRow];
        for (std::size_t run = 0; run < most; ++run) {
            const auto sees = [&](const Block& block) { return run < block.runs && block.sees(runs[run]); };
            if (std::ranges::none_of(blocks, sees)) continue;
            const KvRun* ahead = run + 1 < most ? &runs[run + 1] : nullptr;
            loadRun(args, runs[run], many, own.lanes);
            for (std::size_t b = 0; b < blocks.size(); ++b)
                if (sees(blocks[b]))
                    attendRun(args, blocks[b], run, std::exchange(ahead, nullptr), own.rows[b], own.lanes, own.state[b],
                              own.marks[b]);
        }
        for (std::size_t b = 0; b < blocks.size(); ++b) finish(args, blocks[b], own.state[b], own.marks[b]);
    });
}

void Attention::shared(const AttendArgs& args) {
    // The longest first, so that the threads end together.
    std::ranges::stable_sort(blocks_, std::greater<>(), &Block::runs);
    struct Owned {
        AttendState total;
        std::vector<AttendState> runs;
        float* marks;
    };
    const bool once = args.pass != AttendPass::All;
    const std::size_t marks = mostMarks(args), mostRuns = std::max<std::size_t>(1, mostRuns_),
                      round = once ? mostRuns : std::min(kRoundRuns, mostRuns);
    struct OfThread {
        Lanes lanes;
        Rows rows;
    };
    std::vector<OfThread> ofThread(pool_.size());
    std::vector<const Block*> loaded(pool_.size());
    std::vector<Owned> owned(blocks_.size());
    const auto layOutLanes = [&](Carver carver) {
        for (OfThread& each : ofThread) each.lanes = lanesIn(carver), each.rows = rowsIn(carver);
        return carver.used();
    };
    const auto layOut = [&](Carver carver) {
        for (std::size_t i = 0; i < blocks_.size(); ++i) {
            owned[i].total = stateIn(carver, blocks_[i].rows());
            owned[i].runs.clear();
            for (std::size_t run = 0; run < std::min(round, blocks_[i].runs); ++run)
                owned[i].runs.push_back(stateIn(carver, blocks_[i].rows()));
            owned[i].marks = args.mass.data() != nullptr ? carver.take<float>(marks) : nullptr;
        }
        return carver.used();
    };
    layOutLanes(Carver(memory_.need(layOutLanes(Carver()))));
    layOut(Carver(apart_.need(layOut(Carver()))));  // stays as it is between the passes There and Late
    const auto runAt = [&](std::size_t i, std::size_t run) -> const KvRun* {
        if (i >= blocks_.size() || run >= blocks_[i].runs) return nullptr;
        const KvRun& of = args.runs[blocks_[i].runsRow][run];
        const bool now = blocks_[i].sees(of) && !(once && of.late != (args.pass == AttendPass::Late));
        return now ? &of : nullptr;
    };
    const auto attend = [&](std::size_t slot, std::size_t i, std::size_t run, const KvRun* ahead,
                            const AttendState& into) {
        const Block& block = blocks_[i];
        if (runAt(i, run) == nullptr) return;
        const OfThread& own = ofThread[slot];
        const bool many = block.rows() > kFewRows;
        if (std::exchange(loaded[slot], &block) != &block) load(args, block, own.rows);
        clear(into, block.rows(), headDim_);
        loadRun(args, args.runs[block.runsRow][run], many, own.lanes);
        attendRun(args, block, run, ahead, own.rows, own.lanes, into, owned[i].marks);
    };
    const auto merge = kMerge.at(isa_);
    for (std::size_t from = 0; from < mostRuns; from += round) {
        const std::size_t takes = (round + kTakenRuns - 1) / kTakenRuns;
        forEachWithSlot(pool_, blocks_.size() * takes, [&](std::size_t slot, std::size_t item) {
            const std::size_t i = item / takes, first = item % takes * kTakenRuns,
                              end = std::min(first + kTakenRuns, owned[i].runs.size());
            // As a rule a thread goes on with the item that as many others stand before as there are threads.
            const std::size_t next = item + pool_.size();
            for (std::size_t at = first; at < end; ++at)
                attend(slot, i, from + at,
                       at + 1 < end ? runAt(i, from + at + 1) : runAt(next / takes, from + next % takes * kTakenRuns),
                       owned[i].runs[at]);
        });
        if (args.pass == AttendPass::There) return;
        forEachWithSlot(pool_, blocks_.size(), [&](std::size_t, std::size_t i) {
            const Block& block = blocks_[i];
            if (from == 0) begin(args, block, owned[i].total);
            for (std::size_t run = from; run < std::min(from + round, block.runs); ++run)
                if (block.sees(args.runs[block.runsRow][run]))
                    merge(owned[i].runs[run - from], block.rows(), headDim_, owned[i].total);
            if (from + round >= mostRuns) finish(args, block, owned[i].total, owned[i].marks);
        });
    }
}

std::size_t Attention::mostMarks(const AttendArgs& args) const {
    std::size_t marks = 0;
    for (const Block& block : blocks_)
        if (args.mass.data() != nullptr)
            marks = std::max(marks, marksBefore_[firstMark_[block.runsRow] + block.runs] * block.rows());
    return marks;
}

}  // namespace carrel

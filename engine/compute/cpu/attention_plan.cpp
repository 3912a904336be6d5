#include "compute/cpu/attention_plan.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "compute/cpu/attention_math.h"
#include "compute/cpu/workers.h"

namespace carrel {

namespace {

// Where threads share a block's runs, of so many the sums are kept apart before they are merged in order.
constexpr std::size_t kRoundRuns = 64;
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
                blocks_.push_back(block);
            }
    }
    // The longest first, so that the threads end together.
    std::stable_sort(blocks_.begin(), blocks_.end(), [](const Block& a, const Block& b) { return a.runs > b.runs; });
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

Attention::Lanes Attention::lanes(Carver& carver) const {
    Lanes out{};
    out.q = carver.take<float>(headDim_ * kAttendRows);
    out.position = carver.take<std::uint32_t>(kAttendRows);
    out.loaded.keys = carver.take<float>(headDim_ * kGroupTokens);
    out.loaded.values = carver.take<float>(headDim_ * kGroupTokens);
    out.loaded.bias = carver.take<float>(kGroupTokens);
    out.loaded.weights = carver.take<float>(kAttendRows * kGroupTokens);
    out.loaded.origin = carver.take<float>(kAttendRows);
    out.scratch = carver.take<float>((headDim_ + kAttendRows) * kGroupTokens);
    out.groupScratch = carver.take<std::byte>(groupScratchBytes(headDim_));
    return out;
}

void Attention::load(const AttendArgs& args, const Block& block, const Lanes& to) const {
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

void Attention::attendRun(const AttendArgs& args, const Block& block, std::size_t i, const KvRun* ahead,
                          const Lanes& lanes, const AttendState& into, float* marks) const {
    const auto runs = args.runs[block.runsRow];
    const std::size_t rows = block.rows();
    float *runMax = nullptr, *sums = nullptr;
    if (marks != nullptr) {
        runMax = marks + marksBefore_[firstMark_[block.runsRow] + i] * rows;
        sums = runMax + rows;
    }
    const auto attendGroup = wholeGroup(runs[i], args.codec) ? kAttendGroup.at(isa_) : nullptr;
    if (attendGroup == nullptr) kLoadRun.at(isa_)(runs[i], headDim_, lanes.loaded);
    if (runs[i].rest != nullptr) weighRest(args, block, runs[i], lanes.loaded);
    if (attendGroup != nullptr)
        return attendGroup(lanes.q, rows, headDim_, runs[i], into, lanes.groupScratch, sums, runMax, ahead);
    if (ahead != nullptr) fetchRun(*ahead, headDim_);
    kAttendRun.at(isa_)(lanes.q, lanes.position, rows, headDim_, runs[i], lanes.loaded, into, lanes.scratch, sums,
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
    if (args.pass == AttendPass::All && (blocks_.size() >= 4 * pool_.size() || blocks_.front().runs <= 1))
        inTurn(args);
    else
        shared(args);
}

void Attention::inTurn(const AttendArgs& args) {
    struct Owned {
        Lanes lanes;
        AttendState state;
        float* marks;
    };
    const std::size_t marks = mostMarks(args);
    std::vector<Owned> owned(pool_.size());
    const auto layOut = [&](Carver carver) {
        for (Owned& each : owned) {
            each.lanes = lanes(carver);
            each.state = stateIn(carver, kAttendRows);
            each.marks = args.mass.data() != nullptr ? carver.take<float>(marks) : nullptr;
        }
        return carver.used();
    };
    layOut(Carver(memory_.need(layOut(Carver()))));
    forEachWithSlot(pool_, blocks_.size(), [&](std::size_t slot, std::size_t i) {
        const Block& block = blocks_[i];
        const Owned& own = owned[slot];
        load(args, block, own.lanes);
        begin(args, block, own.state);
        const auto runs = args.runs[block.runsRow];
        for (std::size_t run = 0; run < block.runs; ++run)
            if (block.sees(runs[run]))
                attendRun(args, block, run, run + 1 < block.runs ? &runs[run + 1] : nullptr, own.lanes, own.state,
                          own.marks);
        finish(args, block, own.state, own.marks);
    });
}

void Attention::shared(const AttendArgs& args) {
    struct Owned {
        AttendState total;
        std::vector<AttendState> runs;
        float* marks;
    };
    const bool once = args.pass != AttendPass::All;
    const std::size_t marks = mostMarks(args), mostRuns = std::max<std::size_t>(1, blocks_.front().runs),
                      round = once ? mostRuns : std::min(kRoundRuns, mostRuns);
    std::vector<Lanes> ofThread(pool_.size());
    std::vector<const Block*> loaded(pool_.size());
    std::vector<Owned> owned(blocks_.size());
    const auto layOutLanes = [&](Carver carver) {
        for (Lanes& each : ofThread) each = lanes(carver);
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
        if (std::exchange(loaded[slot], &block) != &block) load(args, block, ofThread[slot]);
        clear(into, block.rows(), headDim_);
        attendRun(args, block, run, ahead, ofThread[slot], into, owned[i].marks);
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

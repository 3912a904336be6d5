#pragma once

#include <vector>

#include "compute/backend.h"
#include "compute/cpu/kernels.h"
#include "compute/cpu/scratch.h"

namespace carrel {

/// Backend::attend on the thread pool. Holds the scratch; one caller at a time.
class Attention {
  public:
    Attention(Isa isa, ThreadPool& pool) : isa_(isa), pool_(pool) {}
    void run(const AttendArgs& args);

  private:
    /// Up to kAttendRows rows, each a (token, query head), of one sequence and KV head.
    struct Block {
        std::size_t runsRow, kvHead;
        std::size_t firstPair, pairs;  // pair p: token order_[firstToken + p / group], head p % group of the KV head's
        std::size_t firstToken, runs;  // runs up to the last that some row sees
        std::uint32_t oldest, newest;  // of its tokens' positions

        std::size_t rows() const { return pairs <= kFewRows ? pairs : (pairs + 15) / 16 * 16; }
        bool sees(const KvRun& run) const {
            if (run.window != KvRun::kNoWindow)
                return run.first <= newest && oldest < std::uint64_t{run.first} + run.tokens - 1 + run.window;
            return !run.picks.empty() || run.rest != nullptr || run.first <= newest;
        }
    };
    struct Rows {  // one block laid out for the kernels
        float* q;
        std::uint32_t* position;
    };
    struct Lanes {  // one run, for the blocks that attend to it next
        LoadedRun loaded;
        float* scratch;
        std::byte *group, *groupScratch;
    };
    /// Where row r of a block comes from and goes to.
    struct Place {
        std::size_t token, head;
    };
    Place placeOf(const Block& block, std::size_t r) const {
        const std::size_t pair = block.firstPair + r;
        return {order_[block.firstToken + pair / group_], block.kvHead * group_ + pair % group_};
    }
    std::size_t channelAt(const Block& block, std::size_t r, std::size_t d) const {
        const std::size_t rows = block.rows();
        return rows <= kFewRows ? r * headDim_ + d : d * rows + r;
    }
    void plan(const AttendArgs& args);
    void planMarks(const AttendArgs& args);
    Rows rowsIn(Carver& carver) const;
    Lanes lanesIn(Carver& carver) const;
    AttendState stateIn(Carver& carver, std::size_t rows) const;
    void load(const AttendArgs& args, const Block& block, const Rows& to) const;
    void begin(const AttendArgs& args, const Block& block, const AttendState& state) const;
    void inTurn(const AttendArgs& args);
    void shared(const AttendArgs& args);
    AttendGroupFn asGroup(const AttendArgs& args, const KvRun& run) const;
    void loadRun(const AttendArgs& args, const KvRun& run, bool many, const Lanes& to) const;
    void attendRun(const AttendArgs& args, const Block& block, std::size_t run, const KvRun* ahead, const Rows& rows,
                   const Lanes& lanes, const AttendState& into, float* marks) const;
    void weighRest(const AttendArgs& args, const Block& block, const KvRun& run, const LoadedRun& to) const;
    void finish(const AttendArgs& args, const Block& block, const AttendState& state, const float* marks) const;
    std::size_t mostMarks(const AttendArgs& args) const;
    void writeMass(const AttendArgs& args, const Block& block, const AttendState& state, const float* marks) const;

    Isa isa_;
    ThreadPool& pool_;
    std::size_t headDim_ = 0, group_ = 1;
    std::vector<std::size_t> order_, ends_;
    std::vector<Block> blocks_;
    std::size_t mostRuns_ = 0;  // of a block
    // Marks of one row of `runs`: per run the sums of its segments and the maximum that they are relative to, [rows]
    // each. marksBefore_[firstMark_[row] + run]: how many come before a run's.
    std::vector<std::size_t> firstMark_, marksBefore_;
    Scratch memory_, apart_;
};

}  // namespace carrel

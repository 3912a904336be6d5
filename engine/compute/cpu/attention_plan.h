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
        std::size_t firstToken, runs;  // runs that its newest token may see
    };
    struct Lanes {  // one block laid out for the kernels
        float* q;
        std::uint32_t* position;
        float* scratch;
        AttendState part;
    };
    void plan(const AttendArgs& args);
    std::size_t rowsOf(const Block& block) const { return (block.pairs + 15) / 16 * 16; }
    Lanes lanes(std::size_t slot) const;
    AttendState total(std::size_t part) const;
    void load(const AttendArgs& args, const Block& block, const Lanes& to) const;
    void attendPart(const AttendArgs& args, const Block& block, std::size_t part, const Lanes& lanes,
                    const AttendState& into, float* marks);
    void finish(const AttendArgs& args, const Block& block, const AttendState& state, const float* marks) const;

    Isa isa_;
    ThreadPool& pool_;
    std::size_t headDim_ = 0, group_ = 1;
    std::vector<std::size_t> order_, ends_;
    std::vector<Block> blocks_;
    Scratch memory_;
    std::byte* base_ = nullptr;
    std::size_t lanesBytes_ = 0, stateBytes_ = 0, markFloats_ = 0;
};

}  // namespace carrel

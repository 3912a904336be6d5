#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "kv/chosen.h"
#include "kv/tier.h"

namespace carrel {

/// What reading and keeping costs, in microseconds. Reads: as measured at queue depth 32, 1.1 GB/s.
struct ChunkCosts {
    explicit ChunkCosts(std::size_t groupBytes) : group(static_cast<double>(groupBytes) / 1100) {}
    double read = 12;         // a read of any size
    double group;             // a group more in it
    std::uint32_t stay = 32;  // steps that a leaf stays in the device tier after its last use, about
};

/// Which leaves move between tiers together: per layer and KV head a partition into chunks of 1 to 32 leaves, from what
/// was chosen. Fine where that pays, coarse over deserts: runs that nothing has chosen for long. A desert
/// is one chunk in name only; a leaf of it that is chosen after all moves alone, and is the first to go. row = layer *
/// kvHeads + head.
class Chunker {
  public:
    struct Span {
        std::uint32_t first = 0, leaves = 0;
    };
    /// fixedTokens: 16 to 512; 0 for adaptive chunks.
    Chunker(KvShape shape, std::uint32_t capacityLeaves, std::uint32_t fixedTokens, ChunkCosts costs);
    static std::uint64_t bytes(KvShape shape, std::uint32_t capacityLeaves);

    void setLeaves(std::uint32_t leaves) { leaves_ = leaves; }
    /// A leaf that nothing has chosen for long: of a choice like that few come back.
    bool passing(std::size_t row, std::uint32_t leaf) const {
        return fixed_ == 0 && all_[row * capacity_ + leaf].use == 0;
    }
    /// What moves with a leaf.
    Span together(std::size_t row, std::uint32_t leaf) const;
    /// Recent choices of a leaf per step.
    float use(std::size_t row, std::uint32_t leaf) const;

    /// A step's choice of one layer.
    void choose(std::uint32_t layer, const Chosen& chosen);

    /// A read of a leaf, by where it was found. A choice is none: what is read without choosing counts too.
    void read(std::size_t row, std::uint32_t leaf, Tier from) {
        ++all_[row * capacity_ + leaf].reads[static_cast<std::size_t>(from)];
    }
    void resetReads() {
        for (Leaf& leaf : all_) leaf.reads = {};
    }
    /// Every leaf. where(row, leaf, place) says the tier and whether host has it.
    template <class Where>
    std::vector<LeafRow> places(Where&& where) const {
        std::vector<LeafRow> rows(shape_.rows());
        for (std::size_t row = 0; row < rows.size(); ++row) {
            rows[row].layer = static_cast<std::uint32_t>(row / shape_.kvHeads);
            rows[row].head = static_cast<std::uint32_t>(row % shape_.kvHeads);
            rows[row].leaves.resize(leaves_);
            for (std::uint32_t i = 0; i < leaves_; ++i) {
                const Leaf& leaf = all_[row * capacity_ + i];
                LeafPlace& place = rows[row].leaves[i];
                place.reads = leaf.reads;
                place.use = leaf.use;
                place.startsChunk = fixed_ != 0 ? i % fixed_ == 0 : leaf.back == 0;
                where(row, i, place);
            }
        }
        return rows;
    }

  private:
    /// Shares of steps in 1/65536, the recent ones weighing most.
    struct Leaf {
        std::uint16_t use = 0;                 // chosen
        std::uint16_t arrivals = 0;            // chosen after a while
        std::uint16_t drawn = 0;               // this leaf or the next arrived while the other was in use
        std::uint16_t last = 0;                // step of the last use
        std::uint8_t back = 0;                 // leaves of its chunk before it
        std::uint8_t chunk = 1;                // leaves of its chunk, and 128 where that is a desert
        std::array<std::uint32_t, 3> reads{};  // by tier
    };
    Span chunkOf(std::size_t row, std::uint32_t leaf) const;
    void step(std::uint32_t layer);
    void partition(Leaf* leaves) const;

    KvShape shape_;
    std::uint32_t capacity_, fixed_, leaves_ = 0;
    ChunkCosts costs_;
    std::vector<Leaf> all_;
    std::vector<std::uint32_t> steps_;               // of each layer
    std::vector<std::vector<std::uint32_t>> found_;  // of a step: leaves chosen, per head
};

}  // namespace carrel

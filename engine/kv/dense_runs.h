#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "compute/backend.h"
#include "store/reading_store.h"

namespace carrel {

/// Runs of whole groups for one window, built head after head, group after group.
class DenseRuns {
  public:
    void begin(KvShape shape, std::uint32_t count) {
        shape_ = shape;
        runs_.resize(shape.kvHeads);
        for (auto& of : runs_) of.clear();
        picks_.clear();
        picks_.reserve(std::size_t{shape.kvHeads} * count * kGroupLeaves);  // runs point into it
    }
    /// An f16 group as stored.
    void add(std::uint32_t head, std::uint32_t group, const std::byte* payload) {
        const auto* keys = reinterpret_cast<const std::uint16_t*>(payload);
        runs_[head].push_back(
            {keys, keys + std::size_t{kGroupTokens} * shape_.headDim, group * kGroupTokens, kGroupTokens});
    }
    /// A group's leaves as rows, side by side or not.
    void add(std::uint32_t head, std::uint32_t group, const std::uint16_t* grid,
             std::span<const std::byte* const, kGroupLeaves> leaves) {
        for (std::uint32_t i = 0; i < kGroupLeaves; ++i)
            picks_.push_back({leaves[i], grid, group * kGroupLeaves + i, 0xffff});
        runs_[head].push_back(
            {nullptr, nullptr, group * kGroupTokens, kGroupTokens, std::span(picks_).last(kGroupLeaves)});
    }
    std::span<const std::vector<KvRun>> runs() const { return runs_; }

  private:
    KvShape shape_;
    std::vector<std::vector<KvRun>> runs_;
    std::vector<KvPick> picks_;
};

}  // namespace carrel

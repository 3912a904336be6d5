#pragma once

#include <vector>

#include "compute/cuda/arguments.h"
#include "compute/cuda/kv_launch.h"
#include "compute/cuda/scratch.h"

namespace carrel::cuda {

/// Backend::attend: lays out what the kernels read, and divides the work. With few tiles blocks share a tile's runs,
/// each leaving its sums apart; with many, one block goes through a tile's runs in turn.
class Attention {
  public:
    /// processors: the device's multiprocessors.
    cudaError_t run(const AttendArgs& args, unsigned processors, Arguments& arguments, cudaStream_t stream);

  private:
    void planTiles(const AttendArgs& args);
    void planRuns(const AttendArgs& args, bool segments);
    /// Runs [from, end) of the tiles that see them, where `takes`.
    template <class Takes>
    void addItems(std::uint32_t from, std::uint32_t end, const Takes& takes);
    bool makeRoom(const AttendArgs& args, std::size_t slots, bool totals, cudaStream_t stream);

    AttendCall call_{};
    unsigned rows_ = 0;
    std::uint32_t mostRuns_ = 0;
    std::vector<std::uint32_t> order_, ends_;
    std::vector<Tile> tiles_;
    std::vector<AttendItem> items_;
    std::vector<RunEntry> runs_;
    std::vector<PickEntry> picks_;
    std::vector<RunsEntry> table_;
    std::vector<SegmentEntry> segments_;
    std::vector<std::byte> packed_;
    Scratch partials_, totals_, marks_;
};

}  // namespace carrel::cuda

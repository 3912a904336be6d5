#pragma once

#include <span>

#include "compute/backend.h"
#include "compute/cpu/kernels.h"
#include "compute/cpu/scratch.h"

namespace carrel {

/// Backend::matmul on the thread pool. Holds the scratch; one caller at a time.
class Matmul {
  public:
    Matmul(Isa isa, ThreadPool& pool) : isa_(isa), pool_(pool) {}
    void run(View<const float, 2> x, std::span<const MatmulTarget> targets);

  private:
    QuantizedRows group(std::size_t firstRow, std::size_t cols) const;
    void quantize(View<const float, 2> x);
    void tiles(View<const float, 2> x, const MatmulTarget& target, std::size_t tile, std::size_t firstRow,
               std::size_t endRow, std::size_t slot);

    Isa isa_;
    ThreadPool& pool_;
    Scratch quantized_, panels_;
    QuantizedRows all_{};
    std::size_t panelBytes_ = 0;
};

}  // namespace carrel

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
    void oneTile(View<const float, 2> x, const MatmulTarget& target, std::size_t tile) const;
    void panel(const MatmulTarget& target, std::size_t tile, std::size_t end, std::size_t rows, std::size_t slot) const;

    Isa isa_;
    ThreadPool& pool_;
    Scratch quantized_, panelMemory_;
    QuantizedRows all_{};
    std::byte* panels_ = nullptr;
    std::size_t panelBytes_ = 0;  // of a slot
};

}  // namespace carrel

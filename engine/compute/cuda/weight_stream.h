#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <vector>

#include "compute/cuda/cuda_weight.h"

namespace carrel::cuda {

/// Weights that the device has no room for: they lie in pinned host memory and come a piece at a time, the next one
/// while the last is computed with. Which is next is known from the order of loading, which is that of use.
class WeightStream {
  public:
    WeightStream() = default;
    ~WeightStream();
    WeightStream(const WeightStream&) = delete;
    WeightStream& operator=(const WeightStream&) = delete;

    void add(const CudaWeight& weight);
    void remove(const CudaWeight& weight);

    /// Tiles [first, first + count) of one of them.
    struct Piece {
        const CudaWeight* weight = nullptr;
        std::size_t first = 0, count = 0;
        bool operator==(const Piece&) const = default;
    };
    static std::size_t tilesAPiece(const CudaWeight& weight);
    /// Where a piece is on the device for what is enqueued on `stream` from here to the next call. Null: error().
    const unsigned char* get(const Piece& piece, cudaStream_t stream);
    cudaError_t error() const { return error_; }

  private:
    struct Slot {
        void* memory = nullptr;
        std::size_t bytes = 0;
        Piece piece;
        cudaEvent_t filled = nullptr, used = nullptr;
    };
    void keep(cudaError_t error) {
        if (error_ == cudaSuccess) error_ = error;
    }
    void open();
    void fill(Slot& slot, const Piece& piece);
    Piece after(const Piece& piece) const;

    std::vector<const CudaWeight*> weights_;  // in the order of loading
    Slot slots_[2];
    Slot* last_ = nullptr;  // what was handed out last
    cudaStream_t copies_ = nullptr;
    cudaError_t error_ = cudaSuccess;
};

}  // namespace carrel::cuda

#pragma once

#include <carrel/result.h>

#include <memory>

#include "base/thread_pool.h"
#include "compute/backend.h"
#include "compute/cuda/arguments.h"
#include "compute/cuda/weight_layout.h"

namespace carrel::cuda {

class WeightStream;

/// A weight (weight_layout.h) in device memory, or in pinned host memory where that is full.
class CudaWeight final : public Weight {
  public:
    ~CudaWeight() override;
    /// What a load needs of the backend. leastFree: bytes of device memory that weights leave to everything else.
    struct Loading {
        ThreadPool& pool;
        Arguments& staging;
        cudaStream_t stream;
        WeightStream& streamed;
        std::size_t leastFree;
    };
    /// InvalidArgument where `bytes` are not rows x cols of the type; NoMemory; what `read` fails with. Packed by the
    /// pool's threads, a piece of pinned memory at a time.
    static Result<std::unique_ptr<Weight>> load(DType type, std::size_t rows, std::size_t cols, std::size_t bytes,
                                                const ReadRaw& read, const Loading& loading);
    /// Seen by the device in any case.
    const unsigned char* tiles() const { return tiles_; }
    bool isStreamed() const { return streamed_ != nullptr; }

  private:
    unsigned char* tiles_ = nullptr;
    WeightStream* streamed_ = nullptr;
};

/// Up to 32 rows as they lie in the file, to a tile.
void packTile(DType type, std::size_t rows, std::size_t cols, const std::byte* raw, std::byte* tile);

}  // namespace carrel::cuda

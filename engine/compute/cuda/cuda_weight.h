#pragma once

#include <carrel/result.h>

#include <memory>

#include "base/thread_pool.h"
#include "compute/backend.h"
#include "compute/cuda/arguments.h"
#include "compute/cuda/weight_layout.h"

namespace carrel::cuda {

/// A weight in device memory (weight_layout.h).
class CudaWeight final : public Weight {
  public:
    ~CudaWeight() override;
    /// InvalidArgument where `bytes` are not rows x cols of the type; NoMemory; what `read` fails with. Packed by the
    /// pool's threads, a piece of pinned memory at a time.
    static Result<std::unique_ptr<Weight>> load(DType type, std::size_t rows, std::size_t cols, std::size_t bytes,
                                                const ReadRaw& read, ThreadPool& pool, Arguments& staging,
                                                cudaStream_t stream);
    const unsigned char* tiles() const { return tiles_; }

  private:
    unsigned char* tiles_ = nullptr;
};

/// Up to 32 rows as they lie in the file, to a tile.
void packTile(DType type, std::size_t rows, std::size_t cols, const std::byte* raw, std::byte* tile);

}  // namespace carrel::cuda

#pragma once

#include <cuda_runtime.h>

#include <cstddef>

namespace carrel::cuda {

/// Device memory that grows; enqueued work may still use what it had.
class Scratch {
  public:
    ~Scratch() {
        if (data_ != nullptr) cudaFree(data_);
    }
    /// Null where there is not so much. The stream is asked for only where there is to be more than before.
    template <class Stream>
    void* need(std::size_t bytes, Stream& stream) {
        if (bytes <= bytes_) return data_;
        cudaStreamSynchronize(stream);
        if (data_ != nullptr) cudaFree(data_);
        data_ = nullptr;
        bytes_ = cudaMalloc(&data_, bytes) == cudaSuccess ? bytes : 0;
        return data_;
    }

  private:
    void* data_ = nullptr;
    std::size_t bytes_ = 0;
};

}  // namespace carrel::cuda

#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <span>

namespace carrel::cuda {

/// Pinned memory through which small things (and large ones a piece at a time) go to and from the device, and device
/// memory of the same size for a call's own arguments. What is put is copied before the call returns. When all is in
/// use, it waits for the stream and begins anew.
class Arguments {
  public:
    ~Arguments();
    cudaError_t open(std::size_t bytes);

    /// So that the next `bytes`, each put() rounded up to 256, come without waiting: what several of them gave holds
    /// together.
    void room(std::size_t bytes, cudaStream_t stream);
    /// A copy that enqueued kernels see, until the next put() or stage() that waits; null once something failed.
    template <class T>
    T* put(std::span<T> values, cudaStream_t stream) {
        return static_cast<T*>(putBytes(values.data(), values.size_bytes(), stream));
    }
    /// Pinned memory that the caller copies to or from; at most pieceBytes().
    void* stage(std::size_t bytes, cudaStream_t stream);
    std::size_t pieceBytes() const { return bytes_ / 2; }
    cudaError_t error() const { return error_; }

  private:
    void* putBytes(const void* from, std::size_t bytes, cudaStream_t stream);
    void keep(cudaError_t error) {
        if (error_ == cudaSuccess) error_ = error;
    }
    void close();

    unsigned char *pinned_ = nullptr, *device_ = nullptr;
    std::size_t bytes_ = 0, used_ = 0;
    cudaError_t error_ = cudaSuccess;
};

}  // namespace carrel::cuda

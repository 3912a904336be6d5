#include "compute/cuda/arguments.h"

#include <algorithm>
#include <cstring>

namespace carrel::cuda {

namespace {

constexpr std::size_t kAlign = 256;

}  // namespace

Arguments::~Arguments() {
    close();
}

void Arguments::close() {
    if (pinned_ != nullptr) cudaFreeHost(pinned_);
    if (device_ != nullptr) cudaFree(device_);
    pinned_ = device_ = nullptr;
    bytes_ = used_ = 0;
}

cudaError_t Arguments::open(std::size_t bytes) {
    close();
    void *pinned = nullptr, *device = nullptr;
    keep(cudaMallocHost(&pinned, bytes));
    if (error_ == cudaSuccess) keep(cudaMalloc(&device, bytes));
    pinned_ = static_cast<unsigned char*>(pinned);
    device_ = static_cast<unsigned char*>(device);
    if (error_ == cudaSuccess) bytes_ = bytes;
    return error_;
}

void Arguments::room(std::size_t bytes, cudaStream_t stream) {
    if (error_ != cudaSuccess || used_ + bytes <= bytes_) return;
    keep(cudaStreamSynchronize(stream));
    used_ = 0;
    if (bytes > bytes_) open(2 * std::max(bytes, bytes_));  // twice: pieceBytes() is half
}

void* Arguments::stage(std::size_t bytes, cudaStream_t stream) {
    room(bytes, stream);
    if (error_ != cudaSuccess) return nullptr;
    void* const at = pinned_ + used_;
    used_ += (bytes + kAlign - 1) / kAlign * kAlign;
    return at;
}

void* Arguments::putBytes(const void* from, std::size_t bytes, cudaStream_t stream) {
    auto* const at = static_cast<unsigned char*>(stage(bytes, stream));
    if (at == nullptr || bytes == 0) return at;
    std::memcpy(at, from, bytes);
    void* const to = device_ + (at - pinned_);
    keep(cudaMemcpyAsync(to, at, bytes, cudaMemcpyHostToDevice, stream));
    return to;
}

}  // namespace carrel::cuda

#include <algorithm>

#include "compute/cuda/klaunch.h"
#include "compute/cuda/kv_launch.h"

namespace carrel::cuda {

namespace copying {

constexpr int kThreads = 256;
constexpr std::size_t kPartBytes = std::size_t{64} << 10;

template <class T>
__device__ __forceinline__ void copyBy(const CopyPiece& piece) {
    auto* const to = static_cast<T*>(piece.to);
    const auto* const from = static_cast<const T*>(piece.from);
    const std::size_t count = piece.bytes / sizeof(T), step = std::size_t{gridDim.y} * kThreads;
    for (std::size_t i = blockIdx.y * std::size_t{kThreads} + threadIdx.x; i < count; i += step)
        to[i] = from == nullptr ? T{} : from[i];
}

// Grid (pieces, parts of a piece).
__global__ void __launch_bounds__(kThreads) copyKernel(const CopyPiece* pieces) {
    const CopyPiece piece = pieces[blockIdx.x];
    const auto all = reinterpret_cast<std::size_t>(piece.to) | reinterpret_cast<std::size_t>(piece.from) | piece.bytes;
    if (all % sizeof(uint4) == 0)
        copyBy<uint4>(piece);
    else
        copyBy<unsigned char>(piece);
}

}  // namespace copying

cudaError_t copy(const CopyPiece* pieces, std::size_t count, std::size_t mostBytes, cudaStream_t stream) {
    const dim3 grid(static_cast<unsigned>(count),
                    static_cast<unsigned>(std::clamp<std::size_t>(mostBytes / copying::kPartBytes, 1, 256)));
    return klaunch(copying::copyKernel, grid, copying::kThreads, 0, stream, pieces);
}

}  // namespace carrel::cuda

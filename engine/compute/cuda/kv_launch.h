#pragma once

#include <cuda_runtime.h>

#if defined(__CUDACC__)
#pragma nv_diag_suppress 554  // of an operator that its requires clause rules out
#endif
#include "compute/backend.h"

// launch.h for keys and values. Lists are in device memory, and what they point to is what the device sees.

namespace carrel::cuda {

// kv_codec.cu
cudaError_t encode(KvCodec codec, std::uint32_t headDim, const EncodeGroup* groups, std::size_t count,
                   cudaStream_t stream);
cudaError_t means(KvCodec codec, std::uint32_t headDim, const GroupMeans* groups, std::size_t count,
                  cudaStream_t stream);
cudaError_t unpack(KvCodec codec, std::uint32_t headDim, const UnpackLeaf* leaves, std::size_t count,
                   cudaStream_t stream);

}  // namespace carrel::cuda

#pragma once

// The one file that knows which compiler reads a kernel: nvcc, or g++ with tests/cushim before it in the include path,
// whose cuda_runtime.h then supplies what is defined here.
//   klaunch(kernel, grid, block, sharedBytes, stream, args…)   in the place of <<<>>>
//   KSHARED(T, name, n)                                        __shared__ T name[n]
//   KDYNSHARED(T, name)                                        T* name: the launch's dynamic shared memory

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <utility>

#if defined(__CUDACC__)
#define KSHARED(T, name, ...) __shared__ T name[__VA_ARGS__]
#define KDYNSHARED(T, name)                                       \
    extern __shared__ __align__(16) unsigned char carrelShared[]; \
    T* const name = reinterpret_cast<T*>(carrelShared)

template <class... P, class... A>
inline cudaError_t klaunch(void (*kernel)(P...), dim3 grid, dim3 block, std::size_t sharedBytes, cudaStream_t stream,
                           A&&... args) {
    cudaLaunchConfig_t config{};
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = sharedBytes;
    config.stream = stream;
    return cudaLaunchKernelEx(&config, kernel, static_cast<P>(std::forward<A>(args))...);
}
#endif

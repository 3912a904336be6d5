#include "compute/cuda/klaunch.h"
#include "compute/cuda/launch.h"

namespace carrel::cuda {

namespace argmax_ {

constexpr int kThreads = 512, kNone = 0x7fffffff;

struct Best {
    float value;
    int at;

    __device__ __forceinline__ void take(float other, int otherAt) {
        if (other > value || (other == value && otherAt < at)) {
            value = other;
            at = otherAt;
        }
    }
    __device__ __forceinline__ void overWarp() {
#pragma unroll
        for (int lanes = 16; lanes > 0; lanes /= 2) {
            const float other = __shfl_xor_sync(0xffffffffu, value, lanes);
            take(other, __shfl_xor_sync(0xffffffffu, at, lanes));
        }
    }
};

// Grid rows.
__global__ void __launch_bounds__(kThreads) argmaxKernel(ConstRows x, int dim, std::int32_t* out) {
    KSHARED(float, values, kThreads / 32);
    KSHARED(int, places, kThreads / 32);
    const float* const row = x.data + blockIdx.x * x.stride;
    const int lane = static_cast<int>(threadIdx.x) % 32;
    Best best{__int_as_float(static_cast<int>(0xff800000u)), kNone};
    for (int i = threadIdx.x; i < dim; i += kThreads) best.take(row[i], i);
    best.overWarp();
    if (lane == 0) {
        values[threadIdx.x / 32] = best.value;
        places[threadIdx.x / 32] = best.at;
    }
    __syncthreads();
    if (threadIdx.x >= 32) return;
    best = {values[lane % (kThreads / 32)], places[lane % (kThreads / 32)]};
    best.overWarp();
    if (lane == 0) out[blockIdx.x] = best.at == kNone ? 0 : best.at;  // none: no number is there
}

}  // namespace argmax_

cudaError_t argmax(ConstRows x, int rows, int dim, std::int32_t* out, cudaStream_t stream) {
    return klaunch(argmax_::argmaxKernel, rows, argmax_::kThreads, 0, stream, x, dim, out);
}

}  // namespace carrel::cuda

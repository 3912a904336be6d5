#include "compute/cuda/device_math.h"
#include "compute/cuda/klaunch_held.h"
#include "compute/cuda/launch.h"

// Same definitions as cpu/norm_rope.cpp.

namespace carrel::cuda {

namespace norm_rope {

constexpr int kThreads = 256;

// Grid rows. out may be x: a thread writes what it alone has read.
template <bool Add>
__global__ void __launch_bounds__(kThreads) normKernel(ConstRows x, const float* weight, float eps, Rows out, int dim) {
    const float* const from = x.data + blockIdx.x * x.stride;
    float* const to = out.data + blockIdx.x * out.stride;
    float squares = 0;
    for (int i = threadIdx.x; i < dim; i += kThreads) squares = fmaf(from[i], from[i], squares);
    const float scale = 1.0f / sqrtf(blockSum<kThreads / 32>(squares) / static_cast<float>(dim) + eps);
    for (int i = threadIdx.x; i < dim; i += kThreads) {
        const float normed = from[i] * scale * weight[i];
        to[i] = Add ? to[i] + normed : normed;
    }
}

// Grid rows; a thread turns pairs of any head.
template <bool Neox>
__global__ void __launch_bounds__(kThreads) ropeKernel(Rows x, const float* table, int heads, int half) {
    float* const row = x.data + blockIdx.x * x.stride;
    const float *const cosine = table + static_cast<std::size_t>(blockIdx.x) * 2 * half, *const sine = cosine + half;
    for (int i = threadIdx.x; i < heads * half; i += kThreads) {
        const int j = i % half;
        float* const head = row + i / half * 2 * half;
        float *const first = head + (Neox ? j : 2 * j), *const second = Neox ? first + half : first + 1;
        const float a = *first, b = *second;
        *first = a * cosine[j] - b * sine[j];
        *second = a * sine[j] + b * cosine[j];
    }
}

// Grid rows.
__global__ void __launch_bounds__(kThreads) storeF16Kernel(ConstRows x, std::uint16_t* const* to, int dim) {
    const float* const from = x.data + blockIdx.x * x.stride;
    std::uint16_t* const row = to[blockIdx.x];
    for (int i = threadIdx.x; i < dim; i += kThreads) row[i] = __half_as_ushort(__float2half_rn(from[i]));
}

template <Gate Kind>
__device__ __forceinline__ float gated(float x) {
    if (Kind == Gate::Silu) return x / (1.0f + expFast(-x));
    constexpr float kMinusTwice = -1.5957691216057308f, kCube = 0.044715f;  // -2 sqrt(2 / pi)
    return x / (1.0f + expFast(kMinusTwice * x * fmaf(kCube * x, x, 1.0f)));
}

// Grid (parts of a row, rows).
template <Gate Kind>
__global__ void __launch_bounds__(kThreads) gateKernel(Rows gate, ConstRows up, int dim) {
    const int i = blockIdx.x * kThreads + threadIdx.x;
    if (i >= dim) return;
    float& at = gate.data[blockIdx.y * gate.stride + i];
    at = gated<Kind>(at) * up.data[blockIdx.y * up.stride + i];
}

}  // namespace norm_rope

using namespace norm_rope;

cudaError_t rmsNorm(ConstRows x, const float* weight, float eps, Rows out, int rows, int dim, bool add,
                    LaunchList& to) {
    return klaunch(add ? normKernel<true> : normKernel<false>, rows, kThreads, 0, to, x, weight, eps, out, dim);
}

cudaError_t rope(Rows x, const float* table, int rows, int heads, int half, bool neox, LaunchList& to) {
    return klaunch(neox ? ropeKernel<true> : ropeKernel<false>, rows, kThreads, 0, to, x, table, heads, half);
}

cudaError_t storeF16(ConstRows x, std::uint16_t* const* to, int rows, int dim, cudaStream_t stream) {
    return klaunch(storeF16Kernel, rows, kThreads, 0, stream, x, to, dim);
}

cudaError_t gate(Gate kind, Rows gate, ConstRows up, int rows, int dim, LaunchList& to) {
    const dim3 grid((dim + kThreads - 1) / kThreads, rows);
    return klaunch(kind == Gate::Silu ? gateKernel<Gate::Silu> : gateKernel<Gate::Gelu>, grid, kThreads, 0, to, gate,
                   up, dim);
}

}  // namespace carrel::cuda

#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "tensor/quant.h"

// What the .cu files offer to the backend: plain pointers that the device sees, sizes that fit 31 bits where they are
// int, and a stream; or a list, of what may recur with the same arguments.

namespace carrel::cuda {

class LaunchList;

/// Rows of floats, `stride` elements apart.
struct Rows {
    float* data;
    std::size_t stride;
};
struct ConstRows {
    const float* data;
    std::size_t stride;
};

// norm_rope.cu
cudaError_t rmsNorm(ConstRows x, const float* weight, float eps, Rows out, int rows, int dim, bool add, LaunchList& to);
/// table [rows][2][half]: cosines, sines.
cudaError_t rope(Rows x, const float* table, int rows, int heads, int half, bool neox, LaunchList& to);
cudaError_t storeF16(ConstRows x, std::uint16_t* const* to, int rows, int dim, cudaStream_t stream);
enum class Gate : std::uint8_t { Silu, Gelu };
cudaError_t gate(Gate kind, Rows gate, ConstRows up, int rows, int dim, LaunchList& to);

// argmax.cu
cudaError_t argmax(ConstRows x, int rows, int dim, std::int32_t* out, cudaStream_t stream);

// matmul.cu
/// Rows of x in 8 bits per 32 columns: x = scale * q. Rows of the same columns lie side by side.
///   q [cols/32][rows][32]   factors [cols/32][rows]
struct QuantizedRows {
    struct alignas(16) Factors {
        float scale;
        int sums[2];  // of the first 16 q and of the others
        int unused;
    };
    std::int8_t* q;
    Factors* factors;
};
cudaError_t quantize(ConstRows x, QuantizedRows out, int rows, int cols, LaunchList& to);
/// tiles as in weight_layout.h, of `type`; bias may be null. x is read of float types, q of the others.
struct Product {
    const unsigned char* tiles;
    ConstRows x;
    QuantizedRows q;
    const float* bias;
    Rows out;
    int n, rows, cols;
    int accumulate;  // 0 or 1; not bool, which would leave bytes without a value: LaunchList compares them
};
cudaError_t matmul(DType type, const Product& product, LaunchList& to);

// embed.cu
struct Lookup {
    DType type;
    const unsigned char* tiles;
    const std::int32_t* ids;
    Rows out;
    int n, cols;
    float scale;
};
cudaError_t embed(const Lookup& lookup, cudaStream_t stream);

}  // namespace carrel::cuda

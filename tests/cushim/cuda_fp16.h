#pragma once

// Stand-in for CUDA's half: _Float16 gives the same bits for every value that is a number.

#include <cuda_runtime.h>

struct __half {
    _Float16 v;
};
struct alignas(4) __half2 {
    __half x, y;
};
inline float __half2float(__half h) {
    return static_cast<float>(h.v);
}
inline __half __float2half_rn(float f) {
    return {static_cast<_Float16>(f)};
}
inline unsigned short __half_as_ushort(__half h) {
    return static_cast<unsigned short>(cushim::bits(h));
}
inline __half __ushort_as_half(unsigned short u) {
    return cushim::unbits<__half>(u);
}

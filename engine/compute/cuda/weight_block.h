#pragma once

#include "compute/cuda/device_math.h"
#include "compute/cuda/weight_layout.h"

namespace carrel::cuda {

/// One row's 32 columns: value = scale[half] * (quant - kOffset) + min[half], quants a signed byte each.
template <DType Type>
struct Block {
    static constexpr unsigned kBits = quantBits(Type);
    static constexpr bool kIq4 = isIq4(Type);
    static constexpr int kOffset = Type == DType::Q6_K   ? 32
                                   : Type == DType::Q5_0 ? 16
                                   : Type == DType::Q4_0 ? 8
                                   : Type == DType::Q3_K ? 4
                                                         : 0;
    static constexpr bool kMinimum = hasMinBits(Type) || Type == DType::Q4_1 || Type == DType::Q5_1;
    static constexpr bool kHalves = Type == DType::Q2_K || Type == DType::Q3_K || Type == DType::Q6_K;

    int quants[8];  // of step s: columns 4s to 4s + 3
    float scale[2], min[2];

    __device__ __forceinline__ void load(const unsigned char* tile, unsigned block, unsigned lane) {
        constexpr std::size_t kUnitBytes = unitBytes(Type), kFactors = factorBytes(Type) * kTileRows;
        constexpr unsigned kUnitBlocks = unitBlocks(Type);
        const unsigned char* const unit = tile + block / kUnitBlocks * kUnitBytes;
        loadQuants(unit + kFactors + block % kUnitBlocks * quantBytes(Type), lane);
        loadFactors(unit, block % kUnitBlocks, lane);
    }

  private:
    template <class T>
    __device__ static __forceinline__ T at(const unsigned char* plane, unsigned lane) {
        return reinterpret_cast<const T*>(plane)[lane];
    }
    __device__ static __forceinline__ unsigned byteOf(const uint4& v, unsigned i) {
        const unsigned word = i < 8 ? (i < 4 ? v.x : v.y) : (i < 12 ? v.z : v.w);
        return word >> 8 * (i % 4) & 255;
    }
    // kIq4Values less their offset.
    __device__ static __forceinline__ unsigned iq4(unsigned nibble) {
        constexpr unsigned long long kLow = 0xf6eaddcfbfad9881ull, kHigh = 0x7159453526190d01ull;
        return static_cast<unsigned>((nibble < 8 ? kLow : kHigh) >> 8 * (nibble % 8)) & 255;
    }
    __device__ static __forceinline__ unsigned iq4Bytes(unsigned nibbles) {
        unsigned out = 0;
#pragma unroll
        for (int i = 0; i < 4; ++i) out |= iq4(nibbles >> 8 * i & 15) << 8 * i;
        return out;
    }

    __device__ __forceinline__ void loadQuants(const unsigned char* at0, unsigned lane) {
        if constexpr (kBits == 8) {
            const uint4 low = at<uint4>(at0, lane), high = at<uint4>(at0 + 512, lane);
            const unsigned words[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
            for (int s = 0; s < 8; ++s) quants[s] = static_cast<int>(words[s]);
            return;
        }
        unsigned out[8] = {};
        if constexpr (kBits >= 4) {
            const uint4 v = at<uint4>(at0, lane);
            const unsigned words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
            for (int s = 0; s < 4; ++s) {
                out[s] = words[s] & 0x0f0f0f0fu;
                out[s + 4] = words[s] >> 4 & 0x0f0f0f0fu;
            }
            at0 += 512;
        }
        if constexpr (kBits == 6 || kBits <= 3) {
            constexpr int kShift = kBits == 6 ? 4 : 0;
            const uint2 v = at<uint2>(at0, lane);
#pragma unroll
            for (int s = 0; s < 8; ++s) out[s] |= ((s < 4 ? v.x : v.y) >> 2 * (s % 4) & 0x03030303u) << kShift;
            at0 += 256;
        }
        if constexpr (kBits == 5 || kBits == 3) {
            constexpr int kShift = kBits == 5 ? 4 : 2;
            const unsigned v = at<unsigned>(at0, lane);
#pragma unroll
            for (int s = 0; s < 8; ++s) out[s] |= (v >> s & 0x01010101u) << kShift;
        }
#pragma unroll
        for (int s = 0; s < 8; ++s) quants[s] = static_cast<int>(kIq4 ? iq4Bytes(out[s]) : out[s]);
    }

    __device__ __forceinline__ void both(float s, float m) {
        scale[0] = scale[1] = s;
        min[0] = min[1] = m;
    }
    __device__ __forceinline__ void loadFactors(const unsigned char* unit, unsigned j, unsigned lane) {
        if constexpr (Type == DType::Q4_K || Type == DType::Q5_K) {
            const uint4 v = at<uint4>(unit, lane);
            const unsigned low = byteOf(v, 4 + j % 4), high = byteOf(v, 8 + j % 4), rest = byteOf(v, 12 + j % 4);
            const unsigned s = j < 4 ? low & 63 : (rest & 15) | low >> 6 << 4;
            const unsigned m = j < 4 ? high & 63 : rest >> 4 | high >> 6 << 4;
            both(halfToFloat(v.x & 0xffff) * static_cast<float>(s), -(halfToFloat(v.x >> 16) * static_cast<float>(m)));
        } else if constexpr (Type == DType::Q6_K) {
            const uint4 v = at<uint4>(unit, lane);
            const float d = halfToFloat(at<unsigned short>(unit + 16 * kTileRows, lane));
#pragma unroll
            for (int half = 0; half < 2; ++half)
                scale[half] = d * static_cast<float>(static_cast<signed char>(byteOf(v, 2 * j + half)));
        } else if constexpr (Type == DType::Q2_K) {
            const uint4 v = at<uint4>(unit, lane);
            const unsigned d = at<unsigned>(unit + 16 * kTileRows, lane);
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const unsigned bits = byteOf(v, 2 * j + half);
                scale[half] = halfToFloat(d & 0xffff) * static_cast<float>(bits & 15);
                min[half] = -(halfToFloat(d >> 16) * static_cast<float>(bits >> 4));
            }
        } else if constexpr (Type == DType::Q3_K) {
            const uint4 v{at<unsigned>(unit, lane), at<unsigned>(unit + 4 * kTileRows, lane),
                          at<unsigned>(unit + 8 * kTileRows, lane), 0};
            const float d = halfToFloat(at<unsigned short>(unit + 12 * kTileRows, lane));
#pragma unroll
            for (unsigned half = 0; half < 2; ++half) {
                const unsigned k = 2 * j + half;
                const unsigned bits = (byteOf(v, k % 8) >> 4 * (k / 8) & 15) | (byteOf(v, 8 + k % 4) >> 2 * (k / 4) & 3)
                                                                                   << 4;
                scale[half] = d * static_cast<float>(static_cast<int>(bits) - 32);
            }
        } else if constexpr (Type == DType::IQ4_XS) {
            const uint2 v = at<uint2>(unit, lane);
            const unsigned bits = (v.y >> 4 * j & 15) | (v.x >> (16 + 2 * j) & 3) << 4;
            both(halfToFloat(v.x & 0xffff) * static_cast<float>(static_cast<int>(bits) - 32), 0);
        } else if constexpr (kMinimum) {
            const unsigned v = at<unsigned>(unit, lane);
            both(halfToFloat(v & 0xffff), halfToFloat(v >> 16));
        } else {
            both(halfToFloat(at<unsigned short>(unit, lane)), 0);
        }
    }
};

/// The same of a float type: 32 values.
template <DType Type>
struct FloatBlock {
    float value[32];

    __device__ __forceinline__ void load(const unsigned char* tile, unsigned block, unsigned lane) {
        const unsigned char* const from = tile + block * quantBytes(Type);
        constexpr int kEach = Type == DType::F32 ? 4 : 8;
#pragma unroll
        for (int i = 0; i < 32 / kEach; ++i) {
            const uint4 v = reinterpret_cast<const uint4*>(from)[i * kTileRows + lane];
            const unsigned words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
            for (int w = 0; w < 4; ++w) {
                if constexpr (Type == DType::F32) {
                    value[4 * i + w] = __uint_as_float(words[w]);
                } else if constexpr (Type == DType::F16) {
                    value[8 * i + 2 * w] = halfToFloat(words[w] & 0xffff);
                    value[8 * i + 2 * w + 1] = halfToFloat(words[w] >> 16);
                } else {
                    value[8 * i + 2 * w] = __uint_as_float(words[w] << 16);
                    value[8 * i + 2 * w + 1] = __uint_as_float(words[w] & 0xffff0000u);
                }
            }
        }
    }
};

/// Calls with the type as a constant.
template <class Call>
cudaError_t forType(DType type, const Call& call) {
    switch (type) {
#define CARREL_CASE(T) \
    case DType::T:     \
        return call(std::integral_constant<DType, DType::T>{});
        CARREL_CASE(F32)
        CARREL_CASE(F16)
        CARREL_CASE(BF16)
        CARREL_CASE(Q8_0)
        CARREL_CASE(Q4_0)
        CARREL_CASE(Q4_1)
        CARREL_CASE(Q5_0)
        CARREL_CASE(Q5_1)
        CARREL_CASE(Q2_K)
        CARREL_CASE(Q3_K)
        CARREL_CASE(Q4_K)
        CARREL_CASE(Q5_K)
        CARREL_CASE(Q6_K)
        CARREL_CASE(IQ4_NL)
        CARREL_CASE(IQ4_XS)
#undef CARREL_CASE
    }
    return cudaErrorInvalidValue;
}

}  // namespace carrel::cuda

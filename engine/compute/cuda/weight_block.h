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

    static constexpr unsigned kWords = kBits + (factorBytes(Type) + 3) / 4;

    int quants[8];  // of step s: columns 4s to 4s + 3
    float scale[2], min[2];

    __device__ __forceinline__ void load(const unsigned char* tile, unsigned block, unsigned lane) {
        unsigned words[kWords];
        fetch(tile, block, lane, words);
        unpack(words, block);
    }
    /// load() in two, for those who have something to do while words [kWords] are on their way.
    __device__ static __forceinline__ void fetch(const unsigned char* tile, unsigned block, unsigned lane,
                                                 unsigned* words) {
        constexpr unsigned kUnitBlocks = unitBlocks(Type), kFactors = factorBytes(Type) * kTileRows;
        const unsigned char* const unit = tile + block / kUnitBlocks * unitBytes(Type);
        fetchQuants(unit + kFactors + block % kUnitBlocks * quantBytes(Type), lane, words);
        fetchFactors(unit, lane, words + kBits);
    }
    __device__ __forceinline__ void unpack(const unsigned* words, unsigned block) {
        unpackQuants(words);
        unpackFactors(words + kBits, block % unitBlocks(Type));
    }

  private:
    template <class T>
    __device__ static __forceinline__ T at(const unsigned char* plane, unsigned lane) {
        return reinterpret_cast<const T*>(plane)[lane];
    }
    __device__ static __forceinline__ void fetch4(const unsigned char* plane, unsigned lane, unsigned* words) {
        const uint4 v = at<uint4>(plane, lane);
        words[0] = v.x, words[1] = v.y, words[2] = v.z, words[3] = v.w;
    }
    __device__ static __forceinline__ void fetch2(const unsigned char* plane, unsigned lane, unsigned* words) {
        const uint2 v = at<uint2>(plane, lane);
        words[0] = v.x, words[1] = v.y;
    }
    __device__ static __forceinline__ unsigned byteOf(const unsigned* words, unsigned i) {
        const unsigned word = i < 8 ? (i < 4 ? words[0] : words[1]) : (i < 12 ? words[2] : words[3]);
        return word >> 8 * (i % 4) & 255;
    }
    // kIq4Values less their offset, of a nibble in each byte.
    __device__ static __forceinline__ unsigned iq4Bytes(unsigned nibbles) {
        unsigned picks = (nibbles | nibbles >> 4) & 0x00ff00ffu;
        picks |= picks >> 8;
        const unsigned low = __byte_perm(0xbfad9881u, 0xf6eaddcfu, picks & 0x7777u);
        const unsigned high = __byte_perm(0x26190d01u, 0x71594535u, picks & 0x7777u);
        return __byte_perm(low, high, 0x3210u | (picks & 0x8888u) >> 1);
    }

    // Planes of so many bits; the words of a plane of pairs follow those of nibbles, and singles are last.
    static constexpr bool kNibbles = kBits >= 4 && kBits != 8, kPairs = kBits == 6 || kBits <= 3,
                          kSingles = kBits == 5 || kBits == 3;
    static constexpr unsigned kPairsAt = kNibbles ? 4 : 0;

    __device__ static __forceinline__ void fetchQuants(const unsigned char* from, unsigned lane, unsigned* words) {
        if constexpr (kBits == 8) {
            fetch4(from, lane, words);
            fetch4(from + 512, lane, words + 4);
        }
        if constexpr (kNibbles) fetch4(from, lane, words);
        if constexpr (kPairs) fetch2(from + kPairsAt * 128, lane, words + kPairsAt);
        if constexpr (kSingles) words[kBits - 1] = at<unsigned>(from + (kBits - 1) * 128, lane);
    }
    __device__ __forceinline__ void unpackQuants(const unsigned* words) {
#pragma unroll
        for (int s = 0; s < 8; ++s) {
            unsigned out = kBits == 8 ? words[s] : 0;
            if constexpr (kNibbles) out = words[s % 4] >> (s < 4 ? 0 : 4) & 0x0f0f0f0fu;
            if constexpr (kPairs) {
                constexpr int kShift = kNibbles ? 4 : 0;
                out |= (words[kPairsAt + s / 4] >> 2 * (s % 4) & 0x03030303u) << kShift;
            }
            if constexpr (kSingles) {
                constexpr int kShift = kNibbles ? 4 : 2;
                out |= (words[kBits - 1] >> s & 0x01010101u) << kShift;
            }
            quants[s] = static_cast<int>(kIq4 ? iq4Bytes(out) : out);
        }
    }

    __device__ static __forceinline__ void fetchFactors(const unsigned char* unit, unsigned lane, unsigned* words) {
        if constexpr (Type == DType::Q4_K || Type == DType::Q5_K) {
            fetch4(unit, lane, words);
        } else if constexpr (Type == DType::Q6_K) {
            fetch4(unit, lane, words);
            words[4] = at<unsigned short>(unit + 16 * kTileRows, lane);
        } else if constexpr (Type == DType::Q2_K) {
            fetch4(unit, lane, words);
            words[4] = at<unsigned>(unit + 16 * kTileRows, lane);
        } else if constexpr (Type == DType::Q3_K) {
#pragma unroll
            for (int i = 0; i < 3; ++i) words[i] = at<unsigned>(unit + 4 * i * kTileRows, lane);
            words[3] = at<unsigned short>(unit + 12 * kTileRows, lane);
        } else if constexpr (Type == DType::IQ4_XS) {
            fetch2(unit, lane, words);
        } else if constexpr (kMinimum) {
            words[0] = at<unsigned>(unit, lane);
        } else {
            words[0] = at<unsigned short>(unit, lane);
        }
    }
    __device__ __forceinline__ void both(float s, float m) {
        scale[0] = scale[1] = s;
        min[0] = min[1] = m;
    }
    __device__ __forceinline__ void unpackFactors(const unsigned* words, unsigned j) {
        if constexpr (Type == DType::Q4_K || Type == DType::Q5_K) {
            const unsigned low = byteOf(words, 4 + j % 4), high = byteOf(words, 8 + j % 4),
                           rest = byteOf(words, 12 + j % 4);
            const unsigned s = j < 4 ? low & 63 : (rest & 15) | low >> 6 << 4;
            const unsigned m = j < 4 ? high & 63 : rest >> 4 | high >> 6 << 4;
            both(halfToFloat(words[0] & 0xffff) * static_cast<float>(s),
                 -(halfToFloat(words[0] >> 16) * static_cast<float>(m)));
        } else if constexpr (Type == DType::Q6_K) {
            const float d = halfToFloat(words[4]);
#pragma unroll
            for (int half = 0; half < 2; ++half)
                scale[half] = d * static_cast<float>(static_cast<signed char>(byteOf(words, 2 * j + half)));
        } else if constexpr (Type == DType::Q2_K) {
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const unsigned bits = byteOf(words, 2 * j + half);
                scale[half] = halfToFloat(words[4] & 0xffff) * static_cast<float>(bits & 15);
                min[half] = -(halfToFloat(words[4] >> 16) * static_cast<float>(bits >> 4));
            }
        } else if constexpr (Type == DType::Q3_K) {
            const float d = halfToFloat(words[3]);
#pragma unroll
            for (unsigned half = 0; half < 2; ++half) {
                const unsigned k = 2 * j + half;
                const unsigned bits =
                    (byteOf(words, k % 8) >> 4 * (k / 8) & 15) | (byteOf(words, 8 + k % 4) >> 2 * (k / 4) & 3) << 4;
                scale[half] = d * static_cast<float>(static_cast<int>(bits) - 32);
            }
        } else if constexpr (Type == DType::IQ4_XS) {
            const unsigned bits = (words[1] >> 4 * j & 15) | (words[0] >> (16 + 2 * j) & 3) << 4;
            both(halfToFloat(words[0] & 0xffff) * static_cast<float>(static_cast<int>(bits) - 32), 0);
        } else if constexpr (kMinimum) {
            both(halfToFloat(words[0] & 0xffff), halfToFloat(words[0] >> 16));
        } else {
            both(halfToFloat(words[0]), 0);
        }
    }
};

/// The same of a float type: 32 values, which lie in pieces of 16 bytes.
template <DType Type>
struct FloatBlock {
    static constexpr int kEach = Type == DType::F32 ? 4 : 8;

    float value[32];

    __device__ __forceinline__ void load(const unsigned char* tile, unsigned block, unsigned lane) {
#pragma unroll
        for (int i = 0; i < 32 / kEach; ++i) unpack(piece(tile, block, i, lane), value + i * kEach);
    }
    __device__ static __forceinline__ uint4 piece(const unsigned char* tile, unsigned block, int i, unsigned lane) {
        return reinterpret_cast<const uint4*>(tile + block * quantBytes(Type))[i * kTileRows + lane];
    }
    __device__ static __forceinline__ void unpack(const uint4& piece, float* to) {
        const unsigned words[4] = {piece.x, piece.y, piece.z, piece.w};
#pragma unroll
        for (int w = 0; w < 4; ++w) {
            if constexpr (Type == DType::F32) {
                to[w] = __uint_as_float(words[w]);
            } else if constexpr (Type == DType::F16) {
                to[2 * w] = halfToFloat(words[w] & 0xffff);
                to[2 * w + 1] = halfToFloat(words[w] >> 16);
            } else {
                to[2 * w] = __uint_as_float(words[w] << 16);
                to[2 * w + 1] = __uint_as_float(words[w] & 0xffff0000u);
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

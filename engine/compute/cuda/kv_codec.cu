#include "compute/cuda/device_math.h"
#include "compute/cuda/kv_launch.h"

// Same definitions as cpu/kv_codec.{h,cpp}, and the same bytes.

namespace carrel::cuda {

namespace kv_codec {

constexpr int kThreads = 256, kLeafThreads = 128, kTokens = kGroupTokens;
constexpr unsigned kLow = 0x0f0f0f0fu, kTwo = 0x03030303u;

__device__ __forceinline__ unsigned finite(unsigned h) {
    const unsigned size = h & 0x7fffu;
    return size > 0x7c00u ? 0u : size == 0x7c00u ? h - 1 : h;
}
/// A finite f16's bits as an integer in the order of values, and back.
__device__ __forceinline__ int ordered(unsigned h) {
    return (h & 0x8000u) != 0 ? static_cast<int>(h ^ 0x7fffu) - 0x10000 : static_cast<int>(h);
}
__device__ __forceinline__ unsigned disordered(int order) {
    return order < 0 ? static_cast<unsigned>(order + 0x10000) ^ 0x7fffu : static_cast<unsigned>(order);
}
__device__ inline unsigned stepOver(double range, int levels) {
    const double exact = range / levels * 16777216.0;  // in the smallest f16
    auto units = static_cast<unsigned long long>(exact);
    if (static_cast<double>(units) < exact) ++units;
    int shift = 0;
    while (units >> shift >= 2048) ++shift;
    const unsigned long long mantissa = (units + (1ull << shift) - 1) >> shift;
    return static_cast<unsigned>((static_cast<unsigned long long>(shift) << 10) + mantissa) & 0xffffu;
}
__device__ __forceinline__ float divisor(unsigned step) {
    return step == 0 ? 1.0f : halfToFloat(step);
}
__device__ __forceinline__ unsigned nearest(float x) {
    return static_cast<unsigned>(__float_as_int(x + 12582912.0f));  // 1.5 * 2^23
}
__device__ __forceinline__ void putHalf(std::byte* to, unsigned h) {
    *reinterpret_cast<std::uint16_t*>(to) = static_cast<std::uint16_t>(h);
}
__device__ __forceinline__ unsigned getHalf(const std::byte* from) {
    return *reinterpret_cast<const std::uint16_t*>(from);
}
__device__ __forceinline__ unsigned getByte(const std::byte* from) {
    return *reinterpret_cast<const unsigned char*>(from);
}
__device__ __forceinline__ unsigned getWord(const std::byte* from) {
    return *reinterpret_cast<const unsigned*>(from);
}
/// Eight f16.
struct Halves {
    unsigned words[4];
    __device__ __forceinline__ explicit Halves(const std::uint16_t* from) {
        const uint4 all = __ldg(reinterpret_cast<const uint4*>(from));
        words[0] = all.x, words[1] = all.y, words[2] = all.z, words[3] = all.w;
    }
    __device__ __forceinline__ unsigned at(int i) const { return finite(words[i / 2] >> 16 * (i % 2) & 0xffffu); }
};

__device__ __forceinline__ unsigned blockStep(unsigned packed) {
    return packed >> 1 & 0x7fc0u;
}
__device__ __forceinline__ float blockLeast(unsigned packed) {
    const int halves = static_cast<int>((packed & 127u) ^ 64u) - 64;
    return halfToFloat(blockStep(packed)) * (0.5f * static_cast<float>(halves));
}
__device__ inline unsigned packedGrid(float least, float most) {
    const double range = static_cast<double>(most) - static_cast<double>(least);
    const double middle = (static_cast<double>(most) + static_cast<double>(least)) / 2;
    const double byRange = range / 15.5, byMiddle = (middle < 0 ? -middle : middle) / 24;
    const unsigned step = (stepOver(byRange < byMiddle ? byMiddle : byRange, 1) + 63u) & 0x7fc0u;
    if (step == 0) return 0;
    const float per = halfToFloat(step), lowest = -2 * 65504.0f / per;
    int halves = static_cast<signed char>(nearest((least + most) / per - 15.0f) & 255u);
    if (static_cast<float>(halves) < lowest) halves = static_cast<int>(lowest);
    return step << 1 | (static_cast<unsigned>(halves) & 127u);
}

// A group's codes in shared memory before they are packed: rows of d, 16 bytes apart so that banks differ.
struct Codes {
    unsigned char* at;
    int d;
    __device__ __forceinline__ int stride() const { return d + 16; }
    __device__ __forceinline__ void put(int token, int channel, unsigned first, unsigned second) const {
        *reinterpret_cast<uint2*>(at + token * stride() + channel) = make_uint2(first, second);
    }
    __device__ __forceinline__ unsigned word(int token, int channel) const {
        return *reinterpret_cast<const unsigned*>(at + token * stride() + channel);
    }
    /// Bits shift and shift + 1 of every code to planes [leaves][d/16][16][4].
    template <int shift>
    __device__ __forceinline__ void storePlane(std::byte* to, int leafBytes) const {
        for (int i = threadIdx.x; i < kTokens * d / 16; i += kThreads) {
            const int token = i % kTokens, block = i / kTokens;
            unsigned word = 0;
#pragma unroll
            for (int s = 0; s < 4; ++s) word |= (this->word(token, 16 * block + 4 * s) >> shift & kTwo) << 2 * s;
            *reinterpret_cast<unsigned*>(to + token / 16 * leafBytes + 64 * block + token % 16 * 4) = word;
        }
    }
    /// The low four bits to rows [leaves][16][d/2].
    __device__ __forceinline__ void storeLow(std::byte* to, int leafBytes) const {
        for (int i = threadIdx.x; i < kTokens * d / 16; i += kThreads) {
            const int token = i / (d / 16), c = i % (d / 16) * 8;
            unsigned both[2];
#pragma unroll
            for (int s = 0; s < 2; ++s)
                both[s] = (word(token, c + 4 * s) & kLow) | (word(token, c + d / 2 + 4 * s) & kLow) << 4;
            *reinterpret_cast<uint2*>(to + token / 16 * leafBytes + token % 16 * (d / 2) + c) =
                make_uint2(both[0], both[1]);
        }
    }
};

/// codes[token][channel] = code(f16, token, channel), of 8 channels a thread.
template <class Code>
__device__ __forceinline__ void makeCodes(const std::uint16_t* from, const Codes& codes, const Code& code) {
    const int d = codes.d;
    for (int i = threadIdx.x; i < kTokens * d / 8; i += kThreads) {
        const int token = i / (d / 8), c = i % (d / 8) * 8;
        const Halves halves(from + token * d + c);
        unsigned words[2] = {0, 0};
#pragma unroll
        for (int j = 0; j < 8; ++j)
            words[j / 4] |= (code(halfToFloat(halves.at(j)), token, c + j) & 255u) << 8 * (j % 4);
        codes.put(token, c, words[0], words[1]);
    }
}

__device__ __forceinline__ void encodeKeys(const EncodeGroup& group, const Codes& codes, float* zero, float* per) {
    const int d = codes.d;
    std::byte* const grid = group.codes + 16 * d;
    for (int c = threadIdx.x; c < d; c += kThreads) {
        int least = 0x7fff, most = -0x8000;
        for (int t = 0; t < kTokens; ++t) {
            const int k = ordered(finite(group.keys[t * d + c]));
            least = min(least, k);
            most = max(most, k);
        }
        const unsigned low = disordered(least), high = disordered(most);
        const unsigned step =
            stepOver(static_cast<double>(halfToFloat(high)) - static_cast<double>(halfToFloat(low)), 255);
        putHalf(grid + 2 * c, low);
        putHalf(grid + 2 * (d + c), step);
        zero[c] = halfToFloat(low);
        per[c] = divisor(step);
    }
    __syncthreads();
    makeCodes(group.keys, codes, [&](float x, int, int c) { return nearest((x - zero[c]) / per[c]); });
    __syncthreads();
    codes.storePlane<6>(group.codes, 4 * d);
    codes.storePlane<4>(group.payload, 12 * d);
    codes.storeLow(group.payload + 4 * d, 12 * d);
}

template <KvCodec codec>
__device__ __forceinline__ void encodeValues(const EncodeGroup& group, const Codes& codes, float* zero, float* per) {
    const int d = codes.d, blocks = static_cast<int>(valueBlocks(d));
    std::byte* const values = group.payload + kGroupLeaves * lowLeafBytes(d);
    std::byte* const grid = values + kGroupLeaves * valueLeafBytes(codec, d);
    if constexpr (codec == KvCodec::K8V4) {
        for (int i = threadIdx.x; i < kTokens * blocks; i += kThreads) {
            const int first = i % blocks * 32, end = min(d, first + 32);
            const std::uint16_t* const from = group.values + i / blocks * d;
            int least = 0x7fff, most = -0x8000;
            for (int c = first; c < end; c += 8) {
                const Halves halves(from + c);
#pragma unroll
                for (int j = 0; j < 8; ++j) {
                    const int v = ordered(halves.at(j));
                    least = min(least, v);
                    most = max(most, v);
                }
            }
            const unsigned packed = packedGrid(halfToFloat(disordered(least)), halfToFloat(disordered(most)));
            putHalf(grid + 2 * i, packed);
            zero[i] = blockLeast(packed);
            per[i] = divisor(blockStep(packed));
        }
        __syncthreads();
        makeCodes(group.values, codes, [&](float x, int t, int c) {
            const int at = t * blocks + c / 32;
            const float steps = (x - zero[at]) / per[at];
            const float above = steps < 0.0f ? 0.0f : steps;
            return nearest(above > 15.0f ? 15.0f : above);
        });
        __syncthreads();
        codes.storeLow(values, 8 * d);
    } else {
        constexpr int kParts = kThreads / kTokens;
        KSHARED(unsigned, greatest, kThreads);
        const int token = threadIdx.x / kParts;
        unsigned most = 0;
        for (int c = threadIdx.x % kParts * 8; c < d; c += kParts * 8) {
            const Halves halves(group.values + token * d + c);
#pragma unroll
            for (int j = 0; j < 8; ++j) most = max(most, halves.at(j) & 0x7fffu);
        }
        greatest[threadIdx.x] = most;
        __syncthreads();
        if (threadIdx.x < kTokens) {
            most = 0;
            for (int i = 0; i < kParts; ++i) most = max(most, greatest[threadIdx.x * kParts + i]);
            const unsigned step = stepOver(static_cast<double>(halfToFloat(most)), codec == KvCodec::K8V8 ? 127 : 31);
            putHalf(grid + 2 * threadIdx.x, step);
            per[threadIdx.x] = divisor(step);
        }
        __syncthreads();
        makeCodes(group.values, codes,
                  [&](float x, int t, int) { return nearest(x / per[t]) + (codec == KvCodec::K8V6 ? 32u : 0u); });
        __syncthreads();
        if constexpr (codec == KvCodec::K8V6) {
            codes.storePlane<4>(values, 12 * d);
            codes.storeLow(values + 4 * d, 12 * d);
        } else {
            for (int i = threadIdx.x; i < kTokens * d / 16; i += kThreads) {
                const int t = i / (d / 16), c = i % (d / 16) * 16;
                *reinterpret_cast<uint4*>(values + t * d + c) =
                    *reinterpret_cast<const uint4*>(codes.at + t * codes.stride() + c);
            }
        }
    }
}

constexpr int floatsOf(int d) {
    const int blocks = kTokens * static_cast<int>(valueBlocks(d));  // max() is no constant to nvcc
    return d > blocks ? d : blocks;
}
// Grid (groups, keys and values).
template <KvCodec codec>
__global__ void __launch_bounds__(kThreads) encodeKernel(const EncodeGroup* groups, int d) {
    KDYNSHARED(unsigned char, shared);
    const Codes codes{shared, d};
    auto* const zero = reinterpret_cast<float*>(shared + kTokens * codes.stride());
    const EncodeGroup group = groups[blockIdx.x];
    if (blockIdx.y == 0)
        encodeKeys(group, codes, zero, zero + floatsOf(d));
    else
        encodeValues<codec>(group, codes, zero, zero + floatsOf(d));
}

/// Bits 2s and 2s + 1 of byte j of a plane's word, s = channel % 16 / 4, j = channel % 4.
__device__ __forceinline__ unsigned planeBits(const std::byte* plane, int token, int c) {
    return getByte(plane + 64 * (c / 16) + 4 * token + c % 4) >> 2 * (c % 16 / 4) & 3u;
}
__device__ __forceinline__ unsigned nibble(const std::byte* rows, int d, int token, int c) {
    const std::byte* const row = rows + token * (d / 2);
    return c < d / 2 ? getByte(row + c) & 15u : getByte(row + c - d / 2) >> 4;
}
template <KvCodec codec>
__device__ __forceinline__ float meanValue(const UnpackLeaf& leaf, int d, int c) {
    float mean = 0;
    for (int t = 0; t < static_cast<int>(kLeafTokens); ++t) {
        if constexpr (codec == KvCodec::K8V4) {
            const unsigned packed = getHalf(leaf.grid + 2 * (t * static_cast<int>(valueBlocks(d)) + c / 32));
            const float code = static_cast<float>(nibble(leaf.values, d, t, c));
            mean += blockLeast(packed) + halfToFloat(blockStep(packed)) * code;
        } else {
            int code;
            if constexpr (codec == KvCodec::K8V8)
                code = static_cast<signed char>(getByte(leaf.values + t * d + c));
            else
                code = static_cast<int>(planeBits(leaf.values, t, c) << 4 | nibble(leaf.values + 4 * d, d, t, c)) - 32;
            mean += halfToFloat(getHalf(leaf.grid + 2 * t)) * static_cast<float>(code);
        }
    }
    return mean * (1.0f / kLeafTokens);
}

// Grid (leaves of a group, groups).
template <KvCodec codec>
__global__ void __launch_bounds__(kLeafThreads) meansKernel(const GroupMeans* groups, int d) {
    KDYNSHARED(float, mean);
    KSHARED(float, greatest, kLeafThreads);
    const GroupMeans group = groups[blockIdx.y];
    const int in = blockIdx.x;
    const UnpackLeaf leaf = packedLeaf(codec, d, group.payload, group.codes, in, nullptr);
    float most = 0;
    for (int c = threadIdx.x; c < d; c += kLeafThreads) {
        unsigned sum = kLeafTokens / 2;
        for (int t = 0; t < static_cast<int>(kLeafTokens); ++t)
            sum +=
                planeBits(leaf.plane, t, c) << 6 | planeBits(leaf.low, t, c) << 4 | nibble(leaf.low + 4 * d, d, t, c);
        group.means[in * d + c] = static_cast<std::byte>(sum / kLeafTokens);
        mean[c] = meanValue<codec>(leaf, d, c);
        most = fmaxf(most, fabsf(mean[c]));
    }
    greatest[threadIdx.x] = most;
    __syncthreads();
    for (int i = 0; i < kLeafThreads; ++i) most = fmaxf(most, greatest[i]);
    const unsigned step = stepOver(static_cast<double>(most), 127);
    const float per = divisor(step);
    for (int c = threadIdx.x; c < d; c += kLeafThreads)
        group.means[(kGroupLeaves + in) * d + c] = static_cast<std::byte>(nearest(mean[c] / per) & 255u);
    if (threadIdx.x == 0) putHalf(group.means + 8 * d + 2 * in, step);
    const int filled = 8 * d + 8, end = static_cast<int>(meansBytes(d));
    if (in == 0 && filled + static_cast<int>(threadIdx.x) < end) group.means[filled + threadIdx.x] = std::byte{0};
}

/// Four bits of 8 channels from c on, of rows [16][d/2].
__device__ __forceinline__ uint2 nibbles(const std::byte* rows, int d, int token, int c) {
    const bool low = c < d / 2;
    const uint2 both = *reinterpret_cast<const uint2*>(rows + token * (d / 2) + (low ? c : c - d / 2));
    const int shift = low ? 0 : 4;
    return make_uint2(both.x >> shift & kLow, both.y >> shift & kLow);
}
template <int shift>
__device__ __forceinline__ void addPlane(const std::byte* plane, int token, int c, uint2& codes) {
    const unsigned word = getWord(plane + 64 * (c / 16) + 4 * token) >> c % 16 / 2;
    codes.x |= (word & kTwo) << shift;
    codes.y |= (word >> 2 & kTwo) << shift;
}
/// Codes 0 to 63, four bytes of them, as V6 means them.
__device__ __forceinline__ unsigned lessThirtyTwo(unsigned codes) {
    return ((codes | 0x80808080u) - 0x20202020u) ^ 0x80808080u;
}

// Grid leaves.
template <KvCodec codec>
__global__ void __launch_bounds__(kLeafThreads) unpackKernel(const UnpackLeaf* leaves, int d) {
    const UnpackLeaf leaf = leaves[blockIdx.x];
    const int tokens = kLeafTokens, eighths = d / 8;
    std::byte* const values = leaf.rows + tokens * d;
    for (int i = threadIdx.x; i < tokens * eighths; i += kLeafThreads) {
        const int token = i / eighths, c = i % eighths * 8;
        uint2 key = nibbles(leaf.low + 4 * d, d, token, c);
        addPlane<6>(leaf.plane, token, c, key);
        addPlane<4>(leaf.low, token, c, key);
        *reinterpret_cast<uint2*>(leaf.rows + token * d + c) = key;
        uint2 value;
        if constexpr (codec == KvCodec::K8V8) {
            value = *reinterpret_cast<const uint2*>(leaf.values + token * d + c);
        } else if constexpr (codec == KvCodec::K8V6) {
            value = nibbles(leaf.values + 4 * d, d, token, c);
            addPlane<4>(leaf.values, token, c, value);
            value = make_uint2(lessThirtyTwo(value.x), lessThirtyTwo(value.y));
        } else {
            value = nibbles(leaf.values, d, token, c);
        }
        *reinterpret_cast<uint2*>(values + token * d + c) = value;
    }
    const int blocks = static_cast<int>(valueBlocks(d));
    auto* const grid = reinterpret_cast<unsigned*>(values + tokens * d);
    for (int i = threadIdx.x; i < tokens * blocks; i += kLeafThreads) {
        if constexpr (codec == KvCodec::K8V4) {
            const unsigned packed = getHalf(leaf.grid + 2 * i);
            grid[i] = __half_as_ushort(__float2half_rn(blockLeast(packed))) | blockStep(packed) << 16;
        } else {
            grid[i] = getHalf(leaf.grid + 2 * (i / blocks)) << 16;
        }
    }
}

template <class Launch>
cudaError_t forCodec(KvCodec codec, const Launch& launch) {
    if (codec == KvCodec::K8V8) return launch(std::integral_constant<KvCodec, KvCodec::K8V8>());
    if (codec == KvCodec::K8V6) return launch(std::integral_constant<KvCodec, KvCodec::K8V6>());
    return launch(std::integral_constant<KvCodec, KvCodec::K8V4>());
}

constexpr std::size_t kMostRows = 65535;  // of a grid's second dimension

}  // namespace kv_codec

using namespace kv_codec;

cudaError_t encode(KvCodec codec, std::uint32_t headDim, const EncodeGroup* groups, std::size_t count,
                   cudaStream_t stream) {
    const int d = static_cast<int>(headDim);
    const std::size_t shared = kTokens * (d + 16) + 2 * sizeof(float) * floatsOf(d);
    return forCodec(codec, [&](auto of) {
        return klaunch(encodeKernel<of.value>, dim3(static_cast<unsigned>(count), 2), kThreads, shared, stream, groups,
                       d);
    });
}

cudaError_t means(KvCodec codec, std::uint32_t headDim, const GroupMeans* groups, std::size_t count,
                  cudaStream_t stream) {
    const int d = static_cast<int>(headDim);
    return forCodec(codec, [&](auto of) {
        cudaError_t error = cudaSuccess;
        for (std::size_t at = 0; at < count && error == cudaSuccess; at += kMostRows)
            error = klaunch(meansKernel<of.value>, dim3(kGroupLeaves, std::min(kMostRows, count - at)), kLeafThreads,
                            d * sizeof(float), stream, groups + at, d);
        return error;
    });
}

cudaError_t unpack(KvCodec codec, std::uint32_t headDim, const UnpackLeaf* leaves, std::size_t count,
                   cudaStream_t stream) {
    return forCodec(codec, [&](auto of) {
        return klaunch(unpackKernel<of.value>, static_cast<unsigned>(count), kLeafThreads, 0, stream, leaves,
                       static_cast<int>(headDim));
    });
}

}  // namespace carrel::cuda

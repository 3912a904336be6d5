#pragma once

#include <cassert>
#include <type_traits>

#include "compute/cpu/intrinsics.h"
#include "compute/cpu/kernels.h"

// What a packed tile holds, in registers: for the kernels that multiply from it as it lies and for those that unpack it
// first.

namespace carrel {

/// use(std::integral_constant of the type); not for F32, F16 and BF16.
template <class Use>
void forQuantizedType(DType type, const Use& use) {
    const auto as = [&]<DType Type>() { use(std::integral_constant<DType, Type>{}); };
    switch (type) {
        case DType::Q8_0:
            return as.template operator()<DType::Q8_0>();
        case DType::Q4_0:
            return as.template operator()<DType::Q4_0>();
        case DType::Q4_1:
            return as.template operator()<DType::Q4_1>();
        case DType::Q5_0:
            return as.template operator()<DType::Q5_0>();
        case DType::Q5_1:
            return as.template operator()<DType::Q5_1>();
        case DType::Q4_K:
            return as.template operator()<DType::Q4_K>();
        case DType::Q5_K:
            return as.template operator()<DType::Q5_K>();
        case DType::Q6_K:
            return as.template operator()<DType::Q6_K>();
        case DType::Q2_K:
            return as.template operator()<DType::Q2_K>();
        case DType::Q3_K:
            return as.template operator()<DType::Q3_K>();
        case DType::IQ4_NL:
            return as.template operator()<DType::IQ4_NL>();
        case DType::IQ4_XS:
            return as.template operator()<DType::IQ4_XS>();
        case DType::F32:
        case DType::F16:
        case DType::BF16:
            break;
    }
    assert(false);
}

#if defined(__x86_64__)

// The layout of a type (packedLayout) as constants.
template <DType Type>
struct Block512 {
    static constexpr int kBits = Type == DType::Q8_0                                                 ? 8
                                 : Type == DType::Q6_K                                               ? 6
                                 : Type == DType::Q5_0 || Type == DType::Q5_1 || Type == DType::Q5_K ? 5
                                 : Type == DType::Q3_K                                               ? 3
                                 : Type == DType::Q2_K                                               ? 2
                                                                                                     : 4;
    static constexpr PackKind kKind = Type == DType::Q2_K                          ? PackKind::HalfMinima
                                      : Type == DType::Q3_K || Type == DType::Q6_K ? PackKind::Halves
                                      : hasMinBits(Type) || Type == DType::Q4_1 || Type == DType::Q5_1
                                          ? PackKind::Minimum
                                          : PackKind::Offset;
    static constexpr int kOffsetShift = isIq4(Type) ? 7 : kBits - 1;
};

CARREL_AVX512 CARREL_INLINE __m512 halfFloats512(const std::byte* at) {
    return _mm512_cvtph_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(at)));
}

CARREL_AVX512 CARREL_INLINE __m512i bytes512(const std::byte* at) {
    return _mm512_cvtepu8_epi32(_mm_load_si128(reinterpret_cast<const __m128i*>(at)));
}

CARREL_AVX512 CARREL_INLINE __m512i shiftedRight512(__m512i bits, std::size_t by) {
    return _mm512_srl_epi32(bits, _mm_cvtsi32_si128(static_cast<int>(by)));
}

CARREL_AVX512 CARREL_INLINE __m512 times512(__m512 d, __m512i bits) {
    return _mm512_mul_ps(d, _mm512_cvtepi32_ps(bits));
}

// Two times 6 bits.
CARREL_AVX512 CARREL_INLINE void sixes512(const std::byte* at, std::size_t j, __m512i& one, __m512i& other) {
    const __m512i low = bytes512(at + 16 * j), two = _mm512_set1_epi32(3), four = _mm512_set1_epi32(15);
    const __m512i high = shiftedRight512(bytes512(at + 128 + 16 * (j / 2)), 4 * (j % 2));
    one = _mm512_or_si512(_mm512_and_si512(low, four), _mm512_slli_epi32(_mm512_and_si512(high, two), 4));
    other = _mm512_or_si512(_mm512_srli_epi32(low, 4),
                            _mm512_slli_epi32(_mm512_and_si512(_mm512_srli_epi32(high, 2), two), 4));
}

// The factors of Panel, of block j of 256 columns where those have common ones. Of Q2_K w becomes quants times scales.
template <DType Type>
CARREL_AVX512 CARREL_INLINE void factors512(const std::byte* at, std::size_t j, __m512i w[8], __m512* out) {
    if constexpr (Type == DType::Q2_K) {
        out[0] = halfFloats512(at);
#pragma GCC unroll 2
        for (std::size_t half = 0; half < 2; ++half) {
            const __m512i bits = bytes512(at + 64 + 16 * (2 * j + half));
            const __m512i scale = _mm512_and_si512(bits, _mm512_set1_epi32(15));
            const __m512i twice = _mm512_or_si512(scale, _mm512_slli_epi32(scale, 16));
            // Two columns to a product: the lower stays below 46 and carries nothing into the upper.
#pragma GCC unroll 4
            for (std::size_t s = 4 * half; s < 4 * half + 4; ++s) w[s] = _mm512_mullo_epi16(w[s], twice);
            out[1 + half] = times512(halfFloats512(at + 32), _mm512_srli_epi32(bits, 4));
        }
    } else if constexpr (Type == DType::Q3_K || hasMinBits(Type)) {
        __m512i one, other;
        sixes512(at + (Type == DType::Q3_K ? 32 : 64), j, one, other);
        if constexpr (Type == DType::Q3_K) {
            const __m512i middle = _mm512_set1_epi32(32);
            out[0] = times512(halfFloats512(at), _mm512_sub_epi32(one, middle));
            out[1] = times512(halfFloats512(at), _mm512_sub_epi32(other, middle));
        } else {
            out[0] = times512(halfFloats512(at), one);
            out[1] = times512(_mm512_sub_ps(_mm512_setzero_ps(), halfFloats512(at + 32)), other);
        }
    } else if constexpr (Type == DType::Q6_K) {
        const auto* scales = reinterpret_cast<const __m128i*>(at + 32 + 32 * j);
        out[0] = times512(halfFloats512(at), _mm512_cvtepi8_epi32(_mm_load_si128(scales)));
        out[1] = times512(halfFloats512(at), _mm512_cvtepi8_epi32(_mm_load_si128(scales + 1)));
    } else if constexpr (Type == DType::IQ4_XS) {
        const __m512i low = shiftedRight512(bytes512(at + 32 + 16 * (j / 2)), 4 * (j % 2));
        const __m512i high = shiftedRight512(bytes512(at + 96 + 16 * (j / 4)), 2 * (j % 4));
        const __m512i bits = _mm512_or_si512(_mm512_and_si512(low, _mm512_set1_epi32(15)),
                                             _mm512_slli_epi32(_mm512_and_si512(high, _mm512_set1_epi32(3)), 4));
        out[0] = out[1] = times512(halfFloats512(at), _mm512_sub_epi32(bits, _mm512_set1_epi32(32)));
    } else {
        out[0] = halfFloats512(at);
        out[1] = Block512<Type>::kKind == PackKind::Minimum ? halfFloats512(at + 32) : out[0];
    }
}

// A load that stays where it is written: what is read in ascending order the hardware asks for ahead, better than
// prefetches, which share the few places of the first level with what they hurry.
CARREL_AVX512 CARREL_INLINE __m512i inOrder512(const std::byte* at) {
    __m512i line;
    asm volatile("vmovdqu64 %1, %0" : "=v"(line) : "m"(*reinterpret_cast<const std::byte(*)[64]>(at)));
    return line;
}

template <DType Type>
CARREL_AVX512 CARREL_INLINE void quants512(const std::byte* block, __m512i w[8]) {
    constexpr int kBits = Block512<Type>::kBits, kLow = kBits >= 4 ? 4 : 2;
    __m512i line[kBits];
#pragma GCC unroll 8
    for (int s = 0; s < kBits; ++s) line[s] = inOrder512(block + 64 * s);
    if constexpr (kBits == 8) {
#pragma GCC unroll 8
        for (int s = 0; s < 8; ++s) w[s] = line[s];
        return;
    }
    if constexpr (kLow == 4) {
        const __m512i four = _mm512_set1_epi8(15);
        const __m512i values = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(kIq4Values)));
#pragma GCC unroll 4
        for (int s = 0; s < 4; ++s) {
            const __m512i both = line[s];
            w[s] = _mm512_and_si512(both, four);
            w[s + 4] = _mm512_and_si512(_mm512_srli_epi16(both, 4), four);
            if constexpr (isIq4(Type)) {
                w[s] = _mm512_shuffle_epi8(values, w[s]);
                w[s + 4] = _mm512_shuffle_epi8(values, w[s + 4]);
            }
        }
    } else {
        const __m512i two = _mm512_set1_epi8(3);
#pragma GCC unroll 8
        for (unsigned s = 0; s < 8; ++s) w[s] = _mm512_and_si512(_mm512_srli_epi16(line[s / 4], 2 * (s % 4)), two);
    }
    constexpr int kPickOr = 0xea;  // (a & b) | c
    if constexpr (kBits == kLow + 1) {
        const __m512i plane = line[kLow], bit = _mm512_set1_epi8(1 << kLow);
#pragma GCC unroll 8
        for (unsigned s = 0; s < 8; ++s)
            w[s] = _mm512_ternarylogic_epi32(
                s < kLow ? _mm512_slli_epi16(plane, kLow - s) : _mm512_srli_epi16(plane, s - kLow), bit, w[s], kPickOr);
    }
    if constexpr (kBits == 6) {
        const __m512i bits = _mm512_set1_epi8(48);
#pragma GCC unroll 8
        for (unsigned s = 0; s < 8; ++s) {
            const __m512i plane = line[kLow + s / 4];
            const unsigned t = s % 4;
            w[s] = _mm512_ternarylogic_epi32(
                t < 2 ? _mm512_slli_epi16(plane, 4 - 2 * t) : _mm512_srli_epi16(plane, 2 * t - 4), bits, w[s], kPickOr);
        }
    }
}

// Block b of 32 columns of a tile, as Panel has it.
template <DType Type>
CARREL_AVX512 CARREL_INLINE void block512(const std::byte* tile, std::size_t b, __m512i w[8], __m512* factors) {
    const BlockPlace place = blockPlace(Type, Block512<Type>::kBits, b);
    quants512<Type>(tile + place.quants, w);
    factors512<Type>(tile + place.factors, b % 8, w, factors);
}

#endif

}  // namespace carrel

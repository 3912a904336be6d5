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
        case DType::F32:
        case DType::F16:
        case DType::BF16:
            break;
    }
    assert(false);
}

#if defined(__x86_64__)

// What one block of 32 columns of a tile is, in registers.
template <DType Type>
struct Block512 {
    static constexpr bool kK = Type == DType::Q4_K || Type == DType::Q5_K;
    static constexpr int kBits = Type == DType::Q8_0                                                 ? 8
                                 : Type == DType::Q6_K                                               ? 6
                                 : Type == DType::Q5_0 || Type == DType::Q5_1 || Type == DType::Q5_K ? 5
                                                                                                     : 4;
    static constexpr PackKind kKind = Type == DType::Q6_K                                ? PackKind::Halves
                                      : kK || Type == DType::Q4_1 || Type == DType::Q5_1 ? PackKind::Minimum
                                                                                         : PackKind::Offset;
    static constexpr int kOffsetShift = kBits == 8 ? 7 : kBits == 6 ? 5 : kBits == 5 ? 4 : 3;
};

CARREL_AVX512 CARREL_INLINE __m512 halfFloats512(const std::byte* at) {
    return _mm512_cvtph_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(at)));
}

CARREL_AVX512 CARREL_INLINE __m512i bytes512(const std::byte* at) {
    return _mm512_cvtepu8_epi32(_mm_load_si128(reinterpret_cast<const __m128i*>(at)));
}

// first: the scale (of the first 16 columns); second: the minimum, or the scale of the other 16.
template <DType Type>
CARREL_AVX512 CARREL_INLINE void factors512(const std::byte* factors, std::size_t b, __m512& first, __m512& second) {
    if constexpr (Block512<Type>::kK) {
        const std::byte* at = factors + b / 8 * 256;
        const std::size_t j = b % 8;
        const __m512i low = bytes512(at + 64 + 16 * j);
        const __m512i high = _mm512_srl_epi32(bytes512(at + 192 + 16 * (j / 2)), _mm_cvtsi32_si128(j % 2 == 0 ? 0 : 4));
        const __m512i two = _mm512_set1_epi32(3), four = _mm512_set1_epi32(15);
        const __m512i scale =
            _mm512_or_si512(_mm512_and_si512(low, four), _mm512_slli_epi32(_mm512_and_si512(high, two), 4));
        const __m512i min = _mm512_or_si512(_mm512_srli_epi32(low, 4),
                                            _mm512_slli_epi32(_mm512_and_si512(_mm512_srli_epi32(high, 2), two), 4));
        first = _mm512_mul_ps(halfFloats512(at), _mm512_cvtepi32_ps(scale));
        second = _mm512_mul_ps(_mm512_sub_ps(_mm512_setzero_ps(), halfFloats512(at + 32)), _mm512_cvtepi32_ps(min));
    } else if constexpr (Type == DType::Q6_K) {
        const std::byte* at = factors + b / 8 * 288;
        const auto* scales = reinterpret_cast<const __m128i*>(at + 32 + 32 * (b % 8));
        const __m512 d = halfFloats512(at);
        first = _mm512_mul_ps(d, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_load_si128(scales))));
        second = _mm512_mul_ps(d, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_load_si128(scales + 1))));
    } else if constexpr (Block512<Type>::kKind == PackKind::Minimum) {
        first = halfFloats512(factors + b * 64);
        second = halfFloats512(factors + b * 64 + 32);
    } else {
        first = second = halfFloats512(factors + b * 32);
    }
}

template <DType Type>
CARREL_AVX512 CARREL_INLINE void quants512(const std::byte* block, __m512i w[8]) {
    constexpr int kBits = Block512<Type>::kBits;
    if constexpr (kBits == 8) {
#pragma GCC unroll 8
        for (int s = 0; s < 8; ++s) w[s] = _mm512_load_si512(block + 64 * s);
        return;
    }
    const __m512i four = _mm512_set1_epi8(15);
#pragma GCC unroll 4
    for (int s = 0; s < 4; ++s) {
        const __m512i both = _mm512_load_si512(block + 64 * s);
        w[s] = _mm512_and_si512(both, four);
        w[s + 4] = _mm512_and_si512(_mm512_srli_epi16(both, 4), four);
    }
    constexpr int kPickOr = 0xea;  // (a & b) | c
    if constexpr (kBits == 5) {
        const __m512i plane = _mm512_load_si512(block + 256), bit = _mm512_set1_epi8(16);
#pragma GCC unroll 8
        for (unsigned s = 0; s < 8; ++s)
            w[s] = _mm512_ternarylogic_epi32(s < 4 ? _mm512_slli_epi16(plane, 4 - s) : _mm512_srli_epi16(plane, s - 4),
                                             bit, w[s], kPickOr);
    }
    if constexpr (kBits == 6) {
        const __m512i bits = _mm512_set1_epi8(48);
#pragma GCC unroll 8
        for (unsigned s = 0; s < 8; ++s) {
            const __m512i plane = _mm512_load_si512(block + 256 + s / 4 * 64);
            const unsigned t = s % 4;
            w[s] = _mm512_ternarylogic_epi32(
                t < 2 ? _mm512_slli_epi16(plane, 4 - 2 * t) : _mm512_srli_epi16(plane, 2 * t - 4), bits, w[s], kPickOr);
        }
    }
}

#endif

}  // namespace carrel

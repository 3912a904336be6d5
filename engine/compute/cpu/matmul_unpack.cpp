#include "compute/cpu/matmul_unpack.h"

#include <cstring>

#include "compute/cpu/packed_factors.h"

namespace carrel {

namespace {

// Planes of packed_weight.h. First: q is written, else added to.
template <bool First>
CARREL_INLINE void pairs(const std::uint8_t* __restrict from, unsigned shift, std::uint8_t* __restrict q) {
    for (unsigned s = 0; s < 8; ++s)
        for (std::size_t i = 0; i < 64; ++i) {
            const auto bits = static_cast<std::uint8_t>((from[s / 4 * 64 + i] >> 2 * (s % 4) & 3) << shift);
            q[s * 64 + i] = First ? bits : q[s * 64 + i] | bits;
        }
}

CARREL_INLINE void singles(const std::uint8_t* __restrict from, unsigned shift, std::uint8_t* __restrict q) {
    for (unsigned s = 0; s < 8; ++s)
        for (std::size_t i = 0; i < 64; ++i) q[s * 64 + i] |= static_cast<std::uint8_t>((from[i] >> s & 1) << shift);
}

// Q2_K's d, and what it is multiplied with into q.
template <class Loops>
CARREL_INLINE void scaleQuants(const std::uint8_t* __restrict factors, std::size_t j, std::uint8_t* __restrict q,
                               float* __restrict d) {
    Loops::halfFloats(factors, d);
    for (std::size_t half = 0; half < 2; ++half) {
        std::uint32_t four[kTileRows];
        for (std::size_t r = 0; r < kTileRows; ++r)
            four[r] = (factors[64 + 32 * j + 16 * half + r] & 15u) * 0x01010101u;
        std::uint8_t scale[64];
        std::memcpy(scale, four, sizeof scale);
        for (std::size_t s = 4 * half; s < 4 * half + 4; ++s)
            for (std::size_t i = 0; i < 64; ++i) q[s * 64 + i] = static_cast<std::uint8_t>(q[s * 64 + i] * scale[i]);
    }
}

template <class Loops>
CARREL_INLINE void unpackFactors(const PackedLayout& layout, const std::byte* tile, std::size_t b, std::uint8_t* q,
                                 float* to) {
    TileFactors f;
    tileFactors<Loops>(layout, tile, b, f);
    if (layout.kind == PackKind::HalfMinima) {
        const std::byte* factors = tile + blockPlace(layout.type, layout.bits, b).factors;
        scaleQuants<Loops>(reinterpret_cast<const std::uint8_t*>(factors), b % 8, q, to);
        for (std::size_t r = 0; r < 16; ++r) to[16 + r] = -f.min[0][r];
        for (std::size_t r = 0; r < 16; ++r) to[32 + r] = -f.min[1][r];
    } else {
        std::memcpy(to, f.scale[0], 64);
        std::memcpy(to + 16, layout.kind == PackKind::Minimum ? f.min[0] : f.scale[1], 64);
    }
}

// Plain loops over whole planes, which every instruction set gets its own compilation of.
template <class Loops>
CARREL_INLINE void unpack(const PackedLayout& layout, const std::byte* tile, std::size_t first, std::size_t count,
                          const Panel& out) {
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t b = first + i;
        const auto* __restrict from =
            reinterpret_cast<const std::uint8_t*>(tile + blockPlace(layout.type, layout.bits, b).quants);
        std::uint8_t* __restrict q = out.q + i * 512;
        Loops::quants(layout.bits, from, q);
        if (isIq4(layout.type)) Loops::lookUp(q);
        unpackFactors<Loops>(layout, tile, b, q, out.scale + i * 16 * panelFactors(layout.kind));
    }
}

struct Plain : PlainLoops {
    static void quants(unsigned bits, const std::uint8_t* __restrict from, std::uint8_t* __restrict q) {
        if (bits == 8) {
            std::memcpy(q, from, 512);
        } else if (bits >= 4) {
            for (std::size_t i = 0; i < 256; ++i) {
                q[i] = from[i] & 15;
                q[i + 256] = from[i] >> 4;
            }
            if (bits == 5) singles(from + 256, 4, q);
            if (bits == 6) pairs<false>(from + 256, 4, q);
        } else {
            pairs<true>(from, 0, q);
            if (bits == 3) singles(from + 128, 2, q);
        }
    }
};

void unpackScalar(const PackedLayout& layout, const std::byte* tile, std::size_t first, std::size_t count,
                  const Panel& out) {
    unpack<Plain>(layout, tile, first, count, out);
}

#if defined(__x86_64__)

// 32 bytes of step s of a block, a bit or two of its plane moved to bit `to`.
template <unsigned Bits>
CARREL_AVX2 CARREL_INLINE __m256i moved256(__m256i plane, unsigned from, unsigned to) {
    const __m256i shifted = from < to ? _mm256_slli_epi16(plane, static_cast<int>(to - from))
                                      : _mm256_srli_epi16(plane, static_cast<int>(from - to));
    return _mm256_and_si256(shifted, _mm256_set1_epi8(static_cast<char>(((1u << Bits) - 1) << to)));
}

template <unsigned Bits>
CARREL_AVX2 CARREL_INLINE void quants256(const std::uint8_t* from, std::uint8_t* q) {
    constexpr unsigned kLow = Bits == 8 ? 8 : Bits >= 4 ? 4 : 2;
    for (std::size_t half = 0; half < 64; half += 32) {
        const auto plane = [from, half](std::size_t i) CARREL_AVX2 {
            return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + 64 * i + half));
        };
#pragma GCC unroll 8
        for (unsigned s = 0; s < 8; ++s) {
            __m256i w;
            if constexpr (kLow == 8) w = plane(s);
            if constexpr (kLow == 4) w = moved256<4>(plane(s % 4), s / 4 * 4, 0);
            if constexpr (kLow == 2) w = moved256<2>(plane(s / 4), s % 4 * 2, 0);
            if constexpr (Bits == kLow + 1) w = _mm256_or_si256(w, moved256<1>(plane(kLow), s, kLow));
            if constexpr (Bits == 6) w = _mm256_or_si256(w, moved256<2>(plane(4 + s / 4), s % 4 * 2, 4));
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(q + 64 * s + half), w);
        }
    }
}

struct Avx2Loops {
    CARREL_AVX2 static void quants(unsigned bits, const std::uint8_t* from, std::uint8_t* q) {
        if (bits == 8) return quants256<8>(from, q);
        if (bits == 6) return quants256<6>(from, q);
        if (bits == 5) return quants256<5>(from, q);
        if (bits == 4) return quants256<4>(from, q);
        if (bits == 3) return quants256<3>(from, q);
        quants256<2>(from, q);
    }
    CARREL_AVX2 static void halfFloats(const std::uint8_t* at, float* out) {
        const auto* from = reinterpret_cast<const __m128i*>(at);
        _mm256_storeu_ps(out, _mm256_cvtph_ps(_mm_loadu_si128(from)));
        _mm256_storeu_ps(out + 8, _mm256_cvtph_ps(_mm_loadu_si128(from + 1)));
    }
    CARREL_AVX2 static void lookUp(std::uint8_t* q) {
        const __m256i values =
            _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(kIq4Values)));
        for (std::size_t i = 0; i < 512; i += 32) {
            auto* at = reinterpret_cast<__m256i*>(q + i);
            _mm256_storeu_si256(at, _mm256_shuffle_epi8(values, _mm256_loadu_si256(at)));
        }
    }
};

CARREL_AVX2 void unpackAvx2(const PackedLayout& layout, const std::byte* tile, std::size_t first, std::size_t count,
                            const Panel& out) {
    unpack<Avx2Loops>(layout, tile, first, count, out);
}

template <DType Type>
CARREL_AVX512 void unpackType512(const PackedLayout&, const std::byte* tile, std::size_t first, std::size_t count,
                                 const Panel& out) {
    constexpr std::size_t kFactors = panelFactors(Block512<Type>::kKind);
    for (std::size_t i = 0; i < count; ++i) {
        __m512i w[8];
        __m512 factors[kFactors];
        block512<Type>(tile, first + i, w, factors);
        for (std::size_t s = 0; s < 8; ++s) _mm512_store_si512(out.q + i * 512 + s * 64, w[s]);
        for (std::size_t f = 0; f < kFactors; ++f) _mm512_store_ps(out.scale + (i * kFactors + f) * 16, factors[f]);
    }
}

void unpackAvx512(const PackedLayout& layout, const std::byte* tile, std::size_t first, std::size_t count,
                  const Panel& out) {
    forQuantizedType(layout.type, [&](auto type) { unpackType512<type.value>(layout, tile, first, count, out); });
}

#endif

}  // namespace

#if defined(__x86_64__)
const Variants<UnpackFn> kUnpack{{Isa::Avx512, unpackAvx512}, {Isa::Avx2, unpackAvx2}, {Isa::Scalar, unpackScalar}};
#else
const Variants<UnpackFn> kUnpack{{Isa::Scalar, unpackScalar}};
#endif

}  // namespace carrel

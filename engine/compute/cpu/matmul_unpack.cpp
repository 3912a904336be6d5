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
CARREL_INLINE void unpackFactors(const PackedLayout& layout, const std::byte* tile, std::size_t b, const Panel& out) {
    TileFactors f;
    tileFactors<Loops>(layout, tile, b, f);
    float* to = out.scale + b * 16 * panelFactors(layout.kind);
    if (layout.kind == PackKind::HalfMinima) {
        const std::byte* factors = tile + blockPlace(layout.type, layout.bits, b).factors;
        scaleQuants<Loops>(reinterpret_cast<const std::uint8_t*>(factors), b % 8, out.q + b * 512, to);
        for (std::size_t r = 0; r < 16; ++r) to[16 + r] = -f.min[0][r];
        for (std::size_t r = 0; r < 16; ++r) to[32 + r] = -f.min[1][r];
    } else {
        std::memcpy(to, f.scale[0], 64);
        std::memcpy(to + 16, layout.kind == PackKind::Minimum ? f.min[0] : f.scale[1], 64);
    }
}

// Plain loops over whole planes, which every instruction set gets its own compilation of.
template <class Loops>
CARREL_INLINE void unpack(const PackedLayout& layout, const std::byte* tile, const Panel& out) {
    for (std::size_t b = 0; b < layout.blocks(); ++b) {
        const auto* __restrict from =
            reinterpret_cast<const std::uint8_t*>(tile + blockPlace(layout.type, layout.bits, b).quants);
        std::uint8_t* __restrict q = out.q + b * 512;
        if (layout.bits == 8) {
            std::memcpy(q, from, 512);
        } else if (layout.bits >= 4) {
            for (std::size_t i = 0; i < 256; ++i) {
                q[i] = from[i] & 15;
                q[i + 256] = from[i] >> 4;
            }
            if (layout.bits == 5) singles(from + 256, 4, q);
            if (layout.bits == 6) pairs<false>(from + 256, 4, q);
        } else {
            pairs<true>(from, 0, q);
            if (layout.bits == 3) singles(from + 128, 2, q);
        }
        if (isIq4(layout.type)) Loops::lookUp(q);
        unpackFactors<Loops>(layout, tile, b, out);
    }
}

void unpackScalar(const PackedLayout& layout, const std::byte* tile, const Panel& out) {
    unpack<PlainLoops>(layout, tile, out);
}

#if defined(__x86_64__)

struct Avx2Loops {
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

CARREL_AVX2 void unpackAvx2(const PackedLayout& layout, const std::byte* tile, const Panel& out) {
    unpack<Avx2Loops>(layout, tile, out);
}

template <DType Type>
CARREL_AVX512 void unpackType512(const PackedLayout& layout, const std::byte* tile, const Panel& out) {
    constexpr std::size_t kFactors = panelFactors(Block512<Type>::kKind);
    for (std::size_t b = 0; b < layout.blocks(); ++b) {
        __m512i w[8];
        __m512 factors[kFactors];
        block512<Type>(tile, b, w, factors);
        for (std::size_t s = 0; s < 8; ++s) _mm512_store_si512(out.q + b * 512 + s * 64, w[s]);
        for (std::size_t i = 0; i < kFactors; ++i) _mm512_store_ps(out.scale + (b * kFactors + i) * 16, factors[i]);
    }
}

void unpackAvx512(const PackedLayout& layout, const std::byte* tile, const Panel& out) {
    forQuantizedType(layout.type, [&](auto type) { unpackType512<type.value>(layout, tile, out); });
}

#endif

}  // namespace

#if defined(__x86_64__)
const Variants<UnpackFn> kUnpack{{Isa::Avx512, unpackAvx512}, {Isa::Avx2, unpackAvx2}, {Isa::Scalar, unpackScalar}};
#else
const Variants<UnpackFn> kUnpack{{Isa::Scalar, unpackScalar}};
#endif

}  // namespace carrel

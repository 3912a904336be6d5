#include "compute/cpu/matmul_unpack.h"

#include <cstring>

#include "compute/cpu/packed_factors.h"

namespace carrel {

namespace {

// The planes that come after the low bits (packed_weight.h).
CARREL_INLINE void pairs(const std::uint8_t* __restrict from, unsigned shift, std::uint8_t* __restrict q) {
    for (unsigned s = 0; s < 8; ++s)
        for (std::size_t i = 0; i < 64; ++i)
            q[s * 64 + i] |= static_cast<std::uint8_t>((from[s / 4 * 64 + i] >> 2 * (s % 4) & 3) << shift);
}

CARREL_INLINE void singles(const std::uint8_t* __restrict from, unsigned shift, std::uint8_t* __restrict q) {
    for (unsigned s = 0; s < 8; ++s)
        for (std::size_t i = 0; i < 64; ++i) q[s * 64 + i] |= static_cast<std::uint8_t>((from[i] >> s & 1) << shift);
}

// Q2_K's d, and what it is multiplied with into q.
CARREL_INLINE void scaleQuants(const std::uint8_t* __restrict factors, std::size_t j, std::uint8_t* __restrict q,
                               float* __restrict d) {
    halfFloats(factors, d);
    for (std::size_t half = 0; half < 2; ++half) {
        std::uint8_t scale[64];
        for (std::size_t i = 0; i < 64; ++i) scale[i] = factors[64 + 32 * j + 16 * half + i / 4] & 15;
        for (std::size_t s = 4 * half; s < 4 * half + 4; ++s)
            for (std::size_t i = 0; i < 64; ++i) q[s * 64 + i] = static_cast<std::uint8_t>(q[s * 64 + i] * scale[i]);
    }
}

CARREL_INLINE void unpackFactors(const PackedLayout& layout, const std::byte* tile, std::size_t b, const Panel& out) {
    TileFactors f;
    tileFactors(layout, tile, b, f);
    float* to = out.scale + b * 16 * panelFactors(layout.kind);
    if (layout.kind == PackKind::HalfMinima) {
        const std::byte* factors = tile + layout.factorsAt + b / 8 * factorBytes(layout.type);
        scaleQuants(reinterpret_cast<const std::uint8_t*>(factors), b % 8, out.q + b * 512, to);
        for (std::size_t r = 0; r < 16; ++r) to[16 + r] = -f.min[0][r];
        for (std::size_t r = 0; r < 16; ++r) to[32 + r] = -f.min[1][r];
    } else {
        std::memcpy(to, f.scale[0], 64);
        std::memcpy(to + 16, layout.kind == PackKind::Minimum ? f.min[0] : f.scale[1], 64);
    }
}

// Plain loops over whole planes, which every instruction set gets its own compilation of. lookUp: 512 times kIq4Values.
template <class LookUp>
CARREL_INLINE void unpack(const PackedLayout& layout, const std::byte* tile, const Panel& out, const LookUp& lookUp) {
    for (std::size_t b = 0; b < layout.blocks(); ++b) {
        const auto* __restrict from = reinterpret_cast<const std::uint8_t*>(tile + b * layout.quantBytes);
        std::uint8_t* __restrict q = out.q + b * 512;
        if (layout.bits == 8) {
            std::memcpy(q, from, 512);
        } else if (layout.bits >= 4) {
            for (std::size_t i = 0; i < 256; ++i) {
                q[i] = from[i] & 15;
                q[i + 256] = from[i] >> 4;
            }
            if (layout.bits == 5) singles(from + 256, 4, q);
            if (layout.bits == 6) pairs(from + 256, 4, q);
        } else {
            std::memset(q, 0, 512);
            pairs(from, 0, q);
            if (layout.bits == 3) singles(from + 128, 2, q);
        }
        if (isIq4(layout.type)) lookUp(q);
        unpackFactors(layout, tile, b, out);
    }
}

void unpackScalar(const PackedLayout& layout, const std::byte* tile, const Panel& out) {
    unpack(layout, tile, out, [](std::uint8_t* q) {
        for (std::size_t i = 0; i < 512; ++i) q[i] = kIq4Values[q[i]];
    });
}

#if defined(__x86_64__)

CARREL_AVX2 void lookUpAvx2(std::uint8_t* q) {
    const __m256i values = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(kIq4Values)));
    for (std::size_t i = 0; i < 512; i += 32) {
        auto* at = reinterpret_cast<__m256i*>(q + i);
        _mm256_storeu_si256(at, _mm256_shuffle_epi8(values, _mm256_loadu_si256(at)));
    }
}

CARREL_AVX2 void unpackAvx2(const PackedLayout& layout, const std::byte* tile, const Panel& out) {
    unpack(layout, tile, out, lookUpAvx2);
}

template <DType Type>
CARREL_AVX512 void unpackType512(const PackedLayout& layout, const std::byte* tile, const Panel& out) {
    constexpr std::size_t kFactors = panelFactors(Block512<Type>::kKind);
    for (std::size_t b = 0; b < layout.blocks(); ++b) {
        __m512i w[8];
        __m512 factors[kFactors];
        block512<Type>(layout, tile, b, w, factors);
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

#include "compute/cpu/matmul_unpack.h"

#include <cstring>

namespace carrel {

namespace {

CARREL_INLINE void pairs(const std::uint8_t* from, unsigned shift, std::uint8_t* q) {
    for (unsigned s = 0; s < 8; ++s)
        for (std::size_t i = 0; i < 64; ++i)
            q[s * 64 + i] |= static_cast<std::uint8_t>((from[s / 4 * 64 + i] >> 2 * (s % 4) & 3) << shift);
}

CARREL_INLINE void singles(const std::uint8_t* from, unsigned shift, std::uint8_t* q) {
    for (unsigned s = 0; s < 8; ++s)
        for (std::size_t i = 0; i < 64; ++i) q[s * 64 + i] |= static_cast<std::uint8_t>((from[i] >> s & 1) << shift);
}

// The factors of HalfMinima, Q2_K's, and its scales into q.
CARREL_INLINE void halfMinima(const PackedLayout& layout, const std::byte* tile, std::size_t b, std::uint8_t* q,
                              float* factors) {
    const auto* bits = reinterpret_cast<const std::uint8_t*>(tile + layout.factorsAt) +
                       b / 8 * factorBytes(layout.type) + 64 + 32 * (b % 8);
    for (std::size_t half = 0; half < 2; ++half) {
        std::uint8_t scale[64];
        for (std::size_t i = 0; i < 64; ++i) scale[i] = bits[16 * half + i / 4] & 15;
        for (std::size_t i = 0; i < 256; ++i)
            q[256 * half + i] = static_cast<std::uint8_t>(q[256 * half + i] * scale[i % 64]);
    }
    const auto f16 = [&](std::size_t at) {
        std::uint16_t h;
        std::memcpy(&h, tile + layout.factorsAt + b / 8 * factorBytes(layout.type) + at, 2);
        return f16ToF32(h);
    };
    for (std::size_t r = 0; r < kTileRows; ++r) {
        const Factors f = factorsOf(layout, tile, b, r);
        factors[r] = f16(2 * r);
        factors[16 + r] = -f.min[0];
        factors[32 + r] = -f.min[1];
    }
}

// Plain loops over whole planes, which every instruction set gets its own compilation of. lookUp: 512 times kIq4Values.
template <class LookUp>
CARREL_INLINE void unpack(const PackedLayout& layout, const std::byte* tile, const Panel& out, const LookUp& lookUp) {
    for (std::size_t b = 0; b < layout.blocks(); ++b) {
        const auto* from = reinterpret_cast<const std::uint8_t*>(tile + b * layout.quantBytes);
        std::uint8_t* q = out.q + b * 512;
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
        float* factors = out.scale + b * 16 * panelFactors(layout.kind);
        if (layout.kind == PackKind::HalfMinima) {
            halfMinima(layout, tile, b, q, factors);
            continue;
        }
        for (std::size_t r = 0; r < kTileRows; ++r) {
            const Factors f = factorsOf(layout, tile, b, r);
            factors[r] = f.scale[0];
            factors[16 + r] = layout.kind == PackKind::Minimum ? f.min[0] : f.scale[1];
        }
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

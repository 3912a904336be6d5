#include "compute/cpu/matmul_unpack.h"

#include <cstring>

namespace carrel {

namespace {

// Plain loops over whole planes, which every instruction set gets its own compilation of.
CARREL_INLINE void unpack(const PackedLayout& layout, const std::byte* tile, const Panel& out) {
    for (std::size_t b = 0; b < layout.blocks(); ++b) {
        const auto* from = reinterpret_cast<const std::uint8_t*>(tile + b * layout.quantBytes);
        std::uint8_t* q = out.q + b * 512;
        if (layout.bits == 8) {
            std::memcpy(q, from, 512);
        } else {
            for (std::size_t i = 0; i < 256; ++i) {
                q[i] = from[i] & 15;
                q[i + 256] = from[i] >> 4;
            }
            for (unsigned s = 0; s < 8; ++s)
                for (std::size_t i = 0; i < 64; ++i) {
                    if (layout.bits == 5) q[s * 64 + i] |= static_cast<std::uint8_t>((from[256 + i] >> s & 1) << 4);
                    if (layout.bits == 6)
                        q[s * 64 + i] |=
                            static_cast<std::uint8_t>((from[256 + s / 4 * 64 + i] >> 2 * (s % 4) & 3) << 4);
                }
        }
        for (std::size_t r = 0; r < kTileRows; ++r) {
            const Factors f = factorsOf(layout, tile, b, r);
            out.scale[b * 32 + r] = f.scale[0];
            out.scale[b * 32 + 16 + r] = layout.kind == PackKind::Minimum ? f.min : f.scale[1];
        }
    }
}

void unpackScalar(const PackedLayout& layout, const std::byte* tile, const Panel& out) {
    unpack(layout, tile, out);
}

#if defined(__x86_64__)

CARREL_AVX2 void unpackAvx2(const PackedLayout& layout, const std::byte* tile, const Panel& out) {
    unpack(layout, tile, out);
}

template <DType Type>
CARREL_AVX512 void unpackType512(const PackedLayout& layout, const std::byte* tile, const Panel& out) {
    for (std::size_t b = 0; b < layout.blocks(); ++b) {
        __m512i w[8];
        quants512<Type>(tile + b * layout.quantBytes, w);
        for (std::size_t s = 0; s < 8; ++s) _mm512_store_si512(out.q + b * 512 + s * 64, w[s]);
        __m512 first, second;
        factors512<Type>(tile + layout.factorsAt, b, first, second);
        _mm512_store_ps(out.scale + b * 32, first);
        _mm512_store_ps(out.scale + b * 32 + 16, second);
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

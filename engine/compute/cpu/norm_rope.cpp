#include <cmath>

#include "compute/cpu/intrinsics.h"
#include "compute/cpu/kernels.h"
#include "compute/cpu/math.h"

namespace carrel {

namespace {

template <bool Fused, bool Add>
CARREL_INLINE void norm(const float* x, const float* weight, float eps, std::size_t n, float* out) {
    float lanes[16] = {};
    std::size_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (std::size_t lane = 0; lane < 16; ++lane) lanes[lane] = madd<Fused>(x[i + lane], x[i + lane], lanes[lane]);
    for (std::size_t lane = 0; i < n; ++i, ++lane) lanes[lane] = madd<Fused>(x[i], x[i], lanes[lane]);
    double sum = 0;
    for (const float lane : lanes) sum += static_cast<double>(lane);
    const float scale = 1.0f / std::sqrt(static_cast<float>(sum / static_cast<double>(n)) + eps);
    for (std::size_t k = 0; k < n; ++k) {
        const float normed = x[k] * scale * weight[k];
        out[k] = Add ? out[k] + normed : normed;
    }
}

CARREL_INLINE void rope(float* head, const float* cosine, const float* sine, std::size_t half, bool neox) {
    if (neox) {
        for (std::size_t j = 0; j < half; ++j) {
            const float a = head[j], b = head[j + half];
            head[j] = a * cosine[j] - b * sine[j];
            head[j + half] = a * sine[j] + b * cosine[j];
        }
    } else {
        for (std::size_t j = 0; j < half; ++j) {
            const float a = head[2 * j], b = head[2 * j + 1];
            head[2 * j] = a * cosine[j] - b * sine[j];
            head[2 * j + 1] = a * sine[j] + b * cosine[j];
        }
    }
}

template <bool Fused>
CARREL_INLINE void swiglu(float* gate, const float* up, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) gate[i] = gate[i] / (1.0f + expFast<Fused>(-gate[i])) * up[i];
}

// 0.5 x (1 + tanh(y)) is x / (1 + exp(-2 y)).
template <bool Fused>
CARREL_INLINE void geglu(float* gate, const float* up, std::size_t n) {
    constexpr float kMinusTwice = -1.5957691216057308f, kCube = 0.044715f;  // -2 sqrt(2 / pi)
    for (std::size_t i = 0; i < n; ++i) {
        const float x = gate[i], y = kMinusTwice * x * madd<Fused>(kCube * x, x, 1.0f);
        gate[i] = x / (1.0f + expFast<Fused>(y)) * up[i];
    }
}

void normScalar(const float* x, const float* weight, float eps, std::size_t n, float* out) {
    norm<false, false>(x, weight, eps, n, out);
}
void addNormScalar(const float* x, const float* weight, float eps, std::size_t n, float* out) {
    norm<false, true>(x, weight, eps, n, out);
}
#if defined(__x86_64__)
CARREL_AVX2 void normAvx2(const float* x, const float* weight, float eps, std::size_t n, float* out) {
    norm<true, false>(x, weight, eps, n, out);
}
CARREL_AVX512 void normAvx512(const float* x, const float* weight, float eps, std::size_t n, float* out) {
    norm<true, false>(x, weight, eps, n, out);
}
CARREL_AVX2 void addNormAvx2(const float* x, const float* weight, float eps, std::size_t n, float* out) {
    norm<true, true>(x, weight, eps, n, out);
}
CARREL_AVX512 void addNormAvx512(const float* x, const float* weight, float eps, std::size_t n, float* out) {
    norm<true, true>(x, weight, eps, n, out);
}
#endif

void ropeScalar(float* head, const float* cosine, const float* sine, std::size_t half, bool neox) {
    rope(head, cosine, sine, half, neox);
}
#if defined(__x86_64__)
CARREL_AVX2 void ropeAvx2(float* head, const float* cosine, const float* sine, std::size_t half, bool neox) {
    rope(head, cosine, sine, half, neox);
}
#endif

void swigluScalar(float* gate, const float* up, std::size_t n) {
    swiglu<false>(gate, up, n);
}
void gegluScalar(float* gate, const float* up, std::size_t n) {
    geglu<false>(gate, up, n);
}
#if defined(__x86_64__)
CARREL_AVX2 void swigluAvx2(float* gate, const float* up, std::size_t n) {
    swiglu<true>(gate, up, n);
}
CARREL_AVX512 void swigluAvx512(float* gate, const float* up, std::size_t n) {
    swiglu<true>(gate, up, n);
}
CARREL_AVX2 void gegluAvx2(float* gate, const float* up, std::size_t n) {
    geglu<true>(gate, up, n);
}
CARREL_AVX512 void gegluAvx512(float* gate, const float* up, std::size_t n) {
    geglu<true>(gate, up, n);
}
#endif

void toF16Scalar(const float* from, std::size_t n, std::uint16_t* to) {
    for (std::size_t i = 0; i < n; ++i) to[i] = f32ToF16(from[i]);
}
#if defined(__x86_64__)
CARREL_AVX2 void toF16Avx2(const float* from, std::size_t n, std::uint16_t* to) {
    std::size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i),
                         _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT));
    for (; i < n; ++i) to[i] = f32ToF16(from[i]);
}
#endif

}  // namespace

#if defined(__x86_64__)
const Variants<NormFn> kNorm{{Isa::Avx512, normAvx512}, {Isa::Avx2, normAvx2}, {Isa::Scalar, normScalar}};
const Variants<NormFn> kAddNorm{{Isa::Avx512, addNormAvx512}, {Isa::Avx2, addNormAvx2}, {Isa::Scalar, addNormScalar}};
const Variants<RopeFn> kRope{{Isa::Avx2, ropeAvx2}, {Isa::Scalar, ropeScalar}};
const Variants<GluFn> kSwiglu{{Isa::Avx512, swigluAvx512}, {Isa::Avx2, swigluAvx2}, {Isa::Scalar, swigluScalar}};
const Variants<GluFn> kGeglu{{Isa::Avx512, gegluAvx512}, {Isa::Avx2, gegluAvx2}, {Isa::Scalar, gegluScalar}};
const Variants<ToF16Fn> kToF16{{Isa::Avx2, toF16Avx2}, {Isa::Scalar, toF16Scalar}};
#else
const Variants<NormFn> kNorm{{Isa::Scalar, normScalar}};
const Variants<NormFn> kAddNorm{{Isa::Scalar, addNormScalar}};
const Variants<RopeFn> kRope{{Isa::Scalar, ropeScalar}};
const Variants<GluFn> kSwiglu{{Isa::Scalar, swigluScalar}};
const Variants<GluFn> kGeglu{{Isa::Scalar, gegluScalar}};
const Variants<ToF16Fn> kToF16{{Isa::Scalar, toF16Scalar}};
#endif

}  // namespace carrel

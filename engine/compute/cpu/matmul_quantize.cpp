#include <algorithm>
#include <cmath>
#include <cstring>

#include "compute/cpu/intrinsics.h"
#include "compute/cpu/kernels.h"

namespace carrel {

namespace {

void quantizeScalar(const float* x, std::size_t stride, std::size_t rows, std::size_t cols, const QuantizedRows& out) {
    for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t b = 0; b < cols / 32; ++b) {
            const float* from = x + r * stride + b * 32;
            float most = 0;
            for (int i = 0; i < 32; ++i) most = std::max(most, std::fabs(from[i]));
            const float scale = most / 127, inverse = most > 0 ? 127 / most : 0;
            std::int32_t less[2] = {0, 0};
            for (std::size_t i = 0; i < 32; ++i) {
                const long q = std::lrintf(from[i] * inverse);
                out.q[((b * 8 + i / 4) * rows + r) * 4 + i % 4] = static_cast<std::int8_t>(q);
                less[i / 16] -= static_cast<std::int32_t>(q);
            }
            out.scale[b * rows + r] = scale;
            out.less[(3 * b) * rows + r] = less[0];
            out.less[(3 * b + 1) * rows + r] = less[1];
            out.less[(3 * b + 2) * rows + r] = less[0] + less[1];
            out.mean[b * rows + r] = scale * static_cast<float>(-(less[0] + less[1]));
        }
}

#if defined(__x86_64__)

CARREL_AVX512 void quantizeRows512(const float* x, std::size_t stride, std::size_t rows, std::size_t cols,
                                   const QuantizedRows& out) {
    for (std::size_t b = 0; b < cols / 32; ++b)
        for (std::size_t r = 0; r < rows; ++r) {
            const float* from = x + r * stride + b * 32;
            const __m512 low = _mm512_loadu_ps(from), high = _mm512_loadu_ps(from + 16);
            const float most = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(low), _mm512_abs_ps(high)));
            const float scale = most / 127, inverse = most > 0 ? 127 / most : 0;
            const __m512i first = _mm512_cvtps_epi32(_mm512_mul_ps(low, _mm512_set1_ps(inverse)));
            const __m512i second = _mm512_cvtps_epi32(_mm512_mul_ps(high, _mm512_set1_ps(inverse)));
            alignas(32) std::int8_t q[32];
            _mm_store_si128(reinterpret_cast<__m128i*>(q), _mm512_cvtepi32_epi8(first));
            _mm_store_si128(reinterpret_cast<__m128i*>(q + 16), _mm512_cvtepi32_epi8(second));
            for (std::size_t s = 0; s < 8; ++s) std::memcpy(out.q + ((b * 8 + s) * rows + r) * 4, q + 4 * s, 4);
            const int one = _mm512_reduce_add_epi32(first), two = _mm512_reduce_add_epi32(second);
            out.scale[b * rows + r] = scale;
            out.less[3 * b * rows + r] = -one;
            out.less[(3 * b + 1) * rows + r] = -two;
            out.less[(3 * b + 2) * rows + r] = -(one + two);
            out.mean[b * rows + r] = scale * static_cast<float>(one + two);
        }
}

// The greatest of each of eight registers.
CARREL_AVX512 CARREL_INLINE __m256 greatest512(const __m512 x[8]) {
    __m512 halves[4], quarters[2];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i)
        halves[i] = _mm512_max_ps(_mm512_shuffle_f32x4(x[2 * i], x[2 * i + 1], 0x44),
                                  _mm512_shuffle_f32x4(x[2 * i], x[2 * i + 1], 0xee));
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i)
        quarters[i] = _mm512_max_ps(_mm512_shuffle_f32x4(halves[2 * i], halves[2 * i + 1], 0x88),
                                    _mm512_shuffle_f32x4(halves[2 * i], halves[2 * i + 1], 0xdd));
    // Lane i: twos of row i and of row i + 4, in turn.
    const __m512 twos =
        _mm512_max_ps(_mm512_unpacklo_ps(quarters[0], quarters[1]), _mm512_unpackhi_ps(quarters[0], quarters[1]));
    const __m512 ones = _mm512_max_ps(twos, _mm512_permute_ps(twos, 0x4e));
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 0, 0, 0, 0, 0, 0, 0, 0);
    return _mm512_castps512_ps256(_mm512_permutexvar_ps(order, ones));
}

// 16 columns of eight rows as 4 steps [8][4]; returns the rows' sums.
CARREL_AVX512 CARREL_INLINE __m256i interleave512(const __m512i x[8], std::int8_t* out) {
    __m512i four[2];  // lane s: step s of four rows
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i)
        four[i] = _mm512_packs_epi16(_mm512_packs_epi32(x[4 * i], x[4 * i + 1]),
                                     _mm512_packs_epi32(x[4 * i + 2], x[4 * i + 3]));
    const __m512i first = _mm512_permutex2var_epi64(four[0], _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), four[1]);
    const __m512i second = _mm512_permutex2var_epi64(four[0], _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15), four[1]);
    _mm512_storeu_si512(out, first);
    _mm512_storeu_si512(out + 64, second);
    const __m512i one = _mm512_set1_epi8(1);
    const __m512i sums = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(_mm512_setzero_si512(), one, first), one, second);
    return _mm256_add_epi32(_mm512_castsi512_si256(sums), _mm512_extracti64x4_epi64(sums, 1));
}

// The same of a whole group of rows, one register per row.
CARREL_AVX512 void quantizeGroup512(const float* x, std::size_t stride, std::size_t cols, const QuantizedRows& out) {
    static_assert(kRowGroup == 8);
    const __m256 limit = _mm256_set1_ps(127);
    for (std::size_t b = 0; b < cols / 32; ++b) {
        const float* from = x + b * 32;
        __m512 most[8];
#pragma GCC unroll 8
        for (std::size_t r = 0; r < 8; ++r)
            most[r] = _mm512_max_ps(_mm512_abs_ps(_mm512_loadu_ps(from + r * stride)),
                                    _mm512_abs_ps(_mm512_loadu_ps(from + r * stride + 16)));
        const __m256 greatest = greatest512(most), scale = _mm256_div_ps(greatest, limit);
        const __mmask8 some = _mm256_cmp_ps_mask(greatest, _mm256_setzero_ps(), _CMP_GT_OQ);
        const __m512 inverse = _mm512_castps256_ps512(_mm256_maskz_div_ps(some, limit, greatest));
        __m256i sum[2];
#pragma GCC unroll 2
        for (std::size_t half = 0; half < 2; ++half) {
            __m512i q[8];
#pragma GCC unroll 8
            for (std::size_t r = 0; r < 8; ++r)
                q[r] = _mm512_cvtps_epi32(
                    _mm512_mul_ps(_mm512_loadu_ps(from + r * stride + half * 16),
                                  _mm512_permutexvar_ps(_mm512_set1_epi32(static_cast<int>(r)), inverse)));
            sum[half] = interleave512(q, out.q + b * 256 + half * 128);
        }
        const __m256i all = _mm256_add_epi32(sum[0], sum[1]), zero = _mm256_setzero_si256();
        auto* less = reinterpret_cast<__m256i*>(out.less + b * 24);
        _mm256_storeu_si256(less, _mm256_sub_epi32(zero, sum[0]));
        _mm256_storeu_si256(less + 1, _mm256_sub_epi32(zero, sum[1]));
        _mm256_storeu_si256(less + 2, _mm256_sub_epi32(zero, all));
        _mm256_storeu_ps(out.scale + b * 8, scale);
        _mm256_storeu_ps(out.mean + b * 8, _mm256_mul_ps(scale, _mm256_cvtepi32_ps(all)));
    }
}

void quantizeAvx512(const float* x, std::size_t stride, std::size_t rows, std::size_t cols, const QuantizedRows& out) {
    if (rows == kRowGroup) return quantizeGroup512(x, stride, cols, out);
    quantizeRows512(x, stride, rows, cols, out);
}

#endif

}  // namespace

#if defined(__x86_64__)
const Variants<QuantizeFn> kQuantize{{Isa::Avx512, quantizeAvx512}, {Isa::Scalar, quantizeScalar}};
#else
const Variants<QuantizeFn> kQuantize{{Isa::Scalar, quantizeScalar}};
#endif

}  // namespace carrel

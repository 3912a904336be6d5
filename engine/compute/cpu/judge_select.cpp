#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "compute/cpu/intrinsics.h"
#include "compute/cpu/judge_math.h"
#include "compute/cpu/scratch.h"

namespace carrel {

namespace {

constexpr std::uint16_t kWholeLeaf = 0xFFFF;

// std::popcount is a call where the instruction is not taken for granted.
std::size_t bitsOf(std::uint16_t bits) {
    std::uint32_t sum = bits - (bits >> 1 & 0x5555u);
    sum = (sum & 0x3333u) + (sum >> 2 & 0x3333u);
    sum = (sum + (sum >> 4)) & 0x0F0Fu;
    return (sum + (sum >> 8)) & 0x1Fu;
}

std::uint64_t aboveScalar(const std::int16_t* scores, std::size_t rows, const std::int16_t* least) {
    std::uint64_t out = 0;
    for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t t = 0; t < kGroupTokens; ++t)
            out |= std::uint64_t{scores[r * kGroupTokens + t] > least[r]} << t;
    return out;
}

CARREL_INLINE void weigh(const std::int16_t* scores, std::size_t rows, const float* whole, std::uint16_t tokens,
                         float* out, std::size_t outStride) {
    for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t t = 0; t < kLeafTokens; ++t) {
            const float share = exp2Score(limitScore(scores[r * kGroupTokens + t] * (1 / kScoresPerLog2) - whole[r]));
            out[r * outStride + t] += (tokens >> t & 1) != 0 ? share : 0.0f;
        }
}
CARREL_INLINE float leafShare(const std::int16_t* scores, std::size_t rows, const float* whole) {
    float most = 0;
    for (std::size_t r = 0; r < rows; ++r) {
        float shares[kLeafTokens] = {};
        weigh(scores + r * kGroupTokens, 1, whole + r, kWholeLeaf, shares, 0);
        most = std::max(most, sumLanes(shares));
    }
    return most;
}
void weighScalar(const std::int16_t* scores, std::size_t rows, const float* whole, std::uint16_t tokens, float* out,
                 std::size_t outStride) {
    weigh(scores, rows, whole, tokens, out, outStride);
}
float leafShareScalar(const std::int16_t* scores, std::size_t rows, const float* whole) {
    return leafShare(scores, rows, whole);
}

CARREL_INLINE void weighRests(const std::int16_t* scores, std::size_t stride, std::size_t groups, std::int16_t whole,
                              const std::uint16_t* chosen, const float* share, float* out) {
    for (std::size_t leaf = 0; leaf < groups * kGroupLeaves; ++leaf) {
        const std::int16_t* of = scores + leaf / kGroupLeaves * stride + leaf % kGroupLeaves * kLeafTokens;
        float sums[kLeafTokens];
        for (std::size_t t = 0; t < kLeafTokens; ++t) {
            const float half = exp2Score(limitScore(static_cast<float>(of[t] - whole) * (0.5f / kScoresPerLog2)));
            sums[t] = (chosen[leaf] >> t & 1) != 0 ? 0.0f : half;
        }
        const float sum = sumLanes(sums);
        out[leaf] = share[leaf] == 0 ? 0 : sum * sum * share[leaf];  // no leaf that is not judged has scores
    }
}
void weighRestsScalar(const std::int16_t* scores, std::size_t stride, std::size_t groups, std::int16_t whole,
                      const std::uint16_t* chosen, const float* share, float* out) {
    weighRests(scores, stride, groups, whole, chosen, share, out);
}

#if defined(__x86_64__)

CARREL_AVX2 std::uint64_t aboveAvx2(const std::int16_t* scores, std::size_t rows, const std::int16_t* least) {
    __m256i any[4] = {};
    for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t i = 0; i < 4; ++i) {
            const auto* at = reinterpret_cast<const __m256i*>(scores + r * kGroupTokens + 16 * i);
            any[i] = _mm256_or_si256(any[i], _mm256_cmpgt_epi16(_mm256_loadu_si256(at), _mm256_set1_epi16(least[r])));
        }
    std::uint64_t out = 0;
    for (std::size_t half = 0; half < 2; ++half) {
        const __m256i packed =
            _mm256_permute4x64_epi64(_mm256_packs_epi16(any[2 * half], any[2 * half + 1]), 0b11011000);
        out |= std::uint64_t{static_cast<std::uint32_t>(_mm256_movemask_epi8(packed))} << (32 * half);
    }
    return out;
}
CARREL_AVX2 void weighAvx2(const std::int16_t* scores, std::size_t rows, const float* whole, std::uint16_t tokens,
                           float* out, std::size_t outStride) {
    weigh(scores, rows, whole, tokens, out, outStride);
}

CARREL_AVX2 float leafShareAvx2(const std::int16_t* scores, std::size_t rows, const float* whole) {
    return leafShare(scores, rows, whole);
}

CARREL_AVX2 void weighRestsAvx2(const std::int16_t* scores, std::size_t stride, std::size_t groups, std::int16_t whole,
                                const std::uint16_t* chosen, const float* share, float* out) {
    weighRests(scores, stride, groups, whole, chosen, share, out);
}

CARREL_AVX512 std::uint64_t aboveAvx512(const std::int16_t* scores, std::size_t rows, const std::int16_t* least) {
    __mmask32 any[2] = {0, 0};
    for (std::size_t r = 0; r < rows; ++r) {
        const __m512i limit = _mm512_set1_epi16(least[r]);
        for (std::size_t i = 0; i < 2; ++i)
            any[i] |= _mm512_cmpgt_epi16_mask(_mm512_loadu_si512(scores + r * kGroupTokens + 32 * i), limit);
    }
    return any[0] | std::uint64_t{any[1]} << 32;
}
CARREL_AVX512 CARREL_INLINE __m512 shares512(const std::int16_t* scores, float whole) {
    const __m256i raw = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(scores));
    return exp2Score512(limitScore512(_mm512_fmsub_ps(_mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(raw)),
                                                      _mm512_set1_ps(1 / kScoresPerLog2), _mm512_set1_ps(whole))));
}
CARREL_AVX512 void weighAvx512(const std::int16_t* scores, std::size_t rows, const float* whole, std::uint16_t tokens,
                               float* out, std::size_t outStride) {
    __m512 sum = _mm512_loadu_ps(out);
    for (std::size_t r = 0; r < rows; ++r) {
        if (outStride != 0) sum = _mm512_loadu_ps(out + r * outStride);
        sum = _mm512_mask_add_ps(sum, tokens, sum, shares512(scores + r * kGroupTokens, whole[r]));
        if (outStride != 0) _mm512_storeu_ps(out + r * outStride, sum);
    }
    if (outStride == 0) _mm512_storeu_ps(out, sum);
}
CARREL_AVX512 float leafShareAvx512(const std::int16_t* scores, std::size_t rows, const float* whole) {
    float most = 0;
    for (std::size_t r = 0; r < rows; ++r)
        most = std::max(most, sumLanes512(shares512(scores + r * kGroupTokens, whole[r])));
    return most;
}

// Eight vectors' sums of their lower and upper 8 lanes: those of vector i to lanes 2i and 2i + 1.
CARREL_AVX512 CARREL_INLINE __m512 sumHalves512(const __m512 (&v)[8]) {
    __m512 t[4], u[2];
#pragma GCC unroll 4
    for (std::size_t i = 0; i < 4; ++i)
        t[i] = _mm512_add_ps(_mm512_shuffle_ps(v[2 * i], v[2 * i + 1], 0x88),
                             _mm512_shuffle_ps(v[2 * i], v[2 * i + 1], 0xDD));
#pragma GCC unroll 2
    for (std::size_t i = 0; i < 2; ++i)
        u[i] = _mm512_add_ps(_mm512_shuffle_ps(t[2 * i], t[2 * i + 1], 0x88),
                             _mm512_shuffle_ps(t[2 * i], t[2 * i + 1], 0xDD));
    const __m512 sums = _mm512_add_ps(_mm512_shuffle_f32x4(u[0], u[1], 0x88), _mm512_shuffle_f32x4(u[0], u[1], 0xDD));
    return _mm512_permutexvar_ps(_mm512_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15), sums);
}
CARREL_AVX512 void weighRestsAvx512(const std::int16_t* scores, std::size_t stride, std::size_t groups,
                                    std::int16_t whole, const std::uint16_t* chosen, const float* share, float* out) {
    const __m512i origin = _mm512_set1_epi16(whole);
    for (std::size_t g = 0; g < groups; g += 4) {
        __m512 sums[8];
#pragma GCC unroll 8
        for (std::size_t i = 0; i < 8; ++i) {
            sums[i] = _mm512_setzero_ps();
            if (g + i / 2 >= groups) continue;
            std::uint32_t read;  // two leaves'
            std::memcpy(&read, chosen + g * kGroupLeaves + 2 * i, sizeof read);
            const __m512i raw = _mm512_loadu_si512(scores + (g + i / 2) * stride + i % 2 * 2 * kLeafTokens);
            sums[i] = addExp2512(sums[i], _mm512_srai_epi16(_mm512_subs_epi16(raw, origin), 1), ~read);
        }
        const std::size_t leaves = std::min<std::size_t>(16, (groups - g) * kGroupLeaves);
        const auto there = static_cast<__mmask16>((1u << leaves) - 1);
        const __m512 sum = sumHalves512(sums);
        const __m512 of = _mm512_maskz_loadu_ps(there, share + g * kGroupLeaves);
        const __mmask16 judged = _mm512_cmp_ps_mask(of, _mm512_setzero_ps(), _CMP_NEQ_OQ);
        _mm512_mask_storeu_ps(out + g * kGroupLeaves, there,
                              _mm512_maskz_mul_ps(judged, _mm512_mul_ps(sum, sum), of));
    }
}

#endif

constexpr std::size_t kDigits = std::size_t{1} << 11;

/// The k-th largest of n weights not below 0; 1 <= k <= n. Leaves `weights` in another order. counts [4, kDigits].
float kthLargest(float* weights, std::size_t n, std::size_t k, std::uint32_t* counts) {
    std::uint32_t prefix = 0;
    // Floats not below 0 are ordered like their bits. By digits, the first ones first; what differs in one is out.
    for (const auto& [shift, low] : {std::pair{21u, 2047u}, std::pair{10u, 2047u}, std::pair{0u, 1023u}}) {
        const auto digitOf = [&](float weight) { return std::bit_cast<std::uint32_t>(weight) >> shift & low; };
        std::fill_n(counts, 4 * kDigits, 0u);
        // Neighbours often have the same digit: counted apart, no count waits for the one before.
        for (std::size_t i = 0; i < n; ++i) ++counts[i % 4 * kDigits + digitOf(weights[i])];
        std::uint32_t digit = low;
        for (;; --digit) {
            const std::uint32_t count =
                counts[digit] + counts[kDigits + digit] + counts[2 * kDigits + digit] + counts[3 * kDigits + digit];
            if (count >= k) break;
            k -= count;
        }
        std::size_t kept = 0;
        for (std::size_t i = 0; i < n; ++i) {
            const float weight = weights[i];
            weights[kept] = weight;
            kept += digitOf(weight) == digit;
        }
        n = kept;
        prefix |= digit << shift;
    }
    return std::bit_cast<float>(prefix);
}

struct Lanes {
    std::int16_t *least, *surely;  // [rows]
    float* sums;                   // [rows, 16]
    float *weights, *unordered;    // [groups * 64]
    std::uint32_t* counts;         // [4, kDigits]
};
Lanes lanesIn(Carver carver, std::size_t groups, std::size_t rows, std::size_t* used = nullptr) {
    Lanes out{};
    out.least = carver.take<std::int16_t>(rows);
    out.surely = carver.take<std::int16_t>(rows);
    out.sums = carver.take<float>(rows * kLeafTokens);
    out.weights = carver.take<float>(groups * kGroupTokens);
    out.unordered = carver.take<float>(groups * kGroupTokens);
    out.counts = carver.take<std::uint32_t>(4 * kDigits);
    if (used != nullptr) *used = carver.used();
    return out;
}

class Chooser {
  public:
    Chooser(Isa isa, const JudgeChoice& choice)
        : c_(choice),
          lanes_(lanesIn(Carver(choice.scratch), choice.groups, choice.rows)),
          above_(kAbove.at(isa)),
          weigh_(kWeigh.at(isa)),
          leafShare_(kLeafShare.at(isa)) {}

    void choose(const SelectRule& rule) {
        const bool whole = rule.wholeLeaves || rule.tokenShare <= 0;
        // A leaf above its share has a token above a 16th of it; scores are rounded, so a little less.
        const float share = whole ? 0.98f * rule.leafShare / kLeafTokens : rule.tokenShare;
        for (std::size_t r = 0; r < c_.rows; ++r) {
            lanes_.least[r] = leastScore(share, c_.whole[r]);
            lanes_.surely[r] = leastScore(1.02f * rule.leafShare, c_.whole[r]);
        }
        std::size_t count = 0;
        for (std::size_t g = c_.first / kGroupLeaves; g * kGroupLeaves < c_.end; ++g) {
            const std::int16_t* scores = scoresAt(g * kGroupLeaves);
            const std::uint64_t tokens = above_(scores, c_.rows, lanes_.least);
            if (tokens == 0) continue;
            // A token that is above the leaf's share by itself saves adding up the leaf's.
            const std::uint64_t sure = rule.leafShare > 0 ? above_(scores, c_.rows, lanes_.surely) : 0;
            const std::size_t end = std::min(c_.end, (g + 1) * kGroupLeaves);
            for (std::size_t leaf = std::max(c_.first, g * kGroupLeaves); leaf < end; ++leaf) {
                const std::size_t at = leaf % kGroupLeaves * kLeafTokens;
                auto bits = static_cast<std::uint16_t>(tokens >> at);
                const bool isNew = c_.lately != nullptr && c_.lately[leaf] == 0;
                const float least = isNew ? rule.newLeafShare : rule.leafShare;
                const bool decided = bits == 0 || least <= 0 || (!isNew && (sure >> at & kWholeLeaf) != 0);
                if (!decided && leafShare_(scoresAt(leaf), c_.rows, c_.whole) <= least) bits = 0;
                c_.chosen[leaf] = bits != 0 && whole ? kWholeLeaf : bits;
                count += bitsOf(c_.chosen[leaf]);
            }
        }
        if (count > rule.cap) cut(rule);
    }

    void share() {
        std::fill_n(lanes_.sums, c_.rows * kLeafTokens, 0.0f);
        for (std::size_t leaf = c_.first; leaf < c_.end; ++leaf)
            if (c_.chosen[leaf] != 0)
                weigh_(scoresAt(leaf), c_.rows, c_.whole, c_.chosen[leaf], lanes_.sums, kLeafTokens);
        for (std::size_t r = 0; r < c_.rows; ++r) c_.share[r] = std::min(1.0f, sumLanes(lanes_.sums + r * kLeafTokens));
    }

    void rest(RestFn weighRests, float* to, std::size_t stride, float* origin) {
        float* share = lanes_.weights;  // one by how many tokens are left
        for (std::size_t leaf = 0; leaf < c_.groups * kGroupLeaves; ++leaf) {
            const bool left = leaf >= c_.first && leaf < c_.end && c_.chosen[leaf] != kWholeLeaf;
            share[leaf] = left ? 1 / static_cast<float>(kLeafTokens - bitsOf(c_.chosen[leaf])) : 0;
        }
        for (std::size_t r = 0; r < c_.rows; ++r) {
            const auto whole = static_cast<std::int16_t>(std::nearbyint(c_.whole[r] * kScoresPerLog2));
            origin[r] = whole / kScoresPerLog2;
            weighRests(c_.scores + r * kGroupTokens, c_.groupRows * kGroupTokens, c_.groups, whole, c_.chosen, share,
                       to + r * stride);
        }
    }

  private:
    const std::int16_t* scoresAt(std::size_t leaf) const {
        return c_.scores + leaf / kGroupLeaves * c_.groupRows * kGroupTokens + leaf % kGroupLeaves * kLeafTokens;
    }
    static std::int16_t leastScore(float share, float whole) {
        using Limits = std::numeric_limits<std::int16_t>;
        if (share <= 0) return Limits::min();
        return static_cast<std::int16_t>(std::clamp(std::floor(kScoresPerLog2 * (whole + std::log2(share))),
                                                    float{Limits::min()}, float{Limits::max()}));
    }
    /// Shares of a leaf's chosen tokens, summed over the rows; 0 of the others.
    void weighTokens(std::size_t leaf, float* to) {
        std::fill_n(to, kLeafTokens, 0.0f);
        weigh_(scoresAt(leaf), c_.rows, c_.whole, c_.chosen[leaf], to, 0);
    }

    void cut(const SelectRule& rule) {
        const std::size_t unit = rule.scorer == Scorer::MinMax                      ? rule.chunkTokens
                                 : rule.scorer == Scorer::Means || rule.wholeLeaves ? kLeafTokens
                                                                                    : 1;
        const std::size_t keep = rule.cap / unit;
        if (keep == 0) return std::fill(c_.chosen + c_.first, c_.chosen + c_.end, std::uint16_t{0});
        if (unit == 1)
            cutTokens(keep);
        else
            cutLeaves(keep, unit / kLeafTokens);
    }

    /// The least of the `keep` largest weights, and how many more than those above it are kept.
    std::pair<float, std::size_t> leastKept(std::size_t n, std::size_t keep) {
        std::copy_n(lanes_.weights, n, lanes_.unordered);
        const float least = kthLargest(lanes_.unordered, n, keep, lanes_.counts);
        std::size_t above = 0;
        for (std::size_t i = 0; i < n; ++i) above += lanes_.weights[i] > least;
        return {least, keep - above};
    }

    void cutTokens(std::size_t keep) {
        std::size_t n = 0;
        for (std::size_t leaf = c_.first; leaf < c_.end; ++leaf)
            if (c_.chosen[leaf] != 0) weighTokens(leaf, lanes_.weights + n), n += kLeafTokens;
        auto [least, ties] = leastKept(n, keep);
        const float* weights = lanes_.weights;
        for (std::size_t leaf = c_.first; leaf < c_.end; ++leaf) {
            if (c_.chosen[leaf] == 0) continue;
            unsigned kept = 0;
            for (std::size_t t = 0; t < kLeafTokens; ++t) kept |= unsigned{weights[t] > least} << t;
            for (std::size_t t = 0; t < kLeafTokens && ties > 0; ++t)
                if (weights[t] == least) kept |= 1u << t, --ties;
            c_.chosen[leaf] = static_cast<std::uint16_t>(kept);
            weights += kLeafTokens;
        }
    }

    /// Runs of `leaves` leaves, aligned, stay or go together.
    void cutLeaves(std::size_t keep, std::size_t leaves) {
        const auto forEach = [&](const auto& visit) {
            for (std::size_t at = c_.first / leaves * leaves; at < c_.end; at += leaves) {
                const std::size_t from = std::max(at, c_.first), to = std::min(at + leaves, c_.end);
                if (std::any_of(c_.chosen + from, c_.chosen + to, [](std::uint16_t bits) { return bits != 0; }))
                    visit(from, to);
            }
        };
        std::size_t n = 0;
        forEach([&](std::size_t from, std::size_t to) {
            float weight = 0;
            for (std::size_t leaf = from; leaf < to; ++leaf) {
                weighTokens(leaf, lanes_.sums);
                weight += sumLanes(lanes_.sums);
            }
            lanes_.weights[n++] = weight;
        });
        if (n <= keep) return;
        auto [least, ties] = leastKept(n, keep);
        const float* next = lanes_.weights;
        forEach([&, &left = ties, limit = least](std::size_t from, std::size_t to) {
            const float weight = *next++;
            const bool kept = weight > limit || (weight == limit && left > 0 && left-- > 0);
            if (!kept) std::fill(c_.chosen + from, c_.chosen + to, std::uint16_t{0});
        });
    }

    const JudgeChoice& c_;
    Lanes lanes_;
    AboveFn above_;
    WeighFn weigh_;
    LeafShareFn leafShare_;
};

}  // namespace

const Variants<AboveFn> kAbove {
#if defined(__x86_64__)
    {Isa::Avx512, aboveAvx512}, {Isa::Avx2, aboveAvx2},
#endif
    {
        Isa::Scalar, aboveScalar
    }
};
const Variants<WeighFn> kWeigh {
#if defined(__x86_64__)
    {Isa::Avx512, weighAvx512}, {Isa::Avx2, weighAvx2},
#endif
    {
        Isa::Scalar, weighScalar
    }
};

const Variants<RestFn> kRest {
#if defined(__x86_64__)
    {Isa::Avx512, weighRestsAvx512}, {Isa::Avx2, weighRestsAvx2},
#endif
    {
        Isa::Scalar, weighRestsScalar
    }
};
const Variants<LeafShareFn> kLeafShare {
#if defined(__x86_64__)
    {Isa::Avx512, leafShareAvx512}, {Isa::Avx2, leafShareAvx2},
#endif
    {
        Isa::Scalar, leafShareScalar
    }
};

std::size_t chooseScratchBytes(std::size_t groups, std::size_t rows) {
    std::size_t used = 0;
    lanesIn(Carver(), groups, rows, &used);
    return used;
}

void chooseTokens(Isa isa, const SelectRule& rule, const JudgeChoice& choice) {
    Chooser(isa, choice).choose(rule);
}
void chosenShare(Isa isa, const JudgeChoice& choice) {
    Chooser(isa, choice).share();
}
void weighRest(Isa isa, const JudgeChoice& choice, float* rest, std::size_t stride, float* origin) {
    Chooser(isa, choice).rest(kRest.at(isa), rest, stride, origin);
}

}  // namespace carrel

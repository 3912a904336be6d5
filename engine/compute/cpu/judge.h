#pragma once

#include "compute/backend.h"
#include "compute/cpu/kernels.h"

namespace carrel {

// Scores are in log2, relative to what is read anyway (JudgeArgs::exact). They are kept in 16 bits, in 256ths, so that
// shares can be compared and added without looking at a key again.
inline constexpr float kLog2PerNat = 1.44269504f, kScoresPerLog2 = 256;
/// No score is further from 0: 2^100 of 2^27 tokens can be added up.
inline constexpr float kScoreLimit = 100;
inline constexpr std::size_t kJudgeMaxHeadDim = 256;
/// As many rows as share a key's unpacking in the kernels.
inline constexpr std::size_t kJudgeRows = 8;

/// Queries that are judged together: all heads of one KV head, sequence after sequence.
///   q            [rows, headDim]   times scale and kLog2PerNat
///   above, below [rows, headDim]   max(q, 0) and min(q, 0); only for kUnitScores
///   exact        [rows]            times kLog2PerNat; 0 where nothing is read anyway
struct JudgeRows {
    const float *q = nullptr, *above = nullptr, *below = nullptr, *exact = nullptr;
    std::size_t rows = 0, headDim = 0;
};

/// Groups that are scored in one go: the unit that threads share, and always a unit of the sums.
///   codes   [groups]             of one KV head (kv_layout.h)
///   leaves  [first, end) of the groups' leaves that count; of the others scores are written, and mean nothing
///   scores  [groups, rows, 64]   out
///   sums    [rows]               out: sum of 2^score before rounding to 16 bits
struct JudgePart {
    const std::byte* codes = nullptr;
    std::size_t groups = 0, first = 0, end = 0;
    std::int16_t* scores = nullptr;
    float* sums = nullptr;
    std::byte* scratch = nullptr;  // scanScratchBytes
};
std::size_t scanScratchBytes(std::size_t rows, std::size_t headDim);
/// Keys are taken at the middle of their 2-bit code's bin; queries are rounded to 8 bits per group.
using ScanFn = void (*)(const JudgeRows& rows, const JudgePart& part);
#if defined(__x86_64__)
void scanAvx512(const JudgeRows& rows, const JudgePart& part);
std::size_t scanScratchBytesAvx512(std::size_t rows, std::size_t headDim);
#endif

/// out [rows] = sum over d of above * high + below * low: the greatest product with any key between low and high; where
/// both are one array, with that key.
using UnitScoresFn = void (*)(const JudgeRows& rows, const float* low, const float* high, float* out);
using FromF16Fn = void (*)(const std::uint16_t* from, std::size_t n, float* to);  // n a multiple of 16

/// Bit t: the score of token t is above `least` of some row. scores [rows, 64].
using AboveFn = std::uint64_t (*)(const std::int16_t* scores, std::size_t rows, const std::int16_t* least);
/// Adds to out[r * outStride + t] the share 2^(score / 256 - whole[r]) of the tokens t in `tokens`, row by row.
/// scores: a leaf's, rows 64 apart.
using WeighFn = void (*)(const std::int16_t* scores, std::size_t rows, const float* whole, std::uint16_t tokens,
                         float* out, std::size_t outStride);

/// The greatest share, of all rows, that a leaf's tokens have together.
using LeafShareFn = float (*)(const std::int16_t* scores, std::size_t rows, const float* whole);

/// out [groups * 4] = sum^2 * share[leaf], of each leaf's sum of 2^((score - whole) / 2) over the tokens that are not
/// in chosen [groups * 4]. scores: one row's, groups `stride` apart; whole: in units of scores.
using RestFn = void (*)(const std::int16_t* scores, std::size_t stride, std::size_t groups, std::int16_t whole,
                        const std::uint16_t* chosen, const float* share, float* out);

extern const Variants<ScanFn> kScan;
extern const Variants<UnitScoresFn> kUnitScores;
extern const Variants<FromF16Fn> kFromF16;
extern const Variants<AboveFn> kAbove;
extern const Variants<WeighFn> kWeigh;
extern const Variants<LeafShareFn> kLeafShare;
extern const Variants<RestFn> kRest;

/// The rule, for one sequence and KV head.
///   scores  [groups, groupRows, 64]   at this sequence's first row
///   leaves  [first, end) of the groups' leaves that are judged
///   lately  [groups * 4]              0: a new leaf; or null
///   whole   [rows]                    log2 of the heads' sums over everything, as scores
///   chosen  [groups * 4]              out; zero before, and still outside [first, end)
///   share   [rows]                    out; or null
struct JudgeChoice {
    const std::int16_t* scores = nullptr;
    std::size_t groups = 0, groupRows = 0, rows = 0, first = 0, end = 0;
    const std::uint8_t* lately = nullptr;
    const float* whole = nullptr;
    std::uint16_t* chosen = nullptr;
    float* share = nullptr;
    std::byte* scratch = nullptr;  // chooseScratchBytes
};
std::size_t chooseScratchBytes(std::size_t groups, std::size_t rows);
void chooseTokens(Isa isa, const SelectRule& rule, const JudgeChoice& choice);
/// `share` of what `chosen` has already.
void chosenShare(Isa isa, const JudgeChoice& choice);

/// JudgeArgs::rest of what `chosen` leaves. rest [rows][groups * 4], rows `stride` apart; origin [rows], log2.
void weighRest(Isa isa, const JudgeChoice& choice, float* rest, std::size_t stride, float* origin);

/// Scores of the means or bounds, every token of a unit alike.
void scanUnits(Isa isa, const JudgeArgs& args, const JudgeRows& rows, std::size_t kvHead, std::size_t firstGroup,
               const JudgePart& part);
std::size_t unitScratchBytes(std::size_t rows, std::size_t headDim);
/// SelectRule::layerChoice for one sequence. above, below [nKvHeads, headDim]: sums over the heads. chosen [nLeaves]
/// out, zero where nothing is taken.
void chooseForLayer(Isa isa, const JudgeArgs& args, std::size_t headDim, const float* above, const float* below,
                    std::uint16_t* chosen);

}  // namespace carrel

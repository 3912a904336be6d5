#pragma once

#include <cstdint>

#include "compute/backend.h"

namespace carrel {

/// What of a document a token reads in each layer beside what is always read: the first leaf, the newest leaves, and
/// the f16 tail behind the document. Fixed when a reading opens.
struct ReadPolicy {
    SelectRule rule;             // its cap follows from capShare
    double capShare = 1;         // at most this share of the tokens before, per layer and KV head, everything counted
    std::uint32_t leastCap = 0;  // but never less than so many tokens beside what is always read
    bool estimate = false;       // the unread of every judged leaf counts, as JudgeArgs::rest and its mean value
    bool predict = false;        // judge the next layer with this layer's input, so that its leaves are read meanwhile
    bool oracle = false;         // a measurement: whole leaves by true attention, as many tokens as the rule chooses
    std::uint8_t remembered = 64;  // tokens for which a leaf is not new after it was chosen (rule.newLeafShare)
    std::uint32_t newest = 64;     // tokens at the document's end
};

/// Sums over tokens, layers and KV heads of selective passes; local layers choose nothing and do not count.
struct ReadStats {
    std::uint64_t steps = 0;  // tokens passed
    std::uint64_t tokensRead = 0, tokensThere = 0;
    double judgeS = 0;         // wall time
    double estimatedMass = 0;  // sum of shares that the rest had, per token, layer and head
    std::uint64_t heads = 0;   // of that sum
};

}  // namespace carrel

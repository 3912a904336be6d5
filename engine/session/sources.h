#pragma once

#include <carrel/events.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "compute/backend.h"
#include "document/document.h"
#include "library/word_index.h"
#include "tokenizer/tokenizer.h"

namespace carrel {

/// A document's tokens as a reading holds them: tokens[i] stands at position firstPosition + i. Only what has been
/// read.
struct ReadTokens {
    std::span<const TextToken> tokens;
    std::uint32_t firstPosition = 0;
};

/// What attention says about each leaf (leaf i: positions [16 i, 16 i + 16)), above what the leaf always gets.
///   mass      [nLeaves]  attention of the question's and the answer's tokens, summed over tokens, heads and the upper
///   two thirds of
///                        the layers: the lower ones look at neighbours, and with them attention alone names fewer
///                        right pages
///   baseline  [nLeaves]  the same of tokens that ask nothing (the separator before a question); empty: all leaves get
///   alike out       [nLeaves]  sums to 1 over the leaves that lie wholly in the document, or all 0; other leaves
///   (sinks,
///                        template, tail) get 0
std::vector<float> attentionEvidence(std::span<const float> mass, std::span<const float> baseline,
                                     const ReadTokens& read);

/// attentionEvidence of each page: [places], sums to 1. Empty where there are no pages, or no evidence.
std::vector<float> pageShares(const Document& document, const ReadTokens& read, std::span<const float> leaves);

/// What is known about where an answer came from. Every part may be empty.
struct SourceEvidence {
    std::span<const RankedWindow> question;  // WordIndex::rank of the question
    std::span<const RankedWindow> answer;    // WordIndex::rank of the answer
    std::span<const float> leaves;           // attentionEvidence
};

/// The places an answer was most likely read from: at most five, best first, one for each page (where there are no
/// pages: not overlapping), none beyond what was read. Quotes are whole sentences of one page, at most 480 bytes, or
/// one longer sentence; of one beyond 960 bytes the part that matters. `windows` are the WordIndex's.
std::vector<Source> chooseSources(const Document& document, std::span<const WordWindow> windows, const ReadTokens& read,
                                  const SourceEvidence& evidence);

}  // namespace carrel

#pragma once

#include <carrel/events.h>

#include <string_view>
#include <vector>

#include "library/word_index.h"

namespace carrel {

/// How much of an answer's content words, the rarer the weightier, stand in or right beside one of the sources' quotes:
/// 0..1, of the source that holds most. An answer without content words: 1.
Result<double> wordSupport(WordIndex& words, std::string_view answer, const std::vector<Source>& sources);

/// Whether an answer says (in English) that the document does not tell what was asked.
bool saysNothingIsSaid(std::string_view answer);

/// Whether the sources can be shown as where the answer came from. The threshold was chosen by
/// tests/bench/sources_eval.cpp.
Provenance provenanceOf(WordIndex& words, std::string_view answer, const std::vector<Source>& sources);

}  // namespace carrel

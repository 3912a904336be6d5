#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/token_texts.h"

namespace carrel {

/// A part of a text: plain text, or a token written out.
struct Fragment {
    std::size_t first = 0, bytes = 0;
    std::int32_t token = -1;  // negative: text
};

/// Tokens that stand in a text as they are written: found before anything is split or merged. Filled by one thread,
/// then read by any; the texts must outlive it.
class WrittenTokens {
  public:
    /// Ids of tokens with text, of two alike the one to use first.
    WrittenTokens(const TokenTexts& texts, std::vector<std::int32_t> ids);

    /// The text cut at those that `counts`, without gap: longer ones first, wherever they stand, as in llama.cpp.
    std::vector<Fragment> cut(std::string_view text, const std::function<bool(std::int32_t)>& counts) const;
    std::optional<std::int32_t> named(std::string_view name) const;

  private:
    std::vector<bool> occurring(std::string_view text) const;

    const TokenTexts* texts_;
    std::vector<std::int32_t> longestFirst_;
    std::vector<std::uint32_t> byText_;                                // places in longestFirst_, sorted by text
    std::array<std::pair<std::uint32_t, std::uint32_t>, 256> firsts_;  // first byte -> range of byText_
};

}  // namespace carrel

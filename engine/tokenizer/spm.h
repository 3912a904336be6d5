#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/bpe.h"
#include "tokenizer/token_texts.h"

namespace carrel {

/// U+2581, which SentencePiece vocabularies write for a space.
inline constexpr std::string_view kSpmSpace = "\xe2\x96\x81";

/// The pieces of a SentencePiece vocabulary: text -> id and the order of merging. A space is a space here, not U+2581.
/// Filled by one thread, then read by any; the texts must outlive it.
class SpmPieces {
  public:
    SpmPieces(const TokenTexts& texts, std::size_t count);
    /// Piece `id`, with the text it has in the texts. Higher scores merge first; they are not NaN. At most `count`
    /// pieces, of two alike the last holds.
    void add(std::int32_t id, float score);
    void setByte(unsigned char byte, std::int32_t id) { byteIds_[byte] = id; }

    std::int32_t find(std::string_view text) const { return index_.find(text); }  // negative: none
    std::int32_t byteId(char byte) const { return byteIds_[static_cast<unsigned char>(byte)]; }
    std::uint32_t rank(std::int32_t id) const { return ranks_[static_cast<std::size_t>(id)]; }  // smaller merges first
    /// False: in no piece does a character that begins with `right` follow one that ends with `left`.
    bool joins(char left, char right) const { return joins_[pairOf(left, right)]; }

  private:
    static std::size_t pairOf(char left, char right) {
        return std::size_t{static_cast<unsigned char>(left)} << 8 | static_cast<unsigned char>(right);
    }

    const TokenTexts* texts_;
    TextIndex index_;
    std::vector<std::uint32_t> ranks_;  // by id
    std::array<std::int32_t, 256> byteIds_;
    std::bitset<65536> joins_;
};

/// The merge loop of SentencePiece's BPE, as llama.cpp has it: of all neighbours whose texts together are a piece those
/// with the highest score merge, leftmost first among equals; characters that end without piece become bytes. Holds its
/// working memory, so that one serves a whole text; one thread at a time.
class SpmEncoder {
  public:
    explicit SpmEncoder(const SpmPieces& pieces) : pieces_(pieces) {}
    /// Appends the tokens of valid UTF-8; prefix: as if a space stood before it. `bytes` are those of `text`; a byte
    /// without token has a negative id. O(n log n).
    void encode(std::string_view text, bool prefix, std::vector<BpeSymbol>& out);

  private:
    struct Symbol {
        std::uint32_t first, bytes;  // in word_; 0 bytes: merged into the one before
        std::uint32_t source;        // bytes of the text that it stands for
        std::uint32_t previous, next;
        std::int32_t id;  // negative: a character that has merged with nothing yet
    };
    struct Candidate {
        std::uint64_t order;  // rank, then position of the left symbol
        std::int32_t merged;
        std::uint32_t bytes;  // of both; differs once either has changed
        bool operator<(const Candidate& other) const { return order > other.order; }  // heaps keep the largest first
    };
    void append(std::string_view character, std::uint32_t source);
    void offer(std::uint32_t left, std::uint32_t right);
    void endWord(std::vector<BpeSymbol>& out);
    void emit(const Symbol& symbol, std::vector<BpeSymbol>& out) const;
    std::string_view textOf(const Symbol& symbol) const {
        return std::string_view(word_).substr(symbol.first, symbol.bytes);
    }

    const SpmPieces& pieces_;
    std::string word_;
    std::vector<Symbol> symbols_;
    std::vector<Candidate> heap_;
};

}  // namespace carrel

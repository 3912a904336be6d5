#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace carrel {

/// What a pair of neighbouring tokens becomes. Smaller ranks are applied first.
struct Merge {
    std::uint32_t rank = 0;
    std::int32_t merged = 0;
};

/// Pair of token ids -> Merge: a flat hash table, sized once. Filled by one thread, then read by any.
class MergeTable {
  public:
    explicit MergeTable(std::size_t count);
    /// Ids are not negative. The first merge of a pair holds; at most `count` pairs.
    void add(std::int32_t left, std::int32_t right, Merge merge);
    const Merge* find(std::int32_t left, std::int32_t right) const;

  private:
    struct Slot {
        std::uint64_t key;
        Merge merge;
    };
    std::size_t slotOf(std::uint64_t key) const;
    std::vector<Slot> slots_;  // a power of two, at most half full
    int shift_ = 0;
};

/// A token of a word under way, and how many bytes of the word it covers.
struct BpeSymbol {
    std::int32_t id = 0;  // negative: a byte without token, which nothing merges with
    std::uint32_t bytes = 0;
};

/// The merge loop. Holds its working memory, so that one serves a whole text; one thread at a time.
class BpeMerger {
  public:
    explicit BpeMerger(const MergeTable& merges) : merges_(merges) {}
    /// Applies merges to a word's bytes, lowest rank first and leftmost first among equals, until none is left.
    /// O(n log n) in the word's length.
    void merge(std::vector<BpeSymbol>& word);

  private:
    void mergeShort(std::vector<BpeSymbol>& word);
    void mergeLong(std::vector<BpeSymbol>& word);
    void offer(std::span<const BpeSymbol> word, std::uint32_t left, std::uint32_t right);

    struct Candidate {
        std::uint64_t order;  // rank, then position of the left symbol
        std::int32_t merged;
        std::uint32_t bytes;  // of both; differs once either has changed
        bool operator<(const Candidate& other) const { return order > other.order; }  // heaps keep the largest first
    };
    const MergeTable& merges_;
    std::vector<Candidate> heap_;
    std::vector<std::uint32_t> previous_, next_;
    std::vector<const Merge*> pairs_;
};

}  // namespace carrel

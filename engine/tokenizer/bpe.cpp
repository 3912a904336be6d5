#include "tokenizer/bpe.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace carrel {

namespace {

constexpr std::uint64_t kEmpty = std::numeric_limits<std::uint64_t>::max();  // no pair: ids are not negative
constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
constexpr std::size_t kShortWord = 24;  // bytes; up to here a scan of all pairs beats the heap

std::uint64_t keyOf(std::int32_t left, std::int32_t right) {
    return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}

}  // namespace

MergeTable::MergeTable(std::size_t count)
    : slots_(std::bit_ceil(2 * count + 2), Slot{kEmpty, {}}), shift_(64 - std::countr_zero(slots_.size())) {}

// Fibonacci hashing: ids are small and dense, and the product's high bits depend on all of them.
std::size_t MergeTable::slotOf(std::uint64_t key) const {
    std::size_t at = (key * 0x9e3779b97f4a7c15U) >> shift_;
    while (slots_[at].key != key && slots_[at].key != kEmpty) at = (at + 1) & (slots_.size() - 1);
    return at;
}

void MergeTable::add(std::int32_t left, std::int32_t right, Merge merge) {
    const std::uint64_t key = keyOf(left, right);
    if (Slot& slot = slots_[slotOf(key)]; slot.key == kEmpty) slot = {key, merge};
}

const Merge* MergeTable::find(std::int32_t left, std::int32_t right) const {
    if (left < 0 || right < 0) return nullptr;
    const Slot& slot = slots_[slotOf(keyOf(left, right))];
    return slot.key == kEmpty ? nullptr : &slot.merge;
}

void BpeMerger::merge(std::vector<BpeSymbol>& word) {
    word.size() <= kShortWord ? mergeShort(word) : mergeLong(word);
}

void BpeMerger::mergeShort(std::vector<BpeSymbol>& word) {
    pairs_.clear();
    for (std::size_t i = 0; i + 1 < word.size(); ++i) pairs_.push_back(merges_.find(word[i].id, word[i + 1].id));
    while (true) {
        std::size_t best = pairs_.size();
        for (std::size_t i = 0; i < pairs_.size(); ++i)
            if (pairs_[i] && (best == pairs_.size() || pairs_[i]->rank < pairs_[best]->rank)) best = i;
        if (best == pairs_.size()) return;
        word[best] = {pairs_[best]->merged, word[best].bytes + word[best + 1].bytes};
        word.erase(word.begin() + static_cast<std::ptrdiff_t>(best) + 1);
        pairs_.erase(pairs_.begin() + static_cast<std::ptrdiff_t>(best));
        if (best > 0) pairs_[best - 1] = merges_.find(word[best - 1].id, word[best].id);
        if (best < pairs_.size()) pairs_[best] = merges_.find(word[best].id, word[best + 1].id);
    }
}

void BpeMerger::offer(std::span<const BpeSymbol> word, std::uint32_t left, std::uint32_t right) {
    if (left == kNone || right == kNone) return;
    const Merge* merge = merges_.find(word[left].id, word[right].id);
    if (!merge) return;
    heap_.push_back({std::uint64_t{merge->rank} << 32 | left, merge->merged, word[left].bytes + word[right].bytes});
    std::push_heap(heap_.begin(), heap_.end());
}

void BpeMerger::mergeLong(std::vector<BpeSymbol>& word) {
    const auto size = static_cast<std::uint32_t>(word.size());
    heap_.clear();
    previous_.resize(size);
    next_.resize(size);
    for (std::uint32_t i = 0; i < size; ++i) {
        previous_[i] = i == 0 ? kNone : i - 1;
        next_[i] = i + 1 == size ? kNone : i + 1;
        offer(word, previous_[i], i);
    }
    while (!heap_.empty()) {
        std::pop_heap(heap_.begin(), heap_.end());
        const Candidate best = heap_.back();
        heap_.pop_back();
        const auto left = static_cast<std::uint32_t>(best.order);
        const std::uint32_t right = next_[left];
        if (word[left].bytes == 0 || right == kNone || word[left].bytes + word[right].bytes != best.bytes) continue;
        word[left] = {best.merged, best.bytes};
        word[right].bytes = 0;
        next_[left] = next_[right];
        if (next_[left] != kNone) previous_[next_[left]] = left;
        offer(word, previous_[left], left);
        offer(word, left, next_[left]);
    }
    std::erase_if(word, [](const BpeSymbol& symbol) { return symbol.bytes == 0; });
}

}  // namespace carrel

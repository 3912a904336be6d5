#include <doctest/doctest.h>

#include <random>

#include "tokenizer/bpe.h"

using namespace carrel;

namespace {

/// The definition: scan for the lowest rank, leftmost first, until there is none.
std::vector<BpeSymbol> mergedByScan(const MergeTable& merges, std::vector<BpeSymbol> word) {
    while (true) {
        std::size_t best = word.size();
        for (std::size_t i = 0; i + 1 < word.size(); ++i) {
            const Merge* merge = merges.find(word[i].id, word[i + 1].id);
            if (merge && (best == word.size() || merge->rank < merges.find(word[best].id, word[best + 1].id)->rank))
                best = i;
        }
        if (best == word.size()) return word;
        word[best] = {merges.find(word[best].id, word[best + 1].id)->merged, word[best].bytes + word[best + 1].bytes};
        word.erase(word.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
}

}  // namespace

TEST_CASE("short and long words merge as the definition does, bytes without token included") {
    std::mt19937 random(7);
    for (int round = 0; round < 300; ++round) {
        MergeTable merges(200);
        for (std::uint32_t rank = 0; rank < 200; ++rank)
            merges.add(static_cast<std::int32_t>(random() % (4 + rank)),
                       static_cast<std::int32_t>(random() % (4 + rank)), {rank, static_cast<std::int32_t>(4 + rank)});
        std::vector<BpeSymbol> word;
        for (std::size_t i = random() % 80; i > 0; --i)
            word.push_back({static_cast<std::int32_t>(random() % 5) - (random() % 20 == 0 ? 5 : 0), 1});
        const auto expected = mergedByScan(merges, word);
        BpeMerger merger(merges);
        merger.merge(word);
        REQUIRE(word.size() == expected.size());
        for (std::size_t i = 0; i < word.size(); ++i) {
            CHECK(word[i].id == expected[i].id);
            CHECK(word[i].bytes == expected[i].bytes);
        }
    }
}

TEST_CASE("the first merge of a pair holds, and ids without token merge with nothing") {
    MergeTable merges(2);
    merges.add(1, 2, {5, 3});
    merges.add(1, 2, {1, 4});
    REQUIRE(merges.find(1, 2));
    CHECK(merges.find(1, 2)->merged == 3);
    CHECK_FALSE(merges.find(2, 1));
    CHECK_FALSE(merges.find(-1, -1));
}

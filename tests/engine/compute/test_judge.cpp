#include <cmath>
#include <cstdlib>
#include <string>

#include "backend_under_test.h"
#include "compute/cpu/judge.h"
#include "judge_case.h"

using namespace carrel;

namespace {

// How many tokens share a batch, and groups of keys. Under this sanitizer the emulation would take half a minute.
#if defined(__SANITIZE_THREAD__)
constexpr std::size_t kBatch = 3, kBatchGroups = 16;
#else
constexpr std::size_t kBatch = 8, kBatchGroups = 70;
#endif

/// Some cases are of the CPU's own functions.
bool onCpu() {
    return backendUnderTest(1)->name().starts_with("cpu");
}
Isa isaUnderTest() {
    const std::string name = backendUnderTest(1)->name();
    return name.starts_with("cpu avx512") ? Isa::Avx512 : name.starts_with("cpu avx2") ? Isa::Avx2 : Isa::Scalar;
}

// What the judge estimates for one query head, in doubles, and how far rounding may move the logarithm of a share.
struct Definition {
    std::vector<double> score, error;
    double whole = 0, wholeError = 0;

    double logShare(std::size_t key) const { return score[key] - whole; }
    double logError(std::size_t key) const { return error[key] + wholeError; }
};
Definition define(const JudgeCase& c, std::size_t token, std::size_t head, std::size_t firstKey, std::size_t endKey) {
    Definition out{std::vector<double>(c.tokens()), std::vector<double>(c.tokens()), 0, 0};
    double sum = std::exp(static_cast<double>(c.exact[token * c.nHeads() + head])), most = sum;
    for (std::size_t key = firstKey; key < endKey; ++key) {
        out.score[key] = c.planeScore(token, head, key);
        out.error[key] =
            c.planeError(token, head, key, true) + 0.002;  // a 256th of an octave, rounded; a cheap exponential
        sum += std::exp(out.score[key]);
        most += std::exp(out.score[key] + out.error[key]);
    }
    out.whole = std::log(sum);
    out.wholeError = std::log(most / sum) + 0.001;
    return out;
}

SelectRule tokensAbove(float logShare) {
    SelectRule rule;
    rule.tokenShare = std::exp(logShare);
    return rule;
}

bool same(const Judged& a, const Judged& b) {
    return a.chosen == b.chosen && sameBits(a.share.data(), b.share.data(), a.share.size()) &&
           sameBits(a.rest.data(), b.rest.data(), a.rest.size()) &&
           sameBits(a.origin.data(), b.origin.data(), a.origin.size());
}
std::size_t countChosen(const JudgeCase& c, const Judged& got, std::size_t token, std::size_t kvHead) {
    std::size_t count = 0;
    for (std::size_t key = 0; key < c.tokens(); ++key) count += isChosen(c, got, token, kvHead, key);
    return count;
}
std::uint32_t allLeaves(const JudgeCase& c) {
    return static_cast<std::uint32_t>(c.leaves());
}

// A token passes if for some head its share is above tokenShare and, if leafShare is not 0, for some head its leaf's is
// above leafShare; what is nearer than rounding reaches may go either way. Returns how many were too near.
std::size_t compareWithDefinition(const JudgeCase& c, const SelectRule& rule, std::uint32_t first, std::uint32_t end,
                                  const Judged& got) {
    std::size_t near = 0;
    const double tokenLimit = std::log(static_cast<double>(rule.tokenShare)),
                 leafLimit = std::log(static_cast<double>(rule.leafShare));
    for (std::size_t token = 0; token < c.nTokens; ++token)
        for (std::size_t kvHead = 0; kvHead < c.nKvHeads; ++kvHead) {
            std::vector<Definition> heads;
            for (std::size_t h = 0; h < c.group; ++h)
                heads.push_back(define(c, token, kvHead * c.group + h, first * kLeafTokens, end * kLeafTokens));
            std::vector<double> read(c.group), readError(c.group);
            for (std::size_t leaf = 0; leaf < c.leaves(); ++leaf) {
                const bool judged = leaf >= first && leaf < end;
                bool leafSurely = rule.leafShare == 0, leafMaybe = leafSurely;
                for (const Definition& d : heads) {
                    double sum = 0, error = 0;
                    for (std::size_t key = leaf * kLeafTokens; judged && key < (leaf + 1) * kLeafTokens; ++key) {
                        sum += std::exp(d.logShare(key));
                        error = std::max(error, d.logError(key));
                    }
                    leafSurely |= std::log(sum) - error > leafLimit;
                    leafMaybe |= std::log(sum) + error > leafLimit;
                }
                for (std::size_t key = leaf * kLeafTokens; key < (leaf + 1) * kLeafTokens; ++key) {
                    bool surely = rule.wholeLeaves, maybe = rule.wholeLeaves;
                    for (const Definition& d : heads) {
                        surely |= d.logShare(key) - d.logError(key) > tokenLimit;
                        maybe |= d.logShare(key) + d.logError(key) > tokenLimit;
                    }
                    surely = surely && leafSurely && judged;
                    maybe = maybe && leafMaybe && judged;
                    const bool chosen = isChosen(c, got, token, kvHead, key);
                    INFO("token ", token, " KV head ", kvHead, " key ", key);
                    if (surely) REQUIRE(chosen);
                    if (!maybe) REQUIRE(!chosen);
                    near += surely != maybe;
                    for (std::size_t h = 0; chosen && h < c.group; ++h) {
                        read[h] += std::exp(heads[h].logShare(key));
                        readError[h] += std::exp(heads[h].logShare(key) + heads[h].logError(key)) -
                                        std::exp(heads[h].logShare(key));
                    }
                }
            }
            for (std::size_t h = 0; h < c.group; ++h)
                CHECK(std::fabs(got.share[token * c.nHeads() + kvHead * c.group + h] - read[h]) <= readError[h] + 1e-4);
        }
    return near;
}

struct Scanned {
    std::vector<std::int16_t> scores;  // [groups, rows, 64]
    std::vector<float> sums;           // [rows]
};
// All rows of a case with one KV head.
Scanned scan(const JudgeCase& c, std::size_t firstLeaf, std::size_t endLeaf) {
    const std::size_t rows = c.nTokens * c.nHeads();
    std::vector<float> q(rows * c.headDim), exact(rows);
    for (std::size_t i = 0; i < q.size(); ++i) q[i] = c.q[i] * c.scale * kLog2PerNat;
    for (std::size_t i = 0; i < rows; ++i) exact[i] = c.exact[i] * kLog2PerNat;
    Scanned out{std::vector<std::int16_t>(c.groups * rows * kGroupTokens), std::vector<float>(rows)};
    // sums [16] and the like are read in whole vectors
    std::vector<std::byte> memory(scanScratchBytes(rows, c.headDim) + 64);
    void* scratch = memory.data();
    std::size_t room = memory.size();
    std::align(64, room - 64, scratch, room);
    kScan.at(isaUnderTest())({q.data(), nullptr, nullptr, exact.data(), rows, c.headDim},
                             {c.codes[0].data(), c.groups, firstLeaf, endLeaf, out.scores.data(), out.sums.data(),
                              static_cast<std::byte*>(scratch)});
    return out;
}

}  // namespace

TEST_CASE("A score differs from its definition by no more than the query's rounding") {
    if (!onCpu()) return;
    for (const std::size_t headDim : {64, 128, 80, 256})
        for (const std::size_t heads : {1, 3, 7, 8, 9}) {
            const JudgeCase c(2, 1, heads, headDim, 3);
            const std::size_t rows = 2 * heads;
            const auto [scores, sums] = scan(c, 2, 11);
            double squares = 0, bounds = 0;
            for (std::size_t row = 0; row < rows; ++row) {
                double sum = 0, most = 0;
                for (std::size_t key = 0; key < c.tokens(); ++key) {
                    const double want = c.planeScore(row / heads, row % heads, key) - static_cast<double>(c.exact[row]),
                                 bound = c.planeError(row / heads, row % heads, key),
                                 got = scores[(key / 64 * rows + row) * 64 + key % 64] /
                                       static_cast<double>(kScoresPerLog2 * kLog2PerNat);
                    INFO("head size ", headDim, " row ", row, " key ", key);
                    REQUIRE(std::fabs(got - want) <= bound + 0.0014);  // half a unit of the score
                    squares += (got - want) * (got - want);
                    bounds += bound * bound;
                    if (key / kLeafTokens < 2 || key / kLeafTokens >= 11) continue;
                    sum += std::exp(want);
                    most += std::exp(want + bound + 0.001);
                }
                CHECK(std::fabs(std::log(sums[row]) - std::log(sum)) <= std::log(most / sum) + 1e-3);
            }
            CHECK(std::sqrt(squares / bounds) < 0.25);  // roundings of channels do not add up
        }
}

TEST_CASE("A group whose keys spread far wider than others' does not blur their scores") {
    if (!onCpu()) return;
    JudgeCase c(1, 1, 7, 64, 32);
    constexpr std::size_t kWide = 9;
    for (const std::size_t channel : {5, 40}) {
        std::byte* step =
            c.codes[0].data() + kWide * codesBytes(64) + kGroupLeaves * planeLeafBytes(64) + 2 * (64 + channel);
        const std::uint16_t half = f32ToF16(16 * c.grid(0, kWide * kGroupTokens, channel, true));
        std::memcpy(step, &half, 2);
    }
    const Scanned got = scan(c, 0, c.leaves());
    for (const bool wide : {false, true}) {
        double squares = 0, bounds = 0;
        for (std::size_t row = 0; row < 7; ++row)
            for (std::size_t key = 0; key < c.tokens(); ++key) {
                if ((key / kGroupTokens == kWide) != wide) continue;
                const double want = c.planeScore(0, row, key) - static_cast<double>(c.exact[row]),
                             bound = c.planeError(0, row, key),
                             score = got.scores[(key / 64 * 7 + row) * 64 + key % 64] /
                                     static_cast<double>(kScoresPerLog2 * kLog2PerNat);
                squares += (score - want) * (score - want);
                bounds += bound * bound;
            }
        CHECK(std::sqrt(squares / bounds) < 0.25);
    }
}

TEST_CASE("The chosen tokens are those above the threshold for some head") {
    for (const JudgeCase& c : {JudgeCase(2, 2, 3, 64, 7), JudgeCase(2, 2, 3, 128, 7), JudgeCase(2, 8, 4, 128, 7)}) {
        const SelectRule rule = tokensAbove(-6);
        const Judged got = judge(*backendUnderTest(), c, rule, 0, allLeaves(c), 0, 2);
        const std::size_t near = compareWithDefinition(c, rule, 0, allLeaves(c), got);
        const std::size_t chosen = countChosen(c, got, 0, 0);
        CHECK(chosen > 20);
        CHECK(chosen < c.tokens() / 2);
        CHECK(near < c.nTokens * c.nKvHeads * c.tokens() / 4);
    }
}

TEST_CASE("A leaf below its threshold gives no token, and whole leaves are chosen by theirs alone") {
    for (const JudgeCase& c : {JudgeCase(1, 2, 4, 64, 9), JudgeCase(1, 8, 4, 128, 9)}) {
        const Judged plain = judge(*backendUnderTest(), c, tokensAbove(-7), 0, allLeaves(c), 0, 1);
        SelectRule rule = tokensAbove(-7);
        rule.leafShare = 0.02f;
        const Judged inLeaves = judge(*backendUnderTest(), c, rule, 0, allLeaves(c), 0, 1);
        compareWithDefinition(c, rule, 0, allLeaves(c), inLeaves);
        CHECK(countChosen(c, inLeaves, 0, 0) < countChosen(c, plain, 0, 0));
        rule.wholeLeaves = true;
        const Judged leaves = judge(*backendUnderTest(), c, rule, 0, allLeaves(c), 0, 1);
        compareWithDefinition(c, rule, 0, allLeaves(c), leaves);
        CHECK(countChosen(c, leaves, 0, 0) > countChosen(c, inLeaves, 0, 0));
        for (const std::uint16_t bits : leaves.chosen) CHECK((bits == 0 || bits == 0xFFFF));
    }
}

TEST_CASE("A leaf that was not chosen lately must be above a share of its own") {
    for (const JudgeCase& c : {JudgeCase(2, 2, 4, 64, 9), JudgeCase(2, 8, 4, 128, 9)}) {
        SelectRule low = tokensAbove(-7), high = low;
        low.leafShare = 0.01f;
        high.leafShare = 0.03f;
        const Judged known = judge(*backendUnderTest(), c, low, 0, allLeaves(c), 0, 2),
                     unknown = judge(*backendUnderTest(), c, high, 0, allLeaves(c), 0, 2);
        const std::size_t width = c.nKvHeads * c.leaves();
        std::vector<std::uint8_t> lately(width);
        for (std::size_t i = 0; i < width; ++i) lately[i] = static_cast<std::uint8_t>(i % 3);
        SelectRule both = low;
        both.newLeafShare = high.leafShare;
        const std::uint8_t* const one[] = {lately.data(), nullptr};  // nothing is new to the second sequence
        const Judged got = judge(*backendUnderTest(), c, both, 0, allLeaves(c), 0, 2, one);
        std::size_t differ = 0;
        for (std::size_t i = 0; i < 2 * width; ++i) {
            const bool isNew = i < width && lately[i] == 0;
            CHECK(got.chosen[i] == (isNew ? unknown : known).chosen[i]);
            differ += unknown.chosen[i] != known.chosen[i];
        }
        CHECK(differ > 0);
        CHECK(judge(*backendUnderTest(), c, both, 0, allLeaves(c), 0, 2).chosen == known.chosen);
    }
}

TEST_CASE("A leaf's rest weighs what its tokens that are not chosen weigh, by their power mean") {
    for (const JudgeCase& c : {JudgeCase(2, 2, 3, 64, 7), JudgeCase(1, 1, 9, 128, 9), JudgeCase(3, 1, 7, 80, 4)}) {
        std::size_t partly = 0;
        for (const float limit : {-6.0f, -3.0f}) {
            const std::uint32_t first = 1, end = allLeaves(c) - 2;
            const Judged got = judge(*backendUnderTest(), c, tokensAbove(limit), first, end, 0, c.nTokens);
            for (std::size_t token = 0; token < c.nTokens; ++token)
                for (std::size_t head = 0; head < c.nHeads(); ++head) {
                    const Definition d = define(c, token, head, first * kLeafTokens, end * kLeafTokens);
                    const std::size_t row = token * c.nHeads() + head;
                    CHECK(std::fabs(got.origin[row] - d.whole) < d.wholeError + 0.01);
                    for (std::size_t leaf = 0; leaf < c.leaves(); ++leaf) {
                        double sum = 0, error = 0, n = 0;
                        for (std::size_t key = leaf * kLeafTokens; key < (leaf + 1) * kLeafTokens; ++key) {
                            if (isChosen(c, got, token, head / c.group, key)) continue;
                            sum += std::exp(d.score[key] / 2), ++n;
                            error = std::max(error, d.error[key]);
                        }
                        partly += n > 0 && n < 16;
                        const bool counts = leaf >= first && leaf < end && n > 0;
                        const float weight = got.rest[row * c.leaves() + leaf];
                        INFO("token ", token, " head ", head, " leaf ", leaf, " with ", n, " left");
                        if (!counts)
                            REQUIRE(weight == 0);
                        else
                            REQUIRE(std::fabs(std::log(static_cast<double>(weight)) + got.origin[row] -
                                              std::log(sum * sum / n)) < error + 0.02);
                    }
                }
        }
        CHECK(partly > 0);
    }
}

TEST_CASE("A leaf that was not judged has no rest, whatever lies in its scores' memory") {
    if (!onCpu()) return;
    const std::vector<std::int16_t> scores(5 * kGroupTokens, INT16_MAX);
    const std::vector<std::uint16_t> chosen(5 * kGroupLeaves, 0);
    const std::vector<float> share(5 * kGroupLeaves, 0);
    std::vector<float> rest(5 * kGroupLeaves, -7);
    kRest.at(isaUnderTest())(scores.data(), kGroupTokens, 5, INT16_MIN, chosen.data(), share.data(), rest.data());
    CHECK(std::ranges::all_of(rest, [](float weight) { return weight == 0; }));
}

TEST_CASE("Only the leaves asked for are judged, wherever they begin and end") {
    const JudgeCase c(2, 1, 7, 64, 6);
    for (const auto& [first, end] : {std::pair{1u, 24u}, {3u, 5u}, {6u, 7u}, {4u, 23u}, {9u, 9u}, {13u, 22u}}) {
        SelectRule everything;  // a token of share 0 is not left out where there is no threshold
        const Judged all = judge(*backendUnderTest(), c, everything, first, end, 0, 2);
        for (std::size_t leaf = 0; leaf < c.leaves(); ++leaf)
            CHECK(all.chosen[leaf] == (leaf >= first && leaf < end ? 0xFFFF : 0));
        const Judged got = judge(*backendUnderTest(), c, tokensAbove(-5), first, end, 0, 2);
        compareWithDefinition(c, tokensAbove(-5), first, end, got);
    }
}

TEST_CASE("A sequence is given the same whatever else is in the batch and for any number of threads") {
    std::vector<SelectRule> rules(7, tokensAbove(-8));
    rules[1].leafShare = 0.004f;
    rules[2].cap = 100;
    rules[3].tokenShare = 0, rules[3].cap = 200;
    rules[4].scorer = Scorer::Means;
    rules[5].scorer = Scorer::MinMax, rules[5].chunkTokens = 32, rules[5].cap = 512;
    rules[6] = rules[5], rules[6].layerChoice = true;
    // Heads of one sequence fill a kernel's rows, or those of two do and the last is alone.
    for (const JudgeCase& c : {JudgeCase(kBatch, 2, 7, 64, kBatchGroups, 32),
                               JudgeCase(std::min<std::size_t>(kBatch, 5), 3, 3, 64, kBatchGroups, 32),
                               JudgeCase(kBatch, 8, 4, 128, std::min<std::size_t>(kBatchGroups, 20), 32)}) {
        const std::uint32_t end = allLeaves(c) - 10;
        const auto backend = backendUnderTest(2);
        HeldCase held(*backend, c);
        for (const SelectRule& rule : rules) {
            const Judged together = held.judge(rule, 1, end, 0, c.nTokens);
            CHECK(std::any_of(together.chosen.begin(), together.chosen.end(),
                              [](std::uint16_t bits) { return bits != 0; }));
            for (const unsigned threads : {1u, 3u})
                if (onCpu()) CHECK(same(together, judge(*backendUnderTest(threads), c, rule, 1, end, 0, c.nTokens)));
            for (std::size_t token = 0; token < c.nTokens; ++token) {
                const Judged alone = held.judge(rule, 1, end, token, 1);
                const std::size_t width = c.nKvHeads * c.leaves();
                CHECK(std::equal(alone.chosen.begin(), alone.chosen.end(),
                                 together.chosen.begin() + static_cast<std::ptrdiff_t>(token * width)));
                CHECK(sameBits(alone.share.data(), together.share.data() + token * c.nHeads(), c.nHeads()));
                const std::size_t rests = alone.rest.size();
                CHECK(sameBits(alone.rest.data(), together.rest.data() + token * rests, rests));
            }
        }
    }
}

TEST_CASE("The cap keeps exactly the tokens with the largest shares summed over the heads") {
    const JudgeCase cases[] = {JudgeCase(1, 2, 3, 64, 12), JudgeCase(1, 8, 4, 128, 12)};
    for (const JudgeCase& c : cases)
        for (const float threshold : {0.0f, std::exp(-8.0f)})
            for (const std::uint32_t cap : {0u, 1u, 17u, 100u}) {
                SelectRule rule;
                rule.tokenShare = threshold;
                rule.cap = cap;
                const Judged got = judge(*backendUnderTest(), c, rule, 0, allLeaves(c), 0, 1);
                for (std::size_t kvHead = 0; kvHead < c.nKvHeads; ++kvHead) {
                    REQUIRE(countChosen(c, got, 0, kvHead) == cap);
                    std::vector<double> sums(c.tokens()), error(c.tokens());
                    for (std::size_t h = 0; h < c.group; ++h) {
                        const Definition d = define(c, 0, kvHead * c.group + h, 0, c.tokens());
                        for (std::size_t key = 0; key < c.tokens(); ++key) {
                            sums[key] += std::exp(d.logShare(key));
                            error[key] += std::exp(d.logShare(key)) * std::expm1(d.logError(key));
                        }
                    }
                    double leastChosen = INFINITY, mostLeft = 0;
                    for (std::size_t key = 0; key < c.tokens(); ++key)
                        if (isChosen(c, got, 0, kvHead, key))
                            leastChosen = std::min(leastChosen, sums[key] + error[key]);
                        else
                            mostLeft = std::max(mostLeft, sums[key] - error[key]);
                    CHECK(mostLeft <= leastChosen);
                }
            }
}

TEST_CASE("Equal shares go by position, and whole leaves stay whole under the cap") {
    JudgeCase c(1, 1, 2, 64, 4);
    std::fill(c.q.begin(), c.q.end(), 0.0f);
    SelectRule rule;
    rule.cap = 37;
    const Judged tokens = judge(*backendUnderTest(), c, rule, 1, 14, 0, 1);
    for (std::size_t key = 0; key < c.tokens(); ++key)
        CHECK(isChosen(c, tokens, 0, 0, key) == (key >= 16 && key < 16 + 37));
    JudgeCase many(1, 1, 2, 64, 80);
    std::fill(many.q.begin(), many.q.end(), 0.0f);
    rule.cap = 1003;
    const Judged first = judge(*backendUnderTest(), many, rule, 1, 300, 0, 1);
    for (std::size_t key = 0; key < many.tokens(); ++key)
        CHECK(isChosen(many, first, 0, 0, key) == (key >= 16 && key < 16 + 1003));
    rule.cap = 37;
    rule.wholeLeaves = true;
    const Judged leaves = judge(*backendUnderTest(), c, rule, 1, 14, 0, 1);
    for (std::size_t key = 0; key < c.tokens(); ++key)
        CHECK(isChosen(c, leaves, 0, 0, key) == (key >= 16 && key < 16 + 32));
}

TEST_CASE("Shares are of everything, also where nothing is read anyway or a score is out of bounds") {
    JudgeCase c(1, 1, 2, 64, 3);
    c.exact = {-INFINITY, 0};
    Judged got = judge(*backendUnderTest(), c, {}, 0, allLeaves(c), 0, 1);
    CHECK(got.share[0] == doctest::Approx(1).epsilon(0.002));
    CHECK(got.share[1] < 1);
    for (float& value : c.q) value *= 1e20f;
    c.exact = {1e30f, -1e30f};
    got = judge(*backendUnderTest(), c, tokensAbove(-9), 0, allLeaves(c), 0, 1);
    for (const float share : got.share) CHECK((share >= 0 && share <= 1));
    for (float& value : c.q) value = NAN;
    got = judge(*backendUnderTest(), c, tokensAbove(-9), 0, allLeaves(c), 0, 1);
    for (const float share : got.share) CHECK((share >= 0 && share <= 1));
}

TEST_CASE("Mean keys choose the leaves whose mean scores highest") {
    const JudgeCase c(1, 2, 3, 64, 8);
    SelectRule rule;
    rule.scorer = Scorer::Means;
    rule.cap = 100;
    const Judged got = judge(*backendUnderTest(), c, rule, 2, 31, 0, 1);
    for (std::size_t kvHead = 0; kvHead < 2; ++kvHead) {
        REQUIRE(countChosen(c, got, 0, kvHead) == 96);
        std::vector<double> sums(c.leaves());
        for (std::size_t h = kvHead * 3; h < kvHead * 3 + 3; ++h) {
            std::vector<double> mass(c.leaves());
            double whole = std::exp(static_cast<double>(c.exact[h]));
            for (std::size_t leaf = 2; leaf < 31; ++leaf) {
                double score = 0;
                for (std::size_t d = 0; d < 64; ++d) {
                    const auto code =
                        std::to_integer<unsigned>(c.keyMeans[kvHead][leaf / 4 * keyMeansBytes(64) + leaf % 4 * 64 + d]);
                    score += static_cast<double>(c.query(0, h)[d]) *
                             (c.grid(kvHead, leaf * 16, d, false) +
                              static_cast<double>(code) * c.grid(kvHead, leaf * 16, d, true));
                }
                whole += mass[leaf] = 16 * std::exp(c.scale * score);
            }
            for (std::size_t leaf = 2; leaf < 31; ++leaf) sums[leaf] += mass[leaf] / whole;
        }
        double least = INFINITY, mostLeft = 0;
        for (std::size_t leaf = 2; leaf < 31; ++leaf) {
            const std::uint16_t bits = got.chosen[kvHead * c.leaves() + leaf];
            REQUIRE((bits == 0 || bits == 0xFFFF));
            if (bits != 0)
                least = std::min(least, sums[leaf]);
            else
                mostLeft = std::max(mostLeft, sums[leaf]);
        }
        CHECK(mostLeft <= least * 1.005);
    }
}

TEST_CASE("A bound is never below the score of any key of its chunk") {
    if (!onCpu()) return;
    for (const std::size_t chunkTokens : {16, 32, 64, 128}) {
        const JudgeCase c(1, 1, 5, 80, 6, chunkTokens);
        std::vector<float> above(c.q.size()), below(c.q.size()), low(80), high(80), out(5);
        for (std::size_t i = 0; i < c.q.size(); ++i)
            above[i] = std::max(c.q[i], 0.0f), below[i] = std::min(c.q[i], 0.0f);
        for (std::size_t chunk = 0; chunk < c.tokens() / chunkTokens; ++chunk) {
            kFromF16.at(isaUnderTest())(c.bounds[0].data() + chunk * 2 * 80, 80, low.data());
            kFromF16.at(isaUnderTest())(c.bounds[0].data() + (chunk * 2 + 1) * 80, 80, high.data());
            kUnitScores.at(isaUnderTest())({nullptr, above.data(), below.data(), nullptr, 5, 80}, low.data(),
                                           high.data(), out.data());
            for (std::size_t h = 0; h < 5; ++h)
                for (std::size_t key = chunk * chunkTokens; key < (chunk + 1) * chunkTokens; ++key)
                    REQUIRE(c.scale * out[h] >= c.keyScore(0, h, key) - 1e-4);
        }
    }
}

TEST_CASE("By bounds whole chunks are chosen, as many as fit under the cap") {
    for (const auto& [chunkTokens, heads, group, headDim] : {std::array{16u, 2u, 3u, 64u},
                                                             {64u, 2u, 3u, 64u},
                                                             {128u, 2u, 3u, 64u},
                                                             {16u, 8u, 4u, 128u},
                                                             {512u, 8u, 4u, 128u}}) {
        const JudgeCase c(1, heads, group, headDim, 20, chunkTokens);
        SelectRule rule;
        rule.scorer = Scorer::MinMax;
        rule.chunkTokens = chunkTokens;
        rule.cap = 600;
        const Judged got = judge(*backendUnderTest(), c, rule, 0, allLeaves(c), 0, 1);
        for (std::size_t kvHead = 0; kvHead < heads; ++kvHead) {
            CHECK(countChosen(c, got, 0, kvHead) == rule.cap / chunkTokens * chunkTokens);
            for (std::size_t key = 0; key < c.tokens(); ++key)
                CHECK(isChosen(c, got, 0, kvHead, key) == isChosen(c, got, 0, kvHead, key / chunkTokens * chunkTokens));
        }
    }
}

TEST_CASE("The paper's way splits what it takes and gives every head the same") {
    // Two heads that look at one channel each. Channel 0 of KV head 0 is the chunk's worth; chunks of 128 are 0 to 3.
    JudgeCase c(1, 2, 1, 64, 8, 32);
    std::fill(c.q.begin(), c.q.end(), 0.0f);
    c.q[0] = 1;
    c.q[64] = -1;
    for (auto& bounds : c.bounds) std::fill(bounds.begin(), bounds.end(), std::uint16_t{0});
    const auto worth = [&](std::size_t chunk, float ofFirst, float ofSecond) {
        c.bounds[0][(2 * chunk + 1) * 64] = f32ToF16(ofFirst);
        c.bounds[1][2 * chunk * 64] = f32ToF16(-ofSecond);  // the least key, which a negative query likes best
    };
    // Chunks of 32: 5 (in the second 128) is best by the sum of heads, 10 and 11 (in the third) come next, then 0.
    worth(5, 6, 4);
    worth(10, 0, 8);
    worth(11, 7, 0);
    worth(0, 3, 3);
    SelectRule rule;
    rule.scorer = Scorer::MinMax;
    rule.chunkTokens = 32;
    rule.layerChoice = true;
    const auto taken = [&](std::uint32_t cap, std::uint32_t first, std::uint32_t end) {
        rule.cap = cap;
        const Judged got = judge(*backendUnderTest(), c, rule, first, end, 0, 1);
        std::vector<std::size_t> chunks;
        for (std::size_t leaf = 0; leaf < c.leaves(); ++leaf) {
            CHECK(got.chosen[leaf] == got.chosen[c.leaves() + leaf]);
            if (got.chosen[leaf] == 0xFFFF && (chunks.empty() || chunks.back() != leaf / 2)) chunks.push_back(leaf / 2);
        }
        std::size_t count = 0;
        for (std::size_t key = 0; key < c.tokens(); ++key) count += isChosen(c, got, 0, 1, key);
        CHECK(count <= cap);
        return chunks;
    };
    // First the third 128 (15, of two parts worth 8 and 7) and the second (10) are split, then their better halves and
    // the first 128 (6).
    CHECK(taken(160, 0, 32) == std::vector<std::size_t>{0, 1, 5, 10, 11});
    CHECK(taken(256, 0, 32) == std::vector<std::size_t>{0, 1, 2, 3, 4, 5, 10, 11});
    // Only the third is split, twice; then the second, whole, is worth more than its parts, and fills the cap.
    CHECK(taken(32, 0, 32) == std::vector<std::size_t>{4});
    CHECK(taken(0, 0, 32).empty());
    CHECK(taken(1000, 2, 7) == std::vector<std::size_t>{1, 2, 3});
}

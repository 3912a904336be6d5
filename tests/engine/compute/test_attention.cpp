#include <numeric>

#include "attention_case.h"

using namespace carrel;

namespace {

// f16 keys alone: tokens of each sequence, and the batch.
AttendCase halvesCase(std::size_t nKvHeads, std::size_t group, std::size_t headDim, std::vector<std::size_t> lengths,
                      std::vector<std::uint32_t> position, std::vector<std::uint32_t> sequence) {
    AttendCase c(nKvHeads, group, headDim, (std::ranges::max(lengths) + kLeafTokens - 1) / kLeafTokens,
                 std::move(position), std::move(sequence));
    for (const std::size_t length : lengths)
        for (std::size_t h = 0; h < nKvHeads; ++h) c.addHalves(c.runs.emplace_back(), 0, length);
    return c;
}

// As in decoding: the first and the newest leaves of a document whole, then the f16 tail, then chosen tokens of what
// lies between, then what is left of it. Sequence s has s * 40 leaves more.
AttendCase tieredCase(std::size_t nKvHeads, std::size_t group, std::size_t headDim, std::size_t docLeaves,
                      std::size_t sequences, std::size_t tail, const std::vector<std::uint32_t>& intoTail,
                      std::vector<std::uint32_t> sequence) {
    const auto docOf = [&](std::size_t s) { return docLeaves + s * 40; };
    std::vector<std::uint32_t> position = intoTail;
    for (std::size_t t = 0; t < position.size(); ++t)
        position[t] += static_cast<std::uint32_t>(docOf(sequence[t]) * kLeafTokens);
    AttendCase c(nKvHeads, group, headDim, docOf(sequences - 1) + (tail + kLeafTokens - 1) / kLeafTokens,
                 std::move(position), std::move(sequence));
    std::mt19937 random(5);
    for (std::size_t s = 0; s < sequences; ++s)
        for (std::size_t h = 0; h < nKvHeads; ++h) {
            const std::size_t leaves = docOf(s);
            const EncodedKeys& keys =
                c.encoded.emplace_back(static_cast<unsigned>(10 + s * nKvHeads + h), headDim, leaves);
            std::vector<KvPick> near{keys.pick(0, 0xffff)}, chosen;
            for (std::size_t leaf = leaves - 5; leaf < leaves; ++leaf) near.push_back(keys.pick(leaf, 0xffff));
            for (std::size_t leaf = 1; leaf < leaves - 5; ++leaf) {
                // One token, a few, many, all, or none.
                const auto draw = [&] { return static_cast<std::uint32_t>(random()); };
                const std::uint32_t masks[] = {1u << draw() % 16, draw() & draw() & draw(), draw() | draw(), 0xffff, 0};
                const std::uint32_t tokens = masks[draw() % 5] & 0xffff;
                if (tokens != 0) chosen.push_back(keys.pick(leaf, static_cast<std::uint16_t>(tokens)));
            }
            std::vector<KvRun>& runs = c.runs.emplace_back();
            c.addPicks(runs, near);
            c.addHalves(runs, leaves * kLeafTokens, leaves * kLeafTokens + tail);
            c.addPicks(runs, chosen);
            c.addRests(runs, keys, (leaves - 5) / 4);
        }
    return c;
}

// As in reading: whole groups of a document, then the tokens' own f16.
AttendCase groupsCase(std::size_t nKvHeads, std::size_t group, std::size_t headDim, KvCodec codec, std::size_t groups,
                      std::size_t tokens) {
    std::vector<std::uint32_t> position(tokens);
    std::iota(position.begin(), position.end(), static_cast<std::uint32_t>(groups * kGroupTokens));
    AttendCase c(nKvHeads, group, headDim, groups * kGroupLeaves + (tokens + 15) / 16, std::move(position),
                 std::vector<std::uint32_t>(tokens, 0));
    c.codec = codec;
    for (std::size_t h = 0; h < nKvHeads; ++h) {
        const EncodedKeys& keys =
            c.encoded.emplace_back(static_cast<unsigned>(20 + h), headDim, groups * kGroupLeaves, codec);
        std::vector<KvPick> all;
        for (std::size_t leaf = 0; leaf < groups * kGroupLeaves; ++leaf) all.push_back(keys.pick(leaf, 0xffff));
        c.addPicks(c.runs.emplace_back(), all);
        c.addHalves(c.runs.back(), groups * kGroupTokens, groups * kGroupTokens + tokens);
    }
    return c;
}

std::vector<std::uint32_t> ascending(std::uint32_t first, std::uint32_t count) {
    std::vector<std::uint32_t> out(count);
    std::iota(out.begin(), out.end(), first);
    return out;
}
std::vector<std::uint32_t> zeros(std::size_t count) {
    return std::vector<std::uint32_t>(count, 0);
}
std::vector<std::size_t> allOf(const AttendCase& c) {
    std::vector<std::size_t> out(c.position.size());
    std::iota(out.begin(), out.end(), std::size_t{0});
    return out;
}

// What token `from` of one output and token `to` of another say.
bool sameToken(const AttendCase& c, const Attended& a, std::size_t from, const Attended& b, std::size_t to) {
    const std::size_t width = c.nHeads() * c.headDim, mass = c.nHeads() * c.leaves;
    return sameBits(&a.out[from * width], &b.out[to * width], width) &&
           sameBits(&a.logSumExp[from * c.nHeads()], &b.logSumExp[to * c.nHeads()], c.nHeads()) &&
           sameBits(&a.mass[from * mass], &b.mass[to * mass], mass);
}

// Every token of the batch alone, with a few, with many others and in another order has the bits that it has with all.
void checkAnyBatch(const AttendCase& c) {
    std::mt19937 random(3);
    const auto one = backendUnderTest(1), two = backendUnderTest(2), three = backendUnderTest(3);
    const Attended all = attend(*one, c, allOf(c));
    for (Backend* backend : among<Backend*>({one.get(), two.get(), three.get()}, {one.get()}))
        for (const std::size_t count : among<std::size_t>({1, 2, 5, 16, 33, 64, 70}, {1, 5, 33})) {
            std::vector<std::size_t> some = allOf(c);
            std::shuffle(some.begin(), some.end(), random);
            some.resize(std::min(count, some.size()));
            const Attended part = attend(*backend, c, some);
            for (std::size_t i = 0; i < some.size(); ++i) {
                INFO("group ", c.group, " head size ", c.headDim, ": token ", some[i], " among ", count, " on ",
                     backend->name());
                REQUIRE(sameToken(c, part, i, all, some[i]));
            }
        }
}

}  // namespace

TEST_CASE("Attention is softmax over the keys up to a token's own position") {
    const auto backend = backendUnderTest();
    for (const std::size_t headDim : among<std::size_t>({64, 128, 256, 8, 72}, {128, 256, 8}))
        for (const std::size_t group : among<std::size_t>({1, 3, 4, 7}, {1, 7})) {
            const AttendCase prefill = halvesCase(2, group, headDim, {150}, ascending(60, 90), zeros(90));
            compareWithDefinition(prefill, attend(*backend, prefill, allOf(prefill)));
            const AttendCase decode = halvesCase(2, group, headDim, {130, 1, 64}, {129, 63, 0}, {0, 2, 1});
            compareWithDefinition(decode, attend(*backend, decode, allOf(decode)));
        }
}

TEST_CASE("Keys beyond one part of 1024 are merged in") {
    const auto backend = backendUnderTest();
    const AttendCase decode = halvesCase(2, 7, 64, {2500}, {2499, 1023, 1024}, {0, 0, 0});
    compareWithDefinition(decode, attend(*backend, decode, allOf(decode)));
    const AttendCase prefill = halvesCase(2, 3, 64, {1200}, ascending(1000, 200), zeros(200));
    compareWithDefinition(prefill, attend(*backend, prefill, allOf(prefill)));
}

TEST_CASE("Chosen tokens and rests attend as the keys and values that they stand for") {
    const auto backend = backendUnderTest();
    for (const std::size_t headDim : {16, 64, 80, 128})
        for (const std::size_t group : among<std::size_t>({1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 7, 9})) {
            const AttendCase decode = tieredCase(2, group, headDim, 60, 1, 70, {69}, {0});
            compareWithDefinition(decode, attend(*backend, decode, allOf(decode)), 2e-5);
        }
    for (const std::size_t headDim : {16, 64, 80, 128})
        for (const std::uint32_t tokens : {6, 12, 20, 70}) {
            const AttendCase prefill =
                tieredCase(1, 3, headDim, 40, 1, 70, ascending(70 - tokens, tokens), zeros(tokens));
            compareWithDefinition(prefill, attend(*backend, prefill, allOf(prefill)), 2e-5);
        }
}

TEST_CASE("Whole groups attend as the keys and values that they stand for, whatever the codec") {
    const auto backend = backendUnderTest();
    for (const KvCodec codec : {KvCodec::K8V8, KvCodec::K8V6, KvCodec::K8V4})
        for (const std::size_t headDim : {16, 64, 80, 256})
            for (const std::size_t tokens : {1, 2, 11, 16}) {
                const AttendCase c = groupsCase(1, headDim == 80 ? 7 : 3, headDim, codec, 3, tokens);
                compareWithDefinition(c, attend(*backend, c, allOf(c)), 2e-4);
            }
}

TEST_CASE("Whole groups have the same bits in any batch and number of threads") {
    for (const std::size_t headDim : {16, 64, 80})
        for (const std::size_t group : {1, 7}) checkAnyBatch(groupsCase(1, group, headDim, KvCodec::K8V6, 6, 36));
}

TEST_CASE("A rest of no weight changes nothing, wherever its weights are relative to") {
    const auto backend = backendUnderTest();
    AttendCase c(1, 2, 64, 40, {639}, {0});
    const EncodedKeys& keys = c.encoded.emplace_back(7, c.headDim, 40);
    c.addPicks(c.runs.emplace_back(), {keys.pick(3, 0x8001), keys.pick(9, 0xffff)});
    const Attended alone = attend(*backend, c, {0});
    c.addRests(c.runs.back(), keys, 10);
    std::fill(c.weight.begin(), c.weight.end(), 0.0f);
    for (const float origin : {-20.0f, 0.0f, 20.0f}) {
        std::fill(c.origin.begin(), c.origin.end(), origin);
        const Attended with = attend(*backend, c, {0});
        for (std::size_t i = 0; i < alone.out.size(); ++i) CHECK(std::fabs(with.out[i] - alone.out[i]) < 1e-5f);
        for (std::size_t i = 0; i < alone.mass.size(); ++i) CHECK(std::fabs(with.mass[i] - alone.mass[i]) < 1e-5f);
        for (std::size_t i = 0; i < 2; ++i) CHECK(std::fabs(with.logSumExp[i] - alone.logSumExp[i]) < 1e-5f);
    }
}

TEST_CASE("Runs count where they stand: f16 after chosen tokens is masked, chosen tokens are seen by all") {
    const auto backend = backendUnderTest();
    // Tokens inside a document's first group and far behind it, with chosen leaves of later positions in front.
    AttendCase c(1, 3, 64, 40, {3, 130, 70, 639}, zeros(4));
    const EncodedKeys& keys = c.encoded.emplace_back(7, c.headDim, 40);
    std::vector<KvRun>& runs = c.runs.emplace_back();
    c.addPicks(runs, {keys.pick(30, 0x1234), keys.pick(31, 0xffff)});
    c.addHalves(runs, 0, 192);
    c.addRests(runs, keys, 3);
    c.addPicks(runs, {keys.pick(13, 1), keys.pick(14, 0x8000), keys.pick(14, 0x0001)});
    compareWithDefinition(c, attend(*backend, c, allOf(c)), 2e-5);
    checkAnyBatch(c);
}

TEST_CASE("A token's attention has the same bits alone and in any batch, whatever the number of threads") {
    for (const std::size_t headDim : among<std::size_t>({64, 72}, {72}))
        for (const std::size_t group : among<std::size_t>({1, 4, 7}, {1, 7})) {
            std::vector<std::uint32_t> position, sequence;
            for (std::uint32_t t = 0; t < 70; ++t) {
                position.push_back(t % 3 == 2 ? t : 1030 + t);
                sequence.push_back(t % 3 == 2);
            }
            checkAnyBatch(halvesCase(2, group, headDim, {1100, 70}, position, sequence));
        }
}

TEST_CASE("The same bits in any batch and number of threads with chosen tokens and rests") {
    for (const std::size_t headDim : among<std::size_t>({16, 64, 80}, {16, 80}))
        for (const std::size_t group : among<std::size_t>({1, 3, 7}, {7})) {
            std::vector<std::uint32_t> sequence;
            for (std::uint32_t t = 0; t < 70; ++t) sequence.push_back(t % 3 == 2);
            const AttendCase c = tieredCase(2, group, headDim, 200, 2, 70, ascending(0, 70), sequence);
            REQUIRE(c.runs.front().size() > 16);  // more than one part
            checkAnyBatch(c);
        }
}

TEST_CASE("Several calls that carry the state have the bits of one call") {
    for (const unsigned threads : among<unsigned>({1, 2}, {1}))
        for (const std::size_t headDim : among<std::size_t>({64, 80, 128}, {80}))
            for (const std::uint32_t tokens : among<std::uint32_t>({1, 2, 30}, {1, 8})) {
                const auto backend = backendUnderTest(threads);
                std::vector<std::uint32_t> sequence;
                for (std::uint32_t t = 0; t < tokens; ++t) sequence.push_back(t % 2);
                const AttendCase c = tieredCase(2, headDim == 128 ? 4 : 7, headDim, 760, 2, 70,
                                                ascending(70 - tokens, tokens), sequence);
                REQUIRE(c.runs.front().size() > 80);
                const Attended whole = attend(*backend, c, allOf(c));
                for (const std::vector<std::size_t>& calls :
                     {std::vector<std::size_t>{48}, {16, 5, 33, 1}, {0, 64}, {160}}) {
                    const Attended parts = attend(*backend, c, allOf(c), calls);
                    INFO("calls after the first: ", calls.size(), "; ", tokens, " tokens, head size ", headDim, ", ",
                         threads, " threads");
                    REQUIRE(sameBits(parts.out.data(), whole.out.data(), whole.out.size()));
                    REQUIRE(sameBits(parts.logSumExp.data(), whole.logSumExp.data(), whole.logSumExp.size()));
                    for (std::size_t i = 0; i < whole.mass.size(); ++i)
                        REQUIRE(std::fabs(parts.mass[i] - whole.mass[i]) <= 1e-6f + 1e-5f * whole.mass[i]);
                }
            }
}

TEST_CASE("Runs that come late leave the bits of one call") {
    for (const unsigned threads : among<unsigned>({1, 2}, {1}))
        for (const std::uint32_t tokens : among<std::uint32_t>({1, 2, 30}, {1, 8})) {
            const auto backend = backendUnderTest(threads);
            std::vector<std::uint32_t> sequence;
            for (std::uint32_t t = 0; t < tokens; ++t) sequence.push_back(t % 2);
            AttendCase c = tieredCase(2, 7, 64, 400, 2, 70, ascending(70 - tokens, tokens), sequence);
            const Attended whole = attend(*backend, c, allOf(c));
            std::mt19937 random(9);
            for (auto& runs : c.runs)
                for (KvRun& run : runs) run.late = random() % 3 == 0;
            c.someLate = true;
            for (const std::vector<std::size_t>& calls : {std::vector<std::size_t>{}, {7, 30}}) {
                const Attended parts = attend(*backend, c, allOf(c), calls);
                INFO(tokens, " tokens, ", threads, " threads, calls after the first: ", calls.size());
                REQUIRE(sameBits(parts.out.data(), whole.out.data(), whole.out.size()));
                REQUIRE(sameBits(parts.logSumExp.data(), whole.logSumExp.data(), whole.logSumExp.size()));
                if (calls.empty()) REQUIRE(sameBits(parts.mass.data(), whole.mass.data(), whole.mass.size()));
            }
        }
}

TEST_CASE("With a sliding window a token sees the last keys alone, and has the same bits in any batch") {
    const auto backend = backendUnderTest();
    for (const std::size_t headDim : among<std::size_t>({64, 256, 80}, {64, 256}))
        for (const std::size_t group : among<std::size_t>({1, 3, 4}, {4}))
            for (const std::uint32_t window : among<std::uint32_t>({1, 37, 64, 100, 513}, {1, 37, 100})) {
                AttendCase c(2, group, headDim, 47, ascending(640, 100), zeros(100));
                c.codec = KvCodec::K8V6;
                for (std::size_t h = 0; h < 2; ++h) {
                    const EncodedKeys& keys = c.encoded.emplace_back(static_cast<unsigned>(h), headDim, 40, c.codec);
                    std::vector<KvPick> all;
                    for (std::size_t leaf = 0; leaf < 40; ++leaf) all.push_back(keys.pick(leaf, 0xffff));
                    std::vector<KvRun>& runs = c.runs.emplace_back();
                    c.addPicks(runs, all);
                    c.addHalves(runs, 640, 740);
                    for (KvRun& run : runs) run.window = window;
                }
                INFO("window ", window);
                compareWithDefinition(c, attend(*backend, c, allOf(c)), 2e-5);
                if (window == 100) checkAnyBatch(c);
                if (window != 37) continue;
                const Attended all = attend(*backend, c, allOf(c));
                // What nobody sees may be left out.
                for (auto& runs : c.runs) runs.erase(runs.begin(), runs.begin() + 9);
                const Attended part = attend(*backend, c, allOf(c));
                CHECK(sameBits(all.out.data(), part.out.data(), all.out.size()));
            }
}

TEST_CASE("Runs may leave keys out: a token reads only what it is given") {
    const auto backend = backendUnderTest();
    AttendCase c = halvesCase(1, 2, 64, {640}, {639}, {0});
    const Attended all = attend(*backend, c, {0});
    c.runs[0] = {c.runs[0][0], c.runs[0][7], c.runs[0][9]};
    const Attended part = attend(*backend, c, {0});
    double kept = 0;
    for (std::size_t leaf = 0; leaf < 40; ++leaf) {
        const bool inside = leaf < 4 || (leaf >= 28 && leaf < 32) || leaf >= 36;
        if (inside) kept += static_cast<double>(all.mass[leaf]);
        if (!inside) CHECK(part.mass[leaf] == 0);
    }
    for (const std::size_t leaf : {0, 29, 39})
        CHECK(static_cast<double>(part.mass[leaf]) ==
              doctest::Approx(static_cast<double>(all.mass[leaf]) / kept).epsilon(1e-4));
    CHECK(static_cast<double>(part.logSumExp[0]) ==
          doctest::Approx(static_cast<double>(all.logSumExp[0]) + std::log(kept)).epsilon(1e-5));
}

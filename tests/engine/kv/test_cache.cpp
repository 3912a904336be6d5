#include <algorithm>

#include "engine/compute/backend_under_test.h"
#include "kv/cache.h"

namespace carrel {

namespace {

constexpr KvShape kShape{2, 3, 8};

/// What a model would have made of a token: a function of the token (any number) and its place alone.
std::uint16_t valueOf(std::uint32_t token, std::uint32_t layer, std::uint32_t head, std::uint32_t half,
                      std::uint32_t dim) {
    const std::uint32_t mixed = token * 2654435761u + layer * 40503u + head * 9973u + half * 769u + dim * 12289u + 1;
    return static_cast<std::uint16_t>(mixed ^ mixed >> 16);
}

/// A sequence and the tokens whose KV it should hold.
struct Pair {
    KvSequence sequence{kShape};
    std::vector<std::uint32_t> tokens;
};

struct World {
    std::unique_ptr<Backend> backend = backendUnderTest(1);
    std::mt19937 random;
    std::uint32_t nextToken = 1;

    explicit World(unsigned seed) : random(seed) {}
    std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); }

    /// As a pass does: room, KV layer by layer, push.
    void append(Pair& pair, std::uint32_t count) {
        auto open = room(pair, count);
        fill(pair, *open, count);
        pair.sequence.push(std::move(open));
    }
    std::shared_ptr<KvBlock> room(const Pair& pair, std::uint32_t count) {
        auto open = pair.sequence.extend(*backend, count);
        REQUIRE(open);
        CHECK((*open)->first() == pair.tokens.size() / 64 * 64);
        CHECK((*open)->first() + (*open)->tokens() == pair.tokens.size() + count);
        return std::move(*open);
    }
    void fill(Pair& pair, const KvBlock& open, std::uint32_t count) {
        for (std::uint32_t i = 0; i < count; ++i) {
            const std::uint32_t at = static_cast<std::uint32_t>(pair.tokens.size()) - open.first();
            for (std::uint32_t layer = 0; layer < kShape.layers; ++layer)
                for (std::uint32_t head = 0; head < kShape.kvHeads; ++head)
                    for (std::uint32_t d = 0; d < kShape.headDim; ++d) {
                        open.keys(layer, head, at / 64)[at % 64 * kShape.headDim + d] =
                            valueOf(nextToken, layer, head, 0, d);
                        open.values(layer, head, at / 64)[at % 64 * kShape.headDim + d] =
                            valueOf(nextToken, layer, head, 1, d);
                    }
            pair.tokens.push_back(nextToken++);
        }
    }
};

/// The runs, behind what was there, are [0, end) once, in order, whole groups, and hold what `tokens` says up to
/// `known`.
void checkRuns(const KvSequence& sequence, const KvBlock* open, std::size_t end,
               const std::vector<std::uint32_t>& tokens, std::size_t known) {
    for (std::uint32_t layer = 0; layer < kShape.layers; ++layer)
        for (std::uint32_t head = 0; head < kShape.kvHeads; ++head) {
            std::vector<KvRun> runs(1);
            sequence.runs(layer, head, open, runs);
            REQUIRE(runs.at(0).tokens == 0);
            runs.erase(runs.begin());
            std::size_t next = 0;
            std::size_t wrong = 0;
            for (const KvRun& run : runs) {
                REQUIRE(run.first == next);
                REQUIRE(run.first % 64 == 0);
                REQUIRE(run.tokens > 0);
                REQUIRE((run.tokens == 64 || run.first + run.tokens == end));
                for (std::uint32_t t = 0; t < run.tokens && run.first + t < known; ++t)
                    for (std::uint32_t d = 0; d < kShape.headDim; ++d) {
                        const std::uint32_t token = tokens.at(run.first + t);
                        wrong += run.keys[t * kShape.headDim + d] != valueOf(token, layer, head, 0, d);
                        wrong += run.values[t * kShape.headDim + d] != valueOf(token, layer, head, 1, d);
                    }
                next += run.tokens;
            }
            CHECK(next == end);
            CHECK(wrong == 0);
        }
}

void check(const Pair& pair) {
    REQUIRE(pair.sequence.tokens() == pair.tokens.size());
    checkRuns(pair.sequence, nullptr, pair.tokens.size(), pair.tokens, pair.tokens.size());
}

/// gather(first) as it would be written by hand.
std::vector<std::byte> payloadOf(const std::vector<std::uint32_t>& tokens, std::uint32_t first) {
    const auto count = static_cast<std::uint32_t>(tokens.size()) - first, groups = (count + 63) / 64;
    std::vector<std::uint16_t> out(std::size_t{kShape.layers} * kShape.kvHeads * groups * kShape.groupBytes() / 2);
    for (std::uint32_t layer = 0; layer < kShape.layers; ++layer)
        for (std::uint32_t head = 0; head < kShape.kvHeads; ++head)
            for (std::uint32_t t = 0; t < count; ++t)
                for (std::uint32_t half = 0; half < 2; ++half)
                    for (std::uint32_t d = 0; d < kShape.headDim; ++d) {
                        const std::size_t group = (std::size_t{layer} * kShape.kvHeads + head) * groups + t / 64;
                        out[((group * 2 + half) * 64 + t % 64) * kShape.headDim + d] =
                            valueOf(tokens[first + t], layer, head, half, d);
                    }
    std::vector<std::byte> bytes(out.size() * 2);
    std::memcpy(bytes.data(), out.data(), bytes.size());
    return bytes;
}

bool sameBytes(std::span<const std::byte> a, std::span<const std::byte> b) {
    return std::ranges::equal(a, b);
}

}  // namespace

TEST_CASE("Any mixture of extending, truncating, copying and gathering leaves each sequence its own tokens") {
    for (unsigned seed = 0; seed < 40; ++seed) {
        CAPTURE(seed);
        World world(seed);
        std::vector<Pair> pairs(3);
        for (int operation = 0; operation < 60; ++operation) {
            CAPTURE(operation);
            Pair& pair = pairs[world.below(3)];
            const auto size = static_cast<std::uint32_t>(pair.tokens.size());
            switch (world.below(8)) {
                case 0:  // a batch of a reading or of a question
                case 1:
                    world.append(pair, 1 + world.below(world.below(2) == 0 ? 64 : 200));
                    break;
                case 2:  // decoding
                case 3:
                    for (std::uint32_t i = world.below(70); i > 0; --i) world.append(pair, 1);
                    break;
                case 4:
                    pair.tokens.resize(world.below(size + 1));
                    pair.sequence.truncate(static_cast<std::uint32_t>(pair.tokens.size()));
                    break;
                case 5:
                    pair = pairs[world.below(3)];
                    break;
                case 6:  // a batch that is begun and dropped
                    static_cast<void>(world.room(pair, 1 + world.below(100)));
                    break;
                case 7: {
                    if (size == 0) break;
                    const std::uint32_t first = world.below((size + 63) / 64) * 64;
                    auto block = pair.sequence.gather(*world.backend, first, MemoryKind::Host);
                    REQUIRE(block);
                    CHECK((*block)->first() == first);
                    CHECK((*block)->tokens() == size - first);
                    CHECK(sameBytes((*block)->payload(), payloadOf(pair.tokens, first)));
                    pair.sequence.truncate(first);
                    pair.sequence.push(std::move(*block));  // what is loaded from disk comes back so
                    break;
                }
            }
            for (const Pair& each : pairs) check(each);
        }
    }
}

TEST_CASE("Runs with an open block cover what is there and what is to come") {
    World world(7);
    for (const std::uint32_t past : {0u, 1u, 63u, 64u, 65u, 128u, 200u})
        for (const std::uint32_t count : {1u, 2u, 63u, 64u, 65u, 130u}) {
            CAPTURE(past);
            CAPTURE(count);
            Pair pair;
            if (past > 0) world.append(pair, past);
            const auto open = world.room(pair, count);
            checkRuns(pair.sequence, open.get(), past + count, pair.tokens, past);
            world.fill(pair, *open, count);
            checkRuns(pair.sequence, open.get(), past + count, pair.tokens, past + count);
        }
}

TEST_CASE("Sequences that share blocks never see what the other adds, in whatever order they grow") {
    for (const std::uint32_t shared : {1u, 40u, 63u, 64u, 65u, 127u, 190u}) {
        CAPTURE(shared);
        World world(shared);
        Pair reading;
        world.append(reading, shared);
        Pair tail = reading;
        for (int i = 0; i < 30; ++i) {
            world.append(i % 3 == 0 ? reading : tail, 1 + world.below(9));
            check(reading);
            check(tail);
        }
        // One grows while the other's block is open and half filled.
        const auto open = world.room(reading, 20);
        Pair third = reading;
        world.append(third, 30);
        world.fill(reading, *open, 20);
        reading.sequence.push(open);
        check(reading);
        check(third);
        check(tail);
    }
}

TEST_CASE("Decoding writes into the block that has room, and needs a new one a group at most") {
    World world(1);
    Pair pair;
    world.append(pair, 64);
    std::uint64_t blocks = 0, bytes = pair.sequence.bytes();
    for (int i = 0; i < 256; ++i) {
        world.append(pair, 1);
        blocks += pair.sequence.bytes() != bytes;
        bytes = pair.sequence.bytes();
    }
    CHECK(blocks == 4);
    CHECK(bytes == std::uint64_t{5} * kShape.layers * kShape.kvHeads * kShape.groupBytes());
    check(pair);
}

TEST_CASE("A dropped batch leaves nothing in what follows it") {
    World world(2);
    Pair pair;
    world.append(pair, 70);
    for (const std::uint32_t dropped : {5u, 58u, 59u, 100u}) {
        CAPTURE(dropped);
        {
            Pair doomed = pair;
            const auto open = world.room(pair, dropped);
            world.fill(doomed, *open, dropped);
        }
        check(pair);
        world.append(pair, 3);
        check(pair);
        const auto block = pair.sequence.gather(*world.backend, 64, MemoryKind::Host);
        REQUIRE(block);
        CHECK(sameBytes((*block)->payload(), payloadOf(pair.tokens, 64)));  // zero past the last token
    }
}

}  // namespace carrel

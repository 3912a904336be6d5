#include "engine/kv/document_world.h"

namespace carrel {

namespace {

constexpr KvShape kShape{3, 2, 32};

/// One window's runs are the groups' own bytes, in order; the number of groups that are not.
std::size_t wrongGroups(const DocumentWorld& world, std::uint32_t layer, std::uint32_t first, std::uint32_t count,
                        std::span<const std::vector<KvRun>> runs) {
    REQUIRE(runs.size() == world.shape.kvHeads);
    const std::size_t half = std::size_t{kGroupTokens} * world.shape.headDim * 2;
    std::size_t wrong = 0;
    for (std::uint32_t head = 0; head < world.shape.kvHeads; ++head) {
        REQUIRE(runs[head].size() == count);
        for (std::uint32_t i = 0; i < count; ++i) {
            const KvRun& run = runs[head][i];
            const MemoryStream::Place place{layer, head, first + i};
            bool good = run.first == (first + i) * kGroupTokens && run.tokens == kGroupTokens;
            if (world.codec == KvCodec::F16) {
                const std::byte* payload = world.stream.part(&MemoryStream::Batch::payload, place);
                good = good && world.same(run.keys, payload, half) && world.same(run.values, payload + half, half);
            } else {
                REQUIRE(run.picks.size() == kGroupLeaves);
                const std::byte* codes = world.stream.part(&MemoryStream::Batch::codes, place);
                for (std::uint32_t leaf = 0; leaf < kGroupLeaves; ++leaf) {
                    const KvPick& pick = run.picks[leaf];
                    good = good && pick.tokens == 0xffff && pick.leaf == (first + i) * kGroupLeaves + leaf &&
                           world.same(pick.rows, world.rowsOf(layer, head, pick.leaf), world.rowsUsed()) &&
                           world.same(pick.grid, codes + codesBytes(world.shape.headDim) - 4 * world.shape.headDim,
                                      4 * std::size_t{world.shape.headDim});
                }
            }
            wrong += good ? 0 : 1;
        }
    }
    return wrong;
}

std::uint32_t countAt(std::uint32_t first, std::uint32_t window, std::uint32_t total) {
    const std::uint32_t whole = total / kWindowStep * kWindowStep;
    return first < whole ? std::min(window, whole - first) : total - first;
}

/// All windows of all layers, as a pass asks for them.
void scan(const DocumentWorld& world, DocumentKv& kv, std::uint32_t window) {
    const std::uint32_t total = kv.tokens() / kGroupTokens;
    for (std::uint32_t layer = 0; layer < world.shape.layers; ++layer)
        for (std::uint32_t first = 0, count = 0; first < total; first += count) {
            count = countAt(first, window, total);
            const auto runs = kv.window(layer, first, count);
            REQUIRE(runs);
            CHECK(wrongGroups(world, layer, first, count, *runs) == 0);
            checkBudgets(kv.counters());
        }
}

}  // namespace

TEST_CASE("Windows are the stored groups in every codec, mode and budget, between pins and appends too") {
    for (const KvCodec codec : {KvCodec::F16, KvCodec::K8V8, KvCodec::K8V6, KvCodec::K8V4})
        for (const unsigned seed : among<unsigned>({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, {0, 11})) {
            CAPTURE(codecName(codec));
            CAPTURE(seed);
            DocumentWorld world(kShape, codec, {40, 1, 90}, seed);
            TierOptions options = smallest(world, {}, 160);
            options.hostBytes += seed % 4 * 400000;
            options.boundsTokens = codec == KvCodec::F16 ? 64 : 0;  // it has none
            if (seed >= 10) options.deviceBytes = options.hostBytes = std::uint64_t{1} << 30;
            const auto kv = world.open(options, 160);
            CHECK(kv->resident() == (seed >= 10));
            REQUIRE(kv->windowGroups() >= 16);
            CHECK(kv->windowGroups() % 16 == 0);
            for (int round = 0; round < 4; ++round) {
                scan(world, *kv, seed % 3 == 0 ? 16 : kv->windowGroups());
                for (int i = 0; i < 5; ++i) {  // windows from anywhere
                    const std::uint32_t layer = world.below(3), first = world.below(100), count = 1 + world.below(16);
                    const auto runs = kv->window(layer, first, count);
                    REQUIRE(runs);
                    CHECK(wrongGroups(world, layer, first, count, *runs) == 0);
                }
                if (codec != KvCodec::F16)
                    for (std::uint32_t layer = 0; layer < kShape.layers; ++layer) {
                        const Choice choice = randomChoice(world, 1, 60);
                        kv->prefetch((layer + 1) % 3, choice.view());
                        const auto pins = kv->pin(layer, choice.view());
                        REQUIRE(pins);
                        checkPins(world, *pins, layer, choice);
                    }
                checkPlaces(*kv);
                REQUIRE(kv->append(world.commit(7)));
            }
        }
}

TEST_CASE("While a window is attended, the next two are read") {
    DocumentWorld world({2, 2, 64}, KvCodec::K8V8, {128, 121});
    TierOptions options = smallest(world, {});
    options.hostBytes += 20u << 20;
    const auto kv = world.open(options);
    const std::uint32_t window = kv->windowGroups();
    REQUIRE(window * 3 <= 240);
    REQUIRE((emulated() || 240 % window != 0));  // the last whole one is smaller
    std::size_t expected = 0;
    const auto layer = [&](std::uint32_t of) {
        for (std::uint32_t first = 0; first < 249;) {
            const std::uint32_t count = countAt(first, window, 249);
            REQUIRE(kv->window(of, first, count));
            expected = std::max(expected, world.stream.mostUnderWay);
            first += count;
        }
    };
    layer(0);
    CHECK(expected >= 4);  // two heads of two windows
    // Of the next layer's first two windows too: nothing of them is asked for again.
    const auto before = world.stream.reads;
    CHECK(before.count({1, 0, 0}) + before.count({1, 1, window}) >= 1);
    layer(1);
    for (const auto& [place, reads] : world.stream.reads) CHECK(reads == 1);
}

TEST_CASE("A scan longer than the host tier still finds what the host tier keeps, and leaves the device tier alone") {
    DocumentWorld world({2, 2, 64}, KvCodec::K8V8, {128, 128});
    TierOptions options = smallest(world, {});
    options.hostBytes += 2u << 20;
    const auto kv = world.open(options);
    const Choice choice = randomChoice(world, 1, 60);
    REQUIRE(kv->pin(0, choice.view()));
    scan(world, *kv, kv->windowGroups());
    kv->resetCounters();
    scan(world, *kv, kv->windowGroups());
    const TierCounters counters = kv->counters();
    CHECK(counters.host.hits > 200 * 4);
    CHECK(counters.disk.bytesRead < 256 * 4 * world.shape.groupBytes(KvCodec::K8V8));
    kv->resetCounters();
    REQUIRE(kv->pin(0, choice.view()));
    CHECK(kv->counters().device.misses == 0);
}

TEST_CASE("A window's read that fails once is made again; one that fails for good names its group") {
    for (const KvCodec codec : {KvCodec::F16, KvCodec::K8V8}) {
        DocumentWorld world(kShape, codec, {100});
        const auto kv = world.open(smallest(world, {}));
        world.stream.failures = {{{1, 1, 20}, 1}};
        scan(world, *kv, 16);
        const auto again = world.open(smallest(world, {}));
        world.stream.failures = {{{1, 1, 20}, 1000}};
        REQUIRE(again->window(1, 0, 16));
        const auto refused = again->window(1, 16, 16);
        REQUIRE(!refused);
        CHECK(refused.error().code == Code::Corrupt);
        CHECK(refused.error().detail == "layer 1, KV head 1, group 20");
        CHECK(again->soundTokens() == 20 * kGroupTokens);
        world.stream.failures.clear();
        scan(world, *again, 16);
    }
}

}  // namespace carrel

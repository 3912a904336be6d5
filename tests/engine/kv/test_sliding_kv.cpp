#include "engine/kv/document_world.h"
#include "kv/sketch.h"

namespace carrel {

namespace {

const KvShape kShape{5, 2, 32};
const LocalLayers kLocal{150, {true, false, true, true, false}};
constexpr std::uint32_t kSeen = 3;  // groups, of which 149 tokens before a group's first are seen

std::unique_ptr<DocumentKv> open(DocumentWorld& world, const TierOptions& options, std::uint32_t capacityGroups,
                                 const LocalLayers& local = kLocal) {
    auto made = DocumentKv::open(*world.backend, world.stream, world.shape, world.codec, capacityGroups * kGroupTokens,
                                 options, local);
    if (!made) FAIL(made.error().detail);
    return std::move(*made);
}

TierOptions budgets(std::uint64_t device, std::uint64_t host) {
    TierOptions options;
    options.deviceBytes = device;
    options.hostBytes = host;
    return options;
}

constexpr std::uint64_t kPlenty = std::uint64_t{64} << 20;

/// Runs of whole groups are these very groups of the stream.
void checkWindow(const DocumentWorld& world, DocumentKv& kv, std::uint32_t layer, std::uint32_t first,
                 std::uint32_t count) {
    const auto runs = kv.window(layer, first, count);
    REQUIRE(runs);
    for (std::uint32_t head = 0; head < world.shape.kvHeads; ++head) {
        REQUIRE((*runs)[head].size() == count);
        for (std::uint32_t i = 0; i < count; ++i) {
            const KvRun& run = (*runs)[head][i];
            const MemoryStream::Place place{layer, head, first + i};
            CHECK(run.first == (first + i) * kGroupTokens);
            if (world.codec == KvCodec::F16) {
                const std::byte* payload = world.stream.part(&MemoryStream::Batch::payload, place);
                CHECK(world.same(run.keys, payload, world.shape.groupBytes() / 2));
                CHECK(world.same(run.values, payload + world.shape.groupBytes() / 2, world.shape.groupBytes() / 2));
                continue;
            }
            const std::byte* codes = world.stream.part(&MemoryStream::Batch::codes, place);
            REQUIRE(run.picks.size() == kGroupLeaves);
            for (const KvPick& pick : run.picks) {
                CHECK(world.same(pick.rows, world.rowsOf(layer, head, pick.leaf), world.rowsUsed()));
                CHECK(world.same(pick.grid, codes + kGroupLeaves * planeLeafBytes(32), 4 * 32));
            }
        }
    }
}

void checkAll(const DocumentWorld& world, DocumentKv& kv) {
    for (std::uint32_t layer = 0; layer < kShape.layers; ++layer) {
        const std::uint32_t all = std::min(world.groups, 16u);
        const std::uint32_t count = kLocal.has(layer) ? std::min(kSeen, world.groups) : all;
        checkWindow(world, kv, layer, kLocal.has(layer) ? world.groups - count : 0, count);
    }
}

}  // namespace

TEST_CASE("Of local layers what a token behind the document sees is there, after opening and after every append") {
    for (const KvCodec codec : {KvCodec::K8V6, KvCodec::F16})
        for (const bool resident : {true, false}) {
            CAPTURE(codecName(codec));
            CAPTURE(resident);
            DocumentWorld world(kShape, codec, {7, 2, 5});
            const TierOptions options = budgets(resident ? kPlenty : emulated() ? 900'000 : 450'000, kPlenty);
            {
                const auto kv = open(world, options, 60);
                CHECK(kv->resident() == resident);
                CHECK(kv->tokens() == 14 * kGroupTokens);
                checkAll(world, *kv);
            }
            const auto kv = open(world, options, 60);
            for (const std::uint32_t count : {1u, 8u, 2u, 30u}) {
                REQUIRE(kv->append(world.commit(count)));
                checkAll(world, *kv);
                checkPlaces(*kv);
            }
        }
}

TEST_CASE("Nothing else of local layers is loaded, kept or judged by, and budgets are of what is there") {
    DocumentWorld world(kShape, KvCodec::K8V6, {8, 8, 8, 8, 8, 8});
    const auto kv = open(world, budgets(kPlenty, kPlenty), 48);
    const std::size_t batch = 2 * 8 * (payloadBytes(KvCodec::K8V6, 32) + codesBytes(32));
    for (std::uint32_t layer = 0; layer < kShape.layers; ++layer) {
        CHECK(world.stream.loaded[layer] == (kLocal.has(layer) ? batch : 6 * batch));
        CHECK(kv->sketch(layer).size() == (kLocal.has(layer) ? 0u : 2u));
    }
    const std::uint64_t rows = kGroupLeaves * rowsBytes(32), grid = 4 * 32;
    const std::uint64_t sketch = emulated() ? Sketch::bytes({2, 2, 32}, KvCodec::K8V6, 48, {.means = true}) : 0;
    CHECK(kv->counters().device.usedBytes == 2 * 2 * 48 * rows + 3 * 2 * kSeen * (rows + grid) + sketch);
    const auto places = kv->places();
    REQUIRE(places.size() == kShape.rows());
    for (std::size_t i = 0; i < places.size(); ++i) {
        CHECK(places[i].layer * kShape.kvHeads + places[i].head == i);
        // Before a local layer's window nothing is asked for.
        for (std::uint32_t leaf = 0; leaf < 48 * kGroupLeaves; ++leaf) {
            const bool seen = leaf >= (48 - kSeen) * kGroupLeaves || !kLocal.has(places[i].layer);
            CHECK(places[i].leaves[leaf].tier == (seen ? Tier::Device : Tier::Unused));
        }
    }
    checkPlaces(*kv);

    // A document of the global layers alone needs as much less as the windows take.
    const auto least = [&](const LocalLayers& local) {
        const auto refused = DocumentKv::open(*world.backend, world.stream, kShape, KvCodec::K8V6, 48 * kGroupTokens,
                                              budgets(0, kPlenty), local);
        REQUIRE_FALSE(refused);
        return refused.error().detail;
    };
    CHECK(least(kLocal).starts_with("needs at least 1 MiB of device"));
    checkBudgets(kv->counters());
}

TEST_CASE("What is chosen of global layers beside local ones is what the stream has") {
    DocumentWorld world(kShape, KvCodec::K8V6, {20, 20});
    for (const bool resident : {true, false}) {
        CAPTURE(resident);
        const auto kv = open(world, budgets(resident ? kPlenty : 700'000, resident ? kPlenty : 600'000), 40);
        CHECK(kv->resident() == resident);
        for (int step = 0; step < 20; ++step)
            for (const std::uint32_t layer : {1u, 4u}) {
                const Choice choice = randomChoice(world, 2, 60);
                const auto pins = kv->pin(layer, choice.view());
                REQUIRE(pins);
                checkPins(world, *pins, layer, choice);
                checkBudgets(kv->counters());
                checkPlaces(*kv);
            }
    }
}

TEST_CASE("Where a local layer's groups are damaged the document ends before them") {
    DocumentWorld world(kShape, KvCodec::K8V6, {8, 8});
    world.stream.badFrom = 13 * kGroupTokens;
    const auto kv = open(world, budgets(kPlenty, kPlenty), 16);
    CHECK(kv->tokens() == 13 * kGroupTokens);
    CHECK(kv->soundTokens() == 13 * kGroupTokens);
}

TEST_CASE("Where all layers are local, or none, all of them are kept") {
    for (const bool local : {true, false}) {
        DocumentWorld world(kShape, KvCodec::K8V6, {8});
        const auto kv = open(world, budgets(kPlenty, kPlenty), 8, {100, std::vector<bool>(5, local)});
        for (std::uint32_t layer = 0; layer < kShape.layers; ++layer) checkWindow(world, *kv, layer, 0, 8);
    }
}

}  // namespace carrel

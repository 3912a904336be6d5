#include "engine/kv/document_world.h"

namespace carrel {

namespace {

constexpr KvShape kShape{3, 2, 32}, kWideShape{2, 8, 128};  // the latter is that of models of 7 or 8 billion weights
constexpr std::uint64_t kPlenty = std::uint64_t{1} << 30;

TierOptions plenty() {
    TierOptions options;
    options.deviceBytes = options.hostBytes = kPlenty;
    return options;
}

}  // namespace

TEST_CASE("Whatever is pinned is the same bytes in every mode and in any budget, which is never exceeded") {
    for (const KvCodec codec : {KvCodec::K8V8, KvCodec::K8V6, KvCodec::K8V4})
        for (unsigned seed = 0; seed < 24; ++seed) {
            if (emulated() && seed % 6 != 5) continue;
            CAPTURE(seed);
            const KvShape shape = seed % 8 == 5 ? kWideShape : kShape;
            DocumentWorld world(shape, codec, {40, 1, 90, 69}, seed);
            TierOptions options;
            options.means = seed % 2 == 0;
            options.adaptiveChunks = seed % 3 == 0;
            options.fixedChunkTokens = 16u << seed % 6;
            options.pipeline = seed % 5 != 4;
            options.reuse = seed % 7 != 6;
            options = smallest(world, options);
            options.hostBytes += seed % 4 * 300000;
            if (seed == 23) options = plenty();
            const auto kv = world.open(options);
            CHECK(kv->resident() == (seed == 23));
            CHECK(kv->tokens() == 200 * kGroupTokens);
            std::uint64_t chosen = 0, late = 0;
            for (int step = 0; step < 40; ++step)
                for (std::uint32_t layer = 0; layer < shape.layers; ++layer) {
                    const Choice choice = randomChoice(world, 1 + seed % 3, 60);
                    if (world.below(4) == 0) kv->prefetch(world.below(shape.layers), randomChoice(world, 2, 60).view());
                    if (world.below(8) == 0) {
                        REQUIRE(kv->claim(layer, choice.view()));  // given up
                        chosen += choice.count();
                    }
                    auto pins = kv->claim(layer, choice.view());
                    REQUIRE(pins);
                    checkThere(world, *pins, layer, choice);
                    if (world.below(4) == 0)
                        kv->prefetch((layer + 1) % shape.layers, randomChoice(world, 2, 60).view());
                    late += pins->late() ? 1 : 0;
                    REQUIRE(pins->complete());
                    REQUIRE(!pins->late());
                    checkPins(world, *pins, layer, choice);
                    if (world.below(4) == 0) {  // while pinned, what is read ahead disturbs nothing
                        kv->prefetch((layer + 1) % shape.layers, randomChoice(world, 2, 60).view());
                        checkPins(world, *pins, layer, choice);
                    }
                    chosen += choice.count();
                    checkBudgets(kv->counters());
                }
            const TierCounters counters = kv->counters();
            checkPlaces(*kv);
            CHECK(counters.device.hits + counters.device.misses == chosen);
            if (kv->resident()) continue;
            CHECK(counters.host.hits + counters.host.misses == counters.device.misses);
            CHECK(counters.disk.hits + counters.disk.misses == counters.host.misses);
            CHECK(counters.prefetchedUsed <= counters.prefetched);
            CHECK((counters.prefetched > 0) == options.pipeline);
            CHECK((late > 0) == options.pipeline);
        }
}

TEST_CASE("A document that fits is read once, with the reader never opened") {
    DocumentWorld world(kShape, KvCodec::K8V8, {8, 8, 8});
    const auto kv = world.open(plenty());
    REQUIRE(kv->resident());
    CHECK(world.stream.readers == 0);
    CHECK(world.stream.loads == 1);
    CHECK(kv->hasMeans());
    for (std::uint32_t layer = 0; layer < kShape.layers; ++layer) {
        const auto sketch = kv->sketch(layer);
        REQUIRE(sketch.size() == kShape.kvHeads);
        for (std::uint32_t head = 0; head < kShape.kvHeads; ++head) {
            CHECK(sketch[head].groups == 24);
            for (std::uint32_t group = 0; group < 24; ++group) {
                const MemoryStream::Place place{layer, head, group};
                CHECK(world.same(sketch[head].codes + group * codesBytes(32),
                                 world.stream.part(&MemoryStream::Batch::codes, place), codesBytes(32)));
            }
        }
    }
}

TEST_CASE("Means are never stored: loaded or appended, on any tiers, they are what the encoder gave") {
    for (const KvCodec codec : {KvCodec::K8V8, KvCodec::K8V6, KvCodec::K8V4})
        for (const bool resident : {true, false}) {
            CAPTURE(std::string(codecName(codec)));
            CAPTURE(resident);
            DocumentWorld world(kShape, codec, {8, 1, 70});
            TierOptions options = plenty();
            options.keyMeans = codec != KvCodec::K8V6;
            if (!resident) options.deviceBytes = smallest(world, options, 90).deviceBytes;
            const auto kv = world.open(options, 90);
            REQUIRE(kv->resident() == resident);
            REQUIRE(kv->hasMeans());
            REQUIRE(kv->append(world.commit(11)));
            std::size_t wrong = 0;
            for (std::uint32_t layer = 0; layer < kShape.layers; ++layer)
                for (std::uint32_t head = 0; head < kShape.kvHeads; ++head)
                    for (std::uint32_t group = 0; group < 90; ++group) {
                        const SketchView& view = kv->sketch(layer)[head];
                        const std::byte* made = world.stream.part(&MemoryStream::Batch::means, {layer, head, group});
                        wrong += !world.same(view.valueMeans + group * valueMeansBytes(32), made + keyMeansBytes(32),
                                             valueMeansBytes(32));
                        REQUIRE((view.keyMeans != nullptr) == options.keyMeans);
                        wrong += options.keyMeans &&
                                 !world.same(view.keyMeans + group * keyMeansBytes(32), made, keyMeansBytes(32));
                    }
            CHECK(wrong == 0);
        }
}

TEST_CASE("A document larger than the staging of a load is loaded in several passes, all of it") {
    DocumentWorld world(kShape, KvCodec::K8V8, {40, 40, 40});
    TierOptions options = plenty();
    options.means = false;
    // What it has once it is loaded, and one batch at a time.
    options.hostBytes = world.open(options)->counters().host.usedBytes +
                        40 * kShape.rows() * (payloadBytes(KvCodec::K8V8, 32) + codesBytes(32)) + 4096;
    world.stream.loads = 0;
    const auto kv = world.open(options);
    CHECK(kv->resident());
    CHECK(world.stream.loads == 3);
    checkBudgets(kv->counters());
    for (std::uint32_t layer = 0; layer < kShape.layers; ++layer) {
        Choice all(1, kShape.kvHeads, 480);
        std::ranges::fill(all.mask, 0xffff);
        const auto pins = kv->pin(layer, all.view());
        REQUIRE(pins);
        checkPins(world, *pins, layer, all);
    }
}

TEST_CASE("What was appended is there like what was loaded, in sketch, pins and windows") {
    for (const int which : {0, 1, 2, 3}) {
        const bool resident = which % 2 == 0;
        CAPTURE(which);
        DocumentWorld world(kShape, KvCodec::K8V8, {});
        if (which < 2) static_cast<void>(world.commit(50));
        TierOptions options = resident ? plenty() : smallest(world, {}, 120);
        const auto kv = world.open(options, 120);
        REQUIRE(kv->resident() == resident);
        for (const std::uint32_t count : {1u, 8u, 20u, 120 - 29 - world.groups}) {
            REQUIRE(kv->append(world.commit(count)));
            CHECK(kv->tokens() == world.groups * kGroupTokens);
            CHECK(kv->sketch(1)[0].groups == world.groups);
            for (std::uint32_t layer = 0; layer < kShape.layers; ++layer) {
                Choice choice = randomChoice(world, 2, 60);
                choice.at(0, 1, choice.leaves - 1) = 0x8001;
                const auto pins = kv->pin(layer, choice.view());
                REQUIRE(pins);
                checkPins(world, *pins, layer, choice);
            }
            checkBudgets(kv->counters());
        }
        const Status tooMuch = kv->append(world.commit(1));
        REQUIRE(!tooMuch);
        CHECK(tooMuch.error().code == Code::NoMemory);
    }
}

TEST_CASE("The budget that a refusal names is enough, and one MiB less is not") {
    for (const KvCodec codec : {KvCodec::F16, KvCodec::K8V8, KvCodec::K8V6, KvCodec::K8V4}) {
        for (const KvShape shape : {KvShape{2, 4, 64}, kWideShape}) {
            DocumentWorld world(shape, codec, {200, 130});
            const TierOptions least = smallest(world, {});
            CHECK(world.open(least)->tokens() == world.groups * kGroupTokens);
            for (const bool device : {true, false}) {
                TierOptions less = least;
                if (device && least.deviceBytes == 0) continue;
                (device ? less.deviceBytes : less.hostBytes) -= 1u << 20;
                const auto refused =
                    DocumentKv::open(*world.backend, world.stream, shape, codec, world.groups * kGroupTokens, less);
                REQUIRE(!refused);
                CHECK(refused.error().code == Code::NoMemory);
            }
        }
    }
}

TEST_CASE("More leaves than the device tier holds are refused by number, and the next pin works") {
    DocumentWorld world(kShape, KvCodec::K8V8, {200});
    const auto kv = world.open(smallest(world, {}));
    Choice all(1, kShape.kvHeads, 800);
    std::ranges::fill(all.mask, 1);
    const auto refused = kv->pin(0, all.view());
    REQUIRE(!refused);
    CHECK(refused.error().code == Code::NoMemory);
    CHECK(refused.error().detail.find("1600 leaves") != std::string::npos);
    for (int step = 0; step < 20; ++step) {
        const Choice choice = randomChoice(world, 1, 260);
        const auto pins = kv->pin(0, choice.view());
        REQUIRE(pins);
        checkPins(world, *pins, 0, choice);
    }
}

TEST_CASE("A leaf that several sequences choose is read once, and not again while it stays") {
    DocumentWorld world(kShape, KvCodec::K8V8, {200});
    TierOptions options = smallest(world, {});
    options.adaptiveChunks = false;
    options.fixedChunkTokens = 16;
    for (const bool reuse : {true, false}) {
        options.reuse = reuse;
        world.stream.reads.clear();
        const auto kv = world.open(options);
        Choice choice(4, kShape.kvHeads, 800);
        for (std::size_t t = 0; t < 4; ++t)
            for (const std::size_t leaf : {3u, 4u, 5u, 77u, 400u})
                choice.at(t, 1, leaf) = static_cast<std::uint16_t>(1u << t);
        for (int step = 0; step < 3; ++step) {
            REQUIRE(kv->pin(1, choice.view()));
        }
        for (const auto& [place, reads] : world.stream.reads) CHECK(reads == 1);
        CHECK(world.stream.reads.size() == 4);
        CHECK(kv->counters().device.misses == (reuse ? 5 : 15));
    }
}

TEST_CASE("Chunks far larger than what reads have room for come in all the same") {
    for (unsigned seed = 0; seed < 8; ++seed) {
        DocumentWorld world(kShape, KvCodec::K8V8, {200}, seed);
        TierOptions options = smallest(world, {});
        options.adaptiveChunks = false;
        options.fixedChunkTokens = 512;
        options.deviceBytes *= 2;  // room for others of the chunks
        world.stream.slow = seed % 2 == 0;
        const auto kv = world.open(options);
        Choice choice(1, kShape.kvHeads, 800);
        for (std::size_t head = 0; head < kShape.kvHeads; ++head)
            for (std::size_t leaf = 31; leaf < 800; leaf += 32) choice.at(0, head, leaf) = 0xffff;  // the last of each
        for (int step = 0; step < 3; ++step)
            for (std::uint32_t layer = 0; layer < kShape.layers; ++layer) {
                const auto pins = kv->pin(layer, choice.view());
                REQUIRE(pins);
                checkPins(world, *pins, layer, choice);
            }
    }
}

TEST_CASE("A read that fails once is made again; one that fails for good names its group") {
    DocumentWorld world(kShape, KvCodec::K8V8, {200});
    TierOptions options = smallest(world, {});
    options.adaptiveChunks = false;
    options.fixedChunkTokens = 256;
    Choice choice(1, kShape.kvHeads, 800);
    choice.at(0, 1, 325) = 0xffff;  // its chunk is groups 80 to 83
    for (const bool pipeline : {true, false})
        for (const bool guessed : {true, false}) {
            options.pipeline = pipeline;
            const auto kv = world.open(options);
            world.stream.failures = {{{2, 1, 82}, 1}};
            if (guessed) kv->prefetch(2, choice.view());
            {
                const auto pins = kv->pin(2, choice.view());
                REQUIRE(pins);
                checkPins(world, *pins, 2, choice);
            }
            const auto again = world.open(options);
            world.stream.failures = {{{2, 1, 82}, 1000}};
            if (guessed) again->prefetch(2, choice.view());
            const auto refused = again->pin(2, choice.view());
            REQUIRE(!refused);
            CHECK(refused.error().code == Code::Corrupt);
            CHECK(refused.error().detail == "layer 2, KV head 1, group 82");
            CHECK(again->soundTokens() == 82 * kGroupTokens);
            world.stream.failures.clear();
            const auto pins = again->pin(2, choice.view());
            REQUIRE(pins);
            checkPins(world, *pins, 2, choice);
        }
}

TEST_CASE("Where a load finds damage, the document ends before it") {
    for (const bool resident : {true, false}) {
        DocumentWorld world(kShape, KvCodec::K8V8, {50, 50, 100});
        TierOptions options = resident ? plenty() : smallest(world, {});
        world.stream.badFrom = 64 * 64;
        const auto kv = world.open(options);
        CHECK(kv->resident() == resident);
        CHECK(kv->tokens() == 64 * 64);
        CHECK(kv->sketch(0)[0].groups == 64);
        const Choice choice =
            randomChoice(world, 1, 100);  // of the whole document: leaves past its end are not its own
        const auto pins = kv->pin(0, choice.view());
        REQUIRE(pins);
        for (std::uint32_t leaf = 0; leaf < choice.leaves; ++leaf)
            CHECK((pins->rows(0, leaf) != nullptr) == (leaf < 256 && choice.any(0, leaf) != 0));
    }
}

TEST_CASE("Bounds hold every decoded key, are keys themselves but for rounding, and are the same in every mode") {
    for (const std::uint32_t boundsTokens : {16u, 32u, 64u, 128u}) {
        CAPTURE(boundsTokens);
        DocumentWorld world(kShape, KvCodec::K8V4, {30, 31});
        TierOptions small;
        small.boundsTokens = boundsTokens;
        small = smallest(world, small, 100);
        TierOptions large = plenty();
        large.boundsTokens = boundsTokens;
        const auto tiered = world.open(small, 100), resident = world.open(large, 100);
        CHECK(!tiered->resident());
        KvGroups more = world.commit(20);
        REQUIRE(tiered->append(std::move(more)));
        auto copy = KvGroups::make(*world.backend, kShape, KvCodec::K8V4, 61, 20);
        REQUIRE(copy);
        const MemoryStream::Batch& last = world.stream.batches.back();
        std::ranges::copy(last.payload, copy->payload().data());
        std::ranges::copy(last.codes, copy->codes().data());
        std::ranges::copy(last.means, copy->means().data());
        REQUIRE(resident->append(std::move(*copy)));
        const std::uint32_t chunks = (81 * 64 + boundsTokens - 1) / boundsTokens;
        std::size_t outside = 0, loose = 0, different = 0;
        for (std::uint32_t layer = 0; layer < kShape.layers; ++layer)
            for (std::uint32_t head = 0; head < kShape.kvHeads; ++head) {
                const std::uint16_t* bounds = tiered->bounds(layer)[head];
                different +=
                    std::memcmp(bounds, resident->bounds(layer)[head], std::size_t{chunks} * 4 * 32) != 0 ? 1 : 0;
                for (std::uint32_t chunk = 0; chunk < chunks; ++chunk)
                    for (std::uint32_t d = 0; d < 32; ++d) {
                        const double low = f16ToF32(bounds[chunk * 64 + d]),
                                     high = f16ToF32(bounds[chunk * 64 + 32 + d]);
                        double least = 1e9, most = -1e9;
                        for (std::uint32_t t = chunk * boundsTokens; t < std::min((chunk + 1) * boundsTokens, 81u * 64);
                             ++t) {
                            const auto* grid = reinterpret_cast<const std::uint16_t*>(
                                world.stream.part(&MemoryStream::Batch::codes, {layer, head, t / 64}) + codesBytes(32) -
                                4 * 32);
                            const double key = f16ToF32(grid[d]) + static_cast<double>(f16ToF32(grid[32 + d])) *
                                                                       std::to_integer<int>(world.rowsOf(
                                                                           layer, head, t / 16)[t % 16 * 32 + d]);
                            least = std::min(least, key);
                            most = std::max(most, key);
                        }
                        outside += low > least || high < most ? 1 : 0;
                        loose += least - low > 0.005 || high - most > 0.005 ? 1 : 0;
                    }
            }
        CHECK(outside == 0);
        CHECK(loose == 0);
        CHECK(different == 0);
    }
}

TEST_CASE("Layers that together choose a little more than fits still find most of it, step after step") {
    if (emulated()) return;  // its budget is of leaves alone; on a device of its own there is more
    DocumentWorld world({6, 2, 32}, KvCodec::K8V8, {200});
    TierOptions options = smallest(world, {});
    options.deviceBytes = 804 * (rowsBytes(32) + 32) + std::uint64_t{4} * 6 * 2 * 800;
    for (const bool adaptive : {true, false}) {
        options.adaptiveChunks = adaptive;
        options.fixedChunkTokens = 16;
        const auto kv = world.open(options);
        std::vector<Choice> choices;
        for (std::uint32_t layer = 0; layer < 6; ++layer) {
            choices.emplace_back(1, 2, 800);
            while (choices.back().count() < 182) choices.back().at(0, world.below(2), world.below(800)) = 0xffff;
        }
        for (int step = 0; step < 20; ++step) {
            if (step == 10) kv->resetCounters();
            for (std::uint32_t layer = 0; layer < 6; ++layer) REQUIRE(kv->pin(layer, choices[layer].view()));
        }
        const TierUse device = kv->counters().device;
        CHECK(device.hits + device.misses == 10 * 1092);
        CHECK(device.hits > 10 * 600);  // 804 slots; the least recently used would be the next layer's, every time
    }
}

TEST_CASE("Chunks cover every leaf once, and say where leaves are") {
    DocumentWorld world(kShape, KvCodec::K8V8, {200});
    const auto kv = world.open(smallest(world, {}));
    for (int step = 0; step < 100; ++step) REQUIRE(kv->pin(1, randomChoice(world, 1, 60).view()));
    const auto rows = kv->places();
    REQUIRE(rows.size() == kShape.rows());
    std::size_t inDevice = 0;
    for (std::size_t row = 0; row < rows.size(); ++row) {
        CHECK(rows[row].layer * kShape.kvHeads + rows[row].head == row);
        REQUIRE(rows[row].leaves.size() == 800);
        CHECK(rows[row].leaves[0].startsChunk);
        std::uint32_t chunk = 0;
        for (const LeafPlace& leaf : rows[row].leaves) {
            chunk = leaf.startsChunk ? 1 : chunk + 1;
            CHECK(chunk <= 32);
            inDevice += leaf.tier == Tier::Device ? 1 : 0;
            if (rows[row].layer != 1) CHECK(leaf.tier == Tier::Disk);
        }
    }
    CHECK(inDevice > 0);
}

}  // namespace carrel

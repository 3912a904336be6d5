#include <iomanip>
#include <sstream>

#include "engine/kv/document_world.h"

namespace carrel {

namespace {

constexpr KvShape kShape{1, 2, 64}, kTraceShape{4, 2, 64};
constexpr std::uint32_t kGroups = 256, kLeaves = kGroups * kGroupLeaves, kSteps = 600, kWarm = 200;

/// What heads choose step by step, as measured on models in kind: spots of 1 to `widest` leaves, few of them hot and
/// many rare (Zipf), each on for a while and then off, with holes; now and then a spot moves; a few leaves anywhere in
/// half of the document; the other half is desert.
class Trace {
  public:
    Trace(unsigned seed, std::uint32_t widest) : random_(seed), widest_(widest) {
        for (auto& head : spots_)
            for (std::size_t i = 0; i < 60; ++i) head.push_back(spot(i));
    }
    Choice next() {
        Choice choice(1, kShape.kvHeads, kLeaves);
        for (std::size_t head = 0; head < kShape.kvHeads; ++head) {
            for (std::uint32_t leaf = kLeaves - 16; leaf < kLeaves; ++leaf) choice.at(0, head, leaf) = 0xffff;
            choice.at(0, head, 0) = 0xffff;
            for (std::size_t i = 0; i < spots_[head].size(); ++i) {
                Spot& each = spots_[head][i];
                if (chance(0.002)) each = spot(i);
                each.on = each.on ? !chance(0.1) : chance(each.rate);
                if (!each.on) continue;
                for (std::uint32_t leaf = each.first; leaf < each.first + each.leaves; ++leaf)
                    if (chance(0.7)) choice.at(0, head, leaf) = 0xffff;
            }
            for (int stray = 0; stray < 2; ++stray) choice.at(0, head, below(kLeaves / 2)) = 1;
        }
        return choice;
    }

  private:
    struct Spot {
        std::uint32_t first, leaves;
        double rate;
        bool on;
    };
    std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }
    bool chance(double p) { return random_() < p * 4294967296.0; }
    Spot spot(std::size_t rank) {
        const std::uint32_t leaves = 1 + below(widest_);
        return {below(kLeaves / 2 - leaves), leaves, 0.3 / static_cast<double>(rank + 1), false};
    }
    std::mt19937 random_;
    std::uint32_t widest_;
    std::array<std::vector<Spot>, 2> spots_;
};

struct Cost {
    double reads, kib, us;  // per step; us: 12 a read and 1.1 GB/s
};

/// Steps after kWarm of a trace in every layer, through a device tier of `slots` leaves a layer and no host tier to
/// speak of. Costs are of one layer.
Cost run(DocumentWorld& world, unsigned seed, std::uint32_t widest, std::uint32_t slots, std::uint32_t fixedTokens) {
    TierOptions options;
    options.adaptiveChunks = fixedTokens == 0;
    options.fixedChunkTokens = fixedTokens;
    options = smallest(world, options);
    options.deviceBytes =
        std::max<std::uint64_t>(options.deviceBytes, kTraceShape.layers * slots * std::uint64_t{rowsBytes(64) + 40});
    const auto kv = world.open(options);
    std::vector<Trace> traces;
    for (std::uint32_t layer = 0; layer < kTraceShape.layers; ++layer) traces.emplace_back(seed + layer, widest);
    for (std::uint32_t step = 0; step < kSteps; ++step) {
        if (step == kWarm) {
            kv->resetCounters();
            world.stream.submits = 0;
        }
        for (std::uint32_t layer = 0; layer < kTraceShape.layers; ++layer)
            REQUIRE(kv->pin(layer, traces[layer].next().view()));
    }
    const double steps = (kSteps - kWarm) * kTraceShape.layers,
                 bytes = static_cast<double>(kv->counters().disk.bytesRead) / steps;
    const double reads = static_cast<double>(world.stream.submits) / steps;
    return {reads, bytes / 1024, 12 * reads + bytes / 1100};
}

}  // namespace

TEST_CASE("Adaptive chunks cost about what the best fixed ones do, whichever those are") {
    DocumentWorld world(kTraceShape, KvCodec::K8V8, {kGroups});
    std::ostringstream table;
    table << std::fixed << std::setprecision(1);
    for (const std::uint32_t widest : {1u, 4u, 12u, 30u})
        for (const std::uint32_t slots : {0u, 500u, 700u}) {
            table << "spots up to " << widest << " leaves, " << slots << " slots:";
            double best = 1e9;
            for (std::uint32_t tokens = 16; tokens <= 512; tokens *= 2) {
                const Cost cost = run(world, 7, widest, slots, tokens);
                best = std::min(best, cost.us);
                table << "  " << tokens << ": " << cost.reads << " " << cost.kib << "K " << cost.us << "us";
            }
            const Cost adaptive = run(world, 7, widest, slots, 0);
            table << "  adaptive: " << adaptive.reads << " " << adaptive.kib << "K " << adaptive.us << "us\n";
            CHECK(adaptive.us < 1.05 * best);
        }
    MESSAGE(table.str());
}

TEST_CASE("What nothing chooses becomes coarse, what is chosen stays fine, and neither changes what is chosen") {
    DocumentWorld world(kShape, KvCodec::K8V8, {kGroups});
    TierOptions options;
    options.deviceBytes = options.hostBytes = std::uint64_t{1} << 30;
    const auto kv = world.open(options);
    Choice choice(1, kShape.kvHeads, kLeaves);
    for (const std::uint32_t leaf : {100u, 102u, 400u})
        for (std::uint32_t head = 0; head < kShape.kvHeads; ++head) choice.at(0, head, leaf) = 1;
    for (int step = 0; step < 64; ++step) REQUIRE(kv->pin(0, choice.view()));
    for (const LeafRow& row : kv->places()) {
        if (row.layer != 0) continue;                                               // nothing was chosen there
        CHECK(std::ranges::count(row.leaves, true, &LeafPlace::startsChunk) < 50);  // 1024 leaves
        for (std::uint32_t i = 0; i < kLeaves; ++i) {
            const bool chosen = i == 100 || i == 102 || i == 400;
            CHECK((row.leaves[i].use > 0x8000) == chosen);
            if (chosen) CHECK(row.leaves[i].startsChunk);
            if (chosen) CHECK(row.leaves[i + 1].startsChunk);
        }
    }
}

}  // namespace carrel

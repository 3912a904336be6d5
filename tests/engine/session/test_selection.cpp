#include <cmath>
#include <cstring>

#include "engine/session/desk.h"
#include "transformer/pass.h"

namespace carrel {

namespace {

constexpr std::size_t kDocument = 3000, kProbe = 32, kTogether = 8;

std::vector<std::int32_t> someIds(unsigned seed, std::size_t count) {
    std::mt19937 random(seed);
    std::vector<std::int32_t> ids(count);
    for (auto& id : ids) id = static_cast<std::int32_t>(random() % 300);
    return ids;
}

/// A document that is read once; then it is opened with any budgets.
struct World {
    Desk desk;
    Bench bench;
    std::vector<std::int32_t> ids = someIds(1, kDocument);

    explicit World(const KvSettings& settings = {}, const TinyModelSpec& spec = small())
        : bench(desk.root, desk.model(spec), 512, settings) {
        auto reading = bench.open(ids);
        bench.finish(reading, 512);
    }
    static TinyModelSpec small() {
        TinyModelSpec spec = sessionSpec(1, 4096);
        spec.layers = 3;
        return spec;
    }
    /// Heads as in models of 7 or 8 billion weights.
    static TinyModelSpec wide() {
        TinyModelSpec spec = sessionSpec(1, 4096);
        spec.heads = 32;
        spec.kvHeads = 8;
        spec.headDim = 128;
        spec.hidden = 64;
        return spec;
    }
    /// Of seven layers the sixth is judged, and the others see a window.
    static TinyModelSpec local() {
        TinyModelSpec spec = small();
        spec.architecture = "gemma3";
        spec.layers = 7;
        return spec;
    }
    std::size_t vocabulary() const { return bench.model->model().config.vocabulary; }
    TokenReading open(bool resident) {
        bench.use(Tiers::Resident, ids);
        if (!resident) {
            bench.useLeast(ids);
            // For means; the device tier holds half a layer: portions.
            const KvShape shape = bench.model->model().config.kvShape();
            bench.kv.hostBytes += shape.rows() * kDocument / kGroupTokens * valueMeansBytes(shape.headDim) + 130'000;
        }
        auto reading = bench.open(ids);
        CHECK(reading.kv().resident() == resident);
        CHECK(reading.kv().hasMeans() == (bench.kv.codec != "f16"));
        return reading;
    }
};

/// Logits of probe's tokens behind the reading, so many at a time.
std::vector<float> walk(World& world, const TokenReading& reading, std::span<const std::int32_t> probe,
                        std::size_t atOnce, Reads reads) {
    std::vector<float> logits(probe.size() * world.vocabulary());
    KvSequence sequence = reading.rest();
    LeafHistory history;
    for (std::size_t at = 0; at < probe.size();) {
        const std::size_t count = std::min(atOnce, probe.size() - at);
        auto open = must(sequence.extend(*world.bench.backend, static_cast<std::uint32_t>(count)));
        Pass pass(world.bench.model->model(), *world.bench.backend, world.bench.work,
                  {{&sequence, open.get(), probe.subspan(at, count), &reading.kv(), nullptr, &history}}, true, reads);
        must(pass.run());
        pass.logits(0, count, {logits.data() + at * world.vocabulary(), {count, world.vocabulary()}});
        sequence.push(std::move(open));
        at += count;
    }
    return logits;
}

/// The same for several probes of one length, a token of each in every pass.
std::vector<std::vector<float>> walkTogether(World& world, const TokenReading& reading,
                                             const std::vector<std::vector<std::int32_t>>& probes, Reads reads) {
    const std::size_t vocabulary = world.vocabulary();
    std::vector<KvSequence> sequences(probes.size(), reading.rest());
    std::vector<LeafHistory> histories(probes.size());
    std::vector<std::vector<float>> logits(probes.size());
    std::vector<float> step(probes.size() * vocabulary);
    for (std::size_t i = 0; i < probes.front().size(); ++i) {
        std::vector<std::shared_ptr<KvBlock>> open;
        std::vector<PassInput> inputs;
        for (std::size_t s = 0; s < probes.size(); ++s) {
            open.push_back(must(sequences[s].extend(*world.bench.backend, 1)));
            inputs.push_back({&sequences[s], open.back().get(), std::span(probes[s]).subspan(i, 1), &reading.kv(),
                              nullptr, &histories[s]});
        }
        Pass pass(world.bench.model->model(), *world.bench.backend, world.bench.work, std::move(inputs), true, reads);
        must(pass.run());
        pass.logits(0, probes.size(), {step.data(), {probes.size(), vocabulary}});
        for (std::size_t s = 0; s < probes.size(); ++s) {
            sequences[s].push(std::move(open[s]));
            logits[s].insert(logits[s].end(), step.begin() + static_cast<std::ptrdiff_t>(s * vocabulary),
                             step.begin() + static_cast<std::ptrdiff_t>((s + 1) * vocabulary));
        }
    }
    return logits;
}

struct NamedPolicy {
    std::string name;
    ReadPolicy policy;
};

/// Policies of every kind, for documents that are opened with this judge. Random weights attend to everything alike: a
/// token's share is about 1 / 3000.
std::vector<NamedPolicy> policies(Judge judge) {
    std::vector<NamedPolicy> out;
    const auto add = [&](const std::string& name) -> ReadPolicy& {
        ReadPolicy policy;
        policy.capShare = 0.3;
        return out.emplace_back(NamedPolicy{name, policy}).policy;
    };
    if (judge == Judge::Sketch) {
        add("tokens").rule.tokenShare = 3.4e-4f;
        {
            ReadPolicy& policy = add("tokens in leaves, estimates, ahead");
            policy.rule.tokenShare = 2e-4f;
            policy.rule.leafShare = 5.4e-3f;
            policy.estimate = policy.predict = true;
        }
        {
            ReadPolicy& policy = add("tokens in leaves, new ones worth more");
            policy.rule.tokenShare = 2e-4f;
            policy.rule.leafShare = 5.2e-3f;
            policy.rule.newLeafShare = 5.6e-3f;
            policy.remembered = 5;
        }
        {
            ReadPolicy& policy = add("leaves");
            policy.rule.wholeLeaves = true;
            policy.rule.leafShare = 5.4e-3f;
        }
        {
            ReadPolicy& policy = add("a cap alone");
            policy.capShare = 0.1;
            policy.leastCap = 64;
            policy.estimate = true;
        }
        {
            ReadPolicy& policy = add("the oracle");
            policy.rule.tokenShare = 3.4e-4f;
            policy.oracle = true;
        }
    } else if (judge == Judge::Means) {
        ReadPolicy& policy = add("means");
        policy.rule.scorer = Scorer::Means;
        policy.rule.tokenShare = 3.4e-4f;
    } else {
        ReadPolicy& policy = add(judge == Judge::LeoAm ? "the paper's" : "min/max");
        policy.rule.scorer = Scorer::MinMax;
        policy.rule.layerChoice = judge == Judge::LeoAm;
        policy.rule.chunkTokens = judge == Judge::LeoAm ? 32 : 16;
        policy.capShare = 0.2;
    }
    return out;
}

/// Policies that read some and not all, on documents of every kind.
template <class F>
void forEveryPolicy(const F& check) {
    struct Kind {
        Judge judge;
        const char* codec;
        TinyModelSpec spec;
    };
    for (const auto& [judge, codec, spec] :
         {Kind{Judge::Sketch, "k8v8", World::small()}, Kind{Judge::Sketch, "k8v4", World::small()},
          Kind{Judge::Means, "k8v8", World::small()}, Kind{Judge::MinMax, "k8v8", World::small()},
          Kind{Judge::LeoAm, "k8v8", World::small()}, Kind{Judge::Sketch, "k8v6", World::wide()},
          Kind{Judge::Sketch, "k8v6", World::local()}}) {
        KvSettings settings;
        settings.judge = judge;
        settings.codec = codec;
        World world(settings, spec);
        for (const NamedPolicy& each : policies(judge)) {
            const std::string name =
                each.name + ", " + codec + ", " + spec.architecture + ", heads of " + std::to_string(spec.headDim);
            CAPTURE(name);
            check(world, each.policy);
        }
    }
}

void checkSame(std::span<const float> a, std::span<const float> b) {
    REQUIRE(a.size() == b.size());
    CHECK(std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}

double worstDivergence(std::span<const float> reference, std::span<const float> tested, std::size_t vocabulary) {
    double worst = 0;
    for (std::size_t at = 0; at < reference.size(); at += vocabulary) {
        const auto norm = [&](std::span<const float> logits) {
            double sum = 0;
            for (const float x : logits.subspan(at, vocabulary)) sum += std::exp(static_cast<double>(x));
            return std::log(sum);
        };
        const double p = norm(reference), q = norm(tested);
        double sum = 0;
        for (std::size_t i = at; i < at + vocabulary; ++i)
            sum += std::exp(static_cast<double>(reference[i]) - p) *
                   ((static_cast<double>(reference[i]) - p) - (static_cast<double>(tested[i]) - q));
        worst = std::max(worst, sum);
    }
    return worst;
}

}  // namespace

TEST_CASE("What is read by a policy gives the same bits resident and tiered, warm and cold") {
    const auto probe = someIds(2, kProbe);
    forEveryPolicy([&](World& world, const ReadPolicy& policy) {
        std::vector<float> expected;
        {
            ReadStats stats;
            const auto reading = world.open(true);
            expected = walk(world, reading, probe, 1, {&policy, &stats});
            const double share = static_cast<double>(stats.tokensRead) / static_cast<double>(stats.tokensThere);
            CHECK(share > 0.02);
            CHECK(share < 0.7);
            CHECK(stats.steps == kProbe);
            const auto full = walk(world, reading, probe, 1, {});
            CHECK(worstDivergence(full, expected, world.vocabulary()) > 0);  // it is no full attention
        }
        const auto reading = world.open(false);
        for (const bool cold : {true, false}) {
            CAPTURE(cold);
            checkSame(walk(world, reading, probe, 1, {&policy, nullptr}), expected);
        }
        CHECK(reading.kv().counters().disk.bytesRead > 0);
    });
}

TEST_CASE("What a sequence reads by a policy gives the same bits alone, among eight, and several rows at a time") {
    std::vector<std::vector<std::int32_t>> probes;
    for (unsigned i = 0; i < kTogether; ++i) probes.push_back(someIds(10 + i, kProbe));
    forEveryPolicy([&](World& world, const ReadPolicy& policy) {
        std::vector<std::vector<float>> expected;
        {
            const auto reading = world.open(true);
            expected = walkTogether(world, reading, probes, {&policy, nullptr});
            for (const std::size_t s : {0u, 3u, 7u})  // the first, one between, the last
                checkSame(walk(world, reading, probes[s], 1, {&policy, nullptr}), expected[s]);
            for (const std::size_t rows : {16u, 32u})
                checkSame(walk(world, reading, probes[0], rows, {&policy, nullptr}), expected[0]);
        }
        const auto reading = world.open(false);
        const auto together = walkTogether(world, reading, probes, {&policy, nullptr});
        for (std::size_t s = 0; s < kTogether; ++s) checkSame(together[s], expected[s]);
    });
}

TEST_CASE("Full attention gives the same bits resident and tiered, alone and together, one row or more at a time") {
    std::vector<std::vector<std::int32_t>> probes;
    for (unsigned i = 0; i < kTogether; ++i) probes.push_back(someIds(20 + i, kProbe));
    for (const std::string codec : {"f16", "k8v8", "k8v4"}) {
        CAPTURE(codec);
        KvSettings settings;
        settings.codec = codec;
        World world(settings);
        std::vector<float> expected;
        for (const bool resident : {true, false}) {
            CAPTURE(resident);
            const auto reading = world.open(resident);
            for (const std::size_t rows : {1u, 16u, 32u}) {
                const auto logits = walk(world, reading, probes[0], rows, {});
                if (expected.empty()) expected = logits;
                checkSame(logits, expected);
            }
            const auto together = walkTogether(world, reading, probes, {});
            checkSame(together[0], expected);
        }
    }
}

TEST_CASE("Leaves that must be worth more while they are new come less often, but to the first token") {
    const auto probe = someIds(5, kProbe);
    World world;
    const auto reading = world.open(true);
    const auto run = [&](float newShare, std::size_t tokens) {
        ReadPolicy policy;
        policy.rule.tokenShare = 2e-4f;
        policy.rule.leafShare = 5.2e-3f;
        policy.rule.newLeafShare = newShare;
        ReadStats stats;
        auto logits = walk(world, reading, std::span(probe).first(tokens), 1, {&policy, &stats});
        return std::pair(std::move(logits), stats.tokensRead);
    };
    CHECK(run(5.8e-3f, kProbe).second < run(0, kProbe).second);
    checkSame(run(5.8e-3f, kProbe).first, run(5.8e-3f, kProbe).first);
    checkSame(run(5.8e-3f, 1).first, run(0, 1).first);
    checkSame(run(5.2e-3f, kProbe).first, run(0, kProbe).first);
}

TEST_CASE("Thresholds follow where the rows are, unless those of memory or of disk are asked for") {
    World world;
    const auto rule = [&](ReadRule asked, bool resident) {
        world.bench.kv.rule = asked;
        return world.open(resident).policy()->rule;
    };
    const SelectRule memory = rule(ReadRule::ByTier, true), disk = rule(ReadRule::ByTier, false);
    CHECK(memory.tokenShare > disk.tokenShare);
    CHECK(memory.leafShare == 0);
    CHECK(disk.leafShare > 0);
    CHECK(disk.newLeafShare > disk.leafShare);
    CHECK(memory.newLeafShare == 0);
    for (const bool resident : {true, false}) {
        CAPTURE(resident);
        CHECK(rule(ReadRule::Memory, resident).tokenShare == memory.tokenShare);
        CHECK(rule(ReadRule::Memory, resident).leafShare == memory.leafShare);
        CHECK(rule(ReadRule::Disk, resident).tokenShare == disk.tokenShare);
        CHECK(rule(ReadRule::Disk, resident).leafShare == disk.leafShare);
    }
}

TEST_CASE("A policy that chooses everything is full attention but for the order of sums") {
    const auto probe = someIds(3, kProbe);
    for (const Judge judge : {Judge::Sketch, Judge::MinMax}) {
        KvSettings settings;
        settings.judge = judge;
        settings.codec = "k8v8";
        World world(settings);
        const auto reading = world.open(true);
        const auto full = walk(world, reading, probe, 1, {});
        for (const bool estimate : {false, true}) {
            CAPTURE(estimate);
            if (estimate && judge != Judge::Sketch) continue;  // bounds are no weights
            ReadPolicy policy;
            policy.leastCap = UINT32_MAX;
            policy.estimate = estimate;
            policy.rule.scorer = judge == Judge::Sketch ? Scorer::Plane : Scorer::MinMax;
            ReadStats stats;
            const auto all = walk(world, reading, probe, 1, {&policy, &stats});
            CHECK(worstDivergence(full, all, world.vocabulary()) < 1e-4);
            CHECK(static_cast<double>(stats.tokensRead) > 0.99 * static_cast<double>(stats.tokensThere));
        }
    }
}

TEST_CASE("The oracle reads the leaves with the most true attention, as many tokens as the rule would have read") {
    constexpr std::size_t kNewest = 64;
    const auto probe = someIds(4, kProbe);
    World world;
    const auto reading = world.open(true);
    ReadPolicy policy;
    policy.newest = kNewest;
    policy.leastCap = 1;
    policy.capShare = 0.3;
    const auto& config = world.bench.model->model().config;
    const std::size_t group = config.heads / config.kvHeads;
    struct Seen {
        std::vector<float> mass;  // of layer 0, [rows, KV heads, leaves]
        ReadStats stats;
    };
    const auto run = [&](const ReadPolicy* by) {
        Seen seen;
        KvSequence sequence = reading.rest();
        auto open = must(sequence.extend(*world.bench.backend, kProbe));
        Pass pass(world.bench.model->model(), *world.bench.backend, world.bench.work,
                  {{&sequence, open.get(), probe, &reading.kv(), nullptr}}, true, {by, &seen.stats});
        pass.reportMass([&](std::uint32_t layer, View<const float, 3> mass) {
            if (layer != 0) return;
            seen.mass.assign(kProbe * config.kvHeads * mass.size(2), 0);
            for (std::size_t at = 0; at < kProbe * config.heads; ++at)
                for (std::size_t leaf = 0; leaf < mass.size(2); ++leaf)
                    seen.mass[at / group * mass.size(2) + leaf] += mass.data()[at * mass.size(2) + leaf];
        });
        must(pass.run());
        return seen;
    };
    const Seen all = run(nullptr), rule = run(&policy);
    policy.oracle = true;
    const Seen oracle = run(&policy);
    const std::size_t places = kProbe * config.kvHeads, leaves = oracle.mass.size() / places;
    const std::size_t judgedEnd = kDocument / kGroupTokens * kGroupLeaves - kNewest / kLeafTokens;
    REQUIRE(all.mass.size() == oracle.mass.size());
    for (std::size_t place = 0; place < places; ++place) {
        float leastRead = 1e9f, mostUnread = 0;
        for (std::size_t leaf = 1; leaf < judgedEnd; ++leaf) {
            const float mass = all.mass[place * leaves + leaf];
            if (oracle.mass[place * leaves + leaf] > 0)
                leastRead = std::min(leastRead, mass);
            else
                mostUnread = std::max(mostUnread, mass);
        }
        if (mostUnread == 0 || leastRead < mostUnread)
            FAIL("place " << place << ": " << leastRead << " " << mostUnread);
    }
    const auto perChoice = [&](const Seen& seen) {
        return static_cast<double>(seen.stats.tokensRead) / static_cast<double>(places * config.layers);
    };
    CHECK(std::abs(perChoice(oracle) - perChoice(rule)) <= kLeafTokens / 2);
}

}  // namespace carrel

#include <cmath>
#include <optional>
#include <tuple>

#include "engine/transformer/tiny_fixture.h"

namespace carrel {

namespace {

constexpr std::size_t kTokens = 140;  // two groups and a part

/// One sequence on its way through a pass; several may be on their way at once.
struct Runner {
    const Loaded& on;
    Workspace work;
    KvSequence sequence;
    std::shared_ptr<KvBlock> open;
    std::optional<Pass> pass;

    explicit Runner(const Loaded& loaded)
        : on(loaded), work(loaded.workspace(kTokens)), sequence(loaded.model.config.kvShape()) {}

    void begin(std::span<const std::int32_t> ids, bool hiddenWanted = true) {
        auto room = sequence.extend(*on.backend, static_cast<std::uint32_t>(ids.size()));
        REQUIRE(room);
        open = std::move(*room);
        pass.emplace(on.model, *on.backend, work, std::vector<PassInput>{{&sequence, open.get(), ids}}, hiddenWanted);
    }
    std::vector<float> logits(std::size_t first, std::size_t rows) {
        std::vector<float> out(rows * on.vocabulary());
        pass->logits(first, rows, {out.data(), {rows, on.vocabulary()}});
        return out;
    }
    void end() {
        pass.reset();
        sequence.push(std::move(open));
    }
    std::vector<float> run(std::span<const std::int32_t> ids) {
        begin(ids);
        REQUIRE(pass->run());
        auto out = logits(0, ids.size());
        end();
        return out;
    }
    std::vector<std::byte> kv() const {
        const auto block = sequence.gather(*on.backend, 0, MemoryKind::Host);
        REQUIRE(block);
        return {(*block)->payload().begin(), (*block)->payload().end()};
    }
};

/// Logits of all tokens, and all KV, of ids that come `batch` at a time.
struct Outcome {
    std::vector<float> logits;
    std::vector<std::byte> kv;
};
Outcome inBatches(const Loaded& loaded, std::span<const std::int32_t> ids, std::size_t batch) {
    Runner runner(loaded);
    Outcome out;
    while (!ids.empty()) {
        const auto now = ids.first(std::min(batch, ids.size()));
        const auto part = runner.run(now);
        out.logits.insert(out.logits.end(), part.begin(), part.end());
        ids = ids.subspan(now.size());
    }
    out.kv = runner.kv();
    return out;
}

void checkSame(const std::vector<float>& a, const std::vector<float>& b) {
    REQUIRE(a.size() == b.size());
    CHECK(sameBits(a.data(), b.data(), a.size()));
}

template <class F>
void forEveryModel(const F& check) {
    for (const char* architecture : {"llama", "qwen2", "qwen3", "gemma3"})
        for (const DType type : {DType::F16, DType::Q8_0, DType::Q4_0}) {
            const bool llama = std::string_view(architecture) == "llama",
                       gemma = std::string_view(architecture) == "gemma3";
            if (emulated() && !(llama && type == DType::Q8_0) && !(gemma && type == DType::Q4_0)) continue;
            CAPTURE(architecture);
            CAPTURE(dtypeInfo(static_cast<std::uint32_t>(type))->name);
            TinyModelSpec spec = smallSpec(architecture, type);
            if (spec.architecture == "gemma3") spec.layers = 6;  // five local layers and a global one
            check(spec);
        }
}

}  // namespace

TEST_CASE("A token's logits and KV have the same bits however its sequence is cut into batches") {
    forEveryModel([](const TinyModelSpec& spec) {
        const Loaded loaded(spec, 1);
        const auto ids = someIds(1, kTokens);
        const Outcome whole = inBatches(loaded, ids, kTokens);
        CHECK(std::ranges::all_of(whole.logits, [](float x) { return std::isfinite(x); }));
        for (const std::size_t batch : among<std::size_t>({1, 3, 64, 100}, {1, 100})) {
            CAPTURE(batch);
            const Outcome cut = inBatches(loaded, ids, batch);
            checkSame(cut.logits, whole.logits);
            CHECK(cut.kv == whole.kv);
        }
    });
}

TEST_CASE("A token's logits and KV have the same bits with one thread and with two") {
    if (emulated()) return;  // its threads pack weights, no more
    forEveryModel([](const TinyModelSpec& spec) {
        const auto ids = someIds(2, kTokens);
        const Outcome one = inBatches(Loaded(spec, 1), ids, 70), two = inBatches(Loaded(spec, 2), ids, 70);
        checkSame(one.logits, two.logits);
        CHECK(one.kv == two.kv);
    });
}

TEST_CASE("A token's logits and KV have the same bits whatever other sequences share its passes") {
    forEveryModel([](const TinyModelSpec& spec) {
        const Loaded loaded(spec);
        const std::vector<std::vector<std::int32_t>> ids{someIds(3, 90), someIds(4, 33), someIds(5, 70)};
        const std::size_t prompts[] = {80, 1, 64};
        Workspace work = loaded.workspace(80 + 1 + 64);
        std::vector<KvSequence> sequences(3, KvSequence(loaded.model.config.kvShape()));
        std::vector<std::vector<float>> logits(3);
        const auto together = [&](const std::vector<std::span<const std::int32_t>>& parts,
                                  const std::vector<std::size_t>& who) {
            std::vector<std::shared_ptr<KvBlock>> open;
            std::vector<PassInput> inputs;
            std::size_t rows = 0;
            for (std::size_t i = 0; i < parts.size(); ++i) {
                auto room = sequences[who[i]].extend(*loaded.backend, static_cast<std::uint32_t>(parts[i].size()));
                REQUIRE(room);
                open.push_back(std::move(*room));
                inputs.push_back({&sequences[who[i]], open.back().get(), parts[i]});
                rows += parts[i].size();
            }
            Pass pass(loaded.model, *loaded.backend, work, inputs, true);
            REQUIRE(pass.run());
            std::vector<float> all(rows * loaded.vocabulary());
            pass.logits(0, rows, {all.data(), {rows, loaded.vocabulary()}});
            auto at = all.begin();
            for (std::size_t i = 0; i < parts.size(); ++i) {
                const auto end = at + static_cast<std::ptrdiff_t>(parts[i].size() * loaded.vocabulary());
                logits[who[i]].insert(logits[who[i]].end(), at, end);
                at = end;
                sequences[who[i]].push(open[i]);
            }
        };
        together({std::span(ids[0]).first(80), std::span(ids[1]).first(1), std::span(ids[2]).first(64)}, {0, 1, 2});
        for (std::size_t step = 0; step < 32; ++step) {  // decode: a token each, and those that are through drop out
            std::vector<std::span<const std::int32_t>> parts;
            std::vector<std::size_t> who;
            for (const std::size_t s : {2u, 0u, 1u})
                if (prompts[s] + step < ids[s].size()) {
                    parts.push_back(std::span(ids[s]).subspan(prompts[s] + step, 1));
                    who.push_back(s);
                }
            together(parts, who);
        }
        for (std::size_t s = 0; s < 3; ++s) {
            CAPTURE(s);
            const Outcome alone = inBatches(loaded, ids[s], kTokens);
            checkSame(logits[s], alone.logits);
            const auto block = sequences[s].gather(*loaded.backend, 0, MemoryKind::Host);
            REQUIRE(block);
            CHECK(std::ranges::equal((*block)->payload(), alone.kv));
        }
    });
}

TEST_CASE("A pass that is left lying while another sequence's passes run gives the same bits") {
    for (const char* architecture : {"llama", "qwen2"}) {
        CAPTURE(architecture);
        const Loaded loaded(smallSpec(architecture, DType::Q8_0));
        const auto ids = someIds(6, 130), other = someIds(7, 54);
        const Outcome whole = inBatches(loaded, ids, kTokens), wholeOther = inBatches(loaded, other, kTokens);
        for (std::size_t pause = 0; pause < 10; ++pause) {  // before each of the ten steps
            CAPTURE(pause);
            Runner reading(loaded), question(loaded);
            reading.begin(ids);
            for (std::size_t i = 0; i < pause; ++i) REQUIRE(*reading.pass->step());
            std::vector<float> between = question.run(std::span(other).first(50));
            for (std::size_t i = 50; i < other.size(); ++i) {
                const auto one = question.run(std::span(other).subspan(i, 1));
                between.insert(between.end(), one.begin(), one.end());
            }
            checkSame(between, wholeOther.logits);
            REQUIRE(reading.pass->run());
            checkSame(reading.logits(0, ids.size()), whole.logits);
            reading.end();
            CHECK(reading.kv() == whole.kv);
        }
    }
}

TEST_CASE("A batch that is dropped and begun anew gives the same bits") {
    const Loaded loaded(smallSpec("qwen2", DType::Q4_0));
    const auto ids = someIds(8, 140);
    const Outcome whole = inBatches(loaded, ids, kTokens);
    Runner reading(loaded);
    reading.run(std::span(ids).first(70));
    for (std::size_t steps = 0; steps < 10; ++steps) {
        reading.begin(std::span(ids).subspan(70, 5 + steps));
        for (std::size_t i = 0; i < steps; ++i) REQUIRE(*reading.pass->step());
        reading.pass.reset();
        reading.open.reset();
    }
    reading.run(std::span(ids).subspan(70));
    CHECK(reading.kv() == whole.kv);
}

TEST_CASE("A pass whose hidden state nobody wants writes the same KV") {
    for (const char* architecture : {"llama", "qwen2"}) {
        CAPTURE(architecture);
        const Loaded loaded(smallSpec(architecture, DType::F16));
        const auto ids = someIds(9, 130);
        const Outcome whole = inBatches(loaded, ids, kTokens);
        Runner reading(loaded);
        for (std::size_t at = 0; at < ids.size(); at += 65) {
            reading.begin(std::span(ids).subspan(at, 65), false);
            std::size_t steps = 1;
            while (*reading.pass->step()) ++steps;
            CHECK(steps == 6);  // one whole layer, and the last one's keys and values
            reading.end();
        }
        CHECK(reading.kv() == whole.kv);
    }
}

TEST_CASE(
    "The reported mass of each token and head is 1 in every layer that is not local, and lies on what the token can "
    "see") {
    for (const std::string architecture : {"llama", "qwen2", "gemma3"}) {
        CAPTURE(architecture);
        TinyModelSpec spec = smallSpec(architecture, DType::F16);
        const bool local = architecture == "gemma3";  // of which the sixth layer alone sees everything
        if (local) spec.layers = 6;
        const Loaded loaded(spec);
        const auto ids = someIds(10, 140);
        const Outcome whole = inBatches(loaded, ids, kTokens);
        Runner runner(loaded);
        runner.run(std::span(ids).first(100));
        for (const auto& [first, count] :
             {std::pair{100, 39}, std::pair{139, 1}}) {  // of a question, and of a decoded token
            runner.begin(std::span(ids).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)));
            std::vector<std::uint32_t> layers;
            runner.pass->reportMass([&](std::uint32_t layer, View<const float, 3> mass) {
                layers.push_back(layer);
                REQUIRE(mass.size(0) == static_cast<std::size_t>(count));
                REQUIRE(mass.size(1) == loaded.model.config.heads);
                REQUIRE(mass.size(2) == static_cast<std::size_t>(first + count - 1) / kLeafTokens + 1);
                for (std::size_t t = 0; t < mass.size(0); ++t)
                    for (std::size_t h = 0; h < mass.size(1); ++h) {
                        const float* leaves = mass.data() + (t * mass.size(1) + h) * mass.size(2);
                        const std::size_t seen = (static_cast<std::size_t>(first) + t) / kLeafTokens + 1;
                        double sum = 0;
                        for (std::size_t leaf = 0; leaf < mass.size(2); ++leaf) {
                            if (!(leaves[leaf] >= 0) || (leaf >= seen && leaves[leaf] != 0))
                                FAIL("token " << t << ", head " << h << ", leaf " << leaf);
                            sum += leaves[leaf];
                        }
                        if (std::abs(sum - 1) > 1e-4) FAIL("token " << t << ", head " << h << " sums to " << sum);
                    }
            });
            REQUIRE(runner.pass->run());
            CHECK(layers == (local ? std::vector<std::uint32_t>{5} : std::vector<std::uint32_t>{0, 1}));
            const auto from = static_cast<std::size_t>(first) * loaded.vocabulary();
            const auto logits = runner.logits(0, static_cast<std::size_t>(count));
            CHECK(sameBits(logits.data(), whole.logits.data() + from, logits.size()));  // reporting changes nothing
            runner.end();
        }
    }
}

TEST_CASE("A tied output and a model of other sizes are bound by the same rules") {
    for (const auto& [heads, kvHeads, headDim] :
         {std::tuple{2u, 2u, 64u}, std::tuple{8u, 1u, 16u}, std::tuple{6u, 3u, 128u}}) {
        CAPTURE(heads);
        TinyModelSpec spec;
        spec.heads = heads, spec.kvHeads = kvHeads, spec.headDim = headDim, spec.ffn = 256, spec.layers = 3;
        spec.tiedOutput = true;
        spec.type = DType::Q8_0;
        const Loaded loaded(spec);
        const auto ids = someIds(11, 90);
        const Outcome whole = inBatches(loaded, ids, kTokens), cut = inBatches(loaded, ids, 7);
        checkSame(cut.logits, whole.logits);
        CHECK(cut.kv == whole.kv);
    }
}

}  // namespace carrel

#include "engine/session/door.h"

namespace carrel {

namespace {

/// The sixth of seven layers is global; documents are many windows long.
TinyModelSpec spec(std::uint32_t window = 100) {
    TinyModelSpec out = sessionSpec(1, 4096);
    out.slidingWindow = window;
    out.architecture = "gemma3";
    out.layers = 7;
    out.headNorm = 2;
    return out;
}

std::vector<std::int32_t> someIds(unsigned seed, std::size_t count) {
    std::mt19937 random(seed);
    std::vector<std::int32_t> ids(count);
    for (auto& id : ids) id = static_cast<std::int32_t>(random() % 300);
    return ids;
}

/// Logits of tokens behind a document, one at a time.
std::vector<float> walk(Bench& bench, KvSequence sequence, DocumentKv* document, const ReadPolicy* policy) {
    const auto probe = someIds(2, 70);
    const std::size_t vocabulary = bench.model->model().config.vocabulary;
    std::vector<float> logits(probe.size() * vocabulary);
    LeafHistory history;
    for (std::size_t i = 0; i < probe.size(); ++i) {
        auto open = must(sequence.extend(*bench.backend, 1));
        Pass pass(bench.model->model(), *bench.backend, bench.work,
                  {{&sequence, open.get(), std::span(probe).subspan(i, 1), document, nullptr, &history}}, true,
                  {policy, nullptr});
        must(pass.run());
        pass.logits(0, 1, {logits.data() + i * vocabulary, {1, vocabulary}});
        sequence.push(std::move(open));
    }
    return logits;
}
std::vector<float> walk(Bench& bench, const TokenReading& reading) {
    return walk(bench, reading.rest(), &reading.kv(), reading.policy() ? &*reading.policy() : nullptr);
}

}  // namespace

TEST_CASE("With local layers a reading comes to the same in any batches, after a stop, resident and tiered") {
    const auto ids = someIds(1, 1500);
    for (const char* codec : {"f16", "k8v6"})
        for (const double keep : {-1.0, 1.0}) {
            CAPTURE(codec);
            CAPTURE(keep);
            std::vector<float> expected;
            for (const std::uint32_t batch : {512u, 64u, 320u})
                for (const Tiers tiers : {Tiers::Resident, Tiers::Least}) {
                    CAPTURE(batch);
                    CAPTURE((tiers == Tiers::Resident));
                    const Desk desk;
                    KvSettings settings;
                    settings.codec = codec;
                    settings.keep = keep;
                    settings.rule = ReadRule::Disk;
                    // A short window; and one that is gone through in parts.
                    Bench bench(desk.root, desk.model(spec(keep < 1 ? 100 : 1100)), 512, settings);
                    bench.use(tiers, ids);
                    if (expected.empty() && keep == 1 && std::string(codec) == "f16") {  // all in memory, no document
                        KvSequence all(bench.model->model().config.kvShape());
                        must(bench.model->prefill(all, bench.work, ids, {}));
                        expected = walk(bench, all, nullptr, nullptr);
                    }
                    if (batch == 320) {  // stopped in the middle of its third batch
                        auto reading = bench.open(ids);
                        for (int i = 0; i < 2; ++i) {
                            must(reading.beginBatch(bench.work, batch));
                            while (must(reading.step())) {
                            }
                            must(reading.endBatch());
                        }
                        must(reading.beginBatch(bench.work, batch));
                        for (int i = 0; i < 9; ++i) static_cast<void>(must(reading.step()));
                    }
                    {
                        auto reading = bench.open(ids);
                        CHECK(reading.tokens() == (batch == 320 ? 640 : 0));
                        bench.finish(reading, batch);
                        CHECK(reading.kv().resident() == (tiers == Tiers::Resident));
                        const auto logits = walk(bench, reading);
                        if (expected.empty()) expected = logits;
                        CHECK((logits == expected));
                    }
                    const auto again = bench.open(ids);  // read from disk
                    CHECK(again.tokens() == (std::string(codec) == "f16" ? 1472 : 1500));
                    if (again.complete()) CHECK((walk(bench, again) == expected));
                }
        }
}

TEST_CASE("With local layers a chat says the same resident and tiered, at once and with its tail from disk") {
    const std::string text = someText(1, 4 * kTextBytes);
    const Desk elsewhere;
    const auto model = elsewhere.model(spec());
    std::vector<std::string> expected;
    for (const bool least : {false, true})
        for (const bool reopened : {false, true}) {
            CAPTURE(least);
            CAPTURE(reopened);
            const Desk desk;
            const auto document = desk.add(text);
            KvSettings kv;
            if (least) kv = leastOf(desk, model, document, kv);
            auto door = std::make_unique<Door>(desk, model, kv);
            door->readWhole(document);
            const Answer first = door->answered(document, "What is this?");
            if (reopened) door = std::make_unique<Door>(desk, model, kv);
            const Answer second = door->answered(document, "Why is that so?", {{"What is this?", first.text}});
            CHECK(second.tiers.resident == !least);
            CHECK(second.tiers.tokensReadShare < 1);
            CHECK(second.tiers.steps > 0);
            if (expected.empty()) expected = {first.text, second.text};
            CHECK(first.text == expected[0]);
            CHECK(second.text == expected[1]);
        }
}

}  // namespace carrel

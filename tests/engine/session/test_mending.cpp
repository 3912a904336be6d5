#include "engine/session/clean.h"

namespace carrel {

TEST_CASE("A byte flipped while a document is closed is found, and its answer is the clean one") {
    for (const auto& [codec, tiers] :
         {std::pair{"k8v8", Tiers::Resident}, std::pair{"k8v8", Tiers::Least}, std::pair{"k8v4", Tiers::Least},
          std::pair{"f16", Tiers::Least}, std::pair{"f16", Tiers::Resident}}) {
        const bool least = tiers == Tiers::Least;
        CAPTURE(std::string(codec));
        CAPTURE(least);
        const Clean clean(with(codec), tiers);
        std::mt19937_64 random(5);
        for (int round = 0; round < 8; ++round) {
            CAPTURE(round);
            const Desk copy;
            clean.copyTo(copy);
            const bool sketch = round % 4 == 3 && std::string(codec) != "f16";
            flipSomewhere(copy, sketch ? ".bin" : ".seg", random);
            {
                Door door(copy, clean.model, clean.kv);
                std::optional<std::uint64_t> read;  // the question alone mends it, too
                if (round % 2 == 0) read = door.read(clean.document);
                const auto ask = door.ask(clean.document, "What is this?");
                door.drain();
                if (read) CHECK(door.events.readings[*read].coverage.whole());
                CHECK(door.answer(ask).text == clean.answers[0]);
                CHECK(door.events.stages[ask] == std::vector{TurnStage::Queued, TurnStage::Opening,
                                                             TurnStage::ReadingQuestion, TurnStage::Answering});
                CHECK(must(door.compute->readingOf(clean.document)).coverage.whole());
            }
            clean.checkMended(copy);
        }
    }
}

TEST_CASE("A byte flipped under an open document is found when it is read, and the question is answered as if whole") {
    for (const auto& [codec, keep] : {std::pair{"k8v8", -1.0}, std::pair{"k8v8", 1.0}, std::pair{"f16", 1.0}}) {
        CAPTURE(std::string(codec));
        CAPTURE(keep);
        const Clean clean(with(codec, keep), Tiers::Least);
        std::mt19937_64 random(6);
        std::size_t found = 0;
        for (int round = 0; round < 8; ++round) {
            CAPTURE(round);
            const Desk copy;
            clean.copyTo(copy);
            {
                Door door(copy, clean.model, clean.kv);
                door.readWhole(clean.document);
                flipSomewhere(copy, ".seg", random);
                found += must(door.compute->verify(clean.document)).bad > 0;
                const auto ticket = door.ask(clean.document, "What is this?");
                door.drain();
                CHECK(door.answer(ticket).text == clean.answers[0]);
                CHECK(must(door.compute->readingOf(clean.document)).coverage.whole());
            }
            clean.checkMended(copy);
        }
        CHECK(found > 3);
    }
}

TEST_CASE("Bytes flipped in the middle of answers mend once, and no text is told twice") {
    const Clean clean(with("k8v8", 1), Tiers::Least);
    std::mt19937_64 random(7);
    for (int round = 0; round < 8; ++round) {
        CAPTURE(round);
        const Desk copy;
        clean.copyTo(copy);
        {
            Door door(copy, clean.model, clean.kv);
            door.readWhole(clean.document);
            int pieces = 0;
            door.events.onText = [&](std::uint64_t) {
                if (++pieces == 5)
                    for (int i = 0; i < 8; ++i) flipSomewhere(copy, ".seg", random);
            };
            const std::vector<std::uint64_t> tickets{door.ask(clean.document, "What is this?", {}, {}, "a"),
                                                     door.ask(clean.document, "Who?", {}, {}, "b"),
                                                     door.ask(clean.document, "Why?", {}, {}, "c")};
            door.drain();
            for (std::size_t i = 0; i < tickets.size(); ++i) {
                CHECK(door.answer(tickets[i]).text == clean.answers[i]);
                CHECK(clean.answers[i].starts_with(door.events.texts[tickets[i]]));
                CHECK(std::ranges::count(door.events.stages[tickets[i]], TurnStage::Answering) == 1);
            }
        }
        clean.checkMended(copy);
    }
}

TEST_CASE("Bytes flipped while a document is being read end in the same reading") {
    for (const auto& [codec, tiers] :
         {std::pair{"k8v8", Tiers::Least}, std::pair{"f16", Tiers::Least}, std::pair{"k8v8", Tiers::Resident}}) {
        const bool least = tiers == Tiers::Least;
        CAPTURE(std::string(codec));
        CAPTURE(least);
        const Clean clean(with(codec), tiers);
        std::mt19937_64 random(8);
        for (int round = 0; round < 6; ++round) {
            CAPTURE(round);
            const Desk copy;
            REQUIRE(copy.add(kText) == clean.document);
            {
                Door door(copy, clean.model, clean.kv);
                bool flipped = false;
                door.events.onProgress = [&](std::uint64_t ticket) {
                    if (flipped || door.events.progress[ticket].back().tokensDone < 200u * (1u + unsigned(round) % 3))
                        return;
                    flipped = true;
                    flipSomewhere(copy, ".seg", random);
                };
                const auto read = door.read(clean.document), ask = door.ask(clean.document, "Who?", {}, {}, "early");
                door.drain();
                CHECK(flipped);
                CHECK(door.events.readings[read].coverage.whole());
                CHECK(door.events.answers.contains(ask));
            }
            Bench bench(copy.root, clean.model, 64, clean.resident());
            const auto reading = bench.open(clean.document);
            bench.finish(*reading);
            CHECK(bench.bytes(*reading) == clean.bytes);
        }
    }
}

TEST_CASE("A document that is forgotten while it waits to be mended is not read again") {
    const Clean clean(with("k8v8", 1), Tiers::Least);
    std::mt19937_64 random(9);
    const Desk copy;
    clean.copyTo(copy);
    const auto other = copy.add(someText(2, 3 * kTextBytes));
    Door door(copy, clean.model, clean.kv);
    door.readWhole(clean.document);
    for (int i = 0; i < 20; ++i) flipSomewhere(copy, ".seg", random);
    const auto reading = door.read(other);
    for (int i = 0; i < 3; ++i) REQUIRE(door.compute->step());
    const auto ticket = door.ask(clean.document, "What is this?");
    // The turn goes first; when it fails on damage the reading of the other document is still under way.
    for (int i = 0; i < 60 && !door.ended(ticket); ++i) REQUIRE(door.compute->step());
    must(door.compute->forgetReadings(clean.document));
    door.drain();
    CHECK_FALSE(door.events.answers.contains(ticket));
    CHECK(door.events.readings.contains(reading));
    CHECK(must(door.compute->storedReadings(clean.document)).empty());
}

TEST_CASE("Damage that comes back is told, once") {
    const Clean clean(with("k8v8", 1), Tiers::Least);
    std::mt19937_64 random(10);
    const Desk copy;
    clean.copyTo(copy);
    Door door(copy, clean.model, clean.kv);
    door.readWhole(clean.document);
    door.events.onText = [&](std::uint64_t) {  // whenever something is said, much is damaged
        for (int i = 0; i < 40; ++i) flipSomewhere(copy, ".seg", random);
    };
    const auto ticket = door.ask(clean.document, "What is this?");
    door.drain();
    if (door.events.failures.contains(ticket))
        CHECK(door.failure(ticket) == Code::Corrupt);
    else
        CHECK(door.answer(ticket).text == clean.answers[0]);
    CHECK(clean.answers[0].starts_with(door.events.texts[ticket]));
    door.events.onText = nullptr;
    const auto again = door.ask(clean.document, "Who?");
    door.drain();
    CHECK(door.answer(again).text == clean.answers[1]);
}

TEST_CASE("A segment that lost its end, or everything, is read again from there") {
    for (const std::string codec : {"f16", "k8v8"})
        for (const Tiers tiers : {Tiers::Resident, Tiers::Least}) {
            const Clean clean(with(codec), tiers);
            for (const double share : {0.0, 0.1, 0.5, 0.99}) {
                CAPTURE(codec);
                CAPTURE(share);
                const Desk copy;
                clean.copyTo(copy);
                for (const auto& segment : copy.files(".seg"))
                    std::filesystem::resize_file(
                        segment,
                        static_cast<std::uintmax_t>(share * static_cast<double>(std::filesystem::file_size(segment))));
                Bench bench(copy.root, clean.model, 64, clean.kv);
                const auto reading = bench.open(clean.document);
                bench.finish(*reading);
                CHECK(bench.bytes(*reading) == clean.bytes);
            }
        }
}

}  // namespace carrel

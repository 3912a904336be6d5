#include "engine/session/door.h"

namespace carrel {

TEST_CASE("A reading is forecast from its text alone, and comes to that") {
    for (const char* codec : {"", "f16"}) {
        CAPTURE(codec);
        const Desk desk;
        const auto document = desk.add(someText(1, 2400));
        KvSettings kv;
        kv.codec = codec;
        Door door(desk, desk.model(), kv);
        const ReadingForecast before = must(door.compute->forecast(document, {}));
        CHECK(must(door.compute->storedReadings(document)).empty());
        CHECK(before.tokens == before.tokensTotal);
        door.readWhole(document);
        const ReadingSummary after = must(door.compute->readingOf(document));
        CHECK(before.tokensTotal == after.coverage.tokensTotal);
        CHECK(static_cast<double>(before.diskBytes) >= 0.8 * static_cast<double>(after.diskBytes));
        const ReadingForecast open = must(door.compute->forecast(document, {}));
        CHECK(open.tokens == before.tokens);
        CHECK(open.diskBytes == before.diskBytes);
    }
}

TEST_CASE("Requests that were stopped before they began end as Cancelled, and nothing is done for them") {
    const Desk desk;
    const auto document = desk.add(someText(2, kTextBytes));
    Door door(desk, desk.model());
    std::stop_source stop;
    stop.request_stop();
    const auto read = door.read(document, stop.get_token());
    door.drain();
    CHECK(door.failure(read) == Code::Cancelled);
    CHECK(must(door.compute->storedReadings(document)).empty());
    door.readWhole(document);
    const auto turn = door.ask(document, "What?", {}, stop.get_token());
    door.drain();
    CHECK(door.failure(turn) == Code::Cancelled);
    CHECK(door.events.texts[turn].empty());
}

TEST_CASE("Requests that are stopped in the queue end once, and those behind them are served") {
    const Desk desk;
    const auto first = desk.add(someText(3, kTextBytes)), second = desk.add(someText(4, kTextBytes));
    Door door(desk, desk.model());
    std::stop_source stop;
    const auto one = door.read(first), two = door.read(second, stop.get_token()), three = door.read(second);
    const auto turn = door.ask(second, "What?", {}, stop.get_token()), other = door.ask(second, "What?");
    for (int i = 0; i < 4; ++i) CHECK(door.compute->step());
    stop.request_stop();
    door.drain();
    CHECK(door.events.readings.contains(one));
    CHECK(door.failure(two) == Code::Cancelled);
    CHECK(door.events.readings.contains(three));
    CHECK(door.failure(turn) == Code::Cancelled);
    CHECK(door.answer(other).tokens > 0);
}

TEST_CASE("A reading that is stopped in the middle keeps its whole batches, and goes on from there") {
    const Desk desk;
    const auto document = desk.add(someText(5, kTextBytes));
    const auto model = desk.model();
    Door door(desk, model);
    std::stop_source stop;
    const auto ticket = door.read(document, stop.get_token());
    door.events.onProgress = [&](std::uint64_t) {
        if (door.events.progress[ticket].back().tokensDone > 0) stop.request_stop();
    };
    door.drain();
    CHECK(door.failure(ticket) == Code::Cancelled);
    const Coverage coverage = must(door.compute->readingOf(document)).coverage;
    CHECK(coverage.tokensRead > 0);
    CHECK_FALSE(coverage.whole());
    door.events.onProgress = nullptr;
    const auto again = door.read(document);
    door.drain();
    CHECK(door.events.progress[again].front().tokensDone == coverage.tokensRead);
    CHECK(door.events.readings[again].coverage.whole());
    door.compute.reset();

    const Desk other;
    REQUIRE(other.add(someText(5, kTextBytes)) == document);
    Door undisturbed(other, model);
    undisturbed.readWhole(document);
    undisturbed.compute.reset();
    CHECK(kvOf(desk, model, document) == kvOf(other, model, document));
}

TEST_CASE("What cannot be served fails once, with its reason: no model, no such document, nothing read") {
    const Desk desk;
    const auto document = desk.add(someText(7, kTextBytes));
    Door door(desk);
    const auto read = door.read(document), ask = door.ask(document, "What?");
    door.drain();
    CHECK(door.failure(read) == Code::InvalidArgument);
    CHECK(door.failure(ask) == Code::InvalidArgument);
    CHECK_FALSE(door.compute->readingOf(document));
    CHECK(door.compute->storedReadings(document));

    static_cast<void>(must(door.compute->loadModel(desk.model())));
    for (const std::string& unknown : {std::string(64, 'a'), std::string("../../etc"), std::string()}) {
        const auto lost = door.read(unknown), asked = door.ask(unknown, "What?");
        door.drain();
        CHECK(door.failure(lost) == Code::NotFound);
        CHECK(door.failure(asked) == Code::NotFound);
    }
    const auto early = door.ask(document, "What?");
    door.drain();
    CHECK(door.failure(early) == Code::InvalidArgument);
    CHECK_FALSE(door.compute->step());  // nothing is left to do
    door.readWhole(document);           // and nothing is broken
    CHECK(door.answered(document, "What?").tokens > 0);
}

TEST_CASE("A document that is forgotten in the middle of its reading ends that reading, and can be read again") {
    const Desk desk;
    const auto document = desk.add(someText(8, kTextBytes)), other = desk.add(someText(9, kTextBytes));
    Door door(desk, desk.model());
    door.readWhole(other);
    for (int steps : {1, 2, 9}) {
        CAPTURE(steps);
        const auto ticket = door.read(document);
        for (int i = 0; i < steps; ++i) REQUIRE(door.compute->step());
        must(door.compute->forgetReadings(document));
        CHECK(door.failure(ticket) == Code::Cancelled);
        door.drain();
        CHECK(must(door.compute->storedReadings(document)).empty());
    }
    door.readWhole(document);
    CHECK(must(door.compute->readingOf(other)).coverage.tokensRead > 0);
    CHECK(door.answered(other, "What?").tokens > 0);
}

TEST_CASE("A document that is forgotten in the middle of an answer ends that turn, at any stage") {
    const Desk desk;
    const auto document = desk.add(someText(10, kTextBytes));
    Door door(desk, desk.model());
    for (const int steps : {0, 1, 2, 5, 12, 20}) {
        CAPTURE(steps);
        door.readWhole(document);
        const auto turn = door.ask(document, "What?"), queued = door.ask(document, "And what else?");
        for (int i = 0; i < steps; ++i) REQUIRE(door.compute->step());
        must(door.compute->forgetReadings(document));
        CHECK(must(door.compute->storedReadings(document)).empty());
        door.drain();
        CHECK(door.failure(turn) == (steps == 0 ? Code::InvalidArgument : Code::Cancelled));
        CHECK(door.failure(queued) == Code::InvalidArgument);  // nothing is read
    }
}

TEST_CASE("A model is not replaced while a request is under way, and a file that is none leaves the loaded one") {
    const Desk desk;
    const auto document = desk.add(someText(11, kTextBytes));
    const auto model = desk.model();
    Door door(desk, model);
    const auto read = door.read(document);
    REQUIRE(door.compute->step());
    REQUIRE(door.compute->step());
    CHECK_FALSE(door.compute->loadModel(model));
    door.drain();
    CHECK(door.events.readings.contains(read));
    CHECK_FALSE(door.compute->loadModel(desk.folder.write("no.gguf", "not a model")));
    CHECK(door.answered(document, "What?").tokens > 0);
}

TEST_CASE("Another number of threads holds from the next model on, and the answers are the same") {
    const auto threads = [] { return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {}); };
    const Desk desk;
    const auto document = desk.add(someText(19, kTextBytes));
    const auto model = desk.model();
    Door door(desk, model);
    door.readWhole(document);
    const std::string answer = door.answered(document, "What is this?").text;
    const auto before = threads();
    door.compute->useThreads(3);
    CHECK(threads() == before);
    CHECK(door.answered(document, "What is this?").text == answer);
    static_cast<void>(must(door.compute->loadModel(model)));
    CHECK(threads() == before + 2);
    CHECK(door.answered(document, "What is this?").text == answer);
    door.compute->useThreads(1);
    static_cast<void>(must(door.compute->loadModel(model)));
    CHECK(threads() == before);
}

TEST_CASE("A model that replaces another between turns never uses the other's KV") {
    const std::string text = someText(18, kTextBytes);
    const Desk desk;
    const auto document = desk.add(text);
    const auto first = desk.model(), second = desk.model(sessionSpec(2), "second.gguf");
    const auto only = [&](const std::filesystem::path& model) {
        const Desk alone;
        REQUIRE(alone.add(text) == document);
        Door door(alone, model);
        door.readWhole(document);
        return door.answered(document, "What is this?").text;
    };
    const std::string ofFirst = only(first), ofSecond = only(second);
    REQUIRE(ofFirst != ofSecond);

    Door door(desk, first);
    door.readWhole(document);
    CHECK(door.answered(document, "What is this?").text == ofFirst);
    static_cast<void>(must(door.compute->loadModel(second)));
    const auto early = door.ask(document, "What is this?");
    door.drain();
    CHECK(door.failure(early) == Code::InvalidArgument);  // this model has read nothing of it
    door.readWhole(document);
    CHECK(door.answered(document, "What is this?").text == ofSecond);
    static_cast<void>(must(door.compute->loadModel(first)));
    CHECK(door.answered(document, "What is this?").text == ofFirst);
    const auto stored = must(door.compute->storedReadings(document));
    CHECK(stored.size() == 2);
    CHECK(std::ranges::count_if(stored, [](const StoredReading& row) { return row.loadedModel; }) == 1);
    const auto all = must(door.compute->storedReadings({}));
    CHECK(all.size() == 2);
    for (const StoredReading& row : all) {
        CHECK(row.document == document);
        CHECK(row.complete);
        CHECK(row.coverage.whole());
        CHECK(row.coverage.tokensTotal > 0);
        CHECK(row.usedAt > 1'700'000'000);
    }
    must(door.compute->forgetReadings(document));
    CHECK(must(door.compute->storedReadings(document)).empty());
}

TEST_CASE("A question while its document is being read is answered from what is read, and disturbs nothing") {
    const std::string text = someText(12, 2 * kTextBytes);
    const Desk calm, busy;
    const auto model = calm.model();
    const auto document = calm.add(text);
    REQUIRE(busy.add(text) == document);
    Door undisturbed(calm, model);
    undisturbed.readWhole(document);

    Door door(busy, model);
    const auto reading = door.read(document);
    std::vector<std::uint64_t> turns;
    door.events.onProgress = [&](std::uint64_t) {
        if (door.events.progress[reading].back().tokensDone > 0 && turns.size() < 2)
            turns.push_back(0);  // asked below: not from inside an event
    };
    std::size_t asked = 0;
    while (door.compute->step()) {
        if (asked == turns.size()) continue;
        for (int i = 0; i < 3; ++i) REQUIRE(door.compute->step());  // in the middle of the next batch
        turns[asked++] = door.ask(document, "What is this?");
    }
    door.events.onProgress = nullptr;
    door.drain();
    CHECK(door.events.readings[reading].coverage.whole());
    REQUIRE(asked == 2);
    const Answer first = door.answer(turns[0]), second = door.answer(turns[1]);
    CHECK(first.coverage.tokensRead > 0);
    CHECK_FALSE(first.coverage.whole());
    CHECK(second.coverage.tokensRead > first.coverage.tokensRead);

    const Answer expected = undisturbed.answered(document, "What is this?");
    CHECK(door.answered(document, "What is this?").text ==
          expected.text);  // the chat's tail followed the reading's growth
    CHECK(door.answered(document, "What is this?", {}, "a new chat").text == expected.text);
    door.compute.reset();
    undisturbed.compute.reset();
    CHECK(kvOf(busy, model, document) == kvOf(calm, model, document));
}

TEST_CASE("A question that comes before the first batch waits for it") {
    const Desk desk;
    const auto document = desk.add(someText(13, kTextBytes));
    Door door(desk, desk.model());
    const auto reading = door.read(document), turn = door.ask(document, "What?");
    door.drain();
    CHECK(door.events.readings[reading].coverage.whole());
    const Answer answer = door.answer(turn);
    CHECK(answer.coverage.tokensRead > 0);
    CHECK_FALSE(answer.coverage.whole());
}

TEST_CASE("A third document takes the place of one in memory, and the first is answered from disk again") {
    const Desk desk;
    Door door(desk, desk.model());
    std::vector<std::string> documents, answers;
    for (unsigned i = 0; i < 4; ++i) {
        documents.push_back(desk.add(someText(30 + i, kTextBytes / 2)));
        door.readWhole(documents.back());
        answers.push_back(door.answered(documents.back(), "What is this?").text);
    }
    for (unsigned i = 0; i < 4; ++i) CHECK(door.answered(documents[i], "What is this?").text == answers[i]);
}

}  // namespace carrel

#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "engine/session/desk.h"

namespace carrel {

namespace {

constexpr std::size_t kTextBytes = 900;  // some 500 tokens: a batch of 128, and the rest

/// The door, its events, and requests with few words.
struct Door {
    Recorder events;
    std::unique_ptr<Compute> compute;
    std::uint64_t last = 0;

    explicit Door(const Desk& desk) : compute(must(Compute::open({desk.root, {}, 1, {}}, events))) {}
    Door(const Desk& desk, const std::filesystem::path& model) : Door(desk) {
        static_cast<void>(must(compute->loadModel(model)));
    }

    std::uint64_t read(const std::string& document, std::stop_token stop = {}) {
        compute->read({++last, document, {}, std::move(stop)});
        return last;
    }
    std::uint64_t ask(const std::string& document, const std::string& question, std::vector<PastTurn> history = {},
                      std::stop_token stop = {}, const std::string& chat = "chat", std::uint32_t maxTokens = 24) {
        compute->ask({++last, document, {}, chat, std::move(history), question, maxTokens, std::move(stop)});
        return last;
    }
    void drain() {
        std::size_t steps = 0;
        while (compute->step()) REQUIRE(++steps < 1'000'000);
        for (std::uint64_t ticket = 1; ticket <= last; ++ticket) {
            CAPTURE(ticket);
            CHECK(events.ends[ticket] == 1);
        }
    }
    Answer answer(std::uint64_t ticket) {
        if (events.failures.contains(ticket)) FAIL(events.failures[ticket].detail);
        REQUIRE(events.answers.contains(ticket));
        CHECK(events.answers[ticket].text.starts_with(
            events.texts[ticket]));  // finish() may add the end of a cut character
        return events.answers[ticket];
    }
    Code failure(std::uint64_t ticket) {
        REQUIRE(events.failures.contains(ticket));
        return events.failures[ticket].code;
    }
    Answer answered(const std::string& document, const std::string& question, std::vector<PastTurn> history = {},
                    const std::string& chat = "chat") {
        const auto ticket = ask(document, question, std::move(history), {}, chat);
        drain();
        return answer(ticket);
    }
    void readWhole(const std::string& document) {
        const auto ticket = read(document);
        drain();
        if (events.failures.contains(ticket)) FAIL(events.failures[ticket].detail);
        CHECK(events.readings[ticket].coverage.whole());
    }
};

std::vector<std::byte> kvOf(const Desk& desk, const std::filesystem::path& model, const std::string& document) {
    Bench bench(desk.root, model);
    const auto reading = bench.open(document);
    CHECK(reading->complete());
    return bench.kv(*reading);
}

/// Where readings keep their tails.
void removeTails(const Desk& desk) {
    std::vector<std::filesystem::path> tails;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(desk.root / "readings"))
        if (entry.is_directory() && entry.path().filename() == "tails") tails.push_back(entry.path());
    REQUIRE(!tails.empty());
    for (const auto& folder : tails) std::filesystem::remove_all(folder);
}

}  // namespace

TEST_CASE("A document that is read is asked and answered, stage by stage, and the same question is answered the same") {
    const Desk desk;
    const auto document = desk.add(someText(1, kTextBytes));
    Door door(desk, desk.model());
    door.readWhole(document);
    const auto ticket = door.ask(document, "What is this?");
    door.drain();
    const Answer answer = door.answer(ticket);
    CHECK(door.events.stages[ticket] ==
          std::vector{TurnStage::Queued, TurnStage::Opening, TurnStage::ReadingQuestion, TurnStage::Answering});
    CHECK(answer.coverage.whole());
    CHECK(answer.tokens > 0);
    CHECK(answer.tokens <= 24);
    CHECK_FALSE(answer.stopped);
    CHECK(answer.droppedTurns == 0);
    CHECK(door.answered(document, "What is this?").text == answer.text);
    CHECK(door.answered(document, "What is this?", {}, "another chat").text == answer.text);
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

TEST_CASE("An answer that is stopped at any token counts up to there and is how the whole one begins") {
    const Desk desk;
    const auto document = desk.add(someText(6, kTextBytes));
    Door door(desk, desk.model());
    door.readWhole(document);
    const Answer whole = door.answered(document, "What is this?");
    REQUIRE(whole.tokens > 6);
    for (std::size_t pieces = 1; pieces < 6; ++pieces) {
        CAPTURE(pieces);
        std::stop_source stop;
        std::size_t heard = 0;
        door.events.onText = [&](std::uint64_t) {
            if (++heard == pieces) stop.request_stop();
        };
        const auto ticket =
            door.ask(document, "What is this?", {}, stop.get_token(), "chat " + std::to_string(pieces % 2));
        door.drain();
        const Answer answer = door.answer(ticket);
        CHECK(answer.stopped);
        CHECK(answer.tokens < whole.tokens);
        CHECK(whole.text.starts_with(door.events.texts[ticket]));
    }
    door.events.onText = nullptr;
    CHECK(door.answered(document, "What is this?", {}, "chat 1").text ==
          whole.text);  // what was stopped spoils nothing
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

TEST_CASE("A chat's next answer is the same whether its tail is in memory, on disk, or made anew") {
    const std::string text = someText(14, kTextBytes);
    const Desk desk;
    const auto document = desk.add(text);
    const auto model = desk.model();
    std::vector<PastTurn> history;
    std::string inMemory;
    {
        Door door(desk, model);
        door.readWhole(document);
        history = {{"What is this?", door.answered(document, "What is this?").text}};
        inMemory = door.answered(document, "And then?", history).text;
        static_cast<void>(door.answered(document, "What is this?"));  // the tail on disk goes back to one turn
        CHECK(door.answered(document, "And then?", history).text == inMemory);
        static_cast<void>(door.answered(document, "Other words.", {}, "other chat"));
        CHECK(door.answered(document, "And then?", history).text == inMemory);  // from disk, in this process
    }
    CHECK_FALSE(inMemory.empty());
    {
        Door door(desk, model);
        CHECK(door.answered(document, "And then?", history).text == inMemory);
    }
    removeTails(desk);
    {
        Door door(desk, model);
        CHECK(door.answered(document, "And then?", history).text == inMemory);
    }
    const Desk fresh;
    REQUIRE(fresh.add(text) == document);
    Door door(fresh, model);
    door.readWhole(document);
    CHECK(door.answered(document, "And then?", history).text == inMemory);
}

TEST_CASE("A damaged tail is made anew and its answer is the same") {
    const Desk desk;
    const auto document = desk.add(someText(15, kTextBytes));
    const auto model = desk.model();
    std::vector<PastTurn> history;
    std::string expected;
    {
        Door door(desk, model);
        door.readWhole(document);
        history = {{"What is this?", door.answered(document, "What is this?").text}};
        expected = door.answered(document, "And then?", history).text;
    }
    std::mt19937 random(1);
    for (int round = 0; round < 8; ++round) {
        CAPTURE(round);
        for (const auto& entry : std::filesystem::recursive_directory_iterator(desk.root / "readings")) {
            if (entry.path().extension() != ".seg" || entry.path().string().find("/tails/") == std::string::npos)
                continue;
            auto file = must(realFileSystem().open(entry.path(), OpenMode::ReadWrite));
            const std::byte wrong{static_cast<unsigned char>(random())};
            for (int i = 0; i < 8; ++i) must(file->pwrite({&wrong, 1}, random() % must(file->size())));
        }
        Door door(desk, model);
        CHECK(door.answered(document, "And then?", history).text == expected);
    }
}

TEST_CASE("Chats beside each other do not change each other's answers") {
    const Desk desk;
    const auto document = desk.add(someText(16, kTextBytes));
    Door door(desk, desk.model());
    door.readWhole(document);
    const std::vector<std::string> questions{"What is this?", "Who?", "When does the river freeze?"};
    std::vector<std::string> alone;
    for (const auto& question : questions) alone.push_back(door.answered(document, question, {}, "alone").text);
    for (int round = 0; round < 2; ++round)
        for (std::size_t i = 0; i < questions.size(); ++i)
            CHECK(door.answered(document, questions[i], {}, "chat " + std::to_string(i)).text == alone[i]);
}

TEST_CASE("History that no longer fits goes oldest turn first, and the answer says how many went") {
    const Desk desk;
    const auto document = desk.add(someText(17, 5000));
    Door door(desk, desk.model(sessionSpec(1, 512)));  // 128 tokens are for tail and answer
    const auto read = door.read(document);
    door.drain();
    CHECK_FALSE(door.events.readings[read].coverage.whole());
    const PastTurn old{"Old words?", "Old answer."}, recent{"And?", "Yes."};
    std::vector<PastTurn> old20(20, old);
    old20.push_back(recent);
    const auto ask = [&](std::vector<PastTurn> history, const std::string& chat) {
        const auto ticket = door.ask(document, "Why?", std::move(history), {}, chat, 20);
        door.drain();
        return door.answer(ticket);
    };
    const Answer none = ask({}, "a"), one = ask({recent}, "b"), two = ask({old, recent}, "c"), many = ask(old20, "d");
    CHECK(none.droppedTurns == 0);
    CHECK(one.droppedTurns == 0);
    CHECK(two.droppedTurns == 1);
    CHECK(two.text == one.text);  // exactly the oldest went
    CHECK(many.droppedTurns == 20);
    CHECK(many.text == one.text);
    for (const Answer* answer : {&none, &one, &two, &many}) CHECK_FALSE(answer->coverage.whole());

    const auto long_ = door.ask(document, std::string(400, 'x') + "?");
    door.drain();
    CHECK(door.failure(long_) == Code::InvalidArgument);
    CHECK(ask({}, "a").text == none.text);
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
    must(door.compute->forgetReadings(document));
    CHECK(must(door.compute->storedReadings(document)).empty());
}

TEST_CASE("A chat's name that two documents use never brings one's KV to the other") {
    const Desk desk;
    std::string text;
    for (int i = 0; i < 200; ++i) text += "q ";
    text += someText(19, kTextBytes / 2);  // the tails begin with the same words
    const auto first = desk.add(text);
    std::ranges::replace(text, 'q', 'z');  // as many tokens: letters that no merge has
    const auto second = desk.add(text);
    const auto model = desk.model();
    Door door(desk, model);
    door.readWhole(first);
    door.readWhole(second);
    const std::string ofFirst = door.answered(first, "What is this?", {}, "one").text,
                      ofSecond = door.answered(second, "What is this?", {}, "two").text;
    REQUIRE(ofFirst != ofSecond);
    REQUIRE(must(door.compute->readingOf(first)).coverage.tokensRead ==
            must(door.compute->readingOf(second)).coverage.tokensRead);
    for (int round = 0; round < 2; ++round) {
        CHECK(door.answered(first, "What is this?", {}, "shared").text == ofFirst);
        CHECK(door.answered(second, "What is this?", {}, "shared").text == ofSecond);
    }
}

TEST_CASE("A turn that is stopped before its first pass leaves a tail that can be taken up") {
    // Readings whose tokens are a multiple of 64, where such a tail is empty, and others.
    for (std::size_t cut = 0; cut < 3; ++cut) {
        CAPTURE(cut);
        const Desk desk;
        const auto document = desk.add(someText(20, cut == 0 ? 5000 : kTextBytes + cut));
        Door door(desk, desk.model(sessionSpec(1, cut == 0 ? 512 : 2048)));  // 384 tokens: six groups
        const auto read = door.read(document);
        door.drain();
        REQUIRE(door.events.readings.contains(read));
        std::stop_source stop;
        door.events.onStage = [&](std::uint64_t, TurnStage stage) {
            if (stage == TurnStage::ReadingQuestion) stop.request_stop();
        };
        const auto ticket = door.ask(document, "Why?", {}, stop.get_token());
        door.drain();
        CHECK(door.answer(ticket).stopped);
        CHECK(door.answer(ticket).tokens == 0);
        door.events.onStage = nullptr;
        const std::string expected = door.answered(document, "Why?", {}, "fresh").text;
        CHECK(door.answered(document, "Why?").text == expected);
    }
}

TEST_CASE("A forgotten chat leaves nothing of itself on disk, and its document stays read") {
    const Desk desk;
    const auto document = desk.add(someText(23, kTextBytes));
    Door door(desk, desk.model());
    door.readWhole(document);
    const auto bytes = must(door.compute->storedReadings(document)).at(0).diskBytes;
    const std::string answer = door.answered(document, "What is this?", {}, "one").text;
    REQUIRE(must(door.compute->storedReadings(document)).at(0).diskBytes > bytes);
    REQUIRE(door.compute->forgetChat("one"));
    CHECK(must(door.compute->storedReadings(document)).at(0).diskBytes == bytes);
    CHECK(door.answered(document, "What is this?", {}, "one").text == answer);
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

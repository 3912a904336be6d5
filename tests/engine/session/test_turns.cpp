#include "engine/session/door.h"

namespace carrel {

namespace {

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

TEST_CASE("Reading a question reports tokens that only grow up to all of them, and fewer where the chat is stored") {
    const Desk desk;
    const auto document = desk.add(someText(1, kTextBytes));
    Door door(desk, desk.model());
    door.readWhole(document);
    const auto ticket = door.ask(document, "What is this, and what does it say of the rest?");
    door.drain();
    const auto& told = door.events.questions[ticket];
    REQUIRE(told.size() >= 2);
    CHECK(told.front().first < told.front().second);
    for (std::size_t i = 1; i < told.size(); ++i) {
        CHECK(told[i].second == told[0].second);
        CHECK(told[i].first > told[i - 1].first);
        CHECK(told[i].first <= told[i].second);
    }
    const auto again = door.ask(document, "What is this, and what does it say of the rest?");
    door.drain();
    CHECK(door.events.questions[again].back().second < told.back().second);
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

}  // namespace carrel

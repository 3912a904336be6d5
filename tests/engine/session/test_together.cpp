#include "engine/session/door.h"

namespace carrel {

namespace {

const std::vector<std::string> kQuestions{"What is this?",      "Who?",      "When does the river freeze?",
                                          "Where is the stone", "Why?",      "A long winter for every garden, is it?",
                                          "How many pages",     "And what?", "The?",
                                          "Which heading"};

std::string chatOf(std::size_t i) {
    return "chat " + std::to_string(i);
}

/// What each question is answered alone.
std::vector<std::string> alone(Door& door, const std::string& document) {
    std::vector<std::string> out;
    for (const std::string& question : kQuestions) out.push_back(door.answered(document, question, {}, "alone").text);
    return out;
}

std::vector<std::uint64_t> askAll(Door& door, const std::string& document, std::stop_token stopOfThird = {}) {
    std::vector<std::uint64_t> tickets;
    for (std::size_t i = 0; i < kQuestions.size(); ++i)
        tickets.push_back(door.ask(document, kQuestions[i], {}, i == 2 ? stopOfThird : std::stop_token(), chatOf(i)));
    return tickets;
}

std::size_t answering(Door& door, const std::vector<std::uint64_t>& tickets) {
    return static_cast<std::size_t>(std::ranges::count_if(
        tickets, [&](std::uint64_t ticket) { return door.events.texts.contains(ticket) && !door.ended(ticket); }));
}

}  // namespace

TEST_CASE("Questions that are asked together are each answered as alone, whatever is read of the document") {
    const Desk desk;
    const auto document = desk.add(someText(1, 4 * kTextBytes));
    const auto model = desk.model(sessionSpec(1, 4096));
    for (const double keep : {-1.0, 1.0, 0.4}) {
        CAPTURE(keep);
        KvSettings kv;
        kv.keep = keep;
        Door door(desk, model, kv);
        door.readWhole(document);
        const auto expected = alone(door, document);
        std::size_t most = 0;
        const auto tickets = askAll(door, document);
        door.events.onText = [&](std::uint64_t) { most = std::max(most, answering(door, tickets)); };
        door.drain();
        for (std::size_t i = 0; i < tickets.size(); ++i) CHECK(door.answer(tickets[i]).text == expected[i]);
        CHECK(most >= 4);  // they were answered at the same time
        CHECK(most <= 8);
    }
}

TEST_CASE("A question that is stopped among others ends alone, and the others go on as if it had not been there") {
    const Desk desk;
    const auto document = desk.add(someText(2, 2 * kTextBytes));
    Door door(desk, desk.model());
    door.readWhole(document);
    const auto expected = alone(door, document);
    for (std::size_t pieces : {1u, 3u, 6u}) {
        CAPTURE(pieces);
        std::stop_source stop;
        std::size_t heard = 0;
        const auto third = door.last + 3;
        door.events.onText = [&](std::uint64_t ticket) {
            if (ticket == third && ++heard == pieces) stop.request_stop();
        };
        const auto tickets = askAll(door, document, stop.get_token());
        door.drain();
        REQUIRE(tickets[2] == third);
        for (std::size_t i = 0; i < tickets.size(); ++i) {
            const Answer answer = door.answer(tickets[i]);
            CHECK(answer.stopped == (i == 2));
            if (i == 2)
                CHECK(expected[i].starts_with(door.events.texts[third]));
            else
                CHECK(answer.text == expected[i]);
        }
        CHECK(door.answer(third).tokens < 24);
    }
}

TEST_CASE("All questions may be stopped at once, at any step, and each ends once") {
    const Desk desk;
    const auto document = desk.add(someText(3, kTextBytes));
    Door door(desk, desk.model());
    door.readWhole(document);
    const auto expected = alone(door, document);
    for (const int steps : {0, 1, 7, 30, 61, 62, 63, 90}) {
        CAPTURE(steps);
        std::stop_source stop;
        std::vector<std::uint64_t> tickets;
        for (std::size_t i = 0; i < kQuestions.size(); ++i)
            tickets.push_back(door.ask(document, kQuestions[i], {}, stop.get_token(), chatOf(i)));
        for (int i = 0; i < steps; ++i) REQUIRE(door.compute->step());
        stop.request_stop();
        door.drain();
        for (std::size_t i = 0; i < tickets.size(); ++i)
            if (door.events.failures.contains(tickets[i]))
                CHECK(door.failure(tickets[i]) == Code::Cancelled);
            else
                CHECK(expected[i].starts_with(door.events.texts[tickets[i]]));
    }
    CHECK(door.answered(document, kQuestions[0], {}, chatOf(0)).text == expected[0]);
}

TEST_CASE("A chat that is forgotten while it is answered ends alone, and so does one that waits") {
    const Desk desk;
    const auto document = desk.add(someText(4, kTextBytes));
    Door door(desk, desk.model());
    door.readWhole(document);
    const auto expected = alone(door, document);
    const auto bytes = must(door.compute->storedReadings(document)).at(0).diskBytes;
    for (const int steps : {0, 1, 5, 40, 61, 70, 72, 75}) {
        CAPTURE(steps);
        const auto tickets = askAll(door, document);
        for (int i = 0; i < steps; ++i) REQUIRE(door.compute->step());
        for (const std::size_t gone : {1u, 9u}) must(door.compute->forgetChat(chatOf(gone)));
        door.drain();
        for (std::size_t i = 0; i < tickets.size(); ++i) {
            if (i != 1 && i != 9)
                CHECK(door.answer(tickets[i]).text == expected[i]);
            else if (door.events.failures.contains(tickets[i]))
                CHECK(door.failure(tickets[i]) == Code::Cancelled);
        }
        CHECK(door.failure(tickets[9]) == Code::Cancelled);
        for (std::size_t i = 0; i < tickets.size(); ++i) must(door.compute->forgetChat(chatOf(i)));
        must(door.compute->forgetChat("alone"));
        CHECK(must(door.compute->storedReadings(document)).at(0).diskBytes <= bytes);  // they left nothing
    }
}

TEST_CASE("A document that is forgotten while several questions are answered ends every one of them once") {
    const Desk desk;
    const auto document = desk.add(someText(5, kTextBytes)), other = desk.add(someText(6, kTextBytes));
    Door door(desk, desk.model());
    for (const int steps : {1, 5, 40, 61, 70}) {
        CAPTURE(steps);
        door.readWhole(document);
        door.readWhole(other);
        const auto tickets = askAll(door, document);
        const auto elsewhere = door.ask(other, "What?");
        for (int i = 0; i < steps; ++i) REQUIRE(door.compute->step());
        must(door.compute->forgetReadings(document));
        door.drain();
        for (const std::uint64_t ticket : tickets)
            if (!door.events.answers.contains(ticket))
                CHECK((door.failure(ticket) == Code::Cancelled || door.failure(ticket) == Code::InvalidArgument));
        CHECK(door.answer(elsewhere).tokens > 0);
        CHECK(must(door.compute->storedReadings(document)).empty());
    }
}

TEST_CASE("A question that comes while others are answered joins them, and changes nothing for them") {
    const Desk desk;
    const auto document = desk.add(someText(7, 2 * kTextBytes));
    Door door(desk, desk.model());
    door.readWhole(document);
    const auto expected = alone(door, document);
    std::size_t most = 0;
    std::vector<std::uint64_t> tickets{door.ask(document, kQuestions[0], {}, {}, chatOf(0))};
    door.events.onText = [&](std::uint64_t) { most = std::max(most, answering(door, tickets)); };
    while (door.compute->step())
        if (tickets.size() < 4 && door.events.texts[tickets.back()].size() > 2)
            tickets.push_back(door.ask(document, kQuestions[tickets.size()], {}, {}, chatOf(tickets.size())));
    door.drain();
    REQUIRE(tickets.size() == 4);
    for (std::size_t i = 0; i < tickets.size(); ++i) CHECK(door.answer(tickets[i]).text == expected[i]);
    CHECK(most >= 2);
}

TEST_CASE("Two questions of one chat are answered one after the other") {
    const Desk desk;
    const auto document = desk.add(someText(8, kTextBytes));
    Door door(desk, desk.model());
    door.readWhole(document);
    const std::string one = door.answered(document, "What is this?", {}, "alone").text,
                      two = door.answered(document, "Who?", {}, "alone").text;
    const auto first = door.ask(document, "What is this?"), second = door.ask(document, "Who?");
    bool overtaken = false;
    door.events.onText = [&](std::uint64_t ticket) {
        overtaken = overtaken || (ticket == second && !door.ended(first));
    };
    door.drain();
    CHECK(door.answer(first).text == one);
    CHECK(door.answer(second).text == two);
    CHECK_FALSE(overtaken);
}

TEST_CASE("A document that is verified while another is answered does not disturb the answer") {
    const Desk desk;
    Door door(desk, desk.model());
    std::vector<std::string> documents;
    for (unsigned i = 0; i < 4; ++i) documents.push_back(desk.add(someText(40 + i, kTextBytes)));
    for (const auto& document : documents) door.readWhole(document);
    const std::string expected = door.answered(documents[0], "What is this?", {}, "alone").text;
    const auto ticket = door.ask(documents[0], "What is this?");
    for (int steps = 0; steps < 40; ++steps) {
        REQUIRE(door.compute->step());
        CHECK(must(door.compute->verify(documents[static_cast<std::size_t>(1 + steps % 3)])).bad == 0);
    }
    door.drain();
    CHECK(door.answer(ticket).text == expected);
}

}  // namespace carrel

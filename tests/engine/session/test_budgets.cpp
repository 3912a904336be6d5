#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "engine/session/door.h"

namespace carrel {

namespace {

void checkWithin(const TierReport& report) {
    for (const TierUsage* use : {&report.device, &report.host}) {
        CHECK(use->usedBytes <= use->peakBytes);
        CHECK(use->peakBytes <= use->budgetBytes);
    }
}

/// Every total that is drawn is a counter of the same moment.
void checkTotals(const TierView& view) {
    std::array<std::uint64_t, 3> reads{};
    std::uint64_t device = 0, host = 0, all = 0;
    for (const LeafRow& row : view.rows)
        for (const LeafPlace& leaf : row.leaves) {
            for (std::size_t tier = 0; tier < 3; ++tier) reads[tier] += leaf.reads[tier];
            device += leaf.tier == Tier::Device ? 1 : 0;
            host += leaf.inHost ? 1 : 0;
            ++all;
        }
    const TierReport& report = view.report;
    CHECK(reads[0] == report.device.hits);
    CHECK(reads[1] == report.host.hits);
    CHECK(reads[2] == report.host.misses);
    CHECK(device == report.device.leaves);
    CHECK(host == report.host.leaves);
    CHECK(all == report.disk.leaves);
}

}  // namespace

TEST_CASE("The tiers of a reading and its answers never hold more than their budgets") {
    const std::string text = someText(1, 4 * kTextBytes);
    const Desk elsewhere;
    const auto model = elsewhere.model(sessionSpec(1, 4096));
    for (const std::string codec : {"k8v8", "f16"}) {
        for (const double share : {1.0, 1.4, 40.0}) {
            const std::string way = codec + ", " + std::to_string(share);
            CAPTURE(way);
            const Desk desk;
            const auto document = desk.add(text);
            KvSettings kv;
            kv.codec = codec;
            kv = leastOf(desk, model, document, kv);
            // What two questions choose of a layer together has to fit.
            kv.deviceBytes = static_cast<std::uint64_t>(share * static_cast<double>(4 * kv.deviceBytes));
            kv.hostBytes += static_cast<std::uint64_t>((share - 1) * 300'000);
            Door door(desk, model, kv);
            static_cast<void>(door.read(document));
            std::size_t looked = 0, read = 0;
            const auto look = [&] {
                if (const auto view = door.compute->tiers(document)) {
                    ++looked;
                    checkWithin(view->report);
                    checkTotals(*view);
                    read += view->report.device.hits + view->report.host.hits + view->report.host.misses;
                    CHECK(view->report.host.budgetBytes == kv.hostBytes);
                }
            };
            while (door.compute->step()) look();
            const auto first = door.ask(document, "What is this?"), second = door.ask(document, "Why?", {}, {}, "b");
            while (door.compute->step()) look();
            door.drain();
            for (const auto ticket : {first, second}) {
                const Answer answer = door.answer(ticket);
                checkWithin(answer.tiers);
                CHECK(answer.tokens > 0);
                CHECK(answer.tiers.codec == codec);
            }
            CHECK(looked > 100);
            CHECK(read > 0);
        }
    }
}

TEST_CASE("Budgets below the smallest workable ones are refused with those in MiB, and nothing is lost") {
    const Desk desk;
    const auto document = desk.add(someText(2, 2 * kTextBytes));
    const auto model = desk.model();
    std::string expected;
    {
        Door door(desk, model);
        door.readWhole(document);
        expected = door.answered(document, "What is this?").text;
    }
    const KvSettings least = leastOf(desk, model, document);
    for (const bool host : {true, false}) {
        CAPTURE(host);
        KvSettings less = least;
        (host ? less.hostBytes : less.deviceBytes) -= host ? 100'000 : 20'000;
        Door door(desk, model, less);
        const auto read = door.read(document), ask = door.ask(document, "What?");
        door.drain();
        for (const auto ticket : {read, ask}) {
            CHECK(door.failure(ticket) == Code::NoMemory);
            unsigned long device = 0, hosts = 0;
            CHECK(std::sscanf(door.events.failures[ticket].detail.c_str(),
                              "needs at least %lu MiB of device and %lu MiB of host memory", &device, &hosts) == 2);
            CHECK(device == (least.deviceBytes >> 20) + 1);
            CHECK(hosts == (least.hostBytes >> 20) + 1);
        }
    }
    Door door(desk, model);
    CHECK(must(door.compute->readingOf(document)).coverage.tokensRead > 0);
    CHECK(door.answered(document, "What is this?").text == expected);
}

TEST_CASE("With the smallest budgets that are accepted, questions are answered, one and eight at a time") {
    const Desk desk;
    const auto document = desk.add(someText(3, 8 * kTextBytes));
    const auto model = desk.model(sessionSpec(1, 8192));
    for (const double keep : {-1.0, 1.0}) {
        CAPTURE(keep);
        KvSettings kv;
        kv.keep = keep;
        kv = leastOf(desk, model, document, kv);
        Door door(desk, model, kv);
        door.readWhole(document);
        const std::string one = door.answered(document, "What is this?").text;
        std::vector<std::uint64_t> tickets;
        for (int i = 0; i < 8; ++i)
            tickets.push_back(door.ask(document, "What is this?", {}, {}, "chat " + std::to_string(i)));
        door.drain();
        for (const auto ticket : tickets) CHECK(door.answer(ticket).text == one);
        CHECK_FALSE(door.answer(tickets[0]).tiers.resident);
    }
}

TEST_CASE("Reading everything gives the same answers resident and with the smallest budgets, in every codec") {
    const std::string text = someText(4, 4 * kTextBytes);
    const Desk elsewhere;
    const auto model = elsewhere.model(sessionSpec(1, 4096));
    for (const std::string codec : {"f16", "k8v8", "k8v4"}) {
        CAPTURE(codec);
        std::string expected;
        for (const bool least : {false, true}) {
            const Desk desk;
            const auto document = desk.add(text);
            KvSettings kv;
            kv.codec = codec;
            kv.keep = 1;
            if (least) kv = leastOf(desk, model, document, kv);
            Door door(desk, model, kv);
            door.readWhole(document);
            const Answer answer = door.answered(document, "What is this?");
            CHECK(answer.tiers.resident == !least);
            CHECK(answer.tiers.tokensReadShare == 1);
            if (!least) expected = answer.text;
            CHECK(answer.text == expected);
        }
    }
}

TEST_CASE("A large buffer's pages go back to the system with it, and do not stay in a heap that grows") {
    const auto backend = must(makeCpuBackend("", 1));
    // From the first malloc learns to keep the others.
    for (const std::size_t bytes : {24'000'000, 4'423'680, 1'474'560, 1'474'560}) {
        void* pages = nullptr;
        {
            const Buffer buffer = must(backend->allocate(bytes));
            std::memset(buffer.as<char>(), 1, buffer.bytes());
            pages = buffer.as<char>();
        }
        unsigned char there = 0;
        CHECK(::mincore(pages, 4096, &there) == -1);
        CHECK(errno == ENOMEM);
    }
}

TEST_CASE("Other budgets hold from the next question on, and an idle reading does not keep the old ones") {
    const Desk desk;
    const auto document = desk.add(someText(3, 2 * kTextBytes));
    const auto model = desk.model();
    KvSettings kv;
    kv.deviceBytes = kv.hostBytes = std::uint64_t{64} << 20;
    const KvSettings least = leastOf(desk, model, document);
    Door door(desk, model, kv);
    door.readWhole(document);
    const Answer before = door.answered(document, "What is this?");
    CHECK(before.tiers.resident);
    const auto asked = door.ask(document, "Why?");
    REQUIRE(door.compute->step());
    door.compute->setMemory(2 * least.deviceBytes, least.hostBytes);
    door.drain();
    CHECK(door.answer(asked).tiers.device.budgetBytes == kv.deviceBytes);  // what was under way kept its own
    for (const std::uint64_t factor : {2, 3}) {
        door.compute->setMemory(factor * least.deviceBytes, least.hostBytes);
        if (factor == 3) CHECK_FALSE(door.compute->tiers(document));  // idle: closed at once
        const Answer after = door.answered(document, "Where?");
        CHECK(after.tokens > 0);
        CHECK(after.tiers.device.budgetBytes == factor * least.deviceBytes);
        CHECK(after.tiers.host.budgetBytes == least.hostBytes);
        CHECK_FALSE(after.tiers.resident);
    }
}

TEST_CASE("A token of an open reading leads to its words, and what the prompt opens with to none") {
    const Desk desk;
    const std::string text = someText(4, kTextBytes) + " Ärger über Größe.";
    const auto document = desk.add(text);
    Door door(desk, desk.model());
    CHECK(door.compute->placeOf(document, 0, 16).error().code == Code::NotFound);
    door.readWhole(document);
    CHECK(door.compute->placeOf(document, 0, 1).error().code == Code::NotFound);
    const auto view = door.compute->tiers(document);
    REQUIRE(view);
    std::string all;
    for (std::uint32_t token = 0; token < view->totalTokens + 16; token += 16) {
        const auto place = door.compute->placeOf(document, token, 16);
        if (!place) continue;
        CHECK(place->quote == text.substr(place->span.first, place->span.count));
        if (all.size() > place->span.first) all.resize(place->span.first);  // a character that two leaves share
        CHECK(all.size() == place->span.first);
        all += place->quote;
    }
    CHECK(all == text);
    CHECK(view->pageStarts.empty());
}

}  // namespace carrel

#include "session/quota.h"

#include "base/sqlite.h"
#include "engine/session/door.h"

using namespace carrel;

namespace {

constexpr std::uint64_t kGb = 1'000'000'000;
constexpr std::int64_t kNow = 1'800'000'000, kDay = 24 * 3600;

std::vector<std::string> evicted(const RoomPlan& plan, const std::vector<KeptReading>& readings) {
    std::vector<std::string> out;
    for (const std::size_t i : plan.evict) out.push_back(readings[i].id);
    return out;
}

}  // namespace

TEST_CASE("the automatic quota is the smaller of 50 GB and a fifth of what would be free without readings") {
    CHECK(quotaOf({}, 90 * kGb, 10 * kGb) == 20 * kGb);
    CHECK(quotaOf({}, 100 * kGb, 0) == 20 * kGb);
    CHECK(quotaOf({}, 900 * kGb, 10 * kGb) == 50 * kGb);
    CHECK(quotaOf({.quotaBytes = 7 * kGb}, 10 * kGb, 0) == 7 * kGb);
}

TEST_CASE("what fits evicts nothing") {
    const std::vector<KeptReading> old{{"a", 5 * kGb, 0, false}};
    const RoomPlan plan = makeRoom({}, old, 95 * kGb, kNow, 15 * kGb);
    CHECK(plan.fits);
    CHECK(plan.evict.empty());
    CHECK(plan.room == 15 * kGb);
}

TEST_CASE("the longest unused go first, and no more than it takes") {
    const std::vector<KeptReading> readings{
        {"third", 2 * kGb, kNow - 3 * kDay, false},
        {"first", 2 * kGb, kNow - 9 * kDay, false},
        {"second", 2 * kGb, kNow - 5 * kDay, false},
    };
    const DiskLimits limits{.quotaBytes = 7 * kGb};
    const RoomPlan plan = makeRoom(limits, readings, 500 * kGb, kNow, 5 * kGb);
    CHECK(plan.fits);
    CHECK(evicted(plan, readings) == std::vector<std::string>{"first", "second"});
}

TEST_CASE("neither what is open nor what was used within a day is evicted, and nothing where it would not be enough") {
    const std::vector<KeptReading> readings{
        {"open", 2 * kGb, kNow - 9 * kDay, true},
        {"fresh", 2 * kGb, kNow - kDay + 1, false},
        {"stale", 2 * kGb, kNow - kDay, false},
    };
    const DiskLimits limits{.quotaBytes = 6 * kGb};
    CHECK(evicted(makeRoom(limits, readings, 500 * kGb, kNow, 2 * kGb), readings) == std::vector<std::string>{"stale"});
    const RoomPlan tooMuch = makeRoom(limits, readings, 500 * kGb, kNow, 2 * kGb + 1);
    CHECK(!tooMuch.fits);
    CHECK(tooMuch.evict.empty());
    CHECK(tooMuch.room == 2 * kGb);
}

TEST_CASE("two gigabytes of the disk stay free, whatever the quota allows") {
    const DiskLimits limits{.quotaBytes = 50 * kGb};
    CHECK(makeRoom(limits, {}, 5 * kGb, kNow, 3 * kGb).fits);
    const RoomPlan refused = makeRoom(limits, {}, 5 * kGb, kNow, 3 * kGb + 1);
    CHECK(!refused.fits);
    CHECK(refused.room == 3 * kGb);
    const std::vector<KeptReading> old{{"old", kGb, 0, false}};
    CHECK(makeRoom(limits, old, 5 * kGb, kNow, 4 * kGb).evict.size() == 1);
    CHECK(makeRoom(limits, {}, kGb, kNow, 1).room == 0);
}

TEST_CASE("a smaller quota asks for no room but for what is over it to go") {
    const std::vector<KeptReading> readings{{"a", 3 * kGb, 1, false}, {"b", 3 * kGb, 2, false}};
    CHECK(evicted(makeRoom({.quotaBytes = 3 * kGb}, readings, 500 * kGb, kNow, 0), readings) ==
          std::vector<std::string>{"a"});
    CHECK(makeRoom({.quotaBytes = 6 * kGb}, readings, kGb, kNow, 0).evict.empty());
}

TEST_CASE("a reading for which there is no room says so with need and have before it starts, and evicts nothing") {
    const Desk desk;
    const auto model = desk.model();
    const auto first = desk.add(someText(1, kTextBytes)), second = desk.add(someText(2, kTextBytes));
    Door door(desk, model);
    door.readWhole(first);
    const std::uint64_t bytes = must(door.compute->diskUse()).usedBytes;
    REQUIRE(bytes > 0);
    CHECK(must(door.compute->setQuota(bytes + 1000)).quotaBytes == bytes + 1000);  // the first was used today
    const ReadingForecast forecast = must(door.compute->forecast(second, {}));
    CHECK(!forecast.fits);
    CHECK(forecast.evicted.empty());
    const auto ticket = door.read(second);
    door.drain();
    CHECK(door.failure(ticket) == Code::DiskFull);
    CHECK(door.events.failures[ticket].detail.find("needs 0.") != std::string::npos);
    CHECK(door.events.progress[ticket].empty());
    CHECK(door.events.evicted.empty());
    CHECK(must(door.compute->storedReadings({})).size() == 1);
}

TEST_CASE("what nobody used for a day makes room, is named, and keeps its document") {
    const Desk desk;
    const auto model = desk.model();
    const auto first = desk.add(someText(1, kTextBytes)), second = desk.add(someText(2, kTextBytes));
    std::uint64_t bytes = 0;
    {
        Door door(desk, model);
        door.readWhole(first);
        bytes = must(door.compute->diskUse()).usedBytes;
    }
    {
        auto index = must(SqlDatabase::open(desk.root / "readings" / "index.sqlite"));
        must(index.exec("UPDATE uses SET used_at = used_at - 100000"));
    }
    // What the second needs at most is more than what the first took: with both there is not room enough.
    Door door(desk, {}, realFileSystem(), {.quotaBytes = 3 * bytes, .leaveFreeBytes = 0});
    static_cast<void>(must(door.compute->loadModel(model)));
    must(door.compute->setQuota(2 * bytes));
    CHECK(door.events.evicted.empty());
    const ReadingForecast forecast = must(door.compute->forecast(second, {}));
    CHECK(forecast.fits);
    CHECK(forecast.evicted == std::vector<std::string>{first});  // said before it is done
    CHECK(must(door.compute->storedReadings({})).size() == 1);
    door.readWhole(second);
    CHECK(door.events.evicted == std::vector<std::string>{first});
    const auto left = must(door.compute->storedReadings({}));
    REQUIRE(left.size() == 1);
    CHECK(left[0].document == second);
    CHECK(must(DocumentStore(desk.root).load(first, {})).text == someText(1, kTextBytes));
}

#include <signal.h>
#include <sys/wait.h>

#include <chrono>
#include <random>
#include <thread>

#include "engine/store/store_fixture.h"

using namespace carrel;
using Clock = std::chrono::steady_clock;

namespace {

constexpr KvCodec kCodec = KvCodec::K8V8;
const auto kIds = someIds(400);

ReadingKey readingOf(int model) {
    ReadingKey key = keyOf(kCodec);
    key.model += std::to_string(model);
    return key;
}

/// Readings of one document by models 0 to count, each with a chat's tail.
void makeReadings(const std::filesystem::path& data, int count) {
    const auto store = openStore(data);
    for (int model = 0; model < count; ++model) {
        const auto stream = must(store->openReading(readingOf(model), kShape));
        for (std::uint32_t at = 0; at < 400; at += 128)
            commit(*stream, kIds, at, std::min(at + 128, 400u), kShape, kCodec);
        commit(*must(store->openTail(*stream, "chat", 384)), someIds(90, 4), 384, 474);
    }
}

/// Runs work in a child that ends without destructors, as a crash would; no checks in there: the parent judges.
template <class Work>
pid_t inChild(const Work& work) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) ::_exit(work() ? 0 : 1);
    return child;
}
bool endedWell(pid_t child) {
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// Finds this model's reading whole and reads on in it.
bool readsOn(const std::filesystem::path& data, int model, const std::vector<std::int32_t>& ids) {
    const auto store = ReadingStore::open(realFileSystem(), data, kSmall);
    if (!store) return false;
    const auto stream = (*store)->openReading(readingOf(model), kShape);
    if (!stream || (*stream)->ids() != kIds) return false;
    const auto end = static_cast<std::uint32_t>(ids.size());
    return static_cast<bool>((*stream)->commit(kvOf(kShape, ids, 384, end, 0, kCodec).batch()));
}

}  // namespace

TEST_CASE("a process killed while it forgets: every reading is whole or gone, and nothing of those gone is left") {
    std::mt19937 random(3);
    double seconds = 0;
    int left = 0, gone = 0;
    for (int round = 0; round < 24; ++round) {
        CAPTURE(round);
        TempFolder data;
        makeReadings(data.path, 3);
        int begun[2];
        REQUIRE(::pipe(begun) == 0);
        const pid_t child = inChild([&] {
            const auto store = ReadingStore::open(realFileSystem(), data.path, kSmall);
            if (!store || ::write(begun[1], "x", 1) != 1) return false;
            return static_cast<bool>((*store)->forgetDocument(kKey.document));
        });
        char byte = 0;
        REQUIRE(::read(begun[0], &byte, 1) == 1);
        const auto start = Clock::now();
        if (round > 0) {
            std::this_thread::sleep_for(
                std::chrono::duration<double>(std::uniform_real_distribution<>(0, 1)(random) * seconds));
            ::kill(child, SIGKILL);
        }
        const bool ended = endedWell(child);
        if (round == 0) {
            CHECK(ended);
            seconds = std::chrono::duration<double>(Clock::now() - start).count();
        }
        for (const int end : begun) ::close(end);

        auto store = openStore(data.path);
        const auto rows = must(store->readingsOf(kKey.document));
        std::size_t folders = 0;
        for (const auto& entry : std::filesystem::directory_iterator(data.path / "readings"))
            folders += entry.is_directory();
        CHECK(folders == rows.size());
        for (int model = 0; model < 3; ++model) {
            const bool there = std::any_of(rows.begin(), rows.end(),
                                           [&](const StreamInfo& row) { return row.key == readingOf(model); });
            const auto stream = must(store->openReading(readingOf(model), kShape));
            ++(there ? left : gone);
            checkHolds(*stream, there ? kIds : std::vector<std::int32_t>(), kShape, kCodec);
            if (there) checkHolds(*must(store->openTail(*stream, "chat", 384)), someIds(90, 4));
        }
        must(store->forgetDocument(kKey.document));
        CHECK(must(store->readingsOf(kKey.document)).empty());
    }
    MESSAGE(left << " readings left, " << gone << " gone");
}

TEST_CASE("two processes write in one library while a third opens it again and again: all is there") {
    TempFolder data;
    openStore(data.path);
    const auto ids = someIds(64 * 30);
    pid_t children[2];
    for (int model = 0; model < 2; ++model)
        children[model] = inChild([&] {
            const auto store = ReadingStore::open(realFileSystem(), data.path, kSmall);
            if (!store) return false;
            const auto stream = (*store)->openReading(readingOf(model), kShape);
            if (!stream) return false;
            for (std::uint32_t at = 0; at < ids.size(); at += 64)
                if (!(*stream)->commit(kvOf(kShape, ids, at, at + 64, 0, kCodec).batch())) return false;
            return true;
        });
    for (int round = 0; round < 20; ++round) must(openStore(data.path)->readingsOf(kKey.document));
    for (const pid_t child : children) CHECK(endedWell(child));
    const auto store = openStore(data.path);
    for (int model = 0; model < 2; ++model)
        checkHolds(*must(store->openReading(readingOf(model), kShape)), ids, kShape, kCodec);
}

TEST_CASE("an index lost or damaged that several processes find at once is made anew, and none loses what it adds") {
    constexpr int kProcesses = 3;
    const auto ids = someIds(470);
    for (const bool damaged : {false, true})
        for (int round = 0; round < 10; ++round) {
            CAPTURE(damaged);
            CAPTURE(round);
            TempFolder data;
            makeReadings(data.path, kProcesses);
            const auto index = data.path / "readings" / "index.sqlite";
            std::filesystem::remove(index);
            if (damaged) std::ofstream(index) << std::string(9000, 'x');
            int go[2];
            REQUIRE(::pipe(go) == 0);
            pid_t children[kProcesses];
            for (int model = 0; model < kProcesses; ++model)
                children[model] = inChild([&] {
                    char byte = 0;
                    ::close(go[1]);
                    if (::read(go[0], &byte, 1) != 0) return false;  // all start when the parent closes its end
                    return readsOn(data.path, model, ids);
                });
            ::close(go[0]), ::close(go[1]);
            for (const pid_t child : children) CHECK(endedWell(child));
            const auto store = openStore(data.path);
            for (int model = 0; model < kProcesses; ++model) {
                const auto stream = must(store->openReading(readingOf(model), kShape));
                checkHolds(*stream, ids, kShape, kCodec);
                checkHolds(*must(store->openTail(*stream, "chat", 384)), someIds(90, 4));
            }
        }
}

#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <signal.h>
#include <sys/wait.h>

#include "engine/store/store_fixture.h"
#include "support/faulty_file_system.h"

using namespace carrel;
using Fault = FaultyFileSystem::Fault;
using Keep = FaultyFileSystem::Keep;

namespace {

const auto kIds = someIds(400);

/// What a commit may have to do: the first of a reading, one that follows, one that replaces an unfinished group, one
/// that drops a lot, one that starts a new segment file.
struct Case {
    const char* name;
    std::uint32_t had;         // committed before, in batches of 128
    std::uint32_t first, end;  // the commit under test
    StoreLimits limits = kSmall;
};
const Case kCases[] = {
    {"the first commit", 0, 0, 128},
    {"a commit that follows", 256, 256, 400},
    {"one that replaces an unfinished group", 200, 192, 330},
    {"one that drops a batch", 384, 128, 300},
    {"one in a new segment file", 256, 256, 400, {.segmentBytes = 4096, .reserveBytes = 0}},
};

void prepare(KvStream& stream, const Case& c) {
    for (std::uint32_t at = 0; at < c.had; at += 128) commit(stream, kIds, at, std::min(at + 128, c.had));
}

/// The commit under test, once for each of its steps that this fault can strike; check(...) follows.
template <class Check>
void failEveryStep(const Case& c, Fault fault, const Check& check) {
    CAPTURE(c.name);
    std::size_t struck = 0;
    for (std::size_t step = 0;; ++step) {
        CAPTURE(step);
        REQUIRE(step < 100);
        TempFolder data;
        FaultyFileSystem files(realFileSystem());
        auto store = openStore(data.path, files, c.limits);
        auto stream = must(store->openReading(kKey, kShape));
        prepare(*stream, c);
        const auto kv = kvOf(kShape, kIds, c.first, c.end);
        const auto before = files.steps();
        files.failAt(fault, step);
        const auto done = stream->commit(kv.batch());
        if (!files.struck()) CHECK(done);
        if (!files.struck() && files.steps() - before <= step) break;
        if (!files.struck()) continue;  // a step of another kind
        ++struck;
        check(done, data.path, files, store, stream, c);
    }
    CHECK(struck >= 2);
}

}  // namespace

TEST_CASE("no space at any write of a commit: the stream stays as it was, and a later commit works") {
    for (const auto& c : kCases)
        failEveryStep(c, Fault::NoSpace,
                      [](const Status& done, const auto& path, FaultyFileSystem& files, auto& store, auto& stream,
                         const Case& k) {
                          REQUIRE(!done);
                          CHECK(done.error().code == Code::DiskFull);
                          files.heal();
                          checkHolds(*stream, firstOf(kIds, k.had));
                          stream.reset();
                          stream = must(store->openReading(kKey, kShape));
                          checkHolds(*stream, firstOf(kIds, k.had));
                          commit(*stream, kIds, k.first, k.end);
                          checkHolds(*stream, firstOf(kIds, k.end));
                          stream.reset();
                          store = openStore(path);
                          checkHolds(*must(store->openReading(kKey, kShape)), firstOf(kIds, k.end));
                      });
}

TEST_CASE("a failed sync at any point: the stream stays as it was, and a later commit works without reopening") {
    for (const auto& c : kCases)
        failEveryStep(
            c, Fault::SyncFails,
            [](const Status& done, const auto&, FaultyFileSystem& files, auto& store, auto& stream, const Case& k) {
                REQUIRE(!done);
                CHECK(done.error().code == Code::Io);
                files.heal();
                checkHolds(*stream, firstOf(kIds, k.had));
                commit(*stream, kIds, k.first, k.end);
                checkHolds(*stream, firstOf(kIds, k.end));
                stream.reset();
                checkHolds(*must(store->openReading(kKey, kShape)), firstOf(kIds, k.end));
            });
}

TEST_CASE("a power cut at any step leaves the last commit, whatever of the unsynced bytes is left") {
    for (const Keep keep : {Keep::Nothing, Keep::EverySecond, Keep::All})
        for (const auto& c : kCases)
            failEveryStep(c, Fault::Crash,
                          [&](const Status& done, const auto& path, FaultyFileSystem& files, auto& store, auto& stream,
                              const Case& k) {
                              stream.reset();
                              store.reset();
                              files.powerCut(keep);
                              const std::uint32_t left =
                                  done ? k.end : k.had;  // done: the crash came while old bytes were tidied away
                              store = openStore(path, files, k.limits);
                              stream = must(store->openReading(kKey, kShape));
                              checkHolds(*stream, firstOf(kIds, left));
                              commit(*stream, kIds, std::min(k.first, left / 64 * 64), k.end);
                              checkHolds(*stream, firstOf(kIds, k.end));
                              stream.reset();
                              store.reset();
                              // The index lost on top of it: made anew from what the crash and the commit after it
                              // left.
                              std::filesystem::remove(path / "readings" / "index.sqlite");
                              store = openStore(path, files, k.limits);
                              checkHolds(*must(store->openReading(kKey, kShape)), firstOf(kIds, k.end));
                          });
}

TEST_CASE("a power cut and the index lost: nothing that was committed is missing, nothing wrong is there") {
    for (const auto& c : kCases)
        failEveryStep(
            c, Fault::Crash,
            [&](const Status& done, const auto& path, FaultyFileSystem& files, auto& store, auto& stream,
                const Case& k) {
                stream.reset();
                store.reset();
                files.powerCut(Keep::EverySecond);
                std::filesystem::remove(path / "readings" / "index.sqlite");
                store = openStore(path, files, k.limits);
                stream = must(store->openReading(kKey, kShape));
                const auto good = loadAndCompare(*stream, kShape);
                CHECK(good == stream->tokens());
                CHECK((good == k.had || good == k.end));  // a whole batch without its row may be there: it is right
                CHECK((!done || good == k.end));
            });
}

TEST_CASE("a crash between the syncs and the row: the next commit overwrites the bytes that no row shows") {
    TempFolder data;
    const auto index = data.path / "readings" / "index.sqlite", copy = data.path / "before.sqlite";
    {
        const auto store = openStore(data.path);
        commit(*must(store->openReading(kKey, kShape)), kIds, 0, 128);
    }
    std::filesystem::copy_file(index, copy);
    {
        const auto store = openStore(data.path);
        commit(*must(store->openReading(kKey, kShape)), kIds, 128, 256);
    }
    std::filesystem::copy_file(copy, index, std::filesystem::copy_options::overwrite_existing);
    const auto store = openStore(data.path);
    const auto stream = must(store->openReading(kKey, kShape));
    checkHolds(*stream, firstOf(kIds, 128));
    commit(*stream, kIds, 128, 200);
    checkHolds(*stream, firstOf(kIds, 200));
}

TEST_CASE("a disk without room is noticed before a byte is written, with need and have") {
    TempFolder data;
    FaultyFileSystem files(realFileSystem());
    const auto store = openStore(data.path, files);
    const auto stream = must(store->openReading(kKey, kShape));
    commit(*stream, kIds, 0, 128);
    files.claimSpace(1000000);
    const auto steps = files.steps();
    const auto full = stream->commit(kvOf(kShape, kIds, 128, 256).batch());
    REQUIRE(!full);
    CHECK(full.error().code == Code::DiskFull);
    CHECK(full.error().detail.find("1000000") != std::string::npos);
    CHECK(files.steps() == steps);
    files.heal();
    commit(*stream, kIds, 128, 256);
    checkHolds(*stream, firstOf(kIds, 256));
}

TEST_CASE("a disk that fills up after any number of bytes keeps what was committed") {
    TempFolder data;
    FaultyFileSystem files(realFileSystem());
    const auto store = openStore(data.path, files);
    const auto stream = must(store->openReading(kKey, kShape));
    std::uint32_t at = 0;
    for (std::uint64_t room = 10000; at < 400; room += 30011) {
        files.setSpace(room);
        while (at < 400 && stream->commit(kvOf(kShape, kIds, at, std::min(at + 64, 400u)).batch()))
            at = std::min(at + 64, 400u);
        files.heal();
        checkHolds(*stream, firstOf(kIds, at));
    }
}

TEST_CASE("a reading whose folder was forgotten half way is swept at the next start") {
    for (std::size_t step = 0; step < 3; ++step) {
        TempFolder data;
        FaultyFileSystem files(realFileSystem());
        {
            const auto store = openStore(data.path, files);
            commit(*must(store->openReading(kKey, kShape)), kIds, 0, 128);
            files.failAt(Fault::Crash, step);
            if (store->forgetDocument(kKey.document)) CHECK(!files.struck());
        }
        files.heal();
        const auto store = openStore(data.path, files);
        CHECK(must(store->readingsOf(kKey.document)).empty());
        for (const auto& entry : std::filesystem::directory_iterator(data.path / "readings"))
            CHECK(!entry.is_directory());
    }
}

TEST_CASE("a writer killed at any moment loses at most its last commit; before that, others find it Busy") {
    TempFolder data;
    const auto ids = someIds(64 * 300);
    std::uint32_t had = 0;
    for (int round = 0; round < 6; ++round) {
        CAPTURE(round);
        int told[2];
        REQUIRE(::pipe(told) == 0);
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {  // no checks in here: the parent judges
            const auto store = ReadingStore::open(realFileSystem(), data.path, kSmall);
            if (!store) ::_exit(1);
            const auto stream = (*store)->openReading(kKey, kShape);
            if (!stream) ::_exit(1);
            std::uint32_t at = (*stream)->tokens() / 64 * 64;
            for (int commits = 0; commits < 40; ++commits, at += 32) {
                const std::uint32_t first = at / 64 * 64;  // every second commit replaces an unfinished group
                if (!(*stream)->commit(kvOf(kShape, ids, first, at + 32).batch())) ::_exit(1);
                const std::uint32_t now = at + 32;
                if (::write(told[1], &now, sizeof now) != sizeof now) ::_exit(1);
            }
            while (true) ::pause();  // a parent that is late still has somebody to kill
        }
        ::close(told[1]);
        std::uint32_t committed = 0;
        for (int i = 0; i <= round * 3; ++i)
            if (::read(told[0], &committed, sizeof committed) != sizeof committed) break;
        CHECK(openStore(data.path)->openReading(kKey, kShape).error().code == Code::Busy);
        ::kill(child, SIGKILL);
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        CHECK(WIFSIGNALED(status));
        while (::read(told[0], &committed, sizeof committed) == sizeof committed) {
        }
        ::close(told[0]);
        const auto store = openStore(data.path);
        const auto stream = must(store->openReading(kKey, kShape));
        CHECK(committed > had);
        CHECK(stream->tokens() >= committed);
        CHECK(stream->tokens() <= committed + 32);
        had = stream->tokens();
        checkHolds(*stream, firstOf(ids, had));
    }
}

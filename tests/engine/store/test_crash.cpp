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
    KvCodec codec = KvCodec::F16;
};
const Case kPlainCases[] = {
    {"the first commit", 0, 0, 128},
    {"a first commit of no whole group", 0, 0, 40},
    {"a commit that follows", 256, 256, 400},
    {"one that replaces an unfinished group", 200, 192, 330},
    {"one that drops a batch", 384, 128, 300},
    {"one in a new segment file", 256, 256, 400, {.segmentBytes = 4096, .reserveBytes = 0}},
};

/// All of them with and without a codec: with one, there is a sketch to write.
const auto kCases = [] {
    std::vector<Case> cases;
    for (const KvCodec codec : {KvCodec::F16, KvCodec::K8V8})
        for (Case c : kPlainCases) {
            c.codec = codec;
            cases.push_back(c);
        }
    return cases;
}();

std::unique_ptr<KvStream> openCase(ReadingStore& store, const Case& c) {
    return must(store.openReading(keyOf(c.codec), kShape));
}
void checkCase(KvStream& stream, std::uint32_t tokens, const Case& c) {
    checkHolds(stream, firstOf(kIds, tokens), kShape, c.codec);
}
void commitCase(KvStream& stream, std::uint32_t first, std::uint32_t end, const Case& c) {
    commit(stream, kIds, first, end, kShape, c.codec);
}
void prepare(KvStream& stream, const Case& c) {
    for (std::uint32_t at = 0; at < c.had; at += 128) commitCase(stream, at, std::min(at + 128, c.had), c);
}

/// The commit under test, once for each of its steps that this fault can strike; check(...) follows.
template <class Check>
void failEveryStep(const Case& c, Fault fault, const Check& check) {
    CAPTURE(std::string(c.name));
    CAPTURE(std::string(codecName(c.codec)));
    std::size_t struck = 0;
    for (std::size_t step = 0;; ++step) {
        CAPTURE(step);
        REQUIRE(step < 100);
        TempFolder data;
        FaultyFileSystem files(realFileSystem());
        auto store = openStore(data.path, files, c.limits);
        auto stream = openCase(*store, c);
        prepare(*stream, c);
        const auto kv = kvOf(kShape, kIds, c.first, c.end, 0, c.codec);
        const auto before = files.steps();
        files.failAt(fault, step);
        const auto done = stream->commit(kv.batch());
        if (!files.struck()) CHECK(done);
        if (!files.struck() && files.steps() - before <= step) break;
        if (!files.struck()) continue;  // a step of another kind
        ++struck;
        check(done, data.path, files, store, stream, c);
    }
    CHECK(struck >= (c.codec == KvCodec::F16 ? 1 : 2));  // without a sketch there is one file to sync
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
                          checkCase(*stream, k.had, k);
                          stream.reset();
                          stream = openCase(*store, k);
                          checkCase(*stream, k.had, k);
                          commitCase(*stream, k.first, k.end, k);
                          checkCase(*stream, k.end, k);
                          stream.reset();
                          store = openStore(path);
                          checkCase(*openCase(*store, k), k.end, k);
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
                checkCase(*stream, k.had, k);
                commitCase(*stream, k.first, k.end, k);
                checkCase(*stream, k.end, k);
                stream.reset();
                checkCase(*openCase(*store, k), k.end, k);
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
                              stream = openCase(*store, k);
                              checkCase(*stream, left, k);
                              commitCase(*stream, std::min(k.first, left / 64 * 64), k.end, k);
                              checkCase(*stream, k.end, k);
                              stream.reset();
                              store.reset();
                              // The index lost on top of it: made anew from what the crash and the commit after it
                              // left.
                              std::filesystem::remove(path / "readings" / "index.sqlite");
                              store = openStore(path, files, k.limits);
                              checkCase(*openCase(*store, k), k.end, k);
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
                stream = openCase(*store, k);
                const auto good = loadAndCompare(*stream, kShape, k.codec);
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
    const KvCodec codec = KvCodec::K8V8;
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
            const auto stream = (*store)->openReading(keyOf(codec), kShape);
            if (!stream) ::_exit(1);
            std::uint32_t at = (*stream)->tokens() / 64 * 64;
            for (int commits = 0; commits < 40; ++commits, at += 32) {
                const std::uint32_t first = at / 64 * 64;  // every second commit replaces an unfinished group
                if (!(*stream)->commit(kvOf(kShape, ids, first, at + 32, 0, codec).batch())) ::_exit(1);
                const std::uint32_t now = at + 32;
                if (::write(told[1], &now, sizeof now) != sizeof now) ::_exit(1);
            }
            while (true) ::pause();  // a parent that is late still has somebody to kill
        }
        ::close(told[1]);
        std::uint32_t committed = 0;
        for (int i = 0; i <= round * 3; ++i)
            if (::read(told[0], &committed, sizeof committed) != sizeof committed) break;
        CHECK(openStore(data.path)->openReading(keyOf(codec), kShape).error().code == Code::Busy);
        ::kill(child, SIGKILL);
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        CHECK(WIFSIGNALED(status));
        while (::read(told[0], &committed, sizeof committed) == sizeof committed) {
        }
        ::close(told[0]);
        const auto store = openStore(data.path);
        const auto stream = must(store->openReading(keyOf(codec), kShape));
        CHECK(committed > had);
        CHECK(stream->tokens() >= committed);
        CHECK(stream->tokens() <= committed + 32);
        had = stream->tokens();
        checkHolds(*stream, firstOf(ids, had), kShape, codec);
    }
}

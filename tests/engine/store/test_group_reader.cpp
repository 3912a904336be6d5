#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "engine/store/store_fixture.h"
#include "store/read_buffers.h"
#include "support/faulty_file_system.h"

using namespace carrel;
using ReadFault = FaultyFileSystem::ReadFault;

namespace {

constexpr KvCodec kCodec = KvCodec::K8V8;

/// Ways to read: io_uring and threads, past the page cache and through it.
constexpr std::size_t kMiB = std::size_t{1} << 20;
const ReaderOptions kWays[] = {{32, kMiB, true, true},
                               {32, 16 << 10, true, true},
                               {32, kMiB, true, false},
                               {3, kMiB, false, true},
                               {1, kMiB, false, false}};

struct Opened {
    explicit Opened(const std::vector<std::int32_t>& tokens, std::uint32_t perCommit, KvCodec codec = kCodec,
                    StoreLimits limits = kSmall, FileSystem& files = realFileSystem())
        : store(openStore(data.path, files, limits)), stream(must(store->openReading(keyOf(codec), kShape))) {
        for (std::uint32_t at = 0; at < tokens.size(); at += perCommit)
            commit(*stream, tokens, at, std::min(at + perCommit, static_cast<std::uint32_t>(tokens.size())), kShape,
                   codec);
    }
    TempFolder data{true};  // direct reads are another matter where there is no disk
    std::unique_ptr<ReadingStore> store;
    std::unique_ptr<KvStream> stream;
};

/// One request, waited for.
bool readOne(GroupReader& reader, std::uint32_t layer, std::uint32_t head, std::uint32_t group, std::uint32_t count,
             std::span<std::byte> into) {
    reader.submit(77, layer, head, group, count, into);
    const auto done = reader.reap(1);
    REQUIRE(done.size() == 1);
    CHECK(done[0].tag == 77);
    return done[0].good;
}

}  // namespace

TEST_CASE("every group is read as it was committed, in every way, over batches and segment files") {
    const auto ids = someIds(64 * 50 + 20);
    for (const KvCodec codec : kCodecs)
        for (const bool compress : {true, false})
            for (const auto& way : kWays) {
                CAPTURE(std::string(codecName(codec)));
                CAPTURE(way.direct);
                CAPTURE(way.ring);
                const Opened opened(ids, 640, codec, {.segmentBytes = 40000, .reserveBytes = 0, .compress = compress});
                CHECK(!readAndCompare(*opened.stream, ids, kShape, codec, way));
            }
}

TEST_CASE("runs of any start and length arrive whole, whatever batches they cross") {
    const auto ids = someIds(64 * 40);
    const Opened opened(ids, 64 * 7);
    const auto expected = kvOf(kShape, ids, 0, 64 * 40, 0, kCodec).payload;
    const std::size_t bytes = kShape.groupBytes(kCodec);
    for (const auto& way : kWays) {
        const auto reader = must(opened.stream->reader(way));
        for (std::uint32_t from = 0; from < 40; from += 3)
            for (std::uint32_t count = 1; from + count <= 40; count += 4) {
                std::vector<std::byte> into(count * bytes);
                CHECK(readOne(*reader, 1, 0, from, count, into));
                CHECK(std::memcmp(into.data(), &expected[(2 * 40 + from) * bytes], into.size()) == 0);
            }
        const auto counted = reader->counters();
        CHECK(counted.bytesRead > 0);
        CHECK(counted.reads > 0);
    }
}

TEST_CASE("neighbours on disk are one read, and none is longer than 1 MiB") {
    const auto ids = someIds(64 * 1000);
    const Opened opened(ids, 64 * 1000, KvCodec::F16, {.reserveBytes = 0, .compress = false});
    const auto reader = must(opened.stream->reader({}));
    const std::size_t bytes = kShape.groupBytes();
    std::vector<std::byte> into(1000 * bytes);
    CHECK(readOne(*reader, 0, 1, 10, 100, std::span(into).first(100 * bytes)));
    CHECK(reader->counters().reads == 1);
    CHECK(reader->counters().bytesRead >= 100 * bytes);
    CHECK(reader->counters().bytesRead <= 100 * bytes + 2 * 4096);
    CHECK(readOne(*reader, 0, 1, 0, 1000, into));
    CHECK(reader->counters().reads == 1 + (1000 * bytes + (1 << 20) - 1) / (1 << 20));
    const auto expected = kvOf(kShape, ids, 0, 64 * 1000).payload;
    CHECK(std::memcmp(into.data(), &expected[1000 * bytes], into.size()) == 0);
}

TEST_CASE("groups that are not there are bad at once, and memory stays as it was") {
    const auto ids = someIds(64 * 4 + 30);
    const Opened opened(ids, 1000);
    const auto reader = must(opened.stream->reader({}));
    const std::size_t bytes = kShape.groupBytes(kCodec);
    std::vector<std::byte> into(2 * bytes, std::byte{7});
    const std::uint32_t wrong[][4] = {{2, 0, 0, 1},          {0, 2, 0, 1}, {0, 0, 4, 1} /* not full: not encoded */,
                                      {0, 0, 3, 2},          {0, 0, 9, 1}, {0, 0, UINT32_MAX, 2},
                                      {0, 0, 1, UINT32_MAX}, {0, 0, 0, 0}};
    for (const auto& [layer, head, group, count] : wrong)
        CHECK(!readOne(*reader, layer, head, group, count, std::span(into).first(count == 1 ? bytes : 2 * bytes)));
    CHECK(!readOne(*reader, 0, 0, 0, 1, into));  // memory of another size
    CHECK(std::all_of(into.begin(), into.end(), [](std::byte b) { return b == std::byte{7}; }));
    CHECK(reader->counters().reads == 0);
    CHECK(readOne(*reader, 0, 0, 3, 1, std::span(into).first(bytes)));
    CHECK(reader->reap(5).empty());  // nothing under way: nothing to wait for
}

TEST_CASE("reads go on while commits add groups, replace what was not full, and drop") {
    const auto ids = someIds(64 * 40);
    auto other = ids;
    for (std::size_t i = 64 * 10; i < other.size(); ++i) other[i] += 3;
    for (const auto& way : kWays) {
        Opened opened({}, 64, kCodec, {.segmentBytes = 30000, .reserveBytes = 0});
        const auto reader = must(opened.stream->reader(way));  // of nothing yet
        const std::size_t bytes = kShape.groupBytes(kCodec);
        const auto compare = [&](const std::vector<std::int32_t>& now) {
            const auto groups = static_cast<std::uint32_t>(now.size() / 64);
            const auto expected = kvOf(kShape, now, 0, groups * 64, 0, kCodec).payload;
            std::vector<std::byte> into(groups * bytes);
            CHECK(readOne(*reader, 1, 1, 0, groups, into));
            CHECK(std::memcmp(into.data(), &expected[3 * groups * bytes], into.size()) == 0);
            CHECK(!readOne(*reader, 1, 1, groups, 1, std::span(into).first(bytes)));
        };
        std::vector<std::byte> early(5 * bytes), late(5 * bytes);
        commit(*opened.stream, ids, 0, 64 * 5 + 10, kShape, kCodec);
        compare(firstOf(ids, 64 * 5));
        for (std::uint32_t at = 5; at < 30; at += 5) {
            reader->submit(at, 0, 0, at - 5, 5, early);
            commit(*opened.stream, ids, at * 64, (at + 5) * 64 + 10, kShape, kCodec);
            reader->submit(at + 100, 0, 0, at, 5, late);
            const auto done = reader->reap(2);
            REQUIRE(done.size() == 2);
            CHECK((done[0].good && done[1].good));
            const auto both = kvOf(kShape, ids, at * 64 - 320, (at + 5) * 64, 0, kCodec).payload;
            CHECK(std::memcmp(early.data(), both.data(), early.size()) == 0);
            CHECK(std::memcmp(late.data(), both.data() + early.size(), late.size()) == 0);
        }
        compare(firstOf(ids, 64 * 30));
        commit(*opened.stream, other, 64 * 10, 64 * 22, kShape, kCodec);  // drops batches, cuts one
        compare(firstOf(other, 64 * 22));
        must(opened.stream->truncate(64 * 12));
        compare(firstOf(other, 64 * 12));
        must(opened.stream->truncate(0));  // the files go, and come again under the same names
        commit(*opened.stream, other, 0, 64 * 6, kShape, kCodec);
        compare(firstOf(other, 64 * 6));
        // A batch that a truncation cut, after reopening.
        must(opened.stream->truncate(64 * 2));
        opened.stream.reset();
        opened.stream = must(opened.store->openReading(keyOf(kCodec), kShape));
        CHECK(opened.stream->tokens() == 64 * 2);
        CHECK(!readAndCompare(*opened.stream, other, kShape, kCodec, way));
    }
}

TEST_CASE("one thread reads what another has committed, while it commits more") {
    const auto ids = someIds(64 * 60);
    const Opened opened(firstOf(ids, 64 * 2), 64 * 2, kCodec, {.segmentBytes = 50000, .reserveBytes = 0});
    const auto reader = must(opened.stream->reader({}));
    const std::size_t bytes = kShape.groupBytes(kCodec);
    const auto expected = kvOf(kShape, ids, 0, 64 * 60, 0, kCodec).payload;
    std::atomic<std::uint32_t> groups{2};
    std::atomic<bool> failed{false};
    std::thread writer([&] {  // no checks in here: doctest's are the main thread's
        for (std::uint32_t at = 2; at < 60; at += 2) {
            failed = failed || !opened.stream->commit(kvOf(kShape, ids, at * 64, at * 64 + 128, 0, kCodec).batch());
            groups = at + 2;
        }
    });
    std::size_t wrong = 0;
    for (std::uint32_t seen = 0; seen < 60;) {
        seen = groups;
        std::vector<std::byte> into(seen * bytes);
        reader->submit(seen, 0, 1, 0, seen, into);
        const auto done = reader->reap(1);
        wrong += done.size() != 1 || !done[0].good || std::memcmp(into.data(), &expected[60 * bytes], into.size()) != 0;
        if (failed) break;
    }
    writer.join();
    CHECK(!failed);
    CHECK(wrong == 0);
}

TEST_CASE("a read that fails, is short or has a flipped bit makes its request bad and no other, and works again") {
    const auto ids = someIds(64 * 12);
    for (const ReadFault fault : {ReadFault::Fails, ReadFault::Short, ReadFault::Flips})
        for (std::size_t read = 0; read < 12; ++read) {
            CAPTURE(static_cast<int>(fault));
            CAPTURE(read);
            FaultyFileSystem files(realFileSystem());
            Opened opened(ids, 64 * 5, kCodec, {.reserveBytes = 0, .compress = false}, files);
            const auto reader = must(opened.stream->reader({8, true, true}));
            const std::size_t bytes = kShape.groupBytes(kCodec);
            const auto expected = kvOf(kShape, ids, 0, 64 * 12, 0, kCodec).payload;
            std::vector<std::byte> into(12 * bytes);
            files.failRead(fault, read);
            for (int round = 0; round < 2; ++round) {
                for (std::uint32_t g = 0; g < 12; ++g)
                    reader->submit(g, 1, 0, g, 1, std::span(into).subspan(g * bytes, bytes));
                const auto done = reader->reap(12);
                REQUIRE(done.size() == 12);
                CHECK(files.readStruck());
                CHECK(std::count_if(done.begin(), done.end(), [](const auto& d) { return !d.good; }) == 1 - round);
                for (const auto& one : done)
                    if (one.good)
                        CHECK(std::memcmp(&into[one.tag * bytes], &expected[(2 * 12 + one.tag) * bytes], bytes) == 0);
            }
        }
}

TEST_CASE("a run over two batches is bad as a whole when one of its reads is") {
    const auto ids = someIds(64 * 12);
    FaultyFileSystem files(realFileSystem());
    Opened opened(ids, 64 * 6, kCodec, {.reserveBytes = 0}, files);
    const auto reader = must(opened.stream->reader({}));
    std::vector<std::byte> into(12 * kShape.groupBytes(kCodec));
    files.failRead(ReadFault::Fails, 1);
    CHECK(!readOne(*reader, 0, 0, 0, 12, into));
    CHECK(readOne(*reader, 0, 0, 0, 12, into));
    files.failReads(true);
    CHECK(!readOne(*reader, 0, 0, 0, 12, into));
    files.failReads(false);
    CHECK(readOne(*reader, 0, 0, 0, 12, into));
}

TEST_CASE("many more requests than the queue is deep all arrive, and memory stays within what was said") {
    const auto ids = someIds(64 * 200);
    const Opened opened(ids, 64 * 50);
    const std::size_t bytes = kShape.groupBytes(kCodec);
    const auto expected = kvOf(kShape, ids, 0, 64 * 200, 0, kCodec).payload;
    for (const auto& way : kWays) {
        const auto reader = must(opened.stream->reader(way));
        const auto promised = reader->memoryBytes();
        CHECK(promised < (std::uint64_t{10} << 20));
        std::vector<std::byte> into(expected.size(), std::byte{0xee});
        std::size_t arrived = 0;
        for (std::uint32_t i = 0; i < 800; ++i) {
            reader->submit(i, i / 400, i / 200 % 2, i % 200, 1, std::span(into).subspan(i * bytes, bytes));
            if (i % 50 == 0)
                for (const auto& one : reader->reap(0)) arrived += one.good;
        }
        while (arrived < 800) {
            const auto done = reader->reap(1);
            REQUIRE(!done.empty());
            for (const auto& one : done) arrived += one.good;
        }
        CHECK(into == expected);
        CHECK(reader->memoryBytes() == promised);
    }
}

TEST_CASE("a reader that goes while reads are under way waits for them") {
    const auto ids = someIds(64 * 100);
    const Opened opened(ids, 64 * 100);
    for (const auto& way : kWays) {
        std::vector<std::byte> into(100 * kShape.groupBytes(kCodec));
        const auto reader = must(opened.stream->reader(way));
        for (std::uint32_t g = 0; g < 100; ++g)
            reader->submit(g, 0, 0, g, 1,
                           std::span(into).subspan(g * kShape.groupBytes(kCodec), kShape.groupBytes(kCodec)));
    }
}

TEST_CASE("a file system without direct reads is read through the page cache") {
    const auto ids = someIds(64 * 12);
    FaultyFileSystem files(realFileSystem());
    files.refuseDirect(true);
    Opened opened(ids, 64 * 6, kCodec, {.reserveBytes = 0}, files);
    CHECK(!readAndCompare(*opened.stream, ids, kShape, kCodec));
    const auto reader = must(opened.stream->reader({}));
    std::vector<std::byte> into(kShape.groupBytes(kCodec));
    CHECK(readOne(*reader, 0, 0, 0, 1, into));
    CHECK(reader->counters().bytesRead == into.size());  // no sectors around it
}

TEST_CASE("where the kernel refuses a ring, threads read instead") {
    const auto ids = someIds(64 * 30);
    const Opened opened(ids, 640);
    rlimit was{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &was) == 0);
    const auto reader = must(opened.stream->reader({}));
    // A ring is a file: with none to be had but the segment's, io_uring_setup fails as it does under seccomp.
    const int next = ::memfd_create("probe", 0);
    REQUIRE(next >= 0);
    ::close(next);
    const rlimit few{static_cast<rlim_t>(next) + 1, was.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
    std::vector<std::byte> into(30 * kShape.groupBytes(kCodec));
    const bool good = readOne(*reader, 0, 0, 0, 30, into);
    ::setrlimit(RLIMIT_NOFILE, &was);
    CHECK(good);
    const auto expected = kvOf(kShape, ids, 0, 64 * 30, 0, kCodec).payload;
    CHECK(std::memcmp(into.data(), expected.data(), into.size()) == 0);
}

TEST_CASE("buffers start at a page, are used again, and never add up to more than their limit") {
    ReadBuffers buffers(1 << 20);
    std::vector<std::span<std::byte>> taken;
    while (true) {
        const auto buffer = buffers.take(100000);
        if (buffer.empty()) break;
        CHECK(buffer.size() >= 100000);
        CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % 4096 == 0);
        taken.push_back(buffer);
    }
    CHECK(taken.size() == (1 << 20) / ReadBuffers::sizeFor(100000));
    buffers.giveBack(taken[3]);
    CHECK(buffers.take(100000).data() == taken[3].data());
    for (const auto& buffer : taken) buffers.giveBack(buffer);
    CHECK(buffers.take(1 << 20).size() == 1 << 20);  // the small ones made room
    CHECK(buffers.take(1).empty());
}

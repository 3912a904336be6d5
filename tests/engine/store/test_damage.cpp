#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "engine/store/store_fixture.h"
#include "store/sketch_file.h"
#include "support/faulty_file_system.h"

using namespace carrel;

namespace {

const auto kIds = someIds(300);

std::filesystem::path onlyReading(const std::filesystem::path& data) {
    for (const auto& entry : std::filesystem::directory_iterator(data / "readings"))
        if (entry.is_directory()) return entry.path();
    FAIL("no reading on disk");
    return {};
}

void flip(const std::filesystem::path& file, std::uint64_t at, int bits = 0x41) {
    std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekg(static_cast<std::streamoff>(at));
    const int was = bytes.get();
    bytes.seekp(static_cast<std::streamoff>(at));
    bytes.put(static_cast<char>(was ^ bits));
}

/// 300 tokens in three commits, the second of which replaces an unfinished group; closed.
void makeReading(const std::filesystem::path& data) {
    const auto store = openStore(data);
    const auto stream = must(store->openReading(kKey, kShape));
    commit(*stream, kIds, 0, 100);
    commit(*stream, kIds, 64, 256);
    commit(*stream, kIds, 256, 300);
    commit(*must(store->openTail(*stream, "chat", 256)), someIds(90, 4), 256, 346);
}

std::string bytesOf(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("any byte of a segment flipped: the damaged span is named, and nothing wrong is ever loaded") {
    TempFolder data;
    makeReading(data.path);
    const auto file = onlyReading(data.path) / "kv-000.seg";
    std::size_t found = 0, tried = 0;
    for (std::uint64_t at = 0; at < std::filesystem::file_size(file); at += 97, ++tried) {
        CAPTURE(at);
        flip(file, at);
        const auto store = openStore(data.path);
        const auto stream = must(store->openReading(kKey, kShape));
        const auto good = loadAndCompare(*stream, kShape);  // compares all before `good`
        CHECK(good % 64 == (good == 300 ? 300 % 64 : 0));
        CHECK(firstOf(kIds, stream->ids().size()) == stream->ids());
        found += good < 300;
        flip(file, at);
    }
    CHECK(found > tried / 2);  // the rest is padding and the dropped group
    const auto store = openStore(data.path);
    checkHolds(*must(store->openReading(kKey, kShape)), kIds);
}

TEST_CASE("a damaged span is read again and the reading is whole") {
    for (const std::uint64_t at : {100u, 5000u, 40000u, 150000u, 200000u}) {
        CAPTURE(at);
        TempFolder data;
        makeReading(data.path);
        flip(onlyReading(data.path) / "kv-000.seg", at);
        const auto store = openStore(data.path);
        auto stream = must(store->openReading(kKey, kShape));
        const auto good = loadAndCompare(*stream, kShape) / 64 * 64;
        commit(*stream, kIds, good, 300);
        checkHolds(*stream, kIds);
        stream.reset();
        checkHolds(*must(store->openReading(kKey, kShape)), kIds);
    }
}

TEST_CASE("a damaged sketch is made again from the keys") {
    TempFolder data;
    makeReading(data.path);
    const auto file = onlyReading(data.path) / "sketch.bin";
    const auto whole = bytesOf(file);
    for (std::uint64_t at = 0; at < whole.size(); at += 97) {
        CAPTURE(at);
        flip(file, at);
        const auto store = openStore(data.path);
        checkHolds(*must(store->openReading(kKey, kShape)), kIds);
        const auto first = sketchRecordBytes(kShape, 100);
        // Bytes of the first record's second group belong to tokens that were written anew; the record is whole again
        // all the same.
        const auto mended = must(readSketch(
            **realFileSystem().open(file, OpenMode::Read), first, sketchRecordBytes(kShape, 192),
            [&] {
                std::uint64_t hash = 0;
                std::memcpy(&hash, whole.data() + 16, 8);
                return hash;
            }(),
            64, 192, kShape));
        CHECK(std::memcmp(mended.data(), whole.data() + first, mended.size()) == 0);
        if (at >= first) CHECK(bytesOf(file) == whole);
        std::ofstream(file, std::ios::binary | std::ios::trunc) << whole;
    }
    std::filesystem::remove(file);
    checkHolds(*must(openStore(data.path)->openReading(kKey, kShape)), kIds);
    CHECK(std::filesystem::file_size(file) == whole.size());
}

TEST_CASE("the sketch holds the mean key of every 16 tokens") {
    TempFolder data;
    makeReading(data.path);
    const auto raw = bytesOf(onlyReading(data.path) / "sketch.bin");
    const auto kv = kvOf(kShape, kIds, 0, 100);
    std::vector<std::uint16_t> values(kv.payload.size() / 2),
        means((sketchRecordBytes(kShape, 100) - kSketchHeaderBytes) / 2);
    std::memcpy(values.data(), kv.payload.data(), kv.payload.size());
    std::memcpy(means.data(), raw.data() + kSketchHeaderBytes, means.size() * 2);
    for (std::size_t i = 0; i < means.size(); ++i) {
        const std::size_t dim = i % 16, leaf = i / 16 % 4, group = i / 64, from = group % 2 * 64 + leaf * 16;
        const std::size_t count = from >= 100 ? 0 : std::min<std::size_t>(16, 100 - from);
        float sum = 0;
        for (std::size_t t = 0; t < count; ++t) sum += f16ToF32(values[group * 2048 + (leaf * 16 + t) * 16 + dim]);
        CAPTURE(i);
        CHECK(f16ToF32(means[i]) == doctest::Approx(count == 0 ? 0 : sum / static_cast<float>(count)).epsilon(0.002));
    }
}

TEST_CASE("any byte of the index flipped: it opens, and what it shows is right or gone") {
    TempFolder data;
    makeReading(data.path);
    const auto file = data.path / "readings" / "index.sqlite";
    const auto whole = bytesOf(file);
    for (std::uint64_t at = 0; at < whole.size(); at += 97) {
        CAPTURE(at);
        TempFolder copy;
        std::filesystem::copy(data.path, copy.path, std::filesystem::copy_options::recursive);
        flip(copy.path / "readings" / "index.sqlite", at);
        const auto store = ReadingStore::open(realFileSystem(), copy.path, kSmall);
        if (!store) {  // an index version of the future; one that lies about its columns
            CHECK((store.error().code == Code::Unsupported || store.error().code == Code::Corrupt));
            continue;
        }
        const auto stream = (*store)->openReading(kKey, kShape);
        if (!stream) continue;
        CHECK(firstOf(kIds, (*stream)->ids().size()) == (*stream)->ids());
        loadAndCompare(**stream, kShape);
    }
}

TEST_CASE("an index that is lost or no database is made again from the segments, and the bad one is kept") {
    TempFolder data;
    makeReading(data.path);
    const auto file = data.path / "readings" / "index.sqlite";
    for (int round = 0; round < 3; ++round) {
        CAPTURE(round);
        if (round == 0)
            std::filesystem::remove(file);
        else
            std::ofstream(file, std::ios::binary | std::ios::trunc) << std::string(10000, 'x');
        const auto store = openStore(data.path);
        CHECK(std::filesystem::exists(file.string() + ".bad-" + std::to_string(round)) == (round > 0));
        const auto rows = must(store->readingsOf(kKey.document));
        REQUIRE(rows.size() == 1);
        CHECK(rows[0].key == kKey);
        CHECK(rows[0].tokens == 300);
        const auto stream = must(store->openReading(kKey, kShape));
        checkHolds(*stream, kIds);
        const auto tail = must(store->openTail(*stream, "chat", 256));
        CHECK(tail->tokens() == 346);
        checkHolds(*tail, someIds(90, 4));
    }
    const auto store = openStore(data.path);
    const auto stream = must(store->openReading(kKey, kShape));
    commit(*stream, someIds(400), 256, 400);
    checkHolds(*stream, someIds(400));
}

TEST_CASE("a segment of another format version is not used") {
    TempFolder data;
    makeReading(data.path);
    flip(onlyReading(data.path) / "kv-000.seg", 4, 3);  // version 1 becomes 2
    {
        const auto store = openStore(data.path);
        CHECK(must(store->openReading(kKey, kShape))->tokens() == 0);
    }
    std::filesystem::remove(data.path / "readings" / "index.sqlite");
    CHECK(must(openStore(data.path)->readingsOf(kKey.document)).empty());
}

TEST_CASE("a segment that ends early, or is gone, is a bad span and no crash") {
    for (const std::uint64_t size : {0u, 10u, 4096u, 5000u, 60000u, 100000u, 130000u}) {
        CAPTURE(size);
        TempFolder data;
        makeReading(data.path);
        std::filesystem::resize_file(onlyReading(data.path) / "kv-000.seg", size);
        const auto store = openStore(data.path);
        const auto stream = must(store->openReading(kKey, kShape));
        const auto good = loadAndCompare(*stream, kShape);
        CHECK(good < 300);
        commit(*stream, kIds, good / 64 * 64, 300);
        checkHolds(*stream, kIds);
    }
    TempFolder data;
    makeReading(data.path);
    std::filesystem::remove(onlyReading(data.path) / "kv-000.seg");
    const auto store = openStore(data.path);
    CHECK(must(store->openReading(kKey, kShape))->tokens() == 0);
}

TEST_CASE("reads that fail make a bad span, and the reading is whole when they work again") {
    TempFolder data;
    makeReading(data.path);
    FaultyFileSystem files(realFileSystem());
    const auto store = openStore(data.path, files);
    auto stream = must(store->openReading(kKey, kShape));
    files.failReads(true);
    CHECK(loadAndCompare(*stream, kShape) == 0);
    files.failReads(false);
    checkHolds(*stream, kIds);
    stream.reset();
    files.failReads(true);
    stream = must(store->openReading(kKey, kShape));
    CHECK(stream->tokens() == 0);
    stream.reset();
    files.failReads(false);
    checkHolds(*must(store->openReading(kKey, kShape)), kIds);  // nothing was dropped for good
}

TEST_CASE("no memory for what is on disk is an error with a name") {
    TempFolder data;
    makeReading(data.path);
    const auto store = openStore(data.path);
    const auto stream = must(store->openReading(kKey, kShape));
    CHECK(stream->load([](std::uint32_t, std::uint32_t) { return std::span<std::byte>(); }).error().code ==
          Code::NoMemory);
}

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
void makeReading(const std::filesystem::path& data, KvCodec codec = KvCodec::F16) {
    const auto store = openStore(data);
    const auto stream = must(store->openReading(keyOf(codec), kShape));
    commit(*stream, kIds, 0, 100, kShape, codec);
    commit(*stream, kIds, 64, 256, kShape, codec);
    commit(*stream, kIds, 256, 300, kShape, codec);
    commit(*must(store->openTail(*stream, "chat", 256)), someIds(90, 4), 256, 346);
}

std::string bytesOf(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

template <class T>
T get(const std::string& bytes, std::size_t at) {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
}
template <class T>
void put(std::string& bytes, std::size_t at, T value) {
    std::memcpy(bytes.data() + at, &value, sizeof value);
}
/// Makes the checksum of a header of `used` bytes right.
void reseal(std::string& bytes, std::size_t at, std::size_t used) {
    if (at + used > bytes.size()) return;
    put(bytes, at + 8, xxh3(std::as_bytes(std::span(bytes).subspan(at + 16, used - 16))));
}

}  // namespace

TEST_CASE("any byte of a segment flipped: the damaged span is named, and nothing wrong is ever loaded or read") {
    for (const KvCodec codec : {KvCodec::F16, KvCodec::K8V8}) {
        CAPTURE(std::string(codecName(codec)));
        TempFolder data;
        makeReading(data.path, codec);
        const auto file = onlyReading(data.path) / "kv-000.seg";
        std::size_t found = 0, tried = 0;
        // Every byte where a header starts, and every 97th of the rest.
        const auto whole = bytesOf(file);
        const auto step = [&](std::uint64_t at) {
            for (std::uint64_t from = at / 64 * 64, back = 0; back <= std::min<std::uint64_t>(from, 128); back += 64)
                if (at - (from - back) < 180 && whole.compare(from - back, 3, "CKV") == 0) return 1;
            return 97;
        };
        for (std::uint64_t at = 0; at < whole.size(); at += step(at), ++tried) {
            CAPTURE(at);
            flip(file, at);
            {
                const auto store = openStore(data.path);
                const auto stream = must(store->openReading(keyOf(codec), kShape));
                const auto good = loadAndCompare(*stream, kShape, codec);  // compares all before `good`
                CHECK(good % 64 == (good == 300 ? 300 % 64 : 0));
                CHECK(firstOf(kIds, stream->ids().size()) == stream->ids());
                // Load and verify agree on whether anything is wrong, and the reader on each group.
                const auto check = must(stream->verify());
                CHECK((check.bad > 0) == (good < stream->tokens()));
                CHECK(check.good == good);
                CHECK(readAndCompare(*stream, kIds, kShape, codec) ==
                      (good < stream->tokens() && (good < 256 || codec == KvCodec::F16)));
                found += good < 300;
            }
            flip(file, at);
        }
        CHECK(found > tried / 2);  // the rest is padding and the dropped group
        const auto store = openStore(data.path);
        checkHolds(*must(store->openReading(keyOf(codec), kShape)), kIds, kShape, codec);
    }
}

TEST_CASE("a damaged span is read again and the reading is whole") {
    for (const KvCodec codec : {KvCodec::F16, KvCodec::K8V8})
        for (const std::uint64_t at : {100u, 5000u, 20000u, 34000u, 50000u, 70000u}) {
            CAPTURE(at);
            TempFolder data;
            makeReading(data.path, codec);
            flip(onlyReading(data.path) / "kv-000.seg", at);
            const auto store = openStore(data.path);
            auto stream = must(store->openReading(keyOf(codec), kShape));
            const auto good = loadAndCompare(*stream, kShape, codec) / 64 * 64;
            commit(*stream, kIds, good, 300, kShape, codec);
            checkHolds(*stream, kIds, kShape, codec);
            stream.reset();
            checkHolds(*must(store->openReading(keyOf(codec), kShape)), kIds, kShape, codec);
        }
}

TEST_CASE("any byte of a sketch flipped: the batch is bad from its first token, and made again it is whole") {
    TempFolder data;
    const KvCodec codec = KvCodec::K8V8;
    makeReading(data.path, codec);
    const auto file = onlyReading(data.path) / "sketch.bin";
    const auto whole = bytesOf(file);
    std::size_t found = 0, tried = 0;
    for (std::uint64_t at = 0; at < whole.size(); at += at < 200 ? 1 : 29, ++tried) {
        CAPTURE(at);
        flip(file, at);
        {
            const auto store = openStore(data.path);
            const auto stream = must(store->openReading(keyOf(codec), kShape));
            CHECK(stream->tokens() == 300);
            const auto good = loadAndCompare(*stream, kShape, codec);
            CHECK((good == 0 || good == 64 || good == 300));  // where batches with a record start
            const auto check = must(stream->verify());
            CHECK((check.bad > 0) == (good < 300));
            CHECK(check.good == good);
            found += good < 300;
        }
        flip(file, at);
    }
    CHECK(found == tried);  // every byte of a record counts
    flip(file, whole.size() - 1);
    auto store = openStore(data.path);
    auto stream = must(store->openReading(keyOf(codec), kShape));
    CHECK(loadAndCompare(*stream, kShape, codec) == 64);
    commit(*stream, kIds, 64, 300, kShape, codec);
    checkHolds(*stream, kIds, kShape, codec);
    stream.reset();
    std::filesystem::remove(file);
    stream = must(store->openReading(keyOf(codec), kShape));
    CHECK(loadAndCompare(*stream, kShape, codec) == 0);
    commit(*stream, kIds, 0, 300, kShape, codec);
    checkHolds(*stream, kIds, kShape, codec);
}

TEST_CASE("any byte of a tail or a note flipped: what is damaged is named or not there") {
    TempFolder data;
    makeReading(data.path);
    const std::string note = "a few bytes";
    must(must(openStore(data.path)->openReading(kKey, kShape))->keepNote(std::as_bytes(std::span(note))));
    const auto folder = onlyReading(data.path);
    const auto tail = std::filesystem::directory_iterator(folder / "tails")->path() / "kv-000.seg";
    const auto check = [&](bool noteIsGood, std::uint32_t tailIsGoodTo) {
        const auto store = openStore(data.path);
        const auto stream = must(store->openReading(kKey, kShape));
        checkHolds(*stream, kIds);
        CHECK(static_cast<bool>(stream->note()) == noteIsGood);
        const auto chat = must(store->openTail(*stream, "chat", 256));
        const auto good = loadAndCompare(*chat, kShape);
        CHECK(good <= tailIsGoodTo);
        return good;
    };
    const auto noteFile = folder / "note.bin";
    for (std::uint64_t at = 0; at < std::filesystem::file_size(noteFile); ++at) {
        CAPTURE(at);
        flip(noteFile, at);
        check(false, 346);
        flip(noteFile, at);
    }
    std::size_t found = 0, tried = 0;
    for (std::uint64_t at = 0; at < std::filesystem::file_size(tail); at += at % 4096 < 200 ? 5 : 97, ++tried) {
        CAPTURE(at);
        flip(tail, at);
        found += check(true, 346) < 346;
        flip(tail, at);
    }
    CHECK(found > tried / 2);  // the rest is padding
    CHECK(check(true, 346) == 346);
}

TEST_CASE("a whole extent or sketch of another commit in its place is seen") {
    TempFolder data;
    const KvCodec codec = KvCodec::K8V8;
    auto limits = kSmall;
    limits.compress = false;  // equal sizes: only the checksums in the batch header tell
    std::string segments[2], sketches[2];
    auto other = kIds;
    for (auto& id : other) ++id;
    for (const int round : {0, 1}) {
        const auto store = openStore(data.path, realFileSystem(), limits);
        const auto stream = must(store->openReading(keyOf(codec), kShape));
        must(stream->truncate(0));
        commit(*stream, round == 0 ? other : kIds, 0, 256, kShape, codec);
        segments[round] = bytesOf(onlyReading(data.path) / "kv-000.seg");
        sketches[round] = bytesOf(onlyReading(data.path) / "sketch.bin");
    }
    REQUIRE(segments[0].size() == segments[1].size());
    const auto store = openStore(data.path, realFileSystem(), limits);
    const auto stream = must(store->openReading(keyOf(codec), kShape));
    checkHolds(*stream, firstOf(kIds, 256), kShape, codec);
    const auto put = [&](const char* name, const std::string& bytes) {
        std::ofstream(onlyReading(data.path) / name, std::ios::binary | std::ios::trunc) << bytes;
    };
    const std::size_t extents = kPage + BatchHeader::paddedBytes(256, kShape.layers);
    put("kv-000.seg",
        segments[1].substr(0, extents) + segments[0].substr(extents));  // its headers, the other's extents
    CHECK(loadAndCompare(*stream, kShape, codec) == 0);
    put("kv-000.seg", segments[1]);
    put("sketch.bin", sketches[0]);
    CHECK(loadAndCompare(*stream, kShape, codec) == 0);
    put("sketch.bin", sketches[1]);
    checkHolds(*stream, firstOf(kIds, 256), kShape, codec);
}

TEST_CASE("headers that lie under right checksums do no harm") {
    TempFolder data;
    const KvCodec codec = KvCodec::K8V8;
    {
        const auto store = openStore(data.path);
        const auto stream = must(store->openReading(keyOf(codec), kShape));
        commit(*stream, kIds, 0, 128, kShape, codec);
        commit(*stream, kIds, 128, 300, kShape, codec);
    }
    const auto folder = onlyReading(data.path);
    const auto segment = bytesOf(folder / "kv-000.seg"), sketch = bytesOf(folder / "sketch.bin");
    const std::size_t batch = 4096, refs = batch + 72 + 4 * 128, header = refs + 16 * kShape.layers - batch;
    const std::size_t extent = batch + BatchHeader::paddedBytes(128, kShape.layers), extentHeader = 64 + 52 * 4;
    const auto write = [](const std::filesystem::path& file, const std::string& bytes) {
        std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
    };
    const auto survive = [&](const std::string& seg, const std::string& sk) {
        write(folder / "kv-000.seg", seg);
        write(folder / "sketch.bin", sk);
        std::filesystem::remove(data.path / "readings" / "index.sqlite");  // no row knows better
        const auto store = openStore(data.path);
        const auto stream = must(store->openReading(keyOf(codec), kShape));
        std::deque<Loaded> parts;
        const auto good = must(stream->load([&](std::uint32_t first, std::uint32_t tokens) {
            parts.push_back(memoryFor(kShape, codec, first, tokens));
            return std::optional(parts.back().memory());
        }));
        CHECK(good <= stream->tokens());
        must(stream->verify());
        const auto reader = stream->reader({});
        if (!reader || stream->tokens() < 128) return;
        std::vector<std::byte> into(2 * kShape.groupBytes(codec));
        (*reader)->submit(1, 0, 0, 0, 2, into);
        CHECK((*reader)->reap(1).size() == 1);
    };
    for (const std::uint32_t lie : {0u, 1u, 63u, 0x00010000u, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
        CAPTURE(lie);
        for (std::size_t at = 16; at < 72; at += 4) {  // of the batch header
            CAPTURE(at);
            auto bytes = segment;
            put(bytes, batch + at, lie);
            const auto tokens = std::min(get<std::uint32_t>(bytes, batch + 28), 1u << 20);
            reseal(bytes, batch, 72 + std::size_t{4} * tokens + 16 * kShape.layers);
            survive(bytes, sketch);
        }
        for (std::size_t at = refs; at < refs + 32; at += 4) {  // of its extents
            auto bytes = segment;
            put(bytes, at, lie);
            reseal(bytes, batch, header);
            survive(bytes, sketch);
        }
        for (std::size_t at = 16; at < extentHeader; at += 4) {  // of an extent and its groups
            auto bytes = segment;
            put(bytes, extent + at, lie);
            reseal(bytes, extent, extentHeader);
            put(bytes, refs + 8, get<std::uint64_t>(bytes, extent + 8));
            reseal(bytes, batch, header);
            survive(bytes, sketch);
        }
        for (std::size_t at = 16; at < kSketchHeaderBytes; at += 4) {  // of the sketch
            auto bytes = segment, lying = sketch;
            put(lying, at, lie);
            reseal(lying, 0, kSketchHeaderBytes);
            put(bytes, batch + 64, get<std::uint64_t>(lying, 8));
            reseal(bytes, batch, header);
            survive(bytes, lying);
        }
    }
    survive(segment, sketch);
    checkHolds(*must(openStore(data.path)->openReading(keyOf(codec), kShape)), kIds, kShape, codec);
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
    flip(onlyReading(data.path) / "kv-000.seg", 4, 1);  // version 2 becomes 3
    {
        const auto store = openStore(data.path);
        CHECK(must(store->openReading(kKey, kShape))->tokens() == 0);
    }
    std::filesystem::remove(data.path / "readings" / "index.sqlite");
    CHECK(must(openStore(data.path)->readingsOf(kKey.document)).empty());
}

TEST_CASE("a segment that ends early, or is gone, is a bad span and no crash") {
    for (const std::uint64_t size : {0u, 10u, 4096u, 5000u, 30000u, 50000u, 70000u}) {
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
    CHECK(stream->load([](std::uint32_t, std::uint32_t) { return std::optional<KvMemory>(); }).error().code ==
          Code::NoMemory);
    CHECK(stream
              ->load([](std::uint32_t, std::uint32_t) {
                  static std::byte few[10];
                  return std::optional(KvMemory{few, {}, {}});
              })
              .error()
              .code == Code::InvalidArgument);
}

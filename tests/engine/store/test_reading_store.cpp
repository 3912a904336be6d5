#include "engine/store/store_fixture.h"

#include <sys/stat.h>

#include "base/sqlite.h"

using namespace carrel;

namespace {

std::filesystem::path readingFolder(const std::filesystem::path& data) {
    for (const auto& entry : std::filesystem::directory_iterator(data / "readings"))
        if (entry.is_directory()) return entry.path();
    FAIL("no reading on disk");
    return {};
}

}  // namespace

TEST_CASE("what was committed is there after reopening, byte for byte, whatever the codec") {
    for (const KvShape shape : {kShape, KvShape{3, 1, 8}, KvShape{1, 2, 48}})
        for (const KvCodec codec : kCodecs) {
            if (codec != KvCodec::F16 && !encodable(shape.headDim)) continue;
            CAPTURE(shape.headDim);
            CAPTURE(std::string(codecName(codec)));
            TempFolder data;
            const auto ids = someIds(500);
            {
                const auto store = openStore(data.path);
                const auto stream = must(store->openReading(keyOf(codec), shape));
                CHECK(stream->tokens() == 0);
                CHECK(loadAndCompare(*stream, shape, codec) == 0);
                commit(*stream, ids, 0, 256, shape, codec);
                commit(*stream, ids, 256, 500, shape, codec);
                checkHolds(*stream, ids, shape, codec);
            }
            const auto store = openStore(data.path);
            const auto stream = must(store->openReading(keyOf(codec), shape));
            checkHolds(*stream, ids, shape, codec);
            const auto rows = must(store->readingsOf(kKey.document));
            REQUIRE(rows.size() == 1);
            CHECK(rows[0].tokens == 500);
            CHECK(rows[0].diskBytes == stream->diskBytes().all());
            CHECK(rows[0].key == keyOf(codec));
        }
}

TEST_CASE("the bytes on disk that a stream names are the bytes that its files have") {
    for (const KvCodec codec : kCodecs)
        for (const bool compress : {true, false}) {
            CAPTURE(std::string(codecName(codec)));
            CAPTURE(compress);
            TempFolder data;
            const auto ids = someIds(64 * 60);
            auto limits = kSmall;
            limits.compress = compress;
            limits.segmentBytes = 100000;
            const auto store = openStore(data.path, realFileSystem(), limits);
            const auto stream = must(store->openReading(keyOf(codec), kShape));
            for (std::uint32_t at = 0; at < ids.size(); at += 640) commit(*stream, ids, at, at + 640, kShape, codec);
            commit(*stream, ids, 1280, 1300, kShape, codec);  // what it drops is still there
            std::uint64_t segments = 0, sketch = 0, files = 0;
            for (const auto& [name, bytes] : filesBelow(readingFolder(data.path))) {
                (name.ends_with(".seg") ? segments : sketch) += bytes;
                files += name.ends_with(".seg");
            }
            const auto disk = stream->diskBytes();
            CHECK(files > 1);
            CHECK(disk.keysValues + disk.headers == segments);
            CHECK(disk.sketch == (sketch + 4095) / 4096 * 4096);
            CHECK((disk.sketch == 0) == (codec == KvCodec::F16));
            CHECK(must(store->readingsOf(kKey.document)).at(0).diskBytes == disk.all());
        }
}

TEST_CASE("what compresses is stored compressed, what does not is not, and both are as they were") {
    std::uint64_t stored[2];
    for (const bool compress : {false, true}) {
        TempFolder data;
        const auto ids = someIds(64 * 30);  // every third group of the fixture compresses to a quarter
        auto limits = kSmall;
        limits.compress = compress;
        const auto store = openStore(data.path, realFileSystem(), limits);
        const auto stream = must(store->openReading(keyOf(KvCodec::K8V8), kShape));
        commit(*stream, ids, 0, 64 * 30, kShape, KvCodec::K8V8);
        checkHolds(*stream, ids, kShape, KvCodec::K8V8);
        stored[compress] = stream->diskBytes().keysValues;
    }
    const std::size_t plain = kShape.rows() * 30 * kShape.groupBytes(KvCodec::K8V8);
    CHECK(stored[0] >= plain);
    CHECK(stored[0] < plain + kPage);  // payloads back to back, the batch to a page
    CHECK(stored[1] < stored[0] * 0.80);
    CHECK(stored[1] > stored[0] * 0.66);
}

TEST_CASE("a group that was not full is written anew by the next commit, encoded as soon as it is full") {
    for (const KvCodec codec : kCodecs) {
        CAPTURE(std::string(codecName(codec)));
        TempFolder data;
        const auto ids = someIds(310);
        const auto store = openStore(data.path);
        auto stream = must(store->openReading(keyOf(codec), kShape));
        commit(*stream, ids, 0, 40, kShape, codec);  // nothing but an unfinished group
        checkHolds(*stream, firstOf(ids, 40), kShape, codec);
        commit(*stream, ids, 0, 100, kShape, codec);
        commit(*stream, ids, 64, 110, kShape, codec);
        checkHolds(*stream, firstOf(ids, 110), kShape, codec);
        commit(*stream, ids, 64, 300, kShape, codec);
        commit(*stream, ids, 256, 310, kShape, codec);
        checkHolds(*stream, ids, kShape, codec);
        stream.reset();
        stream = must(store->openReading(keyOf(codec), kShape));
        checkHolds(*stream, ids, kShape, codec);
        must(stream->truncate(256));  // with it goes what was not full
        checkHolds(*stream, firstOf(ids, 256), kShape, codec);
        commit(*stream, ids, 256, 310, kShape, codec);
        checkHolds(*stream, ids, kShape, codec);
    }
}

TEST_CASE("parts that are not wanted are not read") {
    TempFolder data;
    const auto ids = someIds(300);
    const auto store = openStore(data.path);
    const auto stream = must(store->openReading(keyOf(KvCodec::K8V8), kShape));
    commit(*stream, ids, 0, 128, kShape, KvCodec::K8V8);
    commit(*stream, ids, 128, 300, kShape, KvCodec::K8V8);
    const auto loadParts = [&](auto keep) {
        std::deque<Loaded> parts;
        const auto good = must(stream->load([&](std::uint32_t first, std::uint32_t tokens) {
            parts.push_back(memoryFor(kShape, KvCodec::K8V8, first, tokens));
            return std::optional(keep(parts.back().memory()));
        }));
        return std::pair(good, std::move(parts));
    };
    const auto sketchAlone = [](KvMemory m) { return KvMemory{{}, m.codes, {}}; };
    const auto payloadAlone = [](KvMemory m) { return KvMemory{m.payload, {}, {}}; };
    const auto restAlone = [](KvMemory m) { return KvMemory{{}, {}, m.unfinished}; };
    const auto folder = readingFolder(data.path);
    const auto expected = kvOf(kShape, ids, 128, 300, 0, KvCodec::K8V8);
    {
        auto [good, parts] = loadParts(restAlone);
        CHECK(good == 300);
        CHECK(parts.back().unfinished == expected.unfinished);
    }
    std::filesystem::rename(folder / "sketch.bin", folder / "away");
    {
        auto [good, parts] = loadParts(payloadAlone);
        CHECK(good == 300);
        CHECK(parts.back().payload == expected.payload);
        CHECK(loadParts(sketchAlone).first == 0);
    }
    std::filesystem::rename(folder / "away", folder / "sketch.bin");
    {
        // Payloads gone bad: nobody who asks for the sketch alone can tell.
        std::fstream file(folder / "kv-000.seg", std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(3 * 4096);
        file << std::string(4096, 'x');
    }
    {
        auto [good, parts] = loadParts(sketchAlone);
        CHECK(good == 300);
        CHECK(parts.back().codes == expected.codes);
        CHECK(loadParts(payloadAlone).first < 300);
    }
}

TEST_CASE("of the layers that are asked for, and of no others, there is what was committed") {
    const KvShape shape{5, 2, 16};
    const std::vector<std::uint32_t> layers{1, 4};
    for (const KvCodec codec : kCodecs) {
        INFO("codec ", codecName(codec));
        TempFolder folder;
        auto store = openStore(folder.path);
        auto stream = store->openReading(keyOf(codec), shape);
        REQUIRE(stream);
        const auto ids = someIds(200);
        const Kv kv = kvOf(shape, ids, 0, 200, 0, codec);
        REQUIRE((*stream)->commit(kv.batch()));
        std::vector<std::byte> parts[3];
        const std::vector<std::byte>* all[] = {&kv.payload, &kv.codes, &kv.unfinished};
        for (int i = 0; i < 3; ++i) parts[i].resize(all[i]->size() / shape.layers * layers.size());
        const auto loaded = (*stream)->load([&](std::uint32_t, std::uint32_t) {
            return KvMemory{parts[0], parts[1], parts[2], layers};
        });
        REQUIRE(loaded);
        CHECK(*loaded == 200);
        for (int i = 0; i < 3; ++i)
            for (std::size_t l = 0; l < layers.size(); ++l) {
                const std::size_t bytes = all[i]->size() / shape.layers;
                CHECK(std::equal(parts[i].data() + l * bytes, parts[i].data() + (l + 1) * bytes,
                                 all[i]->data() + layers[l] * bytes));
            }
    }
}

TEST_CASE("a commit that starts earlier drops what followed") {
    TempFolder data;
    const auto ids = someIds(640);
    auto other = ids;
    for (std::size_t i = 192; i < other.size(); ++i) other[i] += 7;
    const auto store = openStore(data.path);
    auto stream = must(store->openReading(kKey, kShape));
    commit(*stream, ids, 0, 256);
    commit(*stream, ids, 256, 512);
    commit(*stream, ids, 512, 640);
    must(stream->commit(kvOf(kShape, other, 192, 320).batch()));  // inside the first batch
    checkHolds(*stream, firstOf(other, 320));
    stream.reset();
    stream = must(store->openReading(kKey, kShape));
    checkHolds(*stream, firstOf(other, 320));
}

TEST_CASE("truncation drops tokens, frees bytes, and reading goes on from there") {
    TempFolder data;
    const auto ids = someIds(640);
    const auto store = openStore(data.path);
    auto stream = must(store->openReading(kKey, kShape));
    for (std::uint32_t at = 0; at < 640; at += 128) commit(*stream, ids, at, at + 128);
    const auto before = filesBelow(data.path / "readings");
    must(stream->truncate(320));  // inside a batch
    checkHolds(*stream, firstOf(ids, 320));
    std::uint64_t was = 0, is = 0;
    for (const auto& [name, bytes] : before) was += name.ends_with(".seg") ? bytes : 0;
    for (const auto& [name, bytes] : filesBelow(data.path / "readings")) is += name.ends_with(".seg") ? bytes : 0;
    CHECK(is < was);
    stream.reset();
    stream = must(store->openReading(kKey, kShape));
    checkHolds(*stream, firstOf(ids, 320));
    commit(*stream, ids, 320, 640);
    checkHolds(*stream, ids);
    must(stream->truncate(0));
    checkHolds(*stream, {});
    commit(*stream, ids, 0, 64);
    checkHolds(*stream, firstOf(ids, 64));
}

TEST_CASE("batches that do not continue the stream are refused and change nothing") {
    TempFolder data;
    const auto ids = someIds(400);
    const auto store = openStore(data.path);
    const auto stream = must(store->openReading(kKey, kShape));
    commit(*stream, ids, 0, 100);
    auto kv = kvOf(kShape, ids, 128, 200);
    CHECK(stream->commit(kv.batch()).error().code == Code::InvalidArgument);  // a gap
    kv.first = 65;
    CHECK(stream->commit(kv.batch()).error().code == Code::InvalidArgument);  // inside a group
    kv.first = 64;
    kv.payload.pop_back();
    CHECK(stream->commit(kv.batch()).error().code == Code::InvalidArgument);  // of another shape
    CHECK(stream->commit({64, {}, {}, {}, {}}).error().code == Code::InvalidArgument);
    kv = kvOf(kShape, ids, 64, 200, 0, KvCodec::K8V8);
    CHECK(stream->commit(kv.batch()).error().code == Code::InvalidArgument);  // of another codec
    kv = kvOf(kShape, ids, 64, 200);
    kv.codes.resize(64);
    CHECK(stream->commit(kv.batch()).error().code == Code::InvalidArgument);  // a sketch that f16 has not
    CHECK(stream->truncate(65).error().code == Code::InvalidArgument);
    CHECK(stream->truncate(128).error().code == Code::InvalidArgument);
    checkHolds(*stream, firstOf(ids, 100));
}

TEST_CASE("a large reading goes over several segment files") {
    TempFolder data;
    const auto ids = someIds(64 * 400);
    const auto store = openStore(data.path);  // segments of 1 MiB, 16 KiB of payload per group
    auto stream = must(store->openReading(kKey, kShape));
    for (std::uint32_t at = 0; at < ids.size(); at += 512) commit(*stream, ids, at, at + 512);
    CHECK(std::filesystem::exists(readingFolder(data.path) / "kv-003.seg"));
    checkHolds(*stream, ids);
    must(stream->truncate(512));
    CHECK(!std::filesystem::exists(readingFolder(data.path) / "kv-001.seg"));
    commit(*stream, ids, 512, 1024);
    stream.reset();
    stream = must(store->openReading(kKey, kShape));
    checkHolds(*stream, firstOf(ids, 1024));
}

TEST_CASE("a reading of another document, model, setting or shape is another reading") {
    TempFolder data;
    const auto ids = someIds(64);
    const auto store = openStore(data.path);
    const auto stream = must(store->openReading(kKey, kShape));
    commit(*stream, ids, 0, 64);
    for (int field = 0; field < 4; ++field) {
        ReadingKey key = kKey;
        KvShape shape = kShape;
        (field == 0 ? key.document : field == 1 ? key.model : key.settings) += field < 3 ? "x" : "";
        if (field == 3) shape.layers = 3;
        CAPTURE(field);
        CHECK(must(store->openReading(key, shape))->tokens() == 0);
    }
    for (const KvCodec codec : {KvCodec::K8V8, KvCodec::K8V6, KvCodec::K8V4})
        CHECK(must(store->openReading(keyOf(codec), kShape))->tokens() == 0);
    ReadingKey key = keyOf(KvCodec::K8V8);
    CHECK(store->openReading(key, {2, 2, 24}).error().code == Code::InvalidArgument);  // no size for this codec
    CHECK(store->openReading(kKey, {0, 2, 16}).error().code == Code::InvalidArgument);
    key = kKey;
    key.settings.assign(5000, 's');
    CHECK(store->openReading(key, kShape).error().code == Code::InvalidArgument);
}

TEST_CASE("two handles of one reading: the second is Busy, and rows can be read beside a writer") {
    TempFolder data;
    const auto first = openStore(data.path), second = openStore(data.path);
    auto stream = must(first->openReading(kKey, kShape));
    commit(*stream, someIds(64), 0, 64);
    CHECK(second->openReading(kKey, kShape).error().code == Code::Busy);  // as another process would
    CHECK(first->openReading(kKey, kShape).error().code == Code::Busy);
    CHECK(second->forgetDocument(kKey.document).error().code == Code::Busy);
    CHECK(must(second->readingsOf(kKey.document)).at(0).tokens == 64);
    CHECK(openStore(data.path) != nullptr);  // the sweep leaves it alone
    checkHolds(*stream, someIds(64));
    stream.reset();
    checkHolds(*must(second->openReading(kKey, kShape)), someIds(64));
}

TEST_CASE("a tail continues its reading and is there after reopening") {
    TempFolder data;
    const auto ids = someIds(200), chat = someIds(150, 9);
    auto tailIds = std::vector<std::int32_t>(ids.begin() + 192, ids.end());  // the reading's unfinished group, again
    tailIds.insert(tailIds.end(), chat.begin(), chat.end());
    for (int round = 0; round < 2; ++round) {
        const auto store = openStore(data.path);
        auto reading = must(store->openReading(kKey, kShape));
        if (round == 0) commit(*reading, ids, 0, 200);
        auto tail = must(store->openTail(*reading, "chat 1/../x", 192));
        CHECK(tail->firstToken() == 192);
        if (round == 0) {
            CHECK(tail->tokens() == 192);
            commit(*tail, tailIds, 192, 300);
            commit(*tail, tailIds, 256, 350);
        }
        CHECK(tail->tokens() == 350);
        checkHolds(*tail, firstOf(tailIds, 158));
        CHECK(must(store->openTail(*reading, "chat 2", 128))->tokens() == 128);
        CHECK(store->openTail(*reading, "chat 3", 256).error().code ==
              Code::InvalidArgument);  // past the reading's groups
        CHECK(store->openTail(*reading, "chat 3", 100).error().code == Code::InvalidArgument);
        CHECK(store->openTail(*tail, "chat 3", 192).error().code == Code::InvalidArgument);  // a tail of a tail
        reading.reset();  // the tail still holds the lock
        CHECK(openStore(data.path)->openReading(kKey, kShape).error().code == Code::Busy);
    }
}

TEST_CASE("a tail that starts elsewhere or follows other ids is dropped") {
    TempFolder data;
    const auto ids = someIds(256);
    const auto store = openStore(data.path);
    const auto reading = must(store->openReading(kKey, kShape));
    commit(*reading, ids, 0, 256);
    commit(*must(store->openTail(*reading, "chat", 128)), someIds(70, 3), 128, 198);
    CHECK(must(store->openTail(*reading, "chat", 128))->tokens() == 198);
    CHECK(must(store->openTail(*reading, "chat", 192))->tokens() == 192);
    commit(*must(store->openTail(*reading, "chat", 192)), someIds(70, 3), 192, 262);
    must(reading->commit(kvOf(kShape, someIds(256, 5), 64, 256).batch()));
    CHECK(must(store->openTail(*reading, "chat", 192))->tokens() == 192);
}

TEST_CASE("forgetting leaves nothing behind") {
    TempFolder data;
    const auto ids = someIds(128);
    const auto store = openStore(data.path);
    {
        const auto reading = must(store->openReading(kKey, kShape));
        commit(*reading, ids, 0, 128);
        auto one = must(store->openTail(*reading, "one", 64)), two = must(store->openTail(*reading, "two", 64));
        commit(*one, ids, 64, 128);
        commit(*two, ids, 64, 128);
        must(store->forgetTail("one"));  // while the reading is open here
        CHECK(one->commit(kvOf(kShape, ids, 64, 128, 64).batch()).error().code == Code::NotFound);
        CHECK(must(store->openTail(*reading, "one", 64))->tokens() == 64);
        CHECK(must(store->openTail(*reading, "two", 64))->tokens() == 128);
        CHECK(store->forgetDocument(kKey.document).error().code == Code::Busy);
        ReadingKey other = kKey;
        other.model = "other";
        commit(*must(store->openReading(other, kShape)), ids, 0, 64);
    }
    CHECK(must(store->readingsOf(kKey.document)).size() == 2);
    must(store->forgetDocument(kKey.document));
    must(store->forgetDocument("never heard of"));
    must(store->forgetTail("never heard of"));
    CHECK(must(store->readingsOf(kKey.document)).empty());
    for (const auto& [name, bytes] : filesBelow(data.path / "readings"))
        CHECK((name == "CACHEDIR.TAG" || name.starts_with("index.sqlite")));
    CHECK(must(store->openReading(kKey, kShape))->tokens() == 0);
}

TEST_CASE("orphans are swept at open, and nothing that is not a reading's") {
    TempFolder data;
    const auto ids = someIds(128);
    const std::filesystem::path readings = data.path / "readings", orphan = readings / std::string(32, 'a');
    std::filesystem::path own;
    {
        const auto store = openStore(data.path);
        const auto reading = must(store->openReading(kKey, kShape));
        commit(*reading, ids, 0, 128);
        commit(*must(store->openTail(*reading, "chat", 64)), ids, 64, 128);
        own = readingFolder(data.path);
        ReadingKey other = kKey;
        other.model = "other";
        commit(*must(store->openReading(other, kShape)), ids, 0, 64);
    }
    std::filesystem::create_directories(orphan / "tails");
    std::ofstream(orphan / "kv-000.seg") << "left over";
    std::filesystem::create_directories(own / "tails" / std::string(32, 'b'));
    std::filesystem::create_directories(readings / "holiday pictures");
    for (const auto& entry : std::filesystem::directory_iterator(readings))  // rows without a folder
        if (entry.is_directory() && entry.path() != own && entry.path() != orphan &&
            entry.path().filename() != "holiday pictures")
            std::filesystem::remove_all(entry.path());
    const auto store = openStore(data.path);
    CHECK(!std::filesystem::exists(orphan));
    CHECK(!std::filesystem::exists(own / "tails" / std::string(32, 'b')));
    CHECK(std::filesystem::exists(readings / "holiday pictures"));
    CHECK(must(store->readingsOf(kKey.document)).size() == 1);
    const auto reading = must(store->openReading(kKey, kShape));
    checkHolds(*reading, ids);
    CHECK(must(store->openTail(*reading, "chat", 64))->tokens() == 128);
}

TEST_CASE("folders are the owner's alone, and backups are told to leave them out") {
    TempFolder data;
    openStore(data.path / "carrel");
    struct stat st {};
    REQUIRE(::stat((data.path / "carrel" / "readings").c_str(), &st) == 0);
    CHECK((st.st_mode & 0777) == 0700);
    std::ifstream tag(data.path / "carrel" / "readings" / "CACHEDIR.TAG");
    std::string line;
    std::getline(tag, line);
    CHECK(line == "Signature: 8a477f597d28d172789f06886806bc55");
}

TEST_CASE("a tail is f16 whatever its reading's codec") {
    TempFolder data;
    const auto ids = someIds(200), chat = someIds(150, 9);
    for (int round = 0; round < 2; ++round) {
        const auto store = openStore(data.path);
        const auto reading = must(store->openReading(keyOf(KvCodec::K8V4), kShape));
        if (round == 0) commit(*reading, ids, 0, 200, kShape, KvCodec::K8V4);
        const auto tail = must(store->openTail(*reading, "chat", 192));
        if (round == 0) commit(*tail, chat, 192, 342);
        checkHolds(*tail, chat);
        checkHolds(*reading, ids, kShape, KvCodec::K8V4);
        CHECK(tail->diskBytes().sketch == 0);
    }
    std::filesystem::remove(data.path / "readings" / "index.sqlite");
    const auto store = openStore(data.path);
    const auto reading = must(store->openReading(keyOf(KvCodec::K8V4), kShape));
    checkHolds(*reading, ids, kShape, KvCodec::K8V4);
    checkHolds(*must(store->openTail(*reading, "chat", 192)), chat);
}

TEST_CASE("readings of an older format are swept, those of a newer one are left alone and not shown") {
    TempFolder data;
    const auto ids = someIds(64);
    openStore(data.path);
    const auto root = data.path / "readings";
    const std::string older(32, '1'), held(32, '2'), newer(32, '3');
    for (const auto& [id, format] : {std::pair(older, 1), std::pair(held, 1), std::pair(newer, 9)}) {
        std::filesystem::create_directories(root / id);
        std::ofstream(root / id / "kv-000.seg") << "of another format";
        auto db = must(SqlDatabase::open(root / "index.sqlite"));
        must(db.exec("INSERT INTO readings VALUES ('" + id + "', 'd0c', 'm0del', 's', 'f16', " +
                     std::to_string(format) +
                     ", 2, 2, 16); INSERT INTO streams(reading, name, first_token, prefix_chain) VALUES ('" + id +
                     "', '', 0, 0)"));
    }
    auto lock = must(realFileSystem().open(root / held / "lock", OpenMode::Create));
    must(lock->lock());  // an older Carrel that runs beside this one
    const auto store = openStore(data.path);
    CHECK(!std::filesystem::exists(root / older));
    CHECK(std::filesystem::exists(root / held / "kv-000.seg"));
    CHECK(std::filesystem::exists(root / newer / "kv-000.seg"));
    CHECK(must(store->readingsOf(kKey.document)).empty());
    commit(*must(store->openReading(kKey, kShape)), ids, 0, 64);
    CHECK(must(store->readingsOf(kKey.document)).size() == 1);
    lock.reset();
    must(store->forgetDocument(kKey.document));  // of every format
    for (const auto& entry : std::filesystem::directory_iterator(root)) CHECK(!entry.is_directory());
}

TEST_CASE("an index that a newer Carrel made is refused and left alone") {
    TempFolder data;
    openStore(data.path);
    const auto file = data.path / "readings" / "index.sqlite";
    must(must(SqlDatabase::open(file)).exec("PRAGMA user_version = 3"));
    CHECK(ReadingStore::open(realFileSystem(), data.path).error().code == Code::Unsupported);
    CHECK(must(must(SqlDatabase::open(file)).userVersion()) == 3);
}

TEST_CASE("an index of version 1 is lifted, and its readings count as used now") {
    TempFolder data;
    {
        const auto store = openStore(data.path);
        const auto stream = must(store->openReading(kKey, kShape));
        commit(*stream, someIds(128), 0, 128, kShape, kKey.codec);
        must(store->used(*stream, {5, {1, 2, 3, 4}, true}));
        const auto rows = must(store->readingsOf({}));
        REQUIRE(rows.size() == 1);
        CHECK(rows[0].use.at == 5);
        CHECK(rows[0].use.coverage.tokensTotal == 4);
        CHECK(rows[0].use.complete);
    }
    {
        auto db = must(SqlDatabase::open(data.path / "readings" / "index.sqlite"));
        must(db.exec("DROP TABLE uses; PRAGMA user_version = 1"));
    }
    const auto store = openStore(data.path);
    const auto rows = must(store->readingsOf({}));
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].tokens == 128);
    CHECK(rows[0].use.at > 1'700'000'000);
    CHECK(!rows[0].use.complete);
    must(store->forgetReading(rows[0].id));
    CHECK(must(store->readingsOf({})).empty());
}

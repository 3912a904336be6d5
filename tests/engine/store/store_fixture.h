#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstring>
#include <deque>
#include <fstream>
#include <map>
#include <string>

#include "base/hash.h"
#include "store/format.h"
#include "store/reading_store.h"

namespace carrel {

/// A folder of its own, gone with the test. In memory where it can be, unless a disk is asked for: thousands of syncs,
/// and none of these power cuts is real.
struct TempFolder {
    explicit TempFolder(bool onDisk = false) {
        const bool shm = !onDisk && ::access("/dev/shm", W_OK) == 0;
        std::string name =
            ((shm ? std::filesystem::path("/dev/shm") : std::filesystem::temp_directory_path()) / "carrel-store-XXXXXX")
                .string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path = name;
    }
    ~TempFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
    TempFolder(const TempFolder&) = delete;
    std::filesystem::path path;
};

inline constexpr KvShape kShape{2, 2, 16};
inline ReadingKey keyOf(KvCodec codec) {
    return {"d0c", "m0del", "rope=neox,1e6;window;dense;prompt=1", codec};
}
inline const ReadingKey kKey = keyOf(KvCodec::F16);
inline constexpr KvCodec kCodecs[] = {KvCodec::F16, KvCodec::K8V8, KvCodec::K8V6, KvCodec::K8V4};

/// Bytes that stand for KV: a function of the group's tokens and of the place alone. The store never looks into them.
struct Kv {
    std::uint32_t first;
    std::vector<std::int32_t> ids;
    std::vector<std::byte> payload, codes, unfinished;
    KvBatch batch() const { return {first, ids, payload, codes, unfinished}; }
};

inline std::vector<std::int32_t> someIds(std::uint32_t count, std::int32_t seed = 0) {
    std::vector<std::int32_t> ids(count);
    for (std::uint32_t i = 0; i < count; ++i)
        ids[i] = static_cast<std::int32_t>((i * 2654435761u >> 12) % 50000) + seed;
    return ids;
}

/// Every third group compresses well, the others do not at all.
inline void fillGroup(std::span<std::byte> out, std::uint64_t seed, std::uint32_t group) {
    std::uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
    for (auto& byte : out) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        byte = static_cast<std::byte>(group % 3 == 1 ? (state & 3) : (state >> 32));
    }
}

/// KV of tokens [first, end) of a document with these ids (the first of them at position `origin`).
inline Kv kvOf(KvShape shape, const std::vector<std::int32_t>& ids, std::uint32_t first, std::uint32_t end,
               std::uint32_t origin = 0, KvCodec codec = KvCodec::F16) {
    Kv kv{first, {ids.begin() + (first - origin), ids.begin() + (end - origin)}, {}, {}, {}};
    const std::uint32_t all = groupsOf(end - first);
    const std::uint32_t whole = codec == KvCodec::F16 ? all : (end - first) / 64;
    const auto part = [&](std::vector<std::byte>& out, std::uint64_t kind, std::size_t bytes, std::uint32_t from,
                          std::uint32_t to) {
        out.resize(shape.rows() * (to - from) * bytes);
        for (std::size_t i = 0; i < shape.rows() * (to - from); ++i) {
            const auto group = from + static_cast<std::uint32_t>(i % (to - from));
            const auto tokens = std::span(kv.ids).subspan(group * 64);
            const auto seed = xxh3(std::as_bytes(tokens.first(std::min<std::size_t>(64, tokens.size()))),
                                   kind + 10 * (i / (to - from)) + 1000 * (first / 64 + group));
            fillGroup(std::span(out).subspan(i * bytes, bytes), seed, first / 64 + group);
        }
    };
    part(kv.payload, 1, shape.groupBytes(codec), 0, whole);
    if (codec == KvCodec::F16) return kv;
    part(kv.codes, 2, codesBytes(shape.headDim), 0, whole);
    part(kv.unfinished, 3, shape.groupBytes(), whole, all);
    return kv;
}

/// A value, or a failed test that says why.
template <class T>
T must(Result<T> result) {
    if (!result) FAIL(result.error().where << ": " << result.error().detail);
    return std::move(*result);
}
inline void must(Status status) {
    if (!status) FAIL(status.error().where << ": " << status.error().detail);
}

inline constexpr StoreLimits kSmall{.segmentBytes = 1u << 20, .reserveBytes = 1u << 20};

inline std::unique_ptr<ReadingStore> openStore(const std::filesystem::path& root, FileSystem& files = realFileSystem(),
                                               StoreLimits limits = kSmall) {
    return must(ReadingStore::open(files, root, limits));
}

/// What load() gives of one batch, in memory of its own.
struct Loaded {
    std::uint32_t first = 0, tokens = 0;
    std::vector<std::byte> payload, codes, unfinished;
    KvMemory memory() { return {payload, codes, unfinished}; }
};

/// Memory for all parts of a batch, full of what nobody wrote.
inline Loaded memoryFor(KvShape shape, KvCodec codec, std::uint32_t first, std::uint32_t tokens) {
    const std::size_t rows = shape.rows(), whole = codec == KvCodec::F16 ? groupsOf(tokens) : tokens / 64;
    const auto some = [](std::size_t bytes) { return std::vector<std::byte>(bytes, std::byte{0xee}); };
    Loaded loaded{first, tokens, some(rows * whole * shape.groupBytes(codec)), {}, {}};
    if (codec == KvCodec::F16) return loaded;
    loaded.codes = some(rows * whole * codesBytes(shape.headDim));
    loaded.unfinished = some(tokens % 64 == 0 ? 0 : rows * shape.groupBytes());
    return loaded;
}

/// Checks [rows, groups] of a part before the group at token `good`.
inline void comparePart(const char* name, const std::vector<std::byte>& found, const std::vector<std::byte>& expected,
                        KvShape shape, std::uint32_t groups, std::uint32_t first, std::uint32_t good) {
    REQUIRE(found.size() == expected.size());
    if (found.empty()) return;
    const std::size_t rows = shape.rows(), bytes = found.size() / rows / groups;
    for (std::size_t i = 0; i < rows * groups; ++i)
        if (first + i % groups * 64 < good && std::memcmp(&found[i * bytes], &expected[i * bytes], bytes) != 0)
            FAIL("wrong " << name << " from token " << first + i % groups * 64 << " on");
}

/// Loads, and checks that every byte before the position returned is what the ids say. Returns that position.
inline std::uint32_t loadAndCompare(KvStream& stream, KvShape shape, KvCodec codec = KvCodec::F16) {
    std::deque<Loaded> parts;
    const auto good = must(stream.load([&](std::uint32_t first, std::uint32_t tokens) {
        parts.push_back(memoryFor(shape, codec, first, tokens));
        return std::optional(parts.back().memory());
    }));
    std::uint32_t next = stream.firstToken();
    for (const auto& part : parts) {
        CHECK(part.first == next);
        next += part.tokens;
        const auto expected = kvOf(shape, stream.ids(), part.first, next, stream.firstToken(), codec);
        const std::uint32_t whole = codec == KvCodec::F16 ? groupsOf(part.tokens) : part.tokens / 64;
        comparePart("payload", part.payload, expected.payload, shape, whole, part.first, good);
        comparePart("codes", part.codes, expected.codes, shape, whole, part.first, good);
        if (!part.unfinished.empty())
            comparePart("unfinished", part.unfinished, expected.unfinished, shape, 1, part.first + whole * 64, good);
    }
    CHECK(next == stream.tokens());
    return good;
}

/// The stream holds exactly these ids, and their KV; nothing on disk is wrong.
inline void checkHolds(KvStream& stream, const std::vector<std::int32_t>& ids, KvShape shape = kShape,
                       KvCodec codec = KvCodec::F16) {
    CHECK(stream.ids() == ids);
    CHECK(loadAndCompare(stream, shape, codec) == stream.tokens());
    const auto check = must(stream.verify());
    CHECK(check.bad == 0);
    CHECK(check.good == stream.tokens());
    CHECK((check.groups == 0) == ids.empty());
}

/// Reads whole groups of every head one by one through a reader; fails where one that is good is wrong. Whether any is
/// bad, or the reader cannot be had.
inline bool readAndCompare(KvStream& stream, const std::vector<std::int32_t>& ids, KvShape shape, KvCodec codec,
                           ReaderOptions options = {}) {
    const auto reader = stream.reader(options);
    if (!reader) return true;
    const std::uint32_t tokens = stream.tokens() - stream.firstToken();
    const std::uint32_t groups = codec == KvCodec::F16 ? groupsOf(tokens) : tokens / 64,
                        first = stream.firstToken() / 64;
    const auto expected = kvOf(shape, ids, stream.firstToken(), stream.tokens(), stream.firstToken(), codec).payload;
    const std::size_t bytes = shape.groupBytes(codec);
    std::vector<std::byte> memory(expected.size(), std::byte{0xee});
    for (std::size_t i = 0; i < shape.rows() * groups; ++i)
        (*reader)->submit(i, static_cast<std::uint32_t>(i / groups / shape.kvHeads),
                          static_cast<std::uint32_t>(i / groups % shape.kvHeads),
                          first + static_cast<std::uint32_t>(i % groups), 1,
                          std::span(memory).subspan(i * bytes, bytes));
    const auto done = (*reader)->reap(shape.rows() * groups);
    REQUIRE(done.size() == shape.rows() * groups);
    bool bad = false;
    for (const auto& one : done) {
        bad = bad || !one.good;
        if (one.good && std::memcmp(&memory[one.tag * bytes], &expected[one.tag * bytes], bytes) != 0)
            FAIL("wrong group " << one.tag % groups << " from the reader");
    }
    return bad;
}

inline void commit(KvStream& stream, const std::vector<std::int32_t>& ids, std::uint32_t first, std::uint32_t end,
                   KvShape shape = kShape, KvCodec codec = KvCodec::F16) {
    must(stream.commit(kvOf(shape, ids, first, end, stream.firstToken(), codec).batch()));
}

inline std::vector<std::int32_t> firstOf(const std::vector<std::int32_t>& ids, std::size_t count) {
    return {ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(count)};
}

/// Every regular file below folder, relative, with its size.
inline std::map<std::string, std::uint64_t> filesBelow(const std::filesystem::path& folder) {
    std::map<std::string, std::uint64_t> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
        if (entry.is_regular_file())
            found[std::filesystem::relative(entry.path(), folder).string()] = entry.file_size();
    return found;
}

}  // namespace carrel

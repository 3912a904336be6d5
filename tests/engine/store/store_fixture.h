#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstring>
#include <deque>
#include <fstream>
#include <map>
#include <string>

#include "store/format.h"
#include "store/reading_store.h"
#include "tensor/quant.h"

namespace carrel {

/// A folder of its own, gone with the test. In memory where it can be: thousands of syncs, and none of these power cuts
/// is real.
struct TempFolder {
    TempFolder() {
        const bool shm = ::access("/dev/shm", W_OK) == 0;
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
inline const ReadingKey kKey{"d0c", "m0del", "rope=neox,1e6;window;dense;prompt=1", "f16"};

/// KV that a model would have made: a function of token, position and place alone.
struct Kv {
    std::uint32_t first;
    std::vector<std::int32_t> ids;
    std::vector<std::byte> payload;
    KvBatch batch() const { return {first, ids, payload}; }
};

inline std::vector<std::int32_t> someIds(std::uint32_t count, std::int32_t seed = 0) {
    std::vector<std::int32_t> ids(count);
    for (std::uint32_t i = 0; i < count; ++i)
        ids[i] = static_cast<std::int32_t>((i * 2654435761u >> 12) % 50000) + seed;
    return ids;
}

/// KV of tokens [first, end) of a document with these ids (the first of them at position `origin`).
inline Kv kvOf(KvShape shape, const std::vector<std::int32_t>& ids, std::uint32_t first, std::uint32_t end,
               std::uint32_t origin = 0) {
    const std::uint32_t groups = groupsOf(end - first);
    Kv kv{first, {ids.begin() + (first - origin), ids.begin() + (end - origin)}, {}};
    std::vector<std::uint16_t> values(std::size_t{shape.layers} * shape.kvHeads * groups * shape.groupBytes() / 2);
    for (std::size_t i = 0; i < values.size(); ++i) {
        const std::size_t dim = i % shape.headDim, token = i / shape.headDim % 64, half = i / shape.headDim / 64 % 2;
        const std::size_t group = i / (shape.groupBytes() / 2) % groups, head = i / (shape.groupBytes() / 2) / groups;
        const std::size_t at = group * 64 + token;
        if (first + at >= end) continue;
        const auto mixed = static_cast<std::uint32_t>(kv.ids[at]) * 31u +
                           static_cast<std::uint32_t>((first + at) * 7 + dim * 3 + half * 5 + head * 11);
        values[i] = f32ToF16(static_cast<float>(mixed * 2654435761u >> 21) / 512.0f - 2.0f);
    }
    kv.payload.resize(values.size() * 2);
    std::memcpy(kv.payload.data(), values.data(), kv.payload.size());
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

/// Loads, and checks that every byte before the position returned is what the ids say. Returns that position.
inline std::uint32_t loadAndCompare(KvStream& stream, KvShape shape) {
    struct Part {
        std::uint32_t first, tokens;
        std::vector<std::byte> memory;
    };
    std::deque<Part> parts;
    const auto good = must(stream.load([&](std::uint32_t first, std::uint32_t tokens) -> std::span<std::byte> {
        const std::size_t bytes = std::size_t{shape.layers} * shape.kvHeads * groupsOf(tokens) * shape.groupBytes();
        parts.push_back({first, tokens, std::vector<std::byte>(bytes, std::byte{0xee})});
        return parts.back().memory;
    }));
    std::uint32_t next = stream.firstToken();
    for (const auto& part : parts) {
        CHECK(part.first == next);
        next += part.tokens;
        const auto expected = kvOf(shape, stream.ids(), part.first, part.first + part.tokens, stream.firstToken());
        const std::uint32_t groups = groupsOf(part.tokens);
        for (std::size_t i = 0; i < std::size_t{shape.layers} * shape.kvHeads * groups; ++i) {
            if (part.first + i % groups * 64 >= good) continue;
            const std::size_t at = i * shape.groupBytes();
            if (std::memcmp(part.memory.data() + at, expected.payload.data() + at, shape.groupBytes()) != 0)
                FAIL("wrong payload from token " << part.first + i % groups * 64 << " on");
        }
    }
    CHECK(next == stream.tokens());
    return good;
}

/// The stream holds exactly these ids, and their KV.
inline void checkHolds(KvStream& stream, const std::vector<std::int32_t>& ids, KvShape shape = kShape) {
    CHECK(stream.ids() == ids);
    CHECK(loadAndCompare(stream, shape) == stream.tokens());
}

inline void commit(KvStream& stream, const std::vector<std::int32_t>& ids, std::uint32_t first, std::uint32_t end,
                   KvShape shape = kShape) {
    must(stream.commit(kvOf(shape, ids, first, end, stream.firstToken()).batch()));
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

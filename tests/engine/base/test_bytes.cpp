#include <doctest/doctest.h>

#include <array>
#include <limits>
#include <random>

#include "base/bytes.h"

namespace carrel {

namespace {

std::vector<std::byte> someBytes(std::size_t count) {
    std::vector<std::byte> bytes(count);  // of exactly this size: a sanitizer sees one byte too many
    for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(i * 37 + 11);
    return bytes;
}

template <class T>
void checkReads(std::size_t size) {
    CAPTURE(size);
    CAPTURE(sizeof(T));
    const auto bytes = someBytes(size);
    ByteReader in(bytes, "some file");
    for (std::size_t i = 0; i < size / sizeof(T); ++i) {
        const auto value = in.read<T>();
        REQUIRE(value);
        T expected;
        std::memcpy(&expected, bytes.data() + i * sizeof(T), sizeof(T));
        CHECK(*value == expected);
    }
    const std::size_t before = in.offset();
    const auto past = in.read<T>();
    REQUIRE_FALSE(past);
    CHECK(past.error().code == Code::Truncated);
    CHECK(past.error().where == "some file at byte " + std::to_string(before));
    CHECK(in.offset() == before);  // a failed read takes nothing
    CHECK(in.left() == size - before);
}

}  // namespace

TEST_CASE("A reader of bytes gives every whole value and never one past the end, whatever the size") {
    for (std::size_t size = 0; size <= 40; ++size) {
        checkReads<std::uint8_t>(size);
        checkReads<std::uint16_t>(size);
        checkReads<std::uint32_t>(size);
        checkReads<std::uint64_t>(size);
        checkReads<std::array<std::byte, 5>>(size);
    }
}

TEST_CASE("A reader of bytes takes any part that is there, and refuses every count that is not, however large") {
    for (std::size_t size = 0; size <= 20; ++size)
        for (std::size_t first = 0; first <= size; ++first) {
            CAPTURE(size);
            CAPTURE(first);
            const auto bytes = someBytes(size);
            for (std::size_t count = 0; count <= size - first; ++count) {
                ByteReader in(bytes, "f");
                REQUIRE(in.take(first));
                const auto part = in.take(count);
                REQUIRE(part);
                CHECK(part->size() == count);
                CHECK(part->data() == bytes.data() + first);
                CHECK(in.left() == size - first - count);
            }
            ByteReader in(bytes, "f");
            REQUIRE(in.take(first));
            constexpr auto kMost = std::numeric_limits<std::uint64_t>::max();
            for (const std::uint64_t count :
                 {std::uint64_t{size - first + 1}, std::uint64_t{1} << 32, kMost - first, kMost}) {
                const auto part = in.take(count);
                REQUIRE_FALSE(part);
                CHECK(part.error().code == Code::Truncated);
                CHECK(in.left() == size - first);
            }
        }
}

TEST_CASE("What a writer of bytes appends, a reader gives back") {
    std::mt19937_64 random(3);
    ByteWriter out;
    std::vector<std::uint64_t> values;
    for (int i = 0; i < 100; ++i) {
        values.push_back(random());
        out.write(static_cast<std::uint8_t>(values.back()));
        out.write(static_cast<std::uint32_t>(values.back()));
        out.write(values.back());
    }
    CHECK(out.bytes().size() == 100 * 13);
    ByteReader in(out.bytes(), "f");
    for (const std::uint64_t value : values) {
        CHECK(*in.read<std::uint8_t>() == static_cast<std::uint8_t>(value));
        CHECK(*in.read<std::uint32_t>() == static_cast<std::uint32_t>(value));
        CHECK(*in.read<std::uint64_t>() == value);
    }
    CHECK(in.left() == 0);
}

}  // namespace carrel

#include <doctest/doctest.h>

#include "base/hash.h"
#include "engine/library/temporary_folder.h"

namespace carrel {

namespace {

std::span<const std::byte> asBytes(const std::string& text) {
    return std::as_bytes(std::span(text));
}

}  // namespace

TEST_CASE("SHA-256 gives the known answers of FIPS 180-4") {
    CHECK(sha256Hex({}) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(sha256Hex(asBytes("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(sha256Hex(asBytes(std::string(1'000'000, 'a'))) ==
          "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("A file's SHA-256 is that of its bytes, whatever its size") {
    const TemporaryFolder folder;
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{1}, std::size_t{65'536}, std::size_t{1'000'000}, std::size_t{3'000'001}}) {
        CAPTURE(size);
        const std::string text(size, 'a');
        const auto hash = sha256HexOfFile(folder.write("file", text));
        REQUIRE(hash);
        CHECK(*hash == sha256Hex(asBytes(text)));
    }
    CHECK_FALSE(sha256HexOfFile(folder.path() / "missing"));
    CHECK_FALSE(sha256HexOfFile(folder.path()));
}

TEST_CASE("XXH3 gives the known answers, and a seed makes another hash") {
    CHECK(xxh3({}) == 0x2d06800538d394c2);
    CHECK(xxh3(asBytes("abc")) == 0x78af5f94892f3950);
    CHECK(xxh3(asBytes("abc"), 1) != xxh3(asBytes("abc")));
}

}  // namespace carrel

#include <cstring>

#include "support.h"

#include "base/file.h"
#include "base/hash.h"

#include <doctest/doctest.h>

#include <sys/stat.h>

using namespace carrel;
using namespace carrel::test;
namespace fs = std::filesystem;

namespace {

unsigned modeOf(const fs::path& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 0777 : 0;
}

bool same(const Document& a, const Document& b) {
    if (a.sha256 != b.sha256 || a.kind != b.kind || a.title != b.title || a.text != b.text ||
        a.places.size() != b.places.size() || a.pagesWithoutText != b.pagesWithoutText)
        return false;
    for (std::size_t i = 0; i < a.places.size(); ++i) {
        const auto &p = a.places[i], &q = b.places[i];
        if (p.text != q.text || p.heading != q.heading || p.size.width != q.size.width ||
            p.words.size() != q.words.size())
            return false;
        for (std::size_t w = 0; w < p.words.size(); ++w)
            if (p.words[w].first != q.words[w].first || p.words[w].box.x != q.words[w].box.x) return false;
    }
    return true;
}

std::string twoPages() {
    return pdfOf({streamOf({{60, 700, "The first page has words"}, {60, 686, "on two lines."}}), "",
                  streamOf({{60, 700, "The third."}})});
}

}  // namespace

TEST_CASE("a document is copied once, under its hash, for the owner only") {
    TempFolder folder;
    const auto file = write(folder / "a.txt", "Some words.\n");
    const DocumentStore store(folder / "data");
    const auto sha256 = store.adopt(file);
    REQUIRE(sha256);
    CHECK(*sha256 == *sha256HexOfFile(file));
    CHECK(*readFile(store.original(*sha256), 100) == "Some words.\n");
    CHECK(modeOf(store.original(*sha256)) == 0600);
    CHECK(modeOf(store.original(*sha256).parent_path()) == 0700);
    const auto time = fs::last_write_time(store.original(*sha256));
    fs::remove(file);
    const auto again = store.adopt(write(folder / "b.txt", "Some words.\n"));
    REQUIRE(again);
    CHECK(*again == *sha256);
    CHECK(fs::last_write_time(store.original(*sha256)) == time);
    for (const auto& entry : fs::directory_iterator(folder / "data" / "documents"))
        CHECK(entry.path().filename().string() == *sha256);
    CHECK(store.adopt(folder.path()).error().code == Code::NotADocument);
    CHECK(store.adopt(folder / "absent").error().code == Code::NotFound);
}

TEST_CASE("the kept text spares the helper and equals what was read") {
    TempFolder folder;
    const DocumentStore store(folder / "data");
    const auto sha256 = store.adopt(write(folder / "a.pdf", twoPages()));
    REQUIRE(sha256);
    const auto first = store.load(*sha256, withHelper());
    REQUIRE(first);
    CHECK(first->pagesWithoutText == std::vector<std::uint32_t>{2});
    const auto second = store.load(*sha256, withHelper("/bin/false"));
    REQUIRE(second);
    CHECK(same(*first, *second));
}

TEST_CASE("a kept text with a byte changed or missing is never believed") {
    TempFolder folder;
    const DocumentStore store(folder / "data");
    const auto sha256 = store.adopt(write(folder / "a.md", "# One\n\nSome words.\n\n# Two\n\nMore of them.\n"));
    REQUIRE(sha256);
    const auto whole = store.load(*sha256, withHelper());
    REQUIRE(whole);
    const auto kept = store.original(*sha256).parent_path() / "text.v1";
    const auto bytes = *readFile(kept, 1 << 20);
    for (std::size_t at = 0; at < bytes.size(); at += 5) {
        auto changed = bytes;
        changed[at] = static_cast<char>(changed[at] ^ (1 << at % 8));
        write(kept, changed);
        const auto loaded = store.load(*sha256, withHelper());
        CAPTURE(at);
        REQUIRE(loaded);
        REQUIRE(same(*loaded, *whole));
    }
    for (const std::size_t size : {std::size_t{0}, std::size_t{31}, std::size_t{32}, bytes.size() - 1}) {
        write(kept, bytes.substr(0, size));
        const auto loaded = store.load(*sha256, withHelper());
        REQUIRE(loaded);
        CHECK(same(*loaded, *whole));
        CHECK(*readFile(kept, 1 << 20) == bytes);  // and written anew
    }
}

TEST_CASE("structures that a right checksum vouches for are checked all the same") {
    TempFolder folder;
    const DocumentStore store(folder / "data");
    const auto sha256 = store.adopt(write(folder / "a.pdf", twoPages()));
    REQUIRE(sha256);
    const auto whole = store.load(*sha256, withHelper());
    REQUIRE(whole);
    const auto kept = store.original(*sha256).parent_path() / "text.v1";
    const auto bytes = *readFile(kept, 1 << 20);
    for (std::size_t at = 32; at < bytes.size(); at += 3) {
        auto changed = bytes;
        changed[at] = static_cast<char>(changed[at] ^ 0xA5);
        const auto checksum = xxh3(std::as_bytes(std::span(changed)).subspan(32));
        std::memcpy(changed.data() + 24, &checksum, sizeof checksum);
        write(kept, changed);
        const auto loaded = store.load(*sha256, withHelper("/bin/false"));  // reads it, or fails: no crash
        if (!loaded) CHECK(loaded.error().code == Code::HelperFailed);
        if (loaded) {
            (void)loaded->boxesOf({0, loaded->text.size()});
        }
    }
}

TEST_CASE("the text of an encrypted document stays in memory") {
    NEEDS_REAL_PDF(file, "enc-user-aes256.pdf");
    TempFolder folder;
    const DocumentStore store(folder / "data");
    const auto sha256 = store.adopt(file);
    REQUIRE(sha256);
    CHECK(store.load(*sha256, withHelper()).error().code == Code::NeedsPassword);
    CHECK(store.load(*sha256, withHelper(CARREL_PDF, "wrong")).error().code == Code::WrongPassword);
    const auto loaded = store.load(*sha256, withHelper(CARREL_PDF, "secret"));
    REQUIRE(loaded);
    CHECK(loaded->places.size() == 193);
    CHECK(!fs::exists(store.original(*sha256).parent_path() / "text.v1"));
    CHECK(store.load(*sha256, withHelper()).error().code == Code::NeedsPassword);
}

TEST_CASE("only hashes name documents, and what is removed is gone") {
    TempFolder folder;
    const DocumentStore store(folder / "data");
    const auto sha256 = store.adopt(write(folder / "a.txt", "Some words.\n"));
    REQUIRE(sha256);
    for (const std::string& name :
         {std::string("../" + *sha256), std::string(), std::string("."), std::string(64, '.')}) {
        CHECK(store.load(name, withHelper()).error().code == Code::NotFound);
        CHECK(store.remove(name).error().code == Code::NotFound);
    }
    REQUIRE(store.remove(*sha256));
    CHECK(!fs::exists(store.original(*sha256).parent_path()));
    CHECK(store.load(*sha256, withHelper()).error().code == Code::NotFound);
    CHECK(store.remove(*sha256));
}

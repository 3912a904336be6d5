#include <carrel/library.h>
#include <doctest/doctest.h>

#include "engine/library/temporary_folder.h"

using namespace carrel;

namespace {

struct Fixture {
    TemporaryFolder folder;
    std::unique_ptr<Library> library;
    std::string mill, river;

    Fixture() {
        auto opened = Library::open({.dataDir = folder.path() / "data", .pdfHelper = {}});
        REQUIRE(opened);
        library = std::move(*opened);
        mill = add("mill.txt",
                   "The archive is kept in the old mill. Its catalogues list four hundred letters. It's naïve “Straße” "
                   "text.\n");
        river = add("river.txt", "The river Wye floods every spring, and the letters were written beside it.\n");
    }
    std::string add(const std::string& name, const std::string& text) {
        auto row = library->add(folder.write(name, text), {}, {}, {});
        REQUIRE(row);
        return row->sha256;
    }
    std::vector<Hit> find(const std::string& words, const std::string& document = {}, std::uint32_t limit = 10) {
        auto hits = library->find(words, document, limit);
        REQUIRE_MESSAGE(hits, words << ": " << hits.error().detail);
        return *hits;
    }
};

}  // namespace

TEST_CASE("words are found by stem, without case and accents, best first") {
    Fixture f;
    REQUIRE(!f.find("catalogue").empty());
    CHECK(f.find("catalogue")[0].document == f.mill);
    CHECK(f.find("FLOODING")[0].document == f.river);
    CHECK(f.find("naive")[0].document == f.mill);
    const auto both = f.find("letters flood");
    REQUIRE(both.size() == 2);
    CHECK(both[0].document == f.river);
    CHECK(both[0].score > both[1].score);
    CHECK(f.find("letters", {}, 1).size() == 1);
    CHECK(f.find("zeppelin").empty());
}

TEST_CASE("a hit's span is its text in the document") {
    Fixture f;
    const Hit hit = f.find("mill")[0];
    CHECK(hit.span.count == hit.text.size());
    CHECK(hit.text.find("old mill") != std::string::npos);
    CHECK(hit.page == 0);
}

TEST_CASE("a search within a document finds nothing of others") {
    Fixture f;
    for (const Hit& hit : f.find("letters", f.river)) CHECK(hit.document == f.river);
    CHECK(f.find("mill", f.river).empty());
}

TEST_CASE("a word that is being typed finds longer ones, also past its stem, and a snippet says where") {
    Fixture f;
    for (const char* typed : {"catalog", "catal", "catalogu", "catalogue"}) {
        CAPTURE(std::string(typed));
        const auto hits = f.library->find(typed, {}, 10, true);
        REQUIRE(hits);
        REQUIRE(hits->size() == 1);
        CHECK((*hits)[0].document == f.mill);
        CHECK((*hits)[0].snippet.find("\2catalogues\3") != std::string::npos);
    }
    CHECK(f.find("catal").empty());
    CHECK(f.library->find("zepp", {}, 10, true)->empty());
    CHECK(f.library->find("\xc3\xa9", {}, 10, true));  // half a letter is never asked for
    CHECK(f.library->find("old mi", {}, 10, true)->size() == 1);
}

TEST_CASE("function words alone are searched for, beside others they are not") {
    Fixture f;
    CHECK(!f.find("the").empty());
    CHECK(f.find("the mill").size() == 1);
}

TEST_CASE("whatever is typed is searched for as words and never is an error") {
    Fixture f;
    for (const char* words : {"\"",
                              "\"mill",
                              "mill\"",
                              "'",
                              "''; DROP TABLE documents; --",
                              "NEAR(mill river, 3)",
                              "NEAR",
                              "AND",
                              "OR",
                              "NOT",
                              "mill AND",
                              "NOT mill",
                              "*",
                              "mill*",
                              "^mill",
                              "-mill",
                              "+mill",
                              "mill -river",
                              "(",
                              ")",
                              "((mill)",
                              "text:mill",
                              "rank:",
                              "mill : river",
                              "{text}: mill",
                              "\\",
                              "%",
                              "_",
                              "?1",
                              ":a",
                              "@a",
                              "$a",
                              "mill\n\triver",
                              "“Straße”",
                              "”",
                              "🏡",
                              "\xff\xfe",
                              "mi\xc3",
                              "\xe2\x80",
                              "",
                              " ",
                              "\xc2\xa0",
                              "\x01\x02"}) {
        f.find(words);
        f.find(words, f.mill);
    }
    f.find(std::string("mill\0river", 10));
    f.find(std::string(100'000, '"'));
    f.find(std::string(100'000, 'x'));
    std::string many;
    for (int i = 0; i < 20'000; ++i) many += " w" + std::to_string(i);
    f.find(many);
    CHECK(f.find("NEAR(mill river, 3)").size() == 2);
    CHECK(f.find("mill", "' OR 1=1 --").empty());
    CHECK(f.library->documents()->size() == 2);
}

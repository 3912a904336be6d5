#include <doctest/doctest.h>

#include <carrel/pages.h>

#include "document/folded_text.h"
#include "support.h"

using namespace carrel;
using namespace carrel::test;

namespace {

std::vector<std::string> hits(const std::string& text, const std::string& words, std::size_t most = 100) {
    std::vector<std::string> out;
    for (const ByteSpan& span : FoldedText(text).find(words, most)) out.push_back(text.substr(span.first, span.count));
    return out;
}
using Strings = std::vector<std::string>;

}  // namespace

TEST_CASE("Words are found whatever their case and across white space") {
    CHECK(hits("The Cat and the cat", "CAT") == Strings{"Cat", "cat"});
    CHECK(hits("one\n  two one two", "one two") == Strings{"one\n  two", "one two"});
    CHECK(hits("one two", "  one   two ") == Strings{"one two"});
    CHECK(hits("aaaa", "aa") == Strings{"aa", "aa"});
    CHECK(hits("aaaa", "a", 3).size() == 3);
    CHECK(hits("nothing", "") == Strings{});
    CHECK(hits("nothing", " \n ") == Strings{});
    CHECK(hits("", "a") == Strings{});
}

TEST_CASE("Spans hold whole characters where case folding changes lengths") {
    CHECK(hits("Straße und STRASSE", "strasse") == Strings{"Straße", "STRASSE"});
    CHECK(hits("xßy", "s") == Strings{"ß", "ß"});
    CHECK(hits("İstanbul und Ärger", "ärger") == Strings{"Ärger"});
    CHECK(hits("ein soft\u00adhyphen hier", "softhyphen") == Strings{"soft\u00adhyphen"});
    CHECK(hits("a\u00a0b", "a b") == Strings{"a\u00a0b"});
    CHECK(hits("\u0390\u0390x", "x") == Strings{"x"});  // two bytes fold to six
}

TEST_CASE("Words of a PDF are found with their page and boxes, and without pages as spans") {
    TempFolder folder;
    const auto pages = *Pages::open({.dataDir = folder / "data", .pdfHelper = CARREL_PDF});
    const DocumentStore store(folder / "data");
    const auto add = [&](const std::string& bytes) { return *store.adopt(write(folder / "new", bytes)); };
    const std::string pdf =
        add(pdfOf({streamOf({{60, 700, "A heron by the weir"}}), streamOf({{60, 500, "The Heron again"}})}));
    const auto found = pages->find(pdf, "", "heron", 10);
    REQUIRE(found);
    REQUIRE(found->size() == 2);
    CHECK((*found)[0].page == 1);
    CHECK((*found)[1].page == 2);
    REQUIRE((*found)[1].boxes.size() == 1);
    CHECK((*found)[1].boxes[0].width > 10);
    CHECK((*found)[1].boxes[0].y > (*found)[0].boxes[0].y);
    CHECK(pages->find(pdf, "", "pelican", 10)->empty());
    CHECK(pages->find(pdf, "", "", 10)->empty());
    const std::string text = add("# Birds\n\nA heron.\n");
    const auto plain = pages->find(text, "", "heron", 10);
    REQUIRE(plain);
    REQUIRE(plain->size() == 1);
    CHECK((*plain)[0].page == 0);
    CHECK((*plain)[0].span == ByteSpan{11, 5});
    CHECK(pages->find(std::string(64, '0'), "", "heron", 10).error().code == Code::NotFound);
    CHECK(pages->find("../../etc/passwd", "", "heron", 10).error().code == Code::NotFound);
}

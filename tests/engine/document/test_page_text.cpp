#include "document/pdf_helper/page_text.h"

#include <doctest/doctest.h>

using namespace carrel;
using namespace carrel::pdf;

namespace {

// Ten points a line, six a character, as Poppler lays them out.
std::vector<PageChar> chars(const std::u32string& text, float leading = 12) {
    std::vector<PageChar> out;
    float x = 50, y = 100;
    for (const char32_t c : text) {
        out.push_back({c, {x, y, 6, 10}});
        x += 6;
        if (c == '\n') x = 50, y += leading;
    }
    return out;
}

std::string textOf(const std::u32string& text) {
    return buildPageText(chars(text)).text;
}

}  // namespace

TEST_CASE(
    "a hyphen at a line's end goes where the word goes on in small letters, and the break moves behind the word") {
    CHECK(textOf(U"an exam-\nple of it") == "an example\nof it");
    CHECK(textOf(U"an exam\u2010\nple") == "an example");
    CHECK(textOf(U"an exam\u00ad\nple of") == "an example\nof");
    CHECK(textOf(U"US-\nASCII and") == "US-ASCII\nand");
    CHECK(textOf(U"a list -\nof two") == "a list -\nof two");
    CHECK(textOf(U"the end-") == "the end-");
}

TEST_CASE("ligatures and wide forms are expanded and every word's bytes are the word") {
    const auto page = buildPageText(chars(U"o\uFB03ce \uFB01le\n\uFF21\uFF22 caf\u0065\u0301"));
    CHECK(page.text == "office file\nAB caf\u00e9");
    const std::vector<std::string> words{"office", "file", "AB", "caf\u00e9"};
    REQUIRE(page.words.size() == words.size());
    for (std::size_t i = 0; i < words.size(); ++i) {
        CAPTURE(i);
        CHECK(page.text.substr(page.words[i].first, page.words[i].count) == words[i]);
    }
}

TEST_CASE("a hyphenated word keeps a box on each line") {
    const auto page = buildPageText(chars(U"exam-\nple"));
    CHECK(page.text == "example");
    REQUIRE(page.words.size() == 2);
    CHECK(page.words[0].box.y == 100);
    CHECK(page.words[1].box.y == 112);
    CHECK(page.text.substr(page.words[1].first) == "ple");
}

TEST_CASE("control characters, bidi marks and byte order marks never reach the text") {
    CHECK(textOf(U"a\u0001b\u202Ac\u202C \u200Ed\uFEFF \u0085") == "abc d");
}

TEST_CASE("a gap of more than a line parts paragraphs, leading does not") {
    CHECK(buildPageText(chars(U"one\ntwo", 14)).text == "one\ntwo");
    CHECK(buildPageText(chars(U"one\ntwo", 24)).text == "one\n\ntwo");
}

TEST_CASE("what stands far away on a line is a word of its own") {
    auto far = chars(U"dots7");
    far.back().box.x += 200;
    CHECK(buildPageText(far).text == "dots 7");
}

TEST_CASE("words that begin outside of the page are left out, one that runs off it is whole") {
    // Six points a character from x = 50 on: "off" begins at 86, past the edge.
    CHECK(buildPageText(onPage(chars(U"along off\nnext"), {0, 0, 75, 200})).text == "along\nnext");
    CHECK(buildPageText(onPage(chars(U"one\ntwo"), {0, 0, 200, 111})).text == "one");
    CHECK(buildPageText(onPage({{U'a', {}}}, {0, 0, 10, 10})).text == "a");
}

TEST_CASE("nothing in, nothing out") {
    CHECK(buildPageText({}).text.empty());
    CHECK(textOf(U" \n\n \n").empty());
    CHECK(textOf(U"-\n-\n").size() == 3);
    CHECK(textOf(U"\u00ad\n\u00ada").size() <= 2);
}
